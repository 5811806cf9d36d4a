"""The report: one HTML file that opens without a network. It reads run folders and writes a file."""

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.report import facts, gallery, pictures, thumbnails
from toolkit.report.colours import COLOURS, page_style, template
from toolkit.report.page import MOST_ROWS, Cell, illustrations, run_page
from toolkit.report.reading import Entrant, Run, read_runs
from toolkit.report.repeats import repeats_cells
from toolkit.report.svg import marker_path
from toolkit.report.tables import pairs_table
from toolkit.report.text import MISSING, fixed, percent
from toolkit.report.tuning import tuning_cells
from toolkit.report.verdict import pair_of, undecided
from toolkit.runs import write_text

SECTIONS = (
    ("leaderboard", "Leaderboard", "leaderboard"),
    ("sure", "How sure", "forest"),
    ("tuning", "Tuning", "tuning"),
    ("seeds", "Seeds", "seeds"),
    ("cost", "Cost", "prices"),
    ("confusion", "Confusion", "confusions"),
    ("calibration", "Calibration", "reliability"),
    ("classes", "Classes", "classes"),
    ("groups", "Groups", "by_group"),
    ("learning", "Learning", "learning"),
    ("gallery", "Gallery", "gallery"),
    ("data-audit", "Data", "audit"),
    ("again", "Run again", "again"),
)

MOST_BYTES = 7_500_000  # of a page, pictures and all; what is more, pictures give way to


def write_report(folders: Sequence[str | Path], path: str | Path, *, images: Sequence[Any] = ()) -> Path:
    """Write the report of one or more runs to `path` and return it; the file is whole or not there.

    `images` are the test images of each run in turn, uint8 (N, H, W, C), or None; without them the pictures are those
    kept beside the run (`keep_images`), or the files that it was loaded from. Where there are none the report says so.

    Raises:
        InputError: for a folder that is no finished run, damaged files, predictions of two test sets, or other images.
    """
    runs = read_runs(folders)
    path = _checked(path)
    given = list(images) or [None] * len(runs)
    if len(given) != len(runs):
        raise InputError(f"Expected test images for each of the {len(runs)} runs, or None. Received: {len(given)}.")
    rows = MOST_ROWS // len(runs)
    pages = [_page(run, number, rows) for number, run in enumerate(runs)]
    room = (MOST_BYTES - len(_text(runs, pages).encode())) * 3 // 4  # what pictures may take before they are text
    budget = max(0, min(pictures.BUDGET, room)) // len(runs)
    for page, run, own in zip(pages, runs, given, strict=True):
        page |= illustrations(run, pictures.pictures(run, own, budget), rows, budget)
    write_text(path, _text(runs, pages))
    return path


def _text(runs: Sequence[Run], pages: Sequence[dict[str, Any]]) -> str:
    return (
        page_environment()
        .get_template("page.html")
        .render(
            title=" · ".join(run.title for run in runs) + " · Touchstone",
            pages=pages,
            links=_links(pages),
            overview=_overview(runs) if len(runs) > 1 else [],
            alike=len({str(run.data.get("sha256")) for run in runs}) == 1,
            style=Markup(page_style()),
            script=Markup(template("script.js")),
            version=program_version(),
        )
    )


def keep_images(folder: str | Path, images: Any) -> None:
    """Keep thumbnails of a run's test images uint8 (N, H, W, C) beside it, for reports written without them."""
    (run,) = read_runs([folder])
    pictures.keep_pictures(run, images)


def rows_to_explain(folder: str | Path, many: int) -> NDArray[np.int64]:
    """The test rows (R,) of a run, R at most `many`, that its report would show with explanations."""
    (run,) = read_runs([folder])
    return np.asarray(gallery.explained(run, many), np.int64)


def _checked(path: str | Path) -> Path:
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"Expected a file to write in a folder that is there. Received: {path}.")
    return path


def _page(run: Run, number: int, rows: int) -> dict[str, Any]:
    page = run_page(run, number, rows)
    entries = [(one["entrant"].name, one["entrant"]) for one in page["confusions"]]
    return {
        **page,
        "pairs": pairs_table(run),
        "tuning": tuning_cells(run),
        "seeds": repeats_cells(run),
        "price_tabs": [(price.head, None) for price, _, _ in page["prices"]],
        "confusion_tabs": entries,
        "gallery_tabs": [(one["chapter"].title, None) for one in page["gallery"]],
        "audit": facts.audit(run),
        "again": facts.again(run),
        "settings": facts.contestant_settings(run),
        "cost_notes": facts.cost_notes(run),
    }


def _links(pages: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """What the head of the page leads to: the sections of one run, or the runs."""
    if len(pages) > 1:
        return [("runs", "Side by side"), *((page["id"], page["title"]) for page in pages)]
    return [(f"{page['id']}-{key}", label) for page in pages for key, label, needs in SECTIONS if page[needs]]


def _overview(runs: Sequence[Run]) -> list[tuple[Entrant, list[tuple[Cell, bool]]]]:
    """Every contestant of any run, with its accuracy in each and whether it is among the first there."""
    entrants = {entrant.name: entrant for run in runs for entrant in run.entrants}  # as the first run ranks them
    rows = []
    for name, entrant in entrants.items():
        cells = []
        for run in runs:
            own = next((one for one in run.entrants if one.name == name), None)
            accuracy = own.metric("accuracy") if own else None
            if accuracy is None:
                cells.append((Cell(MISSING), False))
                continue
            ends = f"{fixed(accuracy.low)}..{fixed(accuracy.high)}" if accuracy.low is not None else ""
            first = run.entrants[0].name
            best = name == first or bool(run.pairs and undecided(pair_of(run, first, name)))
            cells.append((Cell(fixed(accuracy.value), ends, accuracy.value), best))
        rows.append((entrant, cells))
    return rows


def page_environment() -> Environment:
    """The templates, escaping, and refusing names that are not there."""
    environment = Environment(
        loader=FunctionLoader(template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        marker=marker_path, colours=COLOURS, fixed=fixed, percent=percent, thumbnails_file=thumbnails.FILE
    )
    environment.filters.update(breakable=_breakable, options=lambda command: command.replace(" --", "\n--").split("\n"))
    return environment


def _breakable(name: str) -> Markup:
    """A name whose lines may end after a stroke, an underscore or a hyphen, and so not in the middle of a word."""
    return Markup("<wbr>").join(re.split(r"(?<=[/_-])", name))


def program_version() -> str:
    """Touchstone's version, empty where it is not installed."""
    try:
        return version("touchstone-vision")
    except PackageNotFoundError:
        return ""
