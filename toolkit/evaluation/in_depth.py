"""What stands behind one contestant's numbers: calibration, risk by coverage, groups. Arrays in, plain values out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.evaluation.calibration import (
    brier_parts,
    calibration_error,
    classwise_calibration_error,
    reliability,
)
from toolkit.evaluation.design import Design
from toolkit.evaluation.groupwise import GroupTable, evaluate_groups
from toolkit.evaluation.precision import double_precision
from toolkit.evaluation.selective import RiskCoverage, risk_coverage
from toolkit.evaluation.temperature import temperature_scaling

MOST_POINTS = 200  # of a risk-coverage curve
MOST_VALUES = 40  # of a column that is taken for a grouping without being named
RISKS = (0.01, 0.02, 0.05, 0.1)  # shares of wrong answers at which the coverage is told


@double_precision
def details(
    labels: Any,
    probabilities: Any,
    columns: Mapping[str, Any] | None = None,
    *,
    held_out: tuple[Any, Any] | None = None,
    confidence: float = 0.95,
    design: Design | None = None,
) -> dict[str, Any]:
    """Plain JSON values for a report: labels (N,), probabilities (N, K), and columns (N,) of the manifest by name.

    `calibration` holds the reliability diagram's bins, the errors with their bias, and the parts of the Brier score;
    `selective` the risk at each coverage and the coverage at some risks; `by_group`, of each column, its groups, the
    lowest accuracy first. `held_out`, labels (M,) and probabilities (M, K) of rows that were not learned from, add
    `temperature` to the calibration: `temperature_scaling` fitted on them.
    Raises InputError for anything that is not labels and probabilities.
    """
    told: dict[str, Any] = {"confidence": confidence, "design": design}
    bins = reliability(labels, probabilities, bins=10, **told)
    parted = groupings(columns or {})
    errors = {
        "ece": calibration_error(labels, probabilities, **told),
        "ece_equal_mass": calibration_error(labels, probabilities, equal="mass", **told),
        "classwise_ece": classwise_calibration_error(labels, probabilities, **told),
    }
    calibration: dict[str, Any] = {
        "bins": [{**vars(one), "accuracy": one.accuracy.to_dict()} for one in bins],
        "errors": {name: error.to_dict() for name, error in errors.items()},
        "brier": vars(brier_parts(labels, probabilities)),
    }
    if held_out is not None:
        calibration["temperature"] = temperature_scaling(labels, probabilities, *held_out, **told).to_dict()
    return {
        "calibration": calibration,
        "selective": _curve(risk_coverage(labels, probabilities, **told)),
        "by_group": {
            name: _groups(evaluate_groups(labels, probabilities, column, **told)) for name, column in parted.items()
        },
    }


def groupings(columns: Mapping[str, Any], most: int = MOST_VALUES) -> dict[str, NDArray[np.str_]]:
    """The columns (N,) that part the rows into 2 to `most` groups, as text; '' is a group of its own, `none`."""
    found = {}
    for name, column in columns.items():
        values = np.asarray(column)
        if values.ndim == 1 and 2 <= len(set(values.tolist())) <= most:
            text = values.astype(np.str_)
            found[name] = np.where(text == "", "none", text)
    return found


def _curve(curve: RiskCoverage) -> dict[str, Any]:
    """The curve at evenly spread coverages, its ends among them, and the coverage at each of `RISKS`."""
    chosen = np.unique(np.linspace(0, len(curve.coverage) - 1, MOST_POINTS).round().astype(int))
    at = [(risk, curve.at_risk(risk)) for risk in RISKS]
    return {
        "coverage": curve.coverage[chosen].tolist(),
        "risk": curve.risk[chosen].tolist(),
        "area": curve.area,
        "at_risk": [
            {"risk": risk, "coverage": one.coverage, "threshold": one.threshold if one.coverage else None}
            for risk, one in at
        ],
    }


def _groups(table: GroupTable) -> list[dict[str, Any]]:
    """A line for each group; the metrics are those that a group of few rows can still have."""
    return [
        {
            "name": group.name,
            "rows": group.evaluation.rows,
            **{metric: group.evaluation[metric].to_dict() for metric in ("accuracy", "macro_f1", "log_loss")},
            "holm_p": group.holm_p,
            "smallest_difference": group.to_dict()["smallest_difference"],
            "verdict": group.verdict,
        }
        for group in table.groups
    ]
