"""Faults of single pictures: unreadable, misnamed, blank, dark, washed out, blurred, of odd size. It compares no two.

The limits were set so that none of 2,080 real pictures (photographs, flowers, hand signs, steel surfaces) is blamed for
its look, and every photograph among them is found that a Gaussian filter of 8 pixels blurred. cleanvision asks much the
same of pictures, but nothing about labels, splits or suffixes, and `benchmarks/audit.py` shows what it costs in time.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.audit.findings import Finding
from toolkit.data.audit.measure import Pictures, Source

SAME_FORMAT = {"MPO": "JPEG", "DIB": "BMP"}  # what programs rightly keep under the other's suffix
COMMON = 0.25  # a look that more than this share of a set has is its nature, no fault of single pictures
BLUR_EDGE = 64  # pixels: shorter sides are too coarse to be called blurred
USUAL_SHARE = 0.8  # of all pictures have one size: then any other is odd
FAR_EDGE = 4  # else a size is odd from 4 times the median edge on, or below a fourth
FAR_ASPECT, USUAL_ASPECT = 3.0, 2.0  # longer side to shorter: odd from 3 on in a set whose median is below 2


@dataclass(frozen=True)
class Look:
    """A look that a picture may have, and how it is told."""

    kind: str
    has: Callable[[NDArray[Any]], NDArray[np.bool_]]
    words: Callable[[Any], str]


LOOKS = (
    Look("blank", lambda r: r["contrast"] < 2, lambda r: f"one shade all over, {r['brightness']:.0f} of 255"),
    Look(
        "dark", lambda r: r["lightest"] < 48, lambda r: f"99 of 100 pixels are darker than {r['lightest'] + 1} of 255"
    ),
    Look(
        "washed out",
        lambda r: r["darkest"] > 235,
        lambda r: f"99 of 100 pixels are lighter than {r['darkest'] - 1} of 255",
    ),
    Look(
        "blurred",
        lambda r: (r["detail"] < 0.04) & (np.minimum(r["width"], r["height"]) >= BLUR_EDGE),
        lambda r: f"at a quarter of its size it would lose {r['detail']:.1%} of its contrast, sharp ones 10% to 60%",
    ),
)


def unreadable(source: Source, pictures: Pictures) -> list[Finding]:
    """Files that give no picture, with the reason."""
    reasons = [*source.left_out, *((source.names[row], reason) for row, reason in pictures.reasons.items())]
    return [Finding("unreadable", "error", reason, (name,)) for name, reason in reasons]


def misnamed(source: Source, pictures: Pictures) -> list[Finding]:
    """Files whose content is another format than their suffix says."""
    from PIL import Image

    suffixes = Image.registered_extensions()
    found = []
    for row, path in enumerate(source.files):
        suffix, held = os.path.splitext(path.name)[1].lower(), str(pictures.rows[row]["format"])
        said = suffixes.get(suffix)
        if held and said and SAME_FORMAT.get(held, held) != SAME_FORMAT.get(said, said):
            found.append(Finding("wrong extension", "warning", f"it holds {held}", (source.names[row],)))
    return found


def odd_looks(source: Source, pictures: Pictures) -> list[Finding]:
    """Blank, dark, washed out and very blurred pictures; a picture is told its first fault only."""
    rows = pictures.rows
    free = rows["readable"].copy()
    readable = max(1, int(free.sum()))
    found = []
    for look in LOOKS:
        has = np.flatnonzero(free & look.has(rows))
        free[has] = False
        if len(has) > COMMON * readable:
            detail = f"{len(has) / readable:.0%} of all pictures are {look.kind}: taken for the nature of this set"
            found.append(Finding(look.kind, "note", detail))
        else:
            found += [Finding(look.kind, "warning", look.words(rows[row]), (source.names[row],)) for row in has]
    return found


def odd_shapes(source: Source, pictures: Pictures) -> list[Finding]:
    """Pictures of another size or other proportions than the rest."""
    rows = np.flatnonzero(pictures.rows["readable"])
    if not len(rows):
        return []
    width, height = (pictures.rows[name][rows].astype(np.int64) for name in ("width", "height"))
    found = []
    shapes, inverse, counts = np.unique(np.stack([width, height], 1), axis=0, return_inverse=True, return_counts=True)
    usual, edge = int(counts.argmax()), np.sqrt(width * height)
    middle = float(np.median(edge))
    if counts[usual] / len(rows) >= USUAL_SHARE:
        odd = np.flatnonzero(inverse.ravel() != usual)
        against = f"not {shapes[usual][0]} x {shapes[usual][1]} pixels as the other {counts[usual]:,}"
    else:
        odd = np.flatnonzero((edge > FAR_EDGE * middle) | (edge < middle / FAR_EDGE))
        against = f"more than {FAR_EDGE} times larger or smaller than usual (about {middle:.0f} pixels a side)"
    if len(odd):
        often = Counter(f"{width[row]} x {height[row]}" for row in odd).most_common()
        some = ", ".join(f"{shape} ({count:,})" for shape, count in often[:3]) + (", ..." if len(often) > 3 else "")
        names = tuple(source.names[rows[row]] for row in odd)
        found.append(Finding("odd size", "note", f"{against}, but {some}", names))
    aspect = np.maximum(width / height, height / width)
    if np.median(aspect) < USUAL_ASPECT:
        for row in np.flatnonzero(aspect >= FAR_ASPECT):
            detail = f"{width[row]} x {height[row]} pixels: one side is {aspect[row]:.1f} times the other"
            found.append(Finding("odd proportions", "note", detail, (source.names[rows[row]],)))
    return found
