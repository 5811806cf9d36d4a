"""The commands of the duel: list, compare."""

import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli import after, tuned
from toolkit.cli.options import (
    Cache,
    Confidence,
    Data,
    Duplicates,
    Engine,
    Epochs,
    Fit,
    Folds,
    ImageSize,
    Method,
    Names,
    Objective,
    Options,
    Preset,
    Ray,
    Resamples,
    Seed,
    SkipBad,
    Test,
    Validation,
    Weights,
    Workers,
    app,
    own_modules,
    recipe_of,
    runs_folder,
    terminal,
    wake_keras,
    wants_gpu,
)  # fmt: skip
from toolkit.errors import InputError


@app.command("list")
def list_() -> None:
    """Contestants and embedded data sets."""
    from rich.table import Table

    from toolkit.names import BACKBONE_HEADS, CATALOGUE, FEATURES, HEADS, TUNED

    table, families = Table("contestant", "side", "what it is"), Table("family", "backbones")
    composed = Table("part", "before or after _")
    composed.add_row("features", ", ".join([*FEATURES, "BACKBONE", f"BACKBONE{TUNED}"]))
    composed.add_row("head", ", ".join(f"{name} ({said})" for name, said in HEADS.items()))
    composed.add_row("after a backbone", ", ".join(BACKBONE_HEADS))
    backbones: dict[str, list[str]] = {}
    for name, entry in CATALOGUE.items():
        if entry.head:
            continue
        if entry.backbone:
            backbones.setdefault(name.rstrip("0123456789").split("_")[0].rstrip("0123456789"), []).append(name)
        else:
            table.add_row(name, entry.side, entry.summary)
    for family, members in backbones.items():
        families.add_row(family, ", ".join(members))
    console = terminal()
    console.print(table, "Features and a head make more of them, as hog_forest or resnet50_svm:", composed)
    console.print("Backbones with ImageNet's weights, or --weights NAME=PATH, or NAME=none:", families)


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
    fit: Fit = "crop",
    duplicates: Duplicates = "together",
    cache: Cache = None,
    preset: Preset = "standard",
    epochs: Epochs = None,
    weights: Weights = None,
    options: Options = None,
    engine: Engine = None,
    tune: Annotated[
        int | None, typer.Option(help="First search each contestant's settings for so many trials.")
    ] = None,
    tune_seconds: Annotated[float | None, typer.Option(help="The same by seconds for each; or both.")] = None,
    objective: Objective = None,
    method: Method = None,
    folds: Folds = None,
    workers: Workers = 1,
    ray: Ray = None,
    found: Annotated[
        list[Path] | None, typer.Option("--from", help="A folder of `touchstone tune`: take its best settings.")
    ] = None,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="From raw pixels to a fine-tuned network, the same heads on every rung.")
    ] = False,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Let all of them fight together as well: a vote, and a stack.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="So many duels, on seeds and splits of their own.", min=1)] = 1,
    explain: Annotated[int, typer.Option(help="Images that every contestant explains in the report.", min=0)] = 12,
    audit: Annotated[
        bool | None,
        typer.Option("--audit/--no-audit", help="Look at the data too. [up to 3,000 images]"),
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory/--no-memory", help="Measure the memory of each, in a process of its own.")
    ] = True,
    confidence: Confidence = 0.95,
    resamples: Resamples = 2000,
) -> None:
    """The duel: fit every contestant on the same rows, judge all of them on the same test rows."""
    from toolkit.catalogue import DEFAULTS, check_names, weights_of
    from toolkit.cli.given import check_engine, options_of
    from toolkit.models.backbones import BACKBONES
    from toolkit.tuning.together import check_rows, check_untuned, chosen_before

    own_modules()
    chosen = tuple(names or (() if ladder else DEFAULTS))
    check_names(chosen)
    begun = weights_of(weights or [], (*chosen, *(BACKBONES if ladder else ())))
    built_in = options_of(options or [], chosen, begun)
    check_engine(engine, chosen)
    recipe = recipe_of(preset, epochs)
    values, tuning = chosen_before(found or [], chosen)
    budget = tuned.budget_of(tune, tune_seconds, objective=objective, method=method, folds=folds)
    settings = tuned.settings_of(objective, method, folds, seed=seed)
    if budget and found:
        raise InputError("Expected --tune or --from. Received both; tune all contestants alike, or none.")
    folder = out or Path("runs") / runs_folder(data)
    if not budget:
        check_untuned(folder)
    elsewhere = _elsewhere(ray) if ray else None
    from toolkit.data import load

    handling: dict[str, Any] = {"skip_bad": skip_bad, "fit": fit, "duplicates": duplicates, "cache": cache}

    def loaded(seed: int) -> Any:
        return load(data, image_size, seed=seed, validation=validation, test=test, **handling)

    dataset = loaded(seed)
    check_rows(found or [], dataset.manifest)
    wake_keras()
    from toolkit.catalogue import contestants
    from toolkit.comparison import compare as run_duel
    from toolkit.ensemble import of_all

    climbed = _ladder(dataset.image_shape, begun) if ladder else None
    if climbed:
        chosen = (*dict.fromkeys((*chosen, *climbed.names)),)
        begun = {**begun, **climbed.weights}
    if budget:
        places = tuned.pools(ray, workers, chosen)
        asked = {name: {"weights": begun.get(name, "imagenet"), "options": built_in.get(name)} for name in chosen}
        values, tuning = tuned.tuned(chosen, dataset, folder, recipe, asked, budget, settings, places)
    elif tuning:
        tuning["untuned"] = [name for name in chosen if name not in values]
    told: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "tuning": tuning, "elsewhere": elsewhere}
    told["memory"] = memory
    told["command"] = shlex.join(["touchstone", *sys.argv[1:]])

    def fighters(seed: int, dataset: Any) -> Any:
        alone = contestants(
            chosen, dataset.image_shape, seed=seed, recipe=recipe, values=values, weights=begun, options=built_in,
            engine=engine,
        )  # fmt: skip
        return {**alone, **(of_all(alone, seed) if ensemble else {})}

    def duel(seed: int, dataset: Any, folder: Path, fighting: Any) -> Any:
        return run_duel(fighting, dataset, out=folder, seed=seed, **told)

    def again(other: int) -> Any:
        drawn = loaded(other)
        return duel(other, drawn, folder / "seeds" / str(other), fighters(other, drawn))

    fighting = fighters(seed, dataset)
    result = duel(seed, dataset, folder, fighting)
    told["memory"] = False  # the models of other seeds take as much
    _tell(result, climbed)
    ending = _repeated(result, again, range(seed, seed + seeds), folder, tuned_on=seed if tuning else None)
    said = after.explain(folder, result, fighting, dataset.test.images, explain)
    said += after.audit(data, sum(dataset.manifest.sizes.values()), folder, audit)
    page = after.report(folder, dataset.test.images)
    left_out = [f"left out: {name} ({reason})" for name, reason in dataset.manifest.left_out]
    left_out += climbed.notes if climbed else ()
    _print([], [*left_out, *dataset.manifest.notes, *said, *ending, f"Written to {folder}; open {page}"])


def _tell(result: Any, climbed: Any) -> None:
    """The duel's tables and its verdict; of a ladder, its rungs in place of the pairs."""
    tables = [result.table(), *([result.pair_table()] if result.pairs and not climbed else [])]
    if climbed:
        from toolkit.ladder import ladder_table

        tables.append(ladder_table(climbed, result))
    _print(tables, [result.verdict()])


def _repeated(
    first: Any, again: Callable[[int], Any], seeds: Sequence[int], folder: Path, tuned_on: int | None
) -> list[str]:
    """Fight with the other seeds too and tell what came of all; the last word on it, nothing for a single seed."""
    if len(seeds) == 1:
        return []
    from toolkit.repeats import repeat

    if tuned_on is not None:
        _print([], [tuned.ONCE.format(seed=tuned_on)])
    repeats = repeat(lambda seed: first if seed == seeds[0] else again(seed), seeds, out=folder, tuned_on=tuned_on)
    _print([repeats.table()], repeats.verdicts())
    return [repeats.conclusion()] if repeats.pairs else []


def _ladder(image_shape: tuple[int, int, int], begun: Mapping[str, Any]) -> Any:
    """The rungs, those of the backbones that `--weights` names, and a word on those that are missing."""
    from toolkit.ladder import ladder
    from toolkit.models.backbones import BACKBONES

    return ladder(image_shape, {name: origin for name, origin in begun.items() if name in BACKBONES})


def _elsewhere(ray: str) -> Any:
    """Contestants as tasks of a Ray cluster; networks ask for a GPU."""
    from functools import partial

    from toolkit.cluster import connected, run_all

    connected(ray)
    return partial(run_all, ray, wants_gpu)


def _print(tables: Iterable[Any], lines: Iterable[str]) -> None:
    console = terminal()
    for table in tables:
        console.print(table)
    for line in lines:
        console.print(line, highlight=False, markup=False)
