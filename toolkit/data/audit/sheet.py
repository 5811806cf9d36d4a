"""The contact sheet: the worst pictures of each kind of fault, with what they are called. It judges nothing."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from toolkit.data.audit.findings import STYLES, Finding

EDGE = 144  # pixels of a thumbnail's longer side
CAPTION = 44  # pixels of height for three lines below it
GAP = 10
COLUMNS = 8
EACH = 2 * COLUMNS  # pictures of a kind
COLOURS = {"red": "#c0392b", "yellow": "#b9770e", "dim": "#666666"}


def chosen(findings: Sequence[Finding]) -> Iterator[tuple[Finding, str]]:
    """The pictures to show: each once, of a kind the first `EACH`, of a finding with many pictures the first four."""
    shown: Counter[str] = Counter()
    seen: set[str] = set()
    for finding in findings:
        for name in finding.names[:4] if finding.kind != "unreadable" else ():
            if shown[finding.kind] < EACH and name not in seen:
                seen.add(name)
                shown[finding.kind] += 1
                yield finding, name


def contact_sheet(findings: Sequence[Finding], thumbnails: Mapping[str, NDArray[np.uint8]]) -> Image.Image | None:
    """Rows of thumbnails, RGB, each with its fault, file and folder as text; None without any."""
    tiles = [(finding, name) for finding, name in chosen(findings) if name in thumbnails]
    if not tiles:
        return None
    columns = min(COLUMNS, len(tiles))
    width, height = EDGE + GAP, EDGE + CAPTION + GAP
    sheet = Image.new("RGB", (GAP + columns * width, GAP + math.ceil(len(tiles) / columns) * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, (finding, name) in enumerate(tiles):
        left, top = GAP + number % columns * width, GAP + number // columns * height
        pixels = thumbnails[name]
        picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        picture.thumbnail((EDGE, EDGE))
        sheet.paste(picture, (left + (EDGE - picture.width) // 2, top + (EDGE - picture.height) // 2))
        draw.rectangle((left - 1, top - 1, left + EDGE, top + EDGE), outline="#dddddd")
        folder, _, file = name.rpartition("/")
        colour = COLOURS[STYLES[finding.severity]]
        for line, (text, ink) in enumerate(((finding.kind, colour), (file, "black"), (folder, "#666666"))):
            draw.text((left, top + EDGE + 3 + 13 * line), _clipped(text, font, EDGE), fill=ink, font=font)
    return sheet


def _clipped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text, its middle left out where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = text[: math.ceil(kept / 2)] + "…" + text[len(text) - kept // 2 :]
        if font.getlength(short) <= width:
            return short
    return text[:1]
