"""Numbers and names as a reader wants them: units, digits, shortened names. It knows no run."""

import math
from collections.abc import Sequence

from toolkit.evaluation.rounding import rounded_up

MISSING = "–"


def seconds(value: float | None) -> str:
    """As in 0.42 ms, 35 s, 4.2 min, 1.5 h."""
    if value is None:
        return MISSING
    for limit, divisor, unit in ((1.0, 1e-3, "ms"), (120.0, 1.0, "s"), (7200.0, 60.0, "min"), (math.inf, 3600.0, "h")):
        if value < limit:
            return f"{_three_digits(value / divisor)} {unit}"
    return MISSING


def size(value: float | None) -> str:
    """Bytes, as in 12 kB, 3.4 MB."""
    return MISSING if value is None else _scaled(value, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1)))


def count(value: float | None) -> str:
    """As in 1,234, 45.6 k, 1.2 M."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value < 10_000 else _scaled(value, (("G", 1e9), ("M", 1e6), ("k", 1e3)))


def _scaled(value: float, units: Sequence[tuple[str, float]]) -> str:
    for unit, divisor in units:
        if value >= divisor:
            return f"{_three_digits(value / divisor)} {unit}"
    return f"{value:.0f} {units[-1][0]}"


def _three_digits(value: float) -> str:
    """Two or three digits that matter: 0.042, 0.42, 4.2, 42, 420."""
    if value <= 0:
        return "0"
    decimals = max(0, 1 - math.floor(math.log10(value)))
    return f"{value:,.{min(decimals, 4)}f}"


def fixed(value: float | None, decimals: int = 3) -> str:
    """A number with so many decimals, a true minus sign, of which nothing has none; a dash where there is no number."""
    return MISSING if value is None or math.isnan(value) else f"{value:z.{decimals}f}".replace("-", "−")


def percent(value: float | None, decimals: int = 1) -> str:
    """0.931 -> 93.1 %."""
    return MISSING if value is None or math.isnan(value) else f"{points(value, decimals)} %"


def points(value: float, decimals: int = 1) -> str:
    """0.931 -> 93.1, rounded as a fraction is where it is shown as one: half a digit goes the same way."""
    return f"{100 * round(value, decimals + 2):.{decimals}f}"


def points_needed(difference: object) -> str:
    """A smallest difference that would show, in points and no smaller than it is; a dash where none would."""
    return points(rounded_up(difference)) if isinstance(difference, int | float) else MISSING


def times(factor: float) -> str:
    """How many times as much, without false precision: 1.3, 4.2, 17, 340."""
    return f"{factor:.1f}" if factor < 9.95 else f"{float(f'{factor:.2g}'):,.0f}"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def shortened(name: str, most: int) -> str:
    """The name, its middle left out where it is longer than `most` characters."""
    if len(name) <= most:
        return name
    head = max(1, (most - 1) * 2 // 3)
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}" if most > 3 else name[:most]


def p_value(value: object) -> str:
    """Three decimals, or that it is below them."""
    if not isinstance(value, int | float):
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
