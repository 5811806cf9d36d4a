"""The command that trains one contestant."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.options import (
    Cache,
    Data,
    Engine,
    Epochs,
    ImageSize,
    Options,
    Preset,
    Seed,
    SkipBad,
    Validation,
    Weights,
    app,
    own_modules,
    terminal,
    wake_keras,
)  # fmt: skip
from toolkit.errors import InputError


@app.command()
def train(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A contestant of `touchstone list`, or your own space: module:function."),
    ],
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Folder; the same training goes on in it. [runs/train_NAME]")] = None,
    judge_test: Annotated[
        bool, typer.Option("--test", help="Judge the test rows too, when nothing is chosen any more.")
    ] = False,
    epochs: Epochs = None,
    preset: Preset = "standard",
    fields: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="batch_size=32: of a network's recipe.")
    ] = None,
    find_rate: Annotated[
        bool, typer.Option("--find-rate", help="Search the learning rate first, and take it.")
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write events for TensorBoard.")] = False,
    found: Annotated[
        Path | None, typer.Option("--from", help="A folder of `touchstone tune`: take its best settings.")
    ] = None,
    weights: Weights = None,
    options: Options = None,
    engine: Engine = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    validation: Validation = 0.1,
    test_share: Annotated[
        float, typer.Option("--test-share", help="Share of rows for the test, if none are named.")
    ] = 0.2,
    skip_bad: SkipBad = False,
    cache: Cache = None,
    processes: Annotated[
        int | None, typer.Option(help="Train in so many processes, on one or more machines; KERAS_BACKEND=jax.", min=2)
    ] = None,
    coordinator: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where process 0 runs.")] = None,
    process_id: Annotated[
        int | None, typer.Option(help="Which of them this is, from 0 on; each has the same --out.")
    ] = None,
) -> None:
    """Train one contestant on the training rows; the same command goes on after an interruption, whatever it was."""
    from toolkit.catalogue import CATALOGUE, check_names, weights_of
    from toolkit.cli.given import check_engine, fields_of, options_of
    from toolkit.training.recipe import Recipe
    from toolkit.tuning.together import check_rows, chosen_before

    own_modules()
    check_names([name])
    begun = weights_of(weights or [], [name])
    built_in = options_of(options or [], [name], begun)
    values, _ = chosen_before([found] if found else [], [name])
    told = fields_of(fields or [], epochs)
    recipe = Recipe.preset(preset, **told)
    if (told or find_rate) and name in CATALOGUE and CATALOGUE[name].side == "classical":
        raise InputError(
            f"Expected a network with --set, --epochs or --find-rate. Received '{name}', which has no recipe."
        )
    check_engine(engine, [name])
    _check_processes(processes, coordinator, process_id)
    from toolkit.data import load

    handling: dict[str, Any] = {"validation": validation, "test": test_share, "skip_bad": skip_bad, "cache": cache}
    dataset = load(data, image_size, seed=seed, **handling)
    check_rows([found] if found else [], dataset.manifest)
    wake_keras()
    if processes is not None:
        purpose = (name, dataset.manifest.sha256, preset, told, values, str(begun), built_in, seed)
        _join(processes, coordinator or "", process_id or 0, purpose)
    from toolkit.catalogue import contestants
    from toolkit.fitting import train as fit

    made = contestants(
        (name,), dataset.image_shape, seed=seed, recipe=recipe, values=values, weights=begun, options=built_in,
        engine=engine,
    )  # fmt: skip
    result = fit(
        name, made[name], dataset, out=out or Path("runs") / f"train_{name.replace(':', '.')}", test=judge_test,
        tensorboard=tensorboard, find_rate=find_rate, command=shlex.join(["touchstone", *sys.argv[1:]]),
    )  # fmt: skip
    if process_id:
        print(f"Process {process_id} is done; process 0 writes.")
    else:
        _show(result, dataset)


def _check_processes(count: int | None, coordinator: str | None, number: int | None) -> None:
    """Refuse options of several processes that do not go together, and a backend that has none."""
    if count is None:
        if coordinator is not None or number is not None:
            raise InputError("Expected --processes with --coordinator and --process-id. Received them without.")
        return
    from toolkit.cli.meeting import check_meeting

    if coordinator is None or number is None:
        raise InputError("Expected --coordinator HOST:PORT and --process-id with --processes. Received one without.")
    check_meeting(coordinator, count, number)
    wake_keras()
    from toolkit.training.devices import check_backend

    check_backend()


def _join(count: int, coordinator: str, number: int, purpose: Any) -> None:
    """Meet the other processes, and become one of them."""
    import hashlib

    from toolkit.cli.meeting import meet
    from toolkit.training.devices import join

    meet(coordinator, count, number, hashlib.sha256(repr(purpose).encode()).hexdigest())
    join(coordinator, count, number)


def _show(result: Any, dataset: Any) -> None:
    """The numbers, the diagnosis, the curves and where all of it is."""
    from rich.table import Table

    from toolkit.report.curves import write_curves, write_rates
    from toolkit.runs import read_json
    from toolkit.training.diagnosis import Diagnosis

    console = terminal()
    for part, evaluation in result.evaluations.items():
        table = Table("metric", "value", "low", "high", title=f"{result.name}: {evaluation.rows:,} {part} images")
        for name, interval in evaluation.metrics.items():
            table.add_row(name, *(f"{number:.4f}" for number in (interval.value, interval.low, interval.high)))
        console.print(table)
    lines = [f"left out: {name} ({reason})" for name, reason in dataset.manifest.left_out]
    lines += [*dataset.manifest.notes, *result.details["notes"]]
    if "history" in result.details:
        write_curves(result.folder, result.name, result.details["history"], result.details["best_epoch"])
        lines.append(str(Diagnosis(**result.details["diagnosis"])))
    rates = result.folder / "rates.json"
    if rates.exists():
        found = read_json(rates)
        write_rates(result.folder, **found)
        lines.append(
            f"Learning rate found and taken: {found['suggestion']:g}; {result.folder / 'rates.svg'} shows how."
        )
    for line in [*lines, f"Written to {result.folder}"]:
        console.print(line, highlight=False, markup=False)
