"""A search as one offline HTML file. It reads search.json and computes nothing."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from toolkit.errors import InputError
from toolkit.report.colours import page_style, template
from toolkit.report.figures.search import importance_bars, parallel, progress, sign_of
from toolkit.report.html import page_environment, program_version
from toolkit.report.page import HALF, both
from toolkit.report.text import fixed, seconds
from toolkit.runs import read_json, write_text

NEEDED = {"contestant", "data", "method", "objective", "space", "trials"}
MOST_AXES, AXIS = 9, 80.0  # of the parallel coordinates: the most important ones, as many as have so many pixels each


def write_search(folder: str | Path, path: str | Path | None = None) -> Path:
    """Write the search in `folder` as HTML, to `path` or to search.html in it, and return where.

    Raises:
        InputError: for a folder without a search.
    """
    book = Path(folder) / "search.json"
    if not book.is_file():
        raise InputError(f"Expected the folder of a search. {book} is not there.")
    search = read_json(book)
    if not isinstance(search, dict) or not set(search) >= NEEDED:
        raise InputError(f"Expected {', '.join(sorted(NEEDED))} in {book}. Received other JSON; search anew.")
    path = Path(path) if path is not None else Path(folder) / "search.html"
    text = (
        page_environment()
        .get_template("search.html")
        .render(
            **_page(search), style=Markup(page_style()), script=Markup(template("script.js")), version=program_version()
        )
    )
    write_text(path, text)
    return path


def _page(search: dict[str, Any]) -> dict[str, Any]:
    objective, shares = search["objective"], search.get("importance", {})
    trials = search["trials"]
    ended = [trial for trial in trials if trial["status"] == "finished"]
    share = max((trial["share"] for trial in ended), default=1)
    full = [trial for trial in ended if trial["share"] == share]
    best = min(full, key=lambda trial: sign_of(objective) * trial["metrics"][objective], default=None)
    varied = [one["name"] for one in search["space"] if one["kind"] != "Fixed"]
    names = sorted(varied, key=lambda name: -shares.get(name, 0))[:MOST_AXES]
    suggested = [trial["number"] for trial in trials if trial["origin"] == "suggested"]
    return {
        "title": f"{search['contestant']} on {search['data']['source']}",
        "search": search,
        "best": best,
        "settings": [(name, _plain(value)) for name, value in (best or {"values": {}})["values"].items()],
        "facts": [
            (str(len(trials)), "trials"),
            (str(sum(trial["status"] == "failed" for trial in trials)), "failed"),
            (str(sum(trial["status"] == "pruned" for trial in trials)), "pruned"),
            (seconds(max((trial["elapsed_seconds"] for trial in trials), default=0)), "spent"),
            (fixed(best["metrics"][objective], 4) if best else "–", f"best {objective}"),
            (fixed(best["metrics"]["accuracy"], 4) if best else "–", "its accuracy"),
            *([(str(suggested[0]), "first suggested trial")] if suggested else []),
        ],
        "by_trials": progress(trials, objective, "trials", HALF),
        "by_seconds": progress(trials, objective, "seconds", HALF),
        "parallel": both(lambda width: parallel(trials, objective, names[: int(width / AXIS)], width)),
        "importance": importance_bars(shares, 640.0),
        "rows": [
            {
                **trial,
                "score": fixed(trial["metrics"].get(objective), 4),
                "cells": [_plain(trial["values"].get(name)) for name in varied],
                "best": trial is best,
            }
            for trial in trials
        ],
        "varied": varied,
    }


def _plain(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
