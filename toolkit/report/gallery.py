"""Which images to see: where contestants disagree, where they are sure and wrong, what nobody gets. It draws none."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.report.reading import Run

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Chapter:
    """One part of the gallery."""

    key: str
    title: str
    says: str
    rows: tuple[int, ...]  # of the test set
    total: int  # how many there are in all


def chapters(run: Run, most: int = 12) -> list[Chapter]:
    """The chapters that have images, at most `most` in each and two of one true class; empty without predictions."""
    if not run.answered:
        return []
    right = np.stack([entrant.predicted == run.labels for entrant in run.answered])
    sure = np.stack([np.asarray(entrant.confidence, np.float64) for entrant in run.answered])
    truth = np.stack([np.asarray(entrant.true_probability, np.float64) for entrant in run.answered])
    some, every = np.asarray(right.any(axis=0)), np.asarray(right.all(axis=0))
    found = []
    if len(run.answered) > 1:
        split = some & ~every
        sides = [np.max(np.where(side, sure, 0), axis=0) for side in (right, ~right)]
        says = "Some contestants are right and some wrong, both sides sure of themselves."
        found.append(_chapter(run, "disagree", "Where they disagree", says, split, np.minimum(*sides), most))
    worst = np.max(np.where(right, 0, sure), axis=0)
    says = "The most confident wrong answers. A wrong label hides here more often than chance would have it."
    found.append(_chapter(run, "confident", "Confident errors", says, ~every, worst, most))
    says = "No contestant is right, and the true class seemed least likely."
    found.append(_chapter(run, "nobody", "What all get wrong", says, ~some, 1 - truth.mean(axis=0), most))
    return [chapter for chapter in found if chapter.rows]


def explained(run: Run, many: int) -> list[int]:
    """The rows to explain where there is time for `many`: the chapters' first, in turn."""
    found = [chapter.rows for chapter in chapters(run)]
    longest = max((len(rows) for rows in found), default=0)
    turns = [rows[place] for place in range(longest) for rows in found if place < len(rows)]
    return list(dict.fromkeys(turns))[:many]


def _chapter(
    run: Run, key: str, title: str, says: str, among: NDArray[np.bool_], score: NDArray[np.float64], most: int
) -> Chapter:
    order = np.argsort(-score, kind="stable")
    order = order[among[order]]
    return Chapter(key, title, says, tuple(_varied(order, run.labels, most)), int(among.sum()))


def _varied(order: Rows, labels: Rows, most: int) -> Iterable[int]:
    """The first rows of an order, two of one true class before any third."""
    taken: dict[int, int] = {}
    first: list[int] = []
    later: list[int] = []
    for row in order[: 50 * most].tolist():
        label = int(labels[row])
        taken[label] = taken.get(label, 0) + 1
        (first if taken[label] <= 2 else later).append(row)
    return (first + later)[:most]


def by_interest(run: Run) -> Rows:
    """All rows in the order a click should find them: mistakes before hits, a cell's first rows before later ones."""
    rank = np.full(len(run.labels), np.iinfo(np.int64).max)
    for entrant in run.answered:
        predicted, sure = np.asarray(entrant.predicted), np.asarray(entrant.confidence)
        cell = run.labels * run.classes + predicted
        order = np.lexsort((-sure, cell))
        starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
        rank = np.minimum(rank, place + np.where(predicted == run.labels, 6, 0))
    return np.argsort(rank, kind="stable")
