"""How the settings of a run were chosen: the budget of each contestant, what it spent and found. It chooses nothing."""

from collections.abc import Mapping
from typing import Any

from toolkit.budget import budget_words
from toolkit.report.reading import Run
from toolkit.report.text import MISSING, fixed, seconds

Cells = tuple[str, list[str], list[list[str]]]  # caption, head, rows


def tuning_cells(run: Run) -> Cells | None:
    """A row for each contestant that was tuned, in the order of the leaderboard; None where none was."""
    tuning = _mapping(run.comparison.get("tuning"))
    spent = _mapping(tuning.get("contestants"))
    if not spent:
        return None
    objective, common = str(tuning.get("objective", "score")), _mapping(tuning.get("budget"))
    order = [entrant.name for entrant in run.entrants if entrant.name in spent]
    rows = []
    for name in [*order, *(name for name in spent if name not in order)]:
        cost = _mapping(spent[name])
        counts = [_count(cost.get(what)) for what in ("trials", "failed", "pruned")]
        budget = budget_words(_mapping(cost.get("budget")) or common) or MISSING
        found = [seconds(cost.get("seconds")), fixed(cost.get("best_score"), 4), _count(cost.get("best_trial"))]
        rows.append([name, budget, *counts, *found])
    head = ["contestant", "budget", "trials", "failed", "pruned", "time", f"best {objective}", "in trial"]
    return _caption(run, tuning, objective), head, rows


def _caption(run: Run, tuning: Mapping[str, Any], objective: str) -> str:
    folds, common = tuning.get("folds"), budget_words(_mapping(tuning.get("budget")))
    where = f"the same {folds} folds of all rows but the test’s" if folds else "the same validation rows"
    untuned = [str(name) for name in tuning.get("untuned") or ()]
    parts = [
        f"Settings chosen by {objective} on {where}, method {tuning.get('method') or 'unknown'}.",
        f"Budget for each: {common}." if common else "Budgets as each search had them.",
        f"Not tuned: {', '.join(untuned)}." if untuned else "",
        "A score that was chosen by flatters; the leaderboard’s does not.",
        "Pages of the searches: tuning/NAME/search.html in the run." if _pages(run) else "",
    ]
    return " ".join(part for part in parts if part)


def _pages(run: Run) -> bool:
    return any(run.folder.glob("tuning/*/search.html"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else MISSING
