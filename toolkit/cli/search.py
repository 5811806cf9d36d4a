"""The command that tunes one contestant."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.options import (
    Data,
    Epochs,
    ImageSize,
    Preset,
    Ray,
    Seed,
    Test,
    Validation,
    Weights,
    Workers,
    app,
    own_modules,
    recipe_of,
    wake_keras,
    wants_gpu,
)  # fmt: skip
from toolkit.errors import InputError, unknown


@app.command()
def tune(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A contestant of `touchstone list`, or your own space: module:function."),
    ],
    data: Data,
    trials: Annotated[int | None, typer.Option(help="At most so many. [40, unless --seconds]")] = None,
    seconds: Annotated[float | None, typer.Option(help="No trial begins after so many.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; the same search goes on in it. [runs/tune_NAME]")] = None,
    objective: Annotated[str, typer.Option(help="log_loss, accuracy or macro_f1.")] = "log_loss",
    method: Annotated[str, typer.Option(help="bayesian, random, grid or hyperband.")] = "bayesian",
    first: Annotated[int | None, typer.Option(help="Random trials before the first suggestion. [4 to 10]")] = None,
    folds: Annotated[int, typer.Option(help="Folds of the rows but the test's; 0: the validation rows.")] = 0,
    fix: Annotated[list[str] | None, typer.Option("--set", help="batch_size=64: do not vary it.")] = None,
    within: Annotated[list[str] | None, typer.Option("--range", help="learning_rate=1e-4:1e-2: vary less.")] = None,
    prune: Annotated[bool, typer.Option(help="End networks that fall behind the median of the others.")] = True,
    weights: Weights = None,
    workers: Workers = 1,
    role: Annotated[str | None, typer.Option(help="chief: hand trials to workers elsewhere; or worker.")] = None,
    address: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Of the chief.")] = None,
    patience: Annotated[float, typer.Option(help="Seconds that a worker waits for its chief.", min=1)] = 60,
    ray: Ray = None,
    preset: Preset = "standard",
    epochs: Epochs = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    validation: Validation = 0.1,
    test: Test = 0.2,
) -> None:
    """Search the settings of one contestant on the validation rows; the test rows are left alone."""
    from rich.console import Console
    from rich.live import Live

    from toolkit.catalogue import check_names, space, weights_of
    from toolkit.tuning import Budget, Settings, rays
    from toolkit.tuning import tune as search
    from toolkit.tuning.settings import fixed_values, ranges
    from toolkit.tuning.spaces import shorter

    own_modules()
    if ":" not in name:
        check_names([name])
    begun = weights_of(weights or [], [name]).get(name, "imagenet")
    trials = 40 if trials is None and seconds is None else trials
    Budget(trials, seconds)
    settings = Settings(objective, method, seed, folds, prune, first, fixed_values(fix or []), ranges(within or []))
    recipe = recipe_of(preset, epochs)
    _check_where(role, address, ray)
    where: Any = rays(ray, workers, wants_gpu(name)) if ray else workers
    from toolkit.data import load

    dataset = load(data, image_size, seed=seed, validation=validation, test=test)
    wake_keras()
    recipe = shorter(recipe, len(dataset.train))
    settings = replace(settings, about={"recipe": json.loads(recipe.to_json()), "weights": str(begun)})
    function = space(name, dataset.image_shape, seed=seed, recipe=recipe, weights=begun)
    console = Console()
    if role == "worker":
        from toolkit.tuning import work

        told: dict[str, Any] = {"settings": settings, "name": name, "workers": workers, "patience_seconds": patience}
        ran = work(function, dataset, address or "", **told, watch=lambda trial: console.print(_line(trial, objective)))
        console.print(f"{ran} trials run for the chief at {address}; its folder holds them.", highlight=False)
        return
    if role == "chief":
        from toolkit.tuning import chief

        where = chief(address or "")
        console.print(f"Chief at {address}. Workers: the same command with --role worker.", highlight=False)
    folder = out or Path("runs") / f"tune_{name.replace(':', '.')}"
    with Live(console=console, transient=True, auto_refresh=False) as live:
        found = search(
            function, dataset, trials=trials, seconds=seconds, out=folder, settings=settings, name=name,
            workers=where, watch=lambda book: live.update(_trials(book, objective, 12), refresh=console.is_terminal),
        )  # fmt: skip
    from toolkit.report import write_search

    console.print(_trials(found.trials, objective))
    chosen = ", ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in found.best.values.items()
    )
    line = f"Best: trial {found.best.number}, {objective} {found.best.metrics[objective]:.4f} with {chosen}"
    console.print(line, highlight=False, markup=False)
    console.print(f"Written to {folder}; open {write_search(folder)}", highlight=False, markup=False)


def _check_where(role: str | None, address: str | None, ray: str | None) -> None:
    """Refuse options of several machines that do not go together."""
    from toolkit.tuning.settings import checked_address

    if role not in (None, "chief", "worker"):
        raise unknown("role", role, ("chief", "worker"))
    if (role is None) != (address is None):
        raise InputError("Expected --role chief or worker together with --address HOST:PORT. Received one of the two.")
    if ray is not None and role is not None:
        raise InputError("Expected --ray or --role. Received both; each distributes the trials by itself.")
    if address is not None:
        checked_address(address)
    os.environ.setdefault(
        "GRPC_VERBOSITY", "NONE"
    )  # of what it writes, nothing helps: our own lines say who is missing


def _line(trial: Any, objective: str) -> str:
    """A trial that a worker ran, in one line."""
    score = f"{objective} {trial.metrics[objective]:.4f}, " if trial.metrics else ""
    return f"trial {trial.number} {trial.status}, {score}{trial.seconds:.1f} s {trial.error}".rstrip()


def _trials(book: Any, objective: str, last: int | None = None) -> Any:
    """The trials of a search as a table, the best marked; with `last`, that many of them."""
    from rich import box
    from rich.table import Table

    from toolkit.tuning.journal import best_of, spent

    best, cost = best_of(book, objective), spent(book)
    title = f"{cost['trials']} trials, {cost['failed']} failed, {cost['pruned']} pruned, {cost['seconds']:,.0f} s"
    table = Table("trial", "from", objective, "seconds", "values", title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    for trial in book[-last:] if last else book:
        score = f"{trial.metrics[objective]:.4f}" if trial.metrics else trial.status
        score += f" after {len(trial.curve)} epochs" if trial.status == "pruned" else ""
        values = " ".join(
            f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in trial.values.items()
        )
        told = trial.error if trial.status == "failed" else values
        mark = "*" if trial is best else ""
        table.add_row(f"{trial.number}{mark}", trial.origin, score, f"{trial.seconds:.1f}", told.replace("[", "\\["))
    return table
