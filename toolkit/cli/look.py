"""The commands that look at data: audit, cache."""

import json
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.options import Cache, Data, Json, app, terminal
from toolkit.errors import InputError, unknown


@app.command()
def audit(
    data: Data,
    run: Annotated[
        Path | None, typer.Option(help="RUN, RUN/NAME or a predictions.npz over this data: adds likely label errors.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write audit.json and contact_sheet.png to.")] = None,
    as_json: Json = False,
) -> None:
    """What is wrong with the images: unreadable files, copies, leaks, odd looks, what gives a class away."""
    from toolkit.data.audit import audit as look_at
    from toolkit.runs import read_predictions

    result = look_at(data, [read_predictions(path) for path in _predictions_of(run)] if run else [])
    if as_json:
        print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        terminal().print(result.table())
    if out is not None:
        result.write(out)
    if out is not None and not as_json:
        terminal().print(f"Written to {out}", highlight=False, markup=False)


def _predictions_of(run: Path) -> list[Path]:
    """The predictions of a run, of one of its contestants, or the file itself."""
    if not run.is_dir():
        return [run]
    found = sorted([*run.glob("predictions.npz"), *run.glob("*/predictions.npz")])
    if not found:
        raise InputError(f"Expected --run to be the folder of a run. {run} holds no predictions.npz.")
    return found


@app.command("cache")
def cache_(
    clear: Annotated[bool, typer.Option("--clear", help="Remove the stores named, or all.")] = False,
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY", help="Stores, by the start of their keys.")] = None,
    cache: Cache = None,
) -> None:
    """Decoded images kept between runs: list them, or clear them."""
    from rich.table import Table

    from toolkit.data.cache import clear as empty
    from toolkit.data.cache import default_cache, entries

    place = cache or default_cache()
    found = entries(place)
    chosen = {start: [entry.key for entry in found if entry.key.startswith(start)] for start in keys or ()}
    for start, matching in chosen.items():
        if not matching:
            raise unknown("store", start, [entry.key[:12] for entry in found], hint="`touchstone cache` lists them.")
    if clear:
        print(
            f"Freed {empty(place, [key for matching in chosen.values() for key in matching]) / 1e6:,.1f} MB in {place}"
        )
        return
    table = Table(title=str(place))
    table.add_column("key", no_wrap=True)
    for column in ("images", "MB", "built from"):
        table.add_column(column, justify="right" if column == "MB" else "left")
    for entry in found:
        shape = " x ".join(map(str, entry.shape)) or "not finished"
        table.add_row(entry.key[:12], shape, f"{entry.bytes / 1e6:,.1f}", entry.source)
    terminal().print(table)
