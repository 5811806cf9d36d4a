"""One progress bar for everything that takes long: on standard error, silent where nobody looks. It knows no work."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console


class Advance(Protocol):
    """Tell the bar how far the work is: `advance(done)` adds, `note` replaces the text at the end of the line."""

    def __call__(self, done: float = 1, note: str = "") -> None:
        """Add `done` units."""
        ...


@contextmanager
def bar(
    description: str, total: float | None, show: bool = True, *, done: float = 0, each: int = 0
) -> Iterator[Advance]:
    """A rich progress bar with time left, gone when the work is done; with `show=False` or no terminal, nothing.

    `done` units were done before; with `each` images in a unit, the bar says how many images go by in a second.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed * each:,.0f} images/s" if each and task.speed else "")

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        Rate(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not (show and _moves(console))) as progress:
        task = progress.add_task(description, total=total, completed=int(done), note="")

        def advance(done: float = 1, note: str = "") -> None:
            progress.update(task, advance=done, note=note or progress.tasks[0].fields["note"])

        yield advance


def say(line: str, show: bool = True) -> None:
    """One line above the bar that follows, on standard error, which may be a file or a notebook."""
    from rich.console import Console

    console = Console(stderr=True)
    if show and not console.is_terminal:
        print(line, file=sys.stderr, flush=True)  # as it is: no line of a log is cut to a width
    elif show:
        console.print(line, highlight=False, markup=False)


def log(line: str, show: bool = True) -> None:
    """A line for a log, where no bar moves: standard error is a file or a pipe, not a terminal or a notebook."""
    from rich.console import Console

    console = Console(stderr=True)
    if show and not console.is_terminal and not console.is_jupyter:
        print(line, file=sys.stderr, flush=True)


def _moves(console: "Console") -> bool:
    """Whether a bar can be drawn there; in a notebook without ipywidgets rich warns and draws nothing."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
