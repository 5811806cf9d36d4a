from .by_class import ClassScores
from .calibration import (
    BrierParts,
    CalibrationError,
    ReliabilityBin,
    brier_parts,
    calibration_error,
    classwise_calibration_error,
    reliability,
)
from .decisions import Threshold, at_threshold, decide, mean_cost, threshold_for
from .design import Design, grouped, sampled
from .differences import Difference, compare_metric
from .evaluation import Evaluation, evaluate
from .groupwise import Group, GroupTable, evaluate_groups
from .in_depth import details, groupings
from .intervals import Interval
from .letters import groups
from .metrics import point_metrics
from .paired import Pair, cochran_q, compare_pair, compare_pairs
from .recipes import RecipePair, compare_recipes
from .selective import RiskCoverage, Selection, risk_coverage
from .temperature import TemperatureScaling, apply_temperature, fit_temperature, temperature_scaling

__all__ = [
    "BrierParts",
    "CalibrationError",
    "ClassScores",
    "Design",
    "Difference",
    "Evaluation",
    "Group",
    "GroupTable",
    "Interval",
    "Pair",
    "RecipePair",
    "ReliabilityBin",
    "RiskCoverage",
    "Selection",
    "TemperatureScaling",
    "Threshold",
    "apply_temperature",
    "at_threshold",
    "brier_parts",
    "calibration_error",
    "classwise_calibration_error",
    "cochran_q",
    "compare_metric",
    "compare_pair",
    "compare_pairs",
    "compare_recipes",
    "decide",
    "details",
    "evaluate",
    "evaluate_groups",
    "fit_temperature",
    "grouped",
    "groupings",
    "groups",
    "mean_cost",
    "point_metrics",
    "reliability",
    "risk_coverage",
    "sampled",
    "temperature_scaling",
    "threshold_for",
]
