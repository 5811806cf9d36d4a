"""The ladder: from raw pixels to a fine-tuned network, with the same heads on every rung. It names contestants.

So better features can be told from better classifiers: along a row the features are the same, down a column the head.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import InputError
from toolkit.leaderboard import Comparison
from toolkit.names import HEADS, TUNED

if TYPE_CHECKING:
    from rich.table import Table

RUNGS = {"raw pixels": "pixels", "LBP": "lbp", "HOG": "hog", "HOG + LBP + colour": "hog_lbp_colour"}
HEADS_TRIED = ("linear", "logistic")
BACKBONE = "mobilenet_v2"  # where no weights are given
Weights = str | Path | None


@dataclass(frozen=True)
class Ladder:
    """Who stands on which rung."""

    rungs: dict[str, str]  # what is said of a rung -> what its contestants' names begin with, from below
    weights: dict[str, Weights]  # of the contestants that begin with a backbone's
    notes: tuple[str, ...]  # which rungs are missing, and why

    @property
    def names(self) -> tuple[str, ...]:
        """Every contestant, rung by rung."""
        return tuple(f"{features}_{head}" for features in self.rungs.values() for head in HEADS_TRIED)


def ladder(image_shape: tuple[int, int, int], weights: Mapping[str, Weights] | None = None) -> Ladder:
    """The rungs for images of (H, W, C): the classical ones, then two for each backbone in `weights`, else `BACKBONE`.

    A backbone whose weights cannot be had (no network, no file) leaves its rungs out, with a note.
    """
    from toolkit.models import transfer

    rungs, notes = dict(RUNGS), []
    begun: dict[str, Weights] = {}
    for backbone, origin in (weights or {BACKBONE: "imagenet"}).items():
        try:
            transfer(backbone, image_shape, 2, weights=origin)
        except InputError as error:
            notes.append(f"No deep rungs of {backbone}: {error} Or: --weights {backbone}=PATH")
            continue
        for said, features in ((f"frozen {backbone}", backbone), (f"fine-tuned {backbone}", backbone + TUNED)):
            rungs[said] = features
            begun |= {f"{features}_{head}": origin for head in HEADS_TRIED}
    return Ladder(rungs, begun, tuple(notes))


def ladder_table(found: Ladder, comparison: Comparison) -> "Table":
    """A row for each rung from below: accuracy under each head, and what the step from the rung below brought.

    p is McNemar's as in the comparison's own table, corrected for all its pairs.
    """
    from rich import box
    from rich.table import Table

    pairs = {frozenset((pair.a, pair.b)): pair for pair in comparison.pairs}
    table = Table(title="The ladder: the same heads on every rung", box=box.SIMPLE_HEAD, collapse_padding=True)
    table.add_column("rung")
    for head in HEADS_TRIED:
        table.add_column(HEADS[head], justify="right")
        table.add_column("step (p)", justify="right")
    below = ""
    for said, features in found.rungs.items():
        cells = []
        for head in HEADS_TRIED:
            name = f"{features}_{head}"
            accuracy = comparison.outcomes[name].evaluation["accuracy"]
            pair = pairs.get(frozenset((name, f"{below}_{head}")))
            step = "" if pair is None else pair.difference * (1 if pair.a == name else -1)
            cells.append(f"{accuracy.value:.3f} \\[{accuracy.low:.3f}, {accuracy.high:.3f}]")
            cells.append("" if pair is None else f"{step:+.3f} ({pair.holm_p:.2g})")
        table.add_row(said, *cells)
        below = features
    return table
