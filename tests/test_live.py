"""What one sees of a search while it runs: how far it is, the best so far, a clock that moves, a line a trial."""

import io

import pytest
from rich.console import Console

from toolkit.cli import live
from toolkit.tuning import Budget, Trial


def trial(number, status="finished", score=0.5, **more):
    metrics = {"log_loss": score, "accuracy": 0.8, "macro_f1": 0.8} if status == "finished" else {}
    return Trial(number, "random", {"x": 0.123456}, status=status, metrics=metrics, **more)


BOOK = [
    trial(0, score=0.5, elapsed_seconds=10.0),
    trial(1, score=0.25, elapsed_seconds=20.0),
    trial(2, "failed", error="MemoryError: [no] room", elapsed_seconds=21.0),
    trial(3, "running"),
]


def plain(table):
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(table)
    return " ".join(console.file.getvalue().split())


@pytest.fixture
def clock(monkeypatch):
    """A function that moves the clock on."""
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])

    def later(seconds):
        now[0] += seconds

    return later


def test_the_live_table_says_how_far_it_is_and_its_clock_moves_while_a_trial_runs(clock):
    view = live._View("log_loss", Budget(40, 600))
    assert plain(view.table()) == ""
    view.show("hog_svm", BOOK)
    assert "hog_svm: 3 of 40 trials, best so far 0.2500 (trial 1), 1 failed, 21 of 600 s" in plain(view.table())
    clock(90)
    assert "111 of 600 s" in plain(view.table())
    assert "MemoryError: [no] room" in plain(view.table())
    view.show("hog_svm", BOOK[:3])
    clock(90)
    assert "21 of 600 s" in plain(view.table())  # nothing runs


def test_without_a_terminal_each_trial_that_ends_is_a_line():
    console = Console(file=io.StringIO(), width=40)
    lines = live._Lines(console, "log_loss", Budget(40))
    lines.show("cnn", [BOOK[0], trial(1, "running")])  # trial 0 ended in an earlier run
    lines.show("cnn", [*BOOK[:2], trial(2, "running")])
    lines.show("cnn", BOOK)
    lines.show("cnn", BOOK)
    assert console.file.getvalue().splitlines() == [
        "cnn: trial 1 finished, log_loss 0.2500, 0.0 s; 2 of 40 trials, best so far 0.2500 (trial 1), 20 s",
        "cnn: trial 2 failed, 0.0 s MemoryError: [no] room; "
        "3 of 40 trials, best so far 0.2500 (trial 1), 1 failed, 21 s",
    ]


def test_a_terminal_gets_the_table_and_anything_else_the_lines(monkeypatch):
    shown = {}
    for terminal in (True, False):
        file = io.StringIO()
        monkeypatch.setattr(
            live, "Console", lambda file=file, terminal=terminal, **_: Console(file=file, force_terminal=terminal)
        )
        with live.watching("log_loss", Budget(4)) as show:
            show("cnn", BOOK[:1])
            show("cnn", BOOK[:2])
        shown[terminal] = file.getvalue()
    assert "best so far 0.2500" in shown[True]
    assert "values" in shown[True]
    assert shown[False].startswith("cnn: trial 1 finished")
