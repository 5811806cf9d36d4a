"""The command that trains one contestant."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.options import (
    Cache,
    Data,
    Epochs,
    ImageSize,
    Preset,
    Seed,
    SkipBad,
    Validation,
    Weights,
    app,
    own_modules,
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
    from toolkit.tuning.together import check_rows, chosen_before

    own_modules()
    check_names([name])
    begun = weights_of(weights or [], [name])
    values, _ = chosen_before([found] if found else [], [name])
    told = _fields(fields or [], epochs)
    if (told or find_rate) and name in CATALOGUE and CATALOGUE[name].side == "classical":
        raise InputError(
            f"Expected a network with --set, --epochs or --find-rate. Received '{name}', which has no recipe."
        )
    from toolkit.data import load

    handling: dict[str, Any] = {"validation": validation, "test": test_share, "skip_bad": skip_bad, "cache": cache}
    dataset = load(data, image_size, seed=seed, **handling)
    check_rows([found] if found else [], dataset.manifest)
    wake_keras()
    if processes is not None:
        _join(
            processes, coordinator, process_id, (name, dataset.manifest.sha256, preset, told, values, str(begun), seed)
        )
    from toolkit.catalogue import contestants
    from toolkit.fitting import train as fit
    from toolkit.training import Recipe

    recipe = Recipe.preset(preset, **told)
    made = contestants((name,), dataset.image_shape, seed=seed, recipe=recipe, values=values, weights=begun)
    result = fit(
        name, made[name], dataset, out=out or Path("runs") / f"train_{name.replace(':', '.')}", test=judge_test,
        tensorboard=tensorboard, find_rate=find_rate, command=shlex.join(["touchstone", *sys.argv[1:]]),
    )  # fmt: skip
    if process_id:
        print(f"Process {process_id} is done; process 0 writes.")
    else:
        _show(result, dataset)


def _join(count: int, coordinator: str | None, number: int | None, purpose: Any) -> None:
    """Meet the other processes, and become one of them."""
    import hashlib

    from toolkit.cli.meeting import meet
    from toolkit.training.devices import check_backend, join

    if coordinator is None or number is None:
        raise InputError("Expected --coordinator HOST:PORT and --process-id with --processes. Received one without.")
    check_backend()
    meet(coordinator, count, number, hashlib.sha256(repr(purpose).encode()).hexdigest())
    join(coordinator, count, number)


def _fields(texts: list[str], epochs: int | None) -> dict[str, Any]:
    """["batch_size=32"] -> {"batch_size": 32}, with the epochs where they are told; values as JSON, else as text."""
    import json

    told: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    for text in texts:
        field, equals, value = text.partition("=")
        if not (field and equals and value):
            raise InputError(f"Expected --set FIELD=VALUE. Received: {text!r}.")
        try:
            told[field] = json.loads(value)
        except json.JSONDecodeError:
            told[field] = value
    return told


def _show(result: Any, dataset: Any) -> None:
    """The numbers, the diagnosis, the curves and where all of it is."""
    from rich.console import Console
    from rich.table import Table

    from toolkit.report.curves import write_curves, write_rates
    from toolkit.runs import read_json
    from toolkit.training.diagnosis import Diagnosis

    console = Console()
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
