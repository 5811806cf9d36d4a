"""How to search: plain values, checked before anything is built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolkit.budget import Budget as Budget  # the search asks for both here
from toolkit.errors import InputError, unknown
from toolkit.tuning.trial import check_objective

METHODS = (
    "bayesian",
    "random",
    "grid",
    "hyperband",
)  # in `oracles.py`; KerasTuner takes seconds to import


@dataclass(frozen=True)
class Settings:
    """How to search; plain values."""

    objective: str = "log_loss"  # or accuracy, macro_f1
    method: str = "bayesian"  # or random, grid, hyperband
    seed: int = 0
    folds: int = 0  # 0: the hold-out; else that many folds of training and validation rows
    prune: bool = True  # end trainings that are worse than the median of the others, epoch by epoch
    first: int | None = None  # trials before the first suggestion; None: one a parameter, from 4 to 10
    fixed: Mapping[str, Any] = field(default_factory=dict)  # hyper-parameters not to be varied
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # narrower than the space's
    about: Mapping[str, Any] = field(default_factory=dict)  # what else makes the search this one: a recipe; JSON values

    def __post_init__(self) -> None:
        check_objective(self.objective)
        if self.method not in METHODS:
            raise unknown("method", self.method, METHODS)
        if self.first is not None and self.first < 2:
            raise InputError(f"Expected two or more trials before the first suggestion. Received: {self.first}.")


def fixed_values(texts: Sequence[str]) -> dict[str, str]:
    """["batch_size=64"] -> {"batch_size": "64"}."""
    return _assignments(texts, "--set NAME=VALUE")


def ranges(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """["learning_rate=1e-4:1e-2"] -> {"learning_rate": (1e-4, 1e-2)}."""
    found = {}
    for name, value in _assignments(texts, "--range NAME=LOW:HIGH").items():
        low, _, high = value.partition(":")
        try:
            found[name] = (float(low), float(high))
        except ValueError:
            raise InputError(f"Expected --range NAME=LOW:HIGH with two numbers. Received: '{name}={value}'.") from None
    return found


def checked_address(text: str) -> str:
    """HOST:PORT as it came.

    Raises:
        InputError: another form.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f"Expected --address as HOST:PORT, as in 192.168.0.7:8200. Received: '{text}'.")
    return text


def _assignments(texts: Sequence[str], form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise InputError(f"Expected {form}. Received: {text!r}.")
        if name in found:
            raise InputError(f"Expected '{name}' once. Received: {found[name]}, and {value}.")
        found[name] = value
    return found
