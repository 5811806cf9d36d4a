"""A few strokes of SVG: shapes with classes, text that is escaped, axes with round ticks. It knows no run.

Colours come from classes (`k0` to `k7`, `grid`, `muted`), which the style sheet knows, so that a page can turn dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from toolkit.report.colours import COLOURS


@dataclass
class Drawing:
    """SVG under construction, `width` x `height` pixels, y growing downward."""

    width: float
    height: float
    title: str  # what a screen reader says
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight stroke."""
        self.parts.append(f'<path class="{kind}" d="M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}"/>')

    def polyline(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Strokes from point to point."""
        path = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        self.parts.append(f'<path class="{kind}" d="M{path}"/>')

    def rectangle(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """A box."""
        box = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        self.parts.append(f'<rect class="{kind}" {box}/>')

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """A line of text, its baseline at y; `anchor` is start, middle or end."""
        self.parts.append(f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{escape(text)}</text>')

    def upright(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """Text that climbs from (x, y)."""
        turn = f'transform="translate({_n(x)} {_n(y)}) rotate(-90)"'
        self.parts.append(f'<text class="{kind}" {turn} text-anchor="{anchor}">{escape(text)}</text>')

    def marker(self, x: float, y: float, colour: int, tip: str = "", hollow: bool = False, radius: float = 4.5) -> None:
        """The sign of a contestant, with a tip shown on hover."""
        hint = f"<title>{escape(tip)}</title>" if tip else ""
        kind = "hollow" if hollow else "fill"
        shape = marker_path(colour, radius)
        self.parts.append(
            f'<g class="k{colour % COLOURS}" transform="translate({_n(x)} {_n(y)})">'
            f'<path class="{kind}" d="{shape}">{hint}</path></g>'
        )

    def raw(self, markup: str) -> None:
        """Markup made elsewhere, already escaped."""
        self.parts.append(markup)

    def markup(self, kind: str = "") -> Markup:
        """The `<svg>` element."""
        box = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}" width="{_n(self.width)}" height="{_n(self.height)}"'
        body = "".join(self.parts)
        return Markup(f'<svg class="{kind}" {box} role="img" aria-label="{escape(self.title)}">{body}</svg>')


def marker_path(colour: int, radius: float = 4.5) -> str:
    """Path of the contestant's sign around (0, 0): circle, square, diamond, triangles, then again from the first."""
    r = radius
    disc = f"M{_n(-r)} 0a{_n(r)} {_n(r)} 0 1 0 {_n(2 * r)} 0a{_n(r)} {_n(r)} 0 1 0 {_n(-2 * r)} 0z"
    q = 0.88 * r
    square = f"M{_n(-q)} {_n(-q)}h{_n(2 * q)}v{_n(2 * q)}h{_n(-2 * q)}z"
    d = 1.25 * r
    diamond = f"M0 {_n(-d)}L{_n(d)} 0L0 {_n(d)}L{_n(-d)} 0z"
    t = 1.12 * r
    up = f"M0 {_n(-t)}L{_n(t)} {_n(0.8 * t)}H{_n(-t)}z"
    down = f"M0 {_n(t)}L{_n(t)} {_n(-0.8 * t)}H{_n(-t)}z"
    right = f"M{_n(t)} 0L{_n(-0.8 * t)} {_n(t)}V{_n(-t)}z"
    return (disc, square, diamond, up, down, right)[colour % 6]


def _n(value: float) -> str:
    """A coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


@dataclass(frozen=True)
class Scale:
    """Values to pixels, linear or logarithmic."""

    low: float
    high: float
    start: float  # pixel of low
    end: float  # pixel of high
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value; values beyond the ends are drawn at the ends."""
        value = min(max(value, self.low), self.high)
        share = (
            math.log(value / self.low) / math.log(self.high / self.low)
            if self.log
            else (value - self.low) / (self.high - self.low)
        )
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values from end to end, `most` at most."""
        return _log_ticks(self.low, self.high, most) if self.log else _round_ticks(self.low, self.high, most)


def _round_ticks(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / max(most - 1, 1)
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10, 20) if factor * magnitude >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**decade for decade in decades for factor in factors]
        ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def decimals_of(ticks: Sequence[float]) -> int:
    """Decimals that tell neighbouring ticks apart."""
    if len(ticks) < 2:
        return 2
    step = ticks[1] - ticks[0]
    return next((d for d in range(6) if abs(step * 10**d - round(step * 10**d)) < 1e-6), 6)


def legend(drawing: Drawing, entries: Sequence[tuple[int, str]], x: float, y: float, width: float) -> float:
    """Signs and names in rows from (x, y) on, wrapped at `width`; returns the y after the last row."""
    at = x
    for colour, name in entries:
        needs = 22 + text_width(name)
        if at > x and at + needs > x + width:
            at, y = x, y + 18
        drawing.marker(at + 6, y - 4, colour)
        drawing.text(at + 16, y, name)
        at += needs
    return y + 18


def text_width(text: str, size: float = 12) -> float:
    """About how wide a text is, in pixels."""
    widths = (0.36 if letter in "iljtf.,:;'|!()[] " else 0.95 if letter in "mwMW@%<>…" else 0.61 for letter in text)
    return sum(widths) * size
