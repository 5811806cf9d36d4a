"""Tables of what stands behind the metrics: calibration, answering only when sure, groups. It computes none of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.report.figures.selective import selective_of
from toolkit.report.reading import Entrant, Interval, Run, as_interval
from toolkit.report.text import MISSING, count, fixed, listed, percent, points_needed

WORSE = "worse than the rest"
Row = tuple[Entrant, Sequence[tuple[str, str]]]  # cells: what is shown, and a small addition


@dataclass(frozen=True)
class Groups:
    """One column of the manifest: a row for each of its values, cells for the contestants in the order of the run."""

    column: str
    says: str  # the worst group, in a sentence
    rows: Sequence[tuple[str, int, Sequence[tuple[str, str, bool]]]]  # value, rows, (accuracy, ends, proven worse)


def calibration_rows(run: Run) -> list[Row]:
    """ECE and what noise makes of it, classwise ECE, the Brier score and its parts; empty where the run has none."""
    found: list[Row] = []
    for entrant in run.entrants:
        parts = dict(entrant.values.get("calibration") or {})
        errors, brier = dict(parts.get("errors") or {}), dict(parts.get("brier") or {})
        if not errors or not brier:
            continue
        ece, mass, classwise = (dict(errors.get(name) or {}) for name in ("ece", "ece_equal_mass", "classwise_ece"))
        cells = [
            (fixed(ece.get("value")), f"{fixed(ece.get('low'))}..{fixed(ece.get('high'))}"),
            (_noise(ece), f"{fixed(ece.get('if_calibrated'))} at best"),
            *((fixed(error.get("value")), "") for error in (mass, classwise)),
            *((fixed(brier.get(name)), "") for name in ("brier", "reliability", "resolution", "uncertainty")),
        ]
        found.append((entrant, cells))
    return found


def temperature_rows(run: Run) -> list[Row]:
    """One temperature fitted on rows held back, and ECE and log loss of the test rows before and after it, or why there
    is none; empty where no contestant has one, and none ends its own fit in one.
    """
    found: list[Row] = []
    for entrant in run.entrants:
        told = dict(dict(entrant.values.get("calibration") or {}).get("temperature") or {})
        if told:
            cells = [(fixed(told.get("temperature"), 2), f"on {count(told.get('rows'))} images")]
        else:
            cells = [(MISSING, "its own fit calibrates it" if entrant.calibrated else "no images held back")]
        for metric in ("ece", "log_loss"):
            before = as_interval(told.get(f"{metric}_before")) or entrant.metric(metric)
            cells += [_with_ends(one) for one in (before, as_interval(told.get(f"{metric}_after")))]
        found.append((entrant, cells))
    tells = any(cells[0][0] != MISSING or entrant.calibrated for entrant, cells in found)
    return found if tells else []


def _with_ends(interval: Interval | None) -> tuple[str, str]:
    if interval is None:
        return MISSING, ""
    return fixed(interval.value), "" if interval.low is None else f"{fixed(interval.low)}..{fixed(interval.high)}"


def _noise(ece: Mapping[str, Any]) -> str:
    """How much of an ECE is noise, as far as there is an ECE."""
    bias, value = ece.get("bias"), ece.get("value")
    if isinstance(bias, int | float) and isinstance(value, int | float) and 0 < value <= bias:
        return "all of it"
    return fixed(bias)


def selective_rows(run: Run) -> tuple[list[float], list[Row]]:
    """The risks that the run names, and for each contestant the share of rows it can answer at each, and the area."""
    told = [(entrant, selective_of(entrant)) for entrant in run.entrants]
    told = [(entrant, one) for entrant, one in told if one.get("at_risk")]
    risks = [float(at["risk"]) for at in told[0][1]["at_risk"]] if told else []
    rows: list[Row] = []
    for entrant, one in told:
        cells = [(percent(at["coverage"], 0), _sureness(at)) for at in one["at_risk"]]
        rows.append((entrant, [*cells, (fixed(one.get("area")), "")]))
    return risks, rows


def _sureness(at: Mapping[str, Any]) -> str:
    threshold = at.get("threshold")
    return MISSING if threshold is None else f"from {percent(threshold, 0)} sure"


def group_tables(run: Run) -> list[Groups]:
    """A table for each column of the manifest that the run was judged by."""
    columns: dict[str, None] = {}
    for entrant in run.entrants:
        columns |= dict.fromkeys(entrant.values.get("by_group") or {})
    return [_groups(run, column) for column in columns]


def _groups(run: Run, column: str) -> Groups:
    """The groups in the order of the first contestant, the worst first."""
    told = []
    for entrant in run.entrants:
        lines = dict(entrant.values.get("by_group") or {}).get(column) or ()
        told.append({str(line["name"]): line for line in lines})
    names = dict.fromkeys(name for lines in told for name in lines)
    rows = []
    for name in names:
        cells = [_accuracy(lines.get(name)) for lines in told]
        size = next(int(lines[name].get("rows", 0)) for lines in told if name in lines)
        rows.append((name, size, cells))
    return Groups(column, _worst(run, told), rows)


def _accuracy(line: Mapping[str, Any] | None) -> tuple[str, str, bool]:
    interval = as_interval(line.get("accuracy")) if line else None
    return *_with_ends(interval), bool(line and line.get("verdict") == WORSE)


def _worst(run: Run, told: Sequence[Mapping[str, Mapping[str, Any]]]) -> str:
    """Which group each contestant does worst on, where that is more than chance."""
    proven: dict[str, list[str]] = {}
    for entrant, lines in zip(run.entrants, told, strict=True):
        for name, line in lines.items():
            if line.get("verdict") == WORSE:
                proven.setdefault(name, []).append(entrant.name)
    if proven:
        said = [f"{name} for {listed(who)}" for name, who in proven.items()]
        return f"Worse than the rest by more than chance: {'; '.join(said)}."
    first = next((lines for lines in told if lines), {})
    worst = next(iter(first.values()), None)
    if worst is None:
        return ""
    value = as_interval(worst.get("accuracy"))
    points = percent(value.value if value else None)
    rows, smallest = count(worst.get("rows")), worst.get("smallest_difference")
    shows = f" (a difference from the rest would show from {points_needed(smallest)} points on)" if smallest else ""
    return f"Lowest: {worst['name']}, {points} of {rows} rows for {run.entrants[0].name}; it may be chance{shows}."
