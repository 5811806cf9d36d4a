"""What an audit found, as values: rows, a table, JSON, a sheet of pictures. It looks for nothing itself."""

import io
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.table import Table

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class Finding:
    """One fault, and the pictures that have it."""

    kind: str  # "unreadable", "duplicates", "leak", ...: see `toolkit.data.audit`
    severity: Severity  # error: wrong whatever the aim; warning: look at it; note: good to know
    detail: str  # in words, with the numbers it rests on
    names: tuple[str, ...] = ()  # relative to the source, the worst first; empty when it is about the whole set


@dataclass(frozen=True)
class Audit:
    """What is wrong with a set of labelled images. Findings come worst first."""

    source: str
    images: int  # rows looked at, the unreadable ones among them
    classes: Mapping[str, int]  # class name -> rows
    splits: Mapping[str, int]  # split -> rows; empty where none is given
    findings: tuple[Finding, ...]
    passed_over: Mapping[str, int] = field(default_factory=dict)  # files that were not taken for images, by kind
    thumbnails: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict, repr=False, compare=False)  # the worst

    def counts(self) -> dict[str, int]:
        """Findings by kind, the worst kind first."""
        return dict(Counter(finding.kind for finding in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; thumbnails stay out."""
        return {
            "format": "touchstone audit",
            "version": 1,
            "source": self.source,
            "images": self.images,
            "classes": dict(self.classes),
            "splits": dict(self.splits),
            "passed_over": dict(self.passed_over),
            "counts": self.counts(),
            "findings": [
                {"kind": f.kind, "severity": f.severity, "detail": f.detail, "names": list(f.names)}
                for f in self.findings
            ],
        }

    def table(self, each: int = 5) -> "Table":
        """The findings as a rich table, at most `each` of a kind."""
        from rich.table import Table
        from rich.text import Text

        kinds = self.counts()
        table = Table(title=self.headline(), caption=self._caption(), title_justify="left", caption_justify="left")
        table.add_column("fault", no_wrap=True)
        table.add_column("files", overflow="fold")
        table.add_column("what it is", overflow="fold")
        for kind, count in kinds.items():
            shown = [finding for finding in self.findings if finding.kind == kind]
            for number, finding in enumerate(shown[:each]):
                label = Text(kind if number == 0 else "", style=STYLES[finding.severity])
                table.add_row(label, Text(_few(finding.names)), Text(finding.detail))
            if count > each:
                table.add_row("", "", Text(f"and {count - each:,} more of this kind", style="dim"))
        return table

    def headline(self) -> str:
        """One line: what was looked at and how much was found."""
        found = Counter(finding.severity for finding in self.findings)
        said = ", ".join(f"{found[s]:,} {s}{'s' * (found[s] != 1)}" for s in SEVERITIES if found[s])
        return f"{self.source}: {self.images:,} images in {len(self.classes)} classes; {said or 'nothing found'}"

    def contact_sheet(self) -> "Image | None":
        """The worst pictures of every kind, their names below, as a Pillow image; None if no picture is at fault."""
        from toolkit.data.audit.sheet import contact_sheet

        return contact_sheet(self.findings, self.thumbnails)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write audit.json and, where pictures are at fault, contact_sheet.png, each whole or not at all."""
        out = Path(folder)
        sheet, picture = self.contact_sheet(), io.BytesIO()
        try:
            out.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            _write(out / "audit.json", text.encode())
            if sheet is None:
                (out / "contact_sheet.png").unlink(missing_ok=True)  # an older audit's
            else:
                sheet.save(picture, "PNG")
                _write(out / "contact_sheet.png", picture.getvalue())
        except OSError as error:
            raise InputError(f"Expected a folder to write the audit to. '{out}': {error.strerror or error}.") from error

    def __str__(self) -> str:
        lines = (f"  {f.severity}, {f.kind}: {_few(f.names)}{': ' if f.names else ''}{f.detail}" for f in self.findings)
        return "\n".join([self.headline(), *lines])

    def _caption(self) -> str | None:
        passed = ", ".join(f"{count:,} {kind}" for kind, count in self.passed_over.items())
        return f"Passed over, no images by their names: {passed}." if passed else None


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _few(names: tuple[str, ...], most: int = 3) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
