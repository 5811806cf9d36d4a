"""The commands of the duel: list, compare."""

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli import after
from toolkit.cli.options import (
    Cache,
    Confidence,
    Data,
    Epochs,
    ImageSize,
    Names,
    Resamples,
    Seed,
    SkipBad,
    Test,
    Validation,
    Weights,
    Workers,
    app,
    own_modules,
    wake_keras,
)  # fmt: skip
from toolkit.errors import InputError


@app.command("list")
def list_() -> None:
    """Contestants and embedded data sets."""
    from rich.console import Console
    from rich.table import Table

    from toolkit.catalogue import CATALOGUE

    table, families = Table("contestant", "side", "what it is"), Table("family", "backbones")
    backbones: dict[str, list[str]] = {}
    for name, entry in CATALOGUE.items():
        if entry.backbone:
            backbones.setdefault(name.rstrip("0123456789").split("_")[0].rstrip("0123456789"), []).append(name)
        else:
            table.add_row(name, entry.side, entry.summary)
    for family, members in backbones.items():
        families.add_row(family, ", ".join(members))
    console = Console()
    console.print(table, "Backbones with ImageNet's weights, or --weights NAME=PATH, or NAME=none:", families)


@app.command()
def compare(
    data: Data,
    names: Names = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; resumed if it is the same run. [runs/DATA]")
    ] = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    validation: Validation = 0.1,
    test: Test = 0.2,
    skip_bad: SkipBad = False,
    fit: Annotated[str, typer.Option(help="Other proportions: crop, pad (with black) or squash.")] = "crop",
    duplicates: Annotated[
        str, typer.Option(help="Copies of a picture share a split: together; or ignore.")
    ] = "together",
    cache: Cache = None,
    epochs: Epochs = None,
    weights: Weights = None,
    tune: Annotated[
        int | None, typer.Option(help="First search each contestant's settings for so many trials.")
    ] = None,
    tune_seconds: Annotated[float | None, typer.Option(help="The same by seconds for each; or both.")] = None,
    workers: Workers = 1,
    found: Annotated[
        list[Path] | None, typer.Option("--from", help="A folder of `touchstone tune`: take its best settings.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="So many duels, on seeds and splits of their own.", min=1)] = 1,
    explain: Annotated[int, typer.Option(help="Images that every contestant explains in the report.", min=0)] = 12,
    audit: Annotated[
        bool | None,
        typer.Option("--audit/--no-audit", help="Look at the data too. [up to 3,000 images]"),
    ] = None,
    confidence: Confidence = 0.95,
    resamples: Resamples = 2000,
) -> None:
    """The duel: fit every contestant on the same rows, judge all of them on the same test rows."""
    from toolkit.catalogue import DEFAULTS, check_names, weights_of
    from toolkit.tuning import Budget
    from toolkit.tuning.together import chosen_before

    own_modules()
    chosen = tuple(names or DEFAULTS)
    check_names(chosen)
    begun = weights_of(weights or [], chosen)
    values, tuning = chosen_before(found or [], chosen)
    budget = None if tune is None and tune_seconds is None else Budget(tune, tune_seconds)
    if budget and found:
        raise InputError("Expected --tune or --from. Received both; tune all contestants alike, or none.")
    from toolkit.data import load

    handling: dict[str, Any] = {"skip_bad": skip_bad, "fit": fit, "duplicates": duplicates, "cache": cache}

    def loaded(seed: int) -> Any:
        return load(data, image_size, seed=seed, validation=validation, test=test, **handling)

    dataset = loaded(seed)
    wake_keras()
    from toolkit.catalogue import contestants
    from toolkit.comparison import compare as run_duel
    from toolkit.training import Recipe

    recipe = Recipe(epochs=epochs)
    folder = out or Path("runs") / (Path(data).resolve().stem if Path(data).exists() else data.replace(":", "_"))
    if budget:
        values, tuning = _tuned(chosen, dataset, folder, recipe, begun, budget, workers, seed)
    told: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "tuning": tuning}
    told["command"] = shlex.join(["touchstone", *sys.argv[1:]])

    def fighters(seed: int, dataset: Any) -> Any:
        return contestants(chosen, dataset.image_shape, seed=seed, recipe=recipe, values=values, weights=begun)

    def duel(seed: int, dataset: Any, folder: Path, fighting: Any) -> Any:
        return run_duel(fighting, dataset, out=folder, seed=seed, **told)

    fighting = fighters(seed, dataset)
    result = duel(seed, dataset, folder, fighting)
    tables = [result.table(), *([result.pair_table()] if result.pairs else [])]
    lines = [result.verdict()]
    _print(tables, lines)
    if seeds > 1:
        from toolkit.repeats import repeat

        def again(other: int) -> Any:
            if other == seed:
                return result
            drawn = loaded(other)
            return duel(other, drawn, folder / "seeds" / str(other), fighters(other, drawn))

        repeats = repeat(again, range(seed, seed + seeds), out=folder)
        _print([repeats.table()], repeats.verdicts())
    from toolkit.report import keep_images, write_report

    places = {name: outcome.folder for name, outcome in result.outcomes.items()}
    said = after.explain(folder, places, fighting, dataset.test.images, explain)
    said += after.audit(data, sum(dataset.manifest.sizes.values()), folder, audit)
    keep_images(folder, dataset.test.images)
    write_report([folder], folder / "report.html")
    left_out = [f"left out: {name} ({reason})" for name, reason in dataset.manifest.left_out]
    _print([], [*left_out, *dataset.manifest.notes, *said, f"Written to {folder}; open {folder / 'report.html'}"])


def _tuned(
    chosen: tuple[str, ...],
    dataset: Any,
    folder: Path,
    recipe: Any,
    begun: Any,
    budget: Any,
    workers: int,
    seed: int,
) -> tuple[Any, Any]:
    """The best values of each contestant after the same budget, and the account of what was spent."""
    from toolkit.catalogue import space
    from toolkit.progress import bar
    from toolkit.tuning import Settings, tune_all
    from toolkit.tuning.together import account

    shape = dataset.image_shape
    spaces = {
        name: space(name, shape, seed=seed, recipe=recipe, weights=begun.get(name, "imagenet")) for name in chosen
    }
    with bar("Tuning", None) as advance:
        searches = tune_all(
            spaces,
            dataset,
            out=folder,
            trials=budget.trials,
            seconds=budget.seconds,
            settings=Settings(seed=seed),
            workers=workers,
            watch=lambda name, book: advance(0, note=f"{name}, trial {len(book)}"),
        )
    best = {name: search.best.values for name, search in searches.items()}
    return best, account(searches, budget.trials, budget.seconds)


def _print(tables: Iterable[Any], lines: Iterable[str]) -> None:
    from rich.console import Console

    console = Console()
    for table in tables:
        console.print(table)
    for line in lines:
        console.print(line, highlight=False, markup=False)
