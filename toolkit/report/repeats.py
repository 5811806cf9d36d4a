"""The duel over several seeds and splits, as seeds.json in the run holds it. It computes nothing."""

from collections.abc import Mapping
from typing import Any

from toolkit.evaluation.rounding import rounded_up
from toolkit.report.reading import Run
from toolkit.report.text import MISSING, fixed, percent
from toolkit.report.tuning import Cells
from toolkit.runs import read_json

FILE = "seeds.json"
SUMMARY = ("mean", "standard_deviation", "lowest", "highest")


def repeats_cells(run: Run) -> tuple[Cells, ...]:
    """Scores of each contestant over the runs, the best first, then what they say of each pair; () for one run."""
    path = run.folder / FILE
    found = read_json(path) if path.is_file() else None
    if not isinstance(found, dict) or not isinstance(found.get("summary"), dict):
        return ()
    metric, seeds = str(found.get("metric", "accuracy")), [str(seed) for seed in found.get("seeds") or ()]
    pairs = [pair for pair in found.get("pairs") or () if isinstance(pair, dict)]
    head = ["contestant", *(label.replace("_", " ") for label in SUMMARY), *(f"seed {seed}" for seed in seeds)]
    scores = (_caption(found, metric, len(seeds)), head, _scores(found))
    return (scores, _pairs(pairs, metric)) if pairs else (scores,)


def _caption(found: Mapping[str, Any], metric: str, count: int) -> str:
    once, said = found.get("tuned_on"), f"{metric} on the test rows over {count} seeds and splits."
    if once is None:
        return said
    return (
        f"{said} Settings were tuned once, on the validation rows of seed {once}; test rows of the other splits may "
        "have helped to choose them, alike for all."
    )


def _scores(found: Mapping[str, Any]) -> list[list[str]]:
    scores = found.get("scores") or {}
    return [
        [name, *(fixed(row.get(label), 4) for label in SUMMARY), *(fixed(one, 4) for one in scores.get(name) or ())]
        for name, row in found["summary"].items()
    ]


def _pairs(pairs: list[dict[str, Any]], metric: str) -> Cells:
    """Means of the runs' differences with intervals that know of the rows that splits share."""
    equal = next((pair["equivalence"] for pair in pairs if pair.get("equivalence") is not None), None)
    head = [
        "pair",
        "difference",
        "beats it in a run to come",
        "practically equal",
        "smallest that would show",
        "verdict",
    ]
    rows = [
        [
            f"{pair.get('a', MISSING)} − {pair.get('b', MISSING)}",
            f"{fixed(pair.get('difference'), 4)} [{fixed(pair.get('low'), 4)}, {fixed(pair.get('high'), 4)}]",
            percent(pair.get("improvement"), 0),
            percent(pair.get("equivalent"), 0),
            fixed(rounded_up(smallest, 4) if (smallest := pair.get("smallest_difference")) is not None else None, 4),
            str(pair.get("verdict", MISSING)),
        ]
        for pair in pairs
    ]
    caption = (
        f"Differences of {metric} over the same splits: corrected resampled t test, Holm over all pairs. Practically "
        f"equal: the probability of a difference within ±{equal if equal is not None else MISSING}."
    )
    return caption, head, rows
