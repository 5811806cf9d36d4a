from .evaluation import ClassScores, Evaluation, evaluate
from .intervals import Interval
from .metrics import point_metrics
from .paired import Pair, compare_pair, compare_pairs, groups

__all__ = [
    "ClassScores",
    "Evaluation",
    "Interval",
    "Pair",
    "compare_pair",
    "compare_pairs",
    "evaluate",
    "groups",
    "point_metrics",
]
