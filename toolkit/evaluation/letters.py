"""Letters for contestants: who cannot be told apart from whom. It knows names and verdicts only."""

from collections.abc import Iterable, Mapping
from typing import Protocol


class Verdict(Protocol):
    """What is known of one pair: two names, and which of them is better, if that can be told."""

    @property
    def a(self) -> str:
        """One name."""
        ...

    @property
    def b(self) -> str:
        """The other name."""
        ...

    @property
    def better(self) -> str | None:
        """One of the two, or None."""
        ...


def groups(accuracies: Mapping[str, float], pairs: Iterable[Verdict]) -> dict[str, str]:
    """Letters for each contestant, best first: two that share a letter cannot be told apart, two that share none can.

    Compact letter display, by insertion and absorption: Piepho (2004), doi:10.1198/1061860043515. Letters follow the
    accuracy: the best has an a.
    """
    order = sorted(accuracies, key=lambda name: -accuracies[name])
    sets = [frozenset(order)]
    for pair in pairs:
        if pair.better is None:
            continue
        split = [part - {name} if {pair.a, pair.b} <= part else part for part in sets for name in (pair.a, pair.b)]
        unique = list(dict.fromkeys(split))
        sets = [part for part in unique if not any(part < other for other in unique)]
    sets.sort(key=lambda part: sorted(order.index(name) for name in part))
    letters = [_letter(index) for index in range(len(sets))]
    return {name: "".join(letter for letter, part in zip(letters, sets, strict=True) if name in part) for name in order}


def _letter(index: int) -> str:
    """From a to z, then a1 to z1, and so on."""
    return chr(ord("a") + index % 26) + (str(index // 26) if index >= 26 else "")
