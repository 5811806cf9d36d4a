"""The command `touchstone`: parses, calls, prints; no logic, and no TensorFlow before the arguments are right."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from toolkit.errors import InputError

app = typer.Typer(
    help="Is the deep model worth it here, how sure are we, and what does it cost?",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Data = Annotated[
    str, typer.Argument(help="digits, textures, a folder of class folders, an IDX folder or an .npz file.")
]
ImageSize = Annotated[int | None, typer.Option(help="Bring every image to this many pixels a side.", min=1)]
Seed = Annotated[int, typer.Option(help="Same seed, same splits, same fits, same intervals.")]
Cache = Annotated[Path | None, typer.Option(help="Folder where decoded images are kept. [the user's cache folder]")]
Confidence = Annotated[float, typer.Option(help="Of the intervals.", min=0.5, max=0.999)]
Weights = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=PATH", help="Weights that a backbone begins with; none: from scratch. [imagenet]"),
]
Resamples = Annotated[int, typer.Option(help="Bootstrap resamples behind the intervals.", min=100)]


def main(command: str | None = None) -> None:
    """Run the command line, or `command` with it; a user's error is one line on standard error and exit status 2."""
    try:
        sys.exit(app([command, *sys.argv[1:]] if command else None, standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        _fail("Interrupted. What was finished is kept; the same command goes on from there.", 130)
    except InputError as error:
        _fail(str(error), 2)
    except TyperException as error:  # what the parser of arguments refuses
        message = getattr(error, "format_message", error.__str__)()
        _fail(f"{message} `touchstone --help` shows the commands, `touchstone COMMAND --help` one of them.", 2)


def _fail(line: str, status: int) -> NoReturn:
    print(f"touchstone: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(status)


def _wake_keras() -> None:
    """Import Keras and TensorFlow without the greetings that TensorFlow's C++ writes past Python to standard error."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)


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
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Contestants; see `touchstone list`.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; resumed if it is the same run. [runs/DATA]")
    ] = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    validation: Annotated[float, typer.Option(help="Share of rows for validation, where there is no such part.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of rows for the test, where there is no such part.")] = 0.2,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out files that cannot be read, and list them.")
    ] = False,
    fit: Annotated[str, typer.Option(help="Other proportions: crop, pad (with black) or squash.")] = "crop",
    duplicates: Annotated[
        str, typer.Option(help="Copies of a picture share a split: together; or ignore.")
    ] = "together",
    cache: Cache = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many epochs for each network.", min=1)] = None,
    weights: Weights = None,
    tune: Annotated[
        int | None, typer.Option(help="First search each contestant's settings for so many trials.")
    ] = None,
    tune_seconds: Annotated[float | None, typer.Option(help="The same by seconds for each; or both.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that tune side by side.", min=1)] = 1,
    found: Annotated[
        list[Path] | None, typer.Option("--from", help="A folder of `touchstone tune`: take its best settings.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="So many duels, on seeds and splits of their own.", min=1)] = 1,
    confidence: Confidence = 0.95,
    resamples: Resamples = 2000,
) -> None:
    """The duel: fit every contestant on the same rows, judge all of them on the same test rows."""
    from rich.console import Console

    from toolkit.catalogue import DEFAULTS, check_names, contestants, space, weights_of
    from toolkit.tuning import Budget, tune_all
    from toolkit.tuning.together import account, chosen_before

    sys.path.insert(0, "")  # for module:function of the folder one stands in
    chosen = tuple(names or DEFAULTS)
    check_names(chosen)
    begun = weights_of(weights or [], chosen)
    values, tuning = chosen_before(found or [], chosen)
    tunes = tune is not None or tune_seconds is not None
    if tunes:
        Budget(tune, tune_seconds)
    if tunes and found:
        raise InputError("Expected --tune or --from. Received both; tune all contestants alike, or none.")
    from toolkit.data import load

    options: dict[str, Any] = {"skip_bad": skip_bad, "fit": fit, "duplicates": duplicates, "cache": cache}
    dataset = load(data, image_size, seed=seed, validation=validation, test=test, **options)
    _wake_keras()
    from toolkit.comparison import compare as run_duel
    from toolkit.progress import bar
    from toolkit.repeats import repeat
    from toolkit.training import Recipe
    from toolkit.tuning import Settings

    recipe = Recipe(epochs=epochs) if epochs else Recipe()
    folder = out or Path("runs") / (Path(data).resolve().stem if Path(data).exists() else data.replace(":", "_"))
    if tunes:
        spaces = {
            name: space(name, dataset.image_shape, seed=seed, recipe=recipe, weights=begun.get(name, "imagenet"))
            for name in chosen
        }
        with bar("Tuning", None) as advance:
            searches = tune_all(
                spaces, dataset, out=folder, trials=tune, seconds=tune_seconds, settings=Settings(seed=seed),
                workers=workers, watch=lambda name, book: advance(0, note=f"{name}, trial {len(book)}"),
            )  # fmt: skip
        values = {name: search.best.values for name, search in searches.items()}
        tuning = account(searches, tune, tune_seconds)
    command = shlex.join(["touchstone", *sys.argv[1:]])

    def duel(seed: int, dataset: Any, folder: Path) -> Any:
        fighters = contestants(chosen, dataset.image_shape, seed=seed, recipe=recipe, values=values, weights=begun)
        told: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "command": command, "tuning": tuning}
        return run_duel(fighters, dataset, out=folder, seed=seed, **told)

    result = duel(seed, dataset, folder)
    console = Console()
    console.print(result.table())
    if result.pairs:
        console.print(result.pair_table())
    console.print(result.verdict(), highlight=False, markup=False)
    if seeds > 1:

        def again(other: int) -> Any:
            if other == seed:
                return result
            drawn = load(data, image_size, seed=other, validation=validation, test=test, **options)
            return duel(other, drawn, folder / "seeds" / str(other))

        repeats = repeat(again, range(seed, seed + seeds), out=folder)
        console.print(repeats.table())
        for line in repeats.verdicts():
            console.print(line, highlight=False, markup=False)
    for line in (*(f"left out: {name} ({why})" for name, why in dataset.manifest.left_out), *dataset.manifest.notes):
        console.print(line, highlight=False, markup=False)
    from toolkit.report import keep_images, write_report

    keep_images(folder, dataset.test.images)
    write_report([folder], folder / "report.html")
    console.print(f"Written to {folder}; open {folder / 'report.html'}", highlight=False, markup=False)


@app.command()
def tune(
    name: Annotated[str, typer.Argument(help="A contestant of `touchstone list`, or your own space: module:function.")],
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
    weights: Weights = None,
    workers: Annotated[int, typer.Option(help="Processes that run trials side by side.", min=1)] = 1,
    epochs: Annotated[int | None, typer.Option(help="At most so many epochs for each network.", min=1)] = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    validation: Annotated[float, typer.Option(help="Share of rows for validation, where there is no such part.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of rows for the test, where there is no such part.")] = 0.2,
) -> None:
    """Search the settings of one contestant on the validation rows; the test rows are left alone."""
    from rich.console import Console
    from rich.live import Live

    from toolkit.catalogue import check_names, space, weights_of
    from toolkit.tuning import Budget, Settings
    from toolkit.tuning import tune as search
    from toolkit.tuning.settings import fixed_values, ranges

    sys.path.insert(0, "")  # for module:function of the folder one stands in
    if ":" not in name:
        check_names([name])
    begun = weights_of(weights or [], [name]).get(name, "imagenet")
    trials = 40 if trials is None and seconds is None else trials
    Budget(trials, seconds)
    settings = Settings(objective, method, seed, folds, first, fixed_values(fix or []), ranges(within or []))
    from toolkit.data import load

    dataset = load(data, image_size, seed=seed, validation=validation, test=test)
    _wake_keras()
    from toolkit.training import Recipe

    function = space(name, dataset.image_shape, seed=seed, recipe=Recipe(epochs=epochs), weights=begun)
    folder = out or Path("runs") / f"tune_{name.replace(':', '.')}"
    console = Console()
    with Live(console=console, transient=True, auto_refresh=False) as live:
        found = search(
            function, dataset, trials=trials, seconds=seconds, out=folder, settings=settings, name=name,
            workers=workers, watch=lambda book: live.update(_trials(book, objective, 12), refresh=console.is_terminal),
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


def _trials(book: Any, objective: str, last: int | None = None) -> Any:
    """The trials of a search as a table, the best marked; with `last`, that many of them."""
    from rich import box
    from rich.table import Table

    from toolkit.tuning.journal import best_of, spent

    best, cost = best_of(book, objective), spent(book)
    title = f"{cost['trials']} trials, {cost['failed']} failed, {cost['seconds']:,.0f} s"
    table = Table("trial", "from", objective, "seconds", "values", title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    for trial in book[-last:] if last else book:
        score = f"{trial.metrics[objective]:.4f}" if trial.metrics else trial.status
        values = " ".join(
            f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in trial.values.items()
        )
        told = trial.error if trial.status == "failed" else values
        mark = "*" if trial is best else ""
        table.add_row(f"{trial.number}{mark}", trial.origin, score, f"{trial.seconds:.1f}", told.replace("[", "\\["))
    return table


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `touchstone compare` wrote.")],
    out: Annotated[Path | None, typer.Option(help="File to write. [report.html, .md or .tex in the first RUN]")] = None,
    format: Annotated[str, typer.Option(help="html, or md or tex: the tables alone.")] = "html",
    figures: Annotated[Path | None, typer.Option(help="Folder for every figure as SVG and PNG; of one RUN.")] = None,
) -> None:
    """One file to send: the verdict, tables, figures and images of one or more runs."""
    from toolkit.errors import unknown
    from toolkit.report import write_figures, write_report, write_tables

    if format not in ("html", "md", "tex"):
        raise unknown("format", format, ("html", "md", "tex"))
    if figures is not None and len(runs) > 1:
        raise InputError(f"Expected one RUN with --figures. Received: {len(runs)}.")
    path = out or runs[0] / f"report.{format}"
    if format == "html":
        write_report(runs, path)
    else:
        write_tables(runs, path, format)
    print(f"Written to {path}")
    if figures is not None:
        print(f"Written to {figures}: {len(write_figures(runs[0], figures))} files")


@app.command()
def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="RUN/NAME/predictions.npz, or your own with labels and probabilities.")
    ],
    seed: Seed = 0,
    confidence: Confidence = 0.95,
    resamples: Resamples = 2000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The same numbers again from what was written: no model, no images."""
    from toolkit.runs import read_predictions

    stored = read_predictions(predictions)
    _wake_keras()
    import json

    from rich.console import Console
    from rich.table import Table

    from toolkit.evaluation import evaluate as judge

    result = judge(
        stored.labels, stored.probabilities, stored.class_names, confidence=confidence, resamples=resamples, seed=seed
    )
    if as_json:
        print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
        return
    table = Table("metric", "value", "low", "high", title=f"{predictions}: {result.rows:,} images")
    for name, interval in result.metrics.items():
        table.add_row(name, *(f"{number:.4f}" for number in (interval.value, interval.low, interval.high)))
    Console().print(table)


@app.command("cache")
def cache_(
    clear: Annotated[bool, typer.Option("--clear", help="Remove the stores named, or all.")] = False,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="Stores, by the start of their keys.")
    ] = None,
    cache: Cache = None,
) -> None:
    """Decoded images kept between runs: list them, or clear them."""
    from rich.console import Console
    from rich.table import Table

    from toolkit.data.cache import clear as empty
    from toolkit.data.cache import default_cache, entries
    from toolkit.errors import unknown

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
    Console().print(table)


@app.command()
def audit(
    data: Data,
    run: Annotated[
        Path | None, typer.Option(help="RUN, RUN/NAME or a predictions.npz over this data: adds likely label errors.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write audit.json and contact_sheet.png to.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What is wrong with the images: unreadable files, copies, leaks, odd looks, what gives a class away."""
    import json

    from rich.console import Console

    from toolkit.data.audit import audit as look_at
    from toolkit.runs import read_predictions

    result = look_at(data, [read_predictions(path) for path in _predictions_of(run)] if run else [])
    if as_json:
        print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        Console().print(result.table())
    if out is not None:
        result.write(out)
    if out is not None and not as_json:
        Console().print(f"Written to {out}", highlight=False, markup=False)


def _predictions_of(run: Path) -> list[Path]:
    """The predictions of a run, of one of its contestants, or the file itself."""
    if not run.is_dir():
        return [run]
    found = sorted([*run.glob("predictions.npz"), *run.glob("*/predictions.npz")])
    if not found:
        raise InputError(f"Expected --run to be the folder of a run. {run} holds no predictions.npz.")
    return found
