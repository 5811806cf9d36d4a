"""A search as one watches it: a live table on a terminal, elsewhere a line a trial. It searches nothing."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

Show = Callable[[str, Sequence[Any]], None]  # the contestant, and all trials of its search
LAST = 12  # trials of a live table


@contextmanager
def watching(objective: str, budget: Any) -> Iterator[Show]:
    """A function to call with the trials of a search whenever one begins or ends; it shows them on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console, objective, budget).show
        return
    view = _View(objective, budget)
    with Live(console=console, transient=True, refresh_per_second=2, get_renderable=view.table):
        yield view.show


def line(trial: Any, objective: str) -> str:
    """A trial that ended, in one line."""
    score = f"{objective} {trial.metrics[objective]:.4f}, " if trial.metrics else ""
    return f"trial {trial.number} {trial.status}, {score}{trial.seconds:.1f} s {trial.error}".rstrip()


def trials_table(book: Sequence[Any], objective: str, title: str, last: int | None = None) -> Table:
    """The trials of a search as a table, the best marked; with `last`, that many of them."""
    from toolkit.tuning.journal import best_of

    best = best_of(book, objective)
    table = Table(
        "trial", "from", objective, "seconds", "values", title=escape(title), box=box.SIMPLE_HEAD, pad_edge=False
    )
    for trial in book[-last:] if last else book:
        score = f"{trial.metrics[objective]:.4f}" if trial.metrics else trial.status
        score += f" after {len(trial.curve)} epochs" if trial.status == "pruned" else ""
        values = " ".join(f"{name}={said(value, 3)}" for name, value in trial.values.items())
        told = trial.error if trial.status == "failed" else values
        mark = "*" if trial is best else ""
        table.add_row(f"{trial.number}{mark}", trial.origin, score, f"{trial.seconds:.1f}", escape(told))
    return table


def title_of(book: Sequence[Any], objective: str, budget: Any, seconds: float | None = None) -> str:
    """How far a search is: trials of its budget, the best so far, what went wrong, seconds."""
    from toolkit.tuning.journal import best_of, spent

    cost, best = spent(book), best_of(book, objective)
    of = f" of {budget.trials}" if budget.trials is not None else ""
    ended = cost["seconds"] if seconds is None else seconds
    parts = [f"{cost['trials']}{of} trials"]
    parts += [f"best so far {best.metrics[objective]:.4f} (trial {best.number})"] if best else []
    parts += [f"{cost[what]} {what}" for what in ("failed", "pruned") if cost[what]]
    return ", ".join([*parts, f"{ended:,.0f}{f' of {budget.seconds:,.0f}' if budget.seconds is not None else ''} s"])


def said(value: Any, digits: int) -> str:
    """A value with so many digits, if it has a point."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


class _View:
    """What the live table shows: the trials as they were told last, and how long ago that was."""

    def __init__(self, objective: str, budget: Any) -> None:
        self.objective, self.budget = objective, budget
        self.name, self.book, self.changed = "", tuple[Any, ...](), 0.0

    def show(self, name: str, book: Sequence[Any]) -> None:
        self.name, self.book, self.changed = name, tuple(book), time.monotonic()

    def table(self) -> Table:
        """Called twice a second: its clock goes on while a trial runs."""
        from toolkit.tuning.journal import spent

        if not self.book:
            return Table(box=None)
        running = any(trial.status == "running" for trial in self.book)
        since = time.monotonic() - self.changed if running else 0.0
        title = title_of(self.book, self.objective, self.budget, spent(self.book)["seconds"] + since)
        return trials_table(self.book, self.objective, f"{self.name}: {title}", LAST)


class _Lines:
    """Prints every trial that ended since it was called last; those of an earlier run were told then."""

    def __init__(self, console: Console, objective: str, budget: Any) -> None:
        self.console, self.objective, self.budget = console, objective, budget
        self.told: dict[str, set[int]] = {}

    def show(self, name: str, book: Sequence[Any]) -> None:
        ended = {trial.number: trial for trial in book if trial.status != "running"}
        before = self.told.setdefault(name, set(ended))
        for number in sorted(set(ended) - before):
            far = title_of(book, self.objective, self.budget)
            text = f"{name}: {line(ended[number], self.objective)}; {far}"
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)
            before.add(number)
