"""What `touchstone evaluate` may be asked beyond the metrics: plain values for JSON, and a table. It knows no model."""

import csv
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table

from toolkit import evaluation
from toolkit.errors import InputError, unknown
from toolkit.evaluation.rounding import rounded_up
from toolkit.runs import Predictions

CHOSEN_HERE = "Chosen on these same rows, so it flatters; --validation chooses on others."
SHOWS_FROM = "Shows from: the smallest difference that would be significant."
CHOSEN_THERE = "Chosen on validation rows, seen on these."


@dataclass(frozen=True)
class Asked:
    """The questions."""

    by: str | None = None  # a column of the manifest
    validation: Predictions | None = None  # what a temperature is fitted on, and thresholds are chosen on
    risks: Sequence[float] = ()  # shares of wrong answers
    precision: float | None = None
    recall: float | None = None
    costs: Path | None = None  # a CSV file
    confidence: float = 0.95
    design: Any = None  # how the rows were drawn


class Answer(NamedTuple):
    """One of them, answered."""

    key: str
    plain: Any
    table: Table
    asked: bool = True  # and not told of its own accord


def column(one: Predictions, name: str) -> Any:
    """A column (N,) of the manifest by name."""
    if name not in one.columns:
        raise unknown("column of the manifest", name, one.columns, "" if one.columns else "It has no columns.")
    return one.columns[name]


def design_of(one: Predictions, clusters: str | None, strata: str | None) -> Any:
    """How the rows were drawn: as said, or else by their column `group`, as `compare` takes them."""
    if clusters is None and strata is None:
        return evaluation.grouped(one.columns["group"]) if "group" in one.columns else None
    within = None if strata is None else one.labels if strata == "class" else column(one, strata)
    return evaluation.sampled(clusters=None if clusters is None else column(one, clusters), strata=within)


def answers(name: str, one: Predictions, asked: Asked) -> Iterator[Answer]:
    """Every question answered for one contestant; its calibration without being asked."""
    yield _calibration(name, one, asked)
    if asked.by is not None:
        yield _groups(name, one, asked)
    if asked.validation is not None:
        yield _temperature(name, one, asked, asked.validation)
    if asked.risks:
        yield _selective(name, one, asked)
    if asked.precision is not None or asked.recall is not None:
        yield _thresholds(name, one, asked)
    if asked.costs is not None:
        yield _costs(name, one, asked, asked.costs)


def differences(one: Predictions, told: Mapping[str, Any], metrics: Sequence[str], how: dict[str, Any]) -> list[Answer]:
    """All pairs of contestants by each of these metrics, in one answer; none where none is asked for."""
    if not metrics:
        return []
    how = {**how, "method": "bca" if how["method"] == "score" else how["method"]}
    shown = table("Pairs by other metrics", "pair", "metric", "difference", "p", "shows from", "verdict")
    shown.caption = (
        "Paired bootstrap; p is the larger of its own and that of exchanging the two at random, corrected for all "
        f"pairs of a metric (Holm). {SHOWS_FROM}"
    )
    found = {name: evaluation.compare_metric(one.labels, told, name, **how) for name in metrics}
    for name, pairs in found.items():
        for pair in pairs:
            ends = "undefined" if math.isnan(pair.difference) else f"{pair.difference:+.3f}"
            ends += "" if math.isnan(pair.low) else f" ({pair.low:+.3f}..{pair.high:+.3f})"
            p, shows = p_value(pair.holm_p), shows_from(pair.smallest_difference)
            add(shown, f"{pair.a} - {pair.b}", name.replace("_", " "), ends, p, shows, pair.verdict)
    plain = {name: [pair.to_dict() for pair in pairs] for name, pairs in found.items()}
    return [Answer("pairs_by_metric", plain, shown)]


def table(title: str, *heads: str, caption: str | None = None) -> Table:
    """Names left, numbers right, as wide as the terminal allows."""
    made = Table(title=escape(title), box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    made.caption = None if caption is None else escape(caption)
    for place, head in enumerate(heads):
        made.add_column(escape(head), justify="right" if place else "left", overflow="fold")
    return made


def add(made: Table, *cells: str) -> None:
    """Add a row of plain text; names in brackets are names, not styles."""
    made.add_row(*map(escape, cells))


def p_value(p: float) -> str:
    """Two digits, or that it is below them all."""
    return "<0.0001" if p < 1e-4 else f"{p:.2g}"


def shows_from(difference: float) -> str:
    """The smallest difference that would be significant, or that none would."""
    return f"{rounded_up(difference):.3f}" if math.isfinite(difference) else "nothing"


def _calibration(name: str, one: Predictions, asked: Asked) -> Answer:
    arrays = (one.labels, one.probabilities)
    told: dict[str, Any] = {"confidence": asked.confidence, "design": asked.design}
    errors = {
        "equal width": evaluation.calibration_error(*arrays, **told),
        "equal mass": evaluation.calibration_error(*arrays, equal="mass", **told),
        "by class": evaluation.classwise_calibration_error(*arrays, **told),
    }
    caption = "It is biased upwards: noise is about how much of it, calibrated what a perfect contestant would show."
    shown = table(f"{name}: calibration error", "bins", "ECE", "noise", "calibrated", caption=caption)
    for label, error in errors.items():
        noise = "all of it" if 0 < error.value <= error.bias else f"{error.bias:.3f}"
        add(shown, label, str(error.interval), noise, f"{error.if_calibrated:.3f}")
    brier = vars(evaluation.brier_parts(*arrays))
    plain = {label.replace(" ", "_"): dataclasses.asdict(error) for label, error in errors.items()}
    return Answer("calibration", {**plain, "brier": brier}, shown, asked=False)


def _groups(name: str, one: Predictions, asked: Asked) -> Answer:
    values = column(one, str(asked.by))
    told: dict[str, Any] = {"confidence": asked.confidence, "design": asked.design}
    found = evaluation.evaluate_groups(one.labels, one.probabilities, values, one.class_names, **told)
    heads = ("group", "rows", "accuracy", "p", "shows from", "against the rest")
    alone = any(math.isnan(group.evaluation["accuracy"].low) for group in found.groups)
    caption = SHOWS_FROM + (" A group within one cluster has no interval." if alone else "")
    shown = table(f"{name}, the worst group first", *heads, caption=caption)
    for group in found.groups:
        ends, shows = str(group.evaluation["accuracy"]), shows_from(group.smallest_difference)
        add(shown, group.name, f"{group.evaluation.rows:,}", ends, p_value(group.holm_p), shows, group.verdict)
    return Answer("groups", found.to_dict(), shown)


def _temperature(name: str, one: Predictions, asked: Asked, before: Predictions) -> Answer:
    arrays = (one.labels, one.probabilities, before.labels, before.probabilities)
    found = evaluation.temperature_scaling(*arrays, asked.confidence, asked.design)
    title = f"{name}: temperature {found.temperature:.3f}, fitted on validation rows"
    shown = table(title, "", "before", "after")
    add(shown, "ECE", str(found.ece_before.interval), str(found.ece_after.interval))
    add(shown, "log loss", str(found.log_loss_before), str(found.log_loss_after))
    add(shown, "Brier score", str(found.brier_before), str(found.brier_after))
    return Answer("temperature", found.to_dict(), shown)


def _selective(name: str, one: Predictions, asked: Asked) -> Answer:
    told: dict[str, Any] = {"confidence": asked.confidence, "design": asked.design}
    curve = evaluation.risk_coverage(one.labels, one.probabilities, **told)
    other = asked.validation
    chosen = evaluation.risk_coverage(other.labels, other.probabilities) if other is not None else curve
    heads = ("wrong at most", "from", "answered", "of them wrong")
    shown = table(f"{name}: answering only when sure", *heads, caption=_where(asked))
    found: list[dict[str, Any]] = []
    for risk in asked.risks:
        one_risk = curve.at_threshold(chosen.at_risk(risk).threshold)
        found.append({"risk": risk, "threshold": _finite(one_risk.threshold), "coverage": one_risk.coverage})
        found[-1]["risk_seen"] = one_risk.risk.to_dict()
        add(shown, f"{risk:.1%}", _from(one_risk.threshold), f"{one_risk.coverage:.1%}", str(one_risk.risk))
    return Answer("selective", {"area": curve.area, "at_risk": found}, shown)


def _thresholds(name: str, one: Predictions, asked: Asked) -> Answer:
    goal: dict[str, Any] = {"precision": asked.precision, "recall": asked.recall}
    other = asked.validation if asked.validation is not None else one
    wanted = " and ".join(f"{what} {value:g}" for what, value in goal.items() if value is not None)
    shown = table(f"{name}: {wanted}", "class", "from", "precision", "recall", caption=_where(asked))
    found, told = {}, {"confidence": asked.confidence, "design": asked.design}
    for index, label in enumerate(one.class_names):
        chosen = evaluation.threshold_for(other.labels, other.probabilities, index, **goal)
        seen = evaluation.at_threshold(one.labels, one.probabilities, index, chosen.threshold, **told)
        ends = {"precision": seen.precision.to_dict(), "recall": seen.recall.to_dict()}
        found[label] = {"threshold": _finite(seen.threshold), **ends}
        add(shown, label, _from(seen.threshold), str(seen.precision), str(seen.recall))
    return Answer("thresholds", found, shown)


def _costs(name: str, one: Predictions, asked: Asked, path: Path) -> Answer:
    decisions, matrix = read_costs(path, one.class_names)
    cheapest = evaluation.decide(one.probabilities, matrix)
    chosen = {"the cheapest expected": cheapest}
    if set(one.class_names) <= set(decisions):
        likeliest = np.array([decisions.index(label) for label in one.class_names])
        chosen["the likeliest class"] = likeliest[one.probabilities.argmax(axis=1)]
    told = (matrix, asked.confidence, asked.design)
    found = {how: evaluation.mean_cost(one.labels, taken, *told) for how, taken in chosen.items()}
    counts = np.bincount(cheapest, minlength=len(decisions)).tolist()
    caption = "Decided by cost: " + ", ".join(f"{label} {n:,}" for label, n in zip(decisions, counts, strict=True))
    shown = table(f"{name}: cost of a row", "decision", "mean", caption=caption)
    for how, interval in found.items():
        add(shown, how, str(interval))
    plain = {how: interval.to_dict() for how, interval in found.items()}
    return Answer("costs", {**plain, "decisions": dict(zip(decisions, counts, strict=True))}, shown)


def read_costs(path: Path, class_names: Sequence[str]) -> tuple[list[str], Any]:
    """Decisions and costs float64 (K, D) of a CSV file: a head of decisions, then a line for each class by its name."""
    wanted = "a first line `class,DECISION,...` and a line of costs for each class"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head, *lines = [line for line in csv.reader(file) if line] or [[]]
        costs = {line[0]: [float(number) for number in line[1:]] for line in lines}
    except (OSError, ValueError) as error:
        raise InputError(f"Expected {wanted} in {path}. Received: {error}.") from None
    widths = {len(row) for row in costs.values()}
    if len(head) < 2:
        raise InputError(f"Expected {wanted} in {path}. Received: {'no decisions' if head else 'an empty file'}.")
    if set(costs) != set(class_names) or len(lines) != len(costs) or widths != {len(head) - 1}:
        raise InputError(
            f"Expected {wanted} in {path}: {', '.join(class_names)}. "
            f"Received: {', '.join(costs) or 'no line of costs'}."
        )
    return head[1:], np.array([costs[name] for name in class_names])


def _where(asked: Asked) -> str:
    return CHOSEN_HERE if asked.validation is None else CHOSEN_THERE


def _from(threshold: float) -> str:
    """The probability from which on, or that none is enough."""
    return f"{threshold:.3f}" if math.isfinite(threshold) else "never"


def _finite(value: float) -> float | None:
    return None if value == float("inf") else value
