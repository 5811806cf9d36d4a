"""What each contestant may spend on choosing its settings: trials, seconds, or both. It searches nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.errors import InputError


@dataclass(frozen=True)
class Budget:
    """When to stop: so many trials, or so many seconds, whichever is reached first; None is no limit.

    Trials of an earlier run of the same folder count. No trial begins after the seconds are over; the last one ends.
    """

    trials: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.trials is None and self.seconds is None:
            raise InputError("Expected a budget: trials, seconds, or both. Received neither.")
        for name, limit in (("trials", self.trials), ("seconds", self.seconds)):
            if limit is not None and not limit > 0:
                raise InputError(f"Expected a budget of more than 0 {name}. Received: {limit}.")

    def over(self, trials: int, seconds: float) -> bool:
        """Whether that much has used it up."""
        return (self.trials is not None and trials >= self.trials) or (
            self.seconds is not None and seconds >= self.seconds
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"trials": self.trials, "seconds": self.seconds}

    def __str__(self) -> str:
        return budget_words(self.to_dict())


def budget_words(budget: Mapping[str, Any]) -> str:
    """As in "15 trials or 600 s, whichever is over first"; empty where nothing is known."""
    units = (("trials", "trials"), ("seconds", "s"))
    limits = [f"{limit:,.10g} {unit}" for what, unit in units if (limit := budget.get(what))]
    return " or ".join(limits) + (", whichever is over first" if len(limits) > 1 else "")
