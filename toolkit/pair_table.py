"""The pairs of a duel as a table for the terminal. It knows what was found, not how."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.evaluation import Pair
from toolkit.evaluation.paired import CANNOT_TELL
from toolkit.evaluation.rounding import rounded_up

if TYPE_CHECKING:
    from rich.table import Table


def pair_table(
    pairs: Sequence[Pair],
    ranked: Sequence[str],
    cochran: tuple[float, float] | None = None,
    clustered: bool = False,
) -> "Table":
    """Pairs of contestants as a rich table, in the order of the names `ranked`, the more accurate of the two first.

    cochran: Q and p over all of them, for the caption. clustered: rows share groups, and those were tested.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    test = "McNemar over groups of rows" if clustered else "exact McNemar"
    together = "" if cochran is None else f" All together: Cochran's Q {cochran[0]:.1f}, p {cochran[1]:.2g}."
    table = Table(
        caption=f"Accuracy of the first minus that of the second. p: {test}, corrected for all pairs (Holm); the "
        "interval is of its pair alone. Shows from: the smallest difference that would be significant among so many "
        f"pairs.{together}",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("pair", overflow="fold")
    for column in ("difference", "p"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("shows from", justify="right", max_width=7)  # leaves room for names in 80 columns
    table.add_column("verdict", no_wrap=True)
    places = {name: place for place, name in enumerate(ranked)}
    for pair in sorted(pairs, key=lambda pair: sorted((places[pair.a], places[pair.b]))):
        turned = places[pair.a] > places[pair.b]
        (first, second), sign = ((pair.b, pair.a), -1) if turned else ((pair.a, pair.b), 1)
        low, high = sorted((sign * pair.low, sign * pair.high))
        difference = f"{sign * pair.difference + 0.0:+.3f} \\[{low:+.3f}, {high:+.3f}]"
        shows = span([pair.smallest_difference])
        p = f"{pair.holm_p:.2g}" if pair.holm_p >= 1e-4 else "<1e-4"
        verdict = CANNOT_TELL if pair.better is None else "better" if pair.better == first else "worse"
        table.add_row(escape(f"{first} - {second}"), difference, p, shows, verdict)
    return table


def span(differences: Sequence[float]) -> str:
    """From the least to the most of these smallest differences of accuracy; "nothing" where none would do."""
    told = sorted(f"{rounded_up(difference):.3f}" if difference <= 1 else "nothing" for difference in differences)
    return told[0] if told[0] == told[-1] else f"{told[0]} to {told[-1]}"
