"""What the commands share: the application, the options of several of them, Keras woken quietly. It runs nothing."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Is the deep model worth it here, how sure are we, and what does it cost?",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Data = Annotated[str, typer.Argument(metavar="DATA", help="A named set, a folder of images, a table or an .npz file.")]
ImageSize = Annotated[int | None, typer.Option(help="Bring every image to this many pixels a side.", min=1)]
Seed = Annotated[int, typer.Option(help="Same seed, same splits, same fits, same intervals.", min=0, max=2**32 - 1)]
Cache = Annotated[Path | None, typer.Option(help="Folder where decoded images are kept. [the user's cache folder]")]
Confidence = Annotated[float, typer.Option(help="Of the intervals.", min=0.5, max=0.999)]
Weights = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=PATH", help="Weights that a backbone begins with; none: from scratch. [imagenet]"),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="[NAME.]FIELD=VALUE", help="mirror=true: of networks that have it, or of NAME."),
]
Engine = Annotated[
    str | None, typer.Option(help="What runs frozen backbones and predicts: keras, or openvino (Intel CPUs). [keras]")
]
Resamples = Annotated[int, typer.Option(help="Bootstrap resamples behind the intervals.", min=100)]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Contestants; see `touchstone list`.")]
Validation = Annotated[float, typer.Option(help="Share of rows for validation, where there is no such part.")]
Test = Annotated[float, typer.Option(help="Share of rows for the test, where there is no such part.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out files that cannot be read, and list them.")]
Fit = Annotated[str, typer.Option(help="Other proportions: crop, pad (with black) or squash.")]
Duplicates = Annotated[str, typer.Option(help="Copies of a picture share a split: together; or ignore.")]
Objective = Annotated[str | None, typer.Option(help="Of a search: log_loss, accuracy or macro_f1. [log_loss]")]
Method = Annotated[str | None, typer.Option(help="Of a search: bayesian, random, grid or hyperband. [bayesian]")]
Folds = Annotated[
    int | None, typer.Option(help="A search judges by so many folds of the rows but the test's. [the validation rows]")
]
Epochs = Annotated[int | None, typer.Option(help="At most so many epochs for each network.", min=1)]
Preset = Annotated[str, typer.Option(help="The recipe that networks begin with: quick, standard, thorough or paper.")]
Workers = Annotated[int, typer.Option(help="Processes that tune side by side.", min=1)]
Ray = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Run on a Ray cluster: its address, auto to find it, local to start one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def recipe_of(preset: str, epochs: int | None) -> Any:
    """The recipe of that name, perhaps with other epochs; an unknown name is refused before any work."""
    from toolkit.training.recipe import Recipe

    return Recipe.preset(preset, **({} if epochs is None else {"epochs": epochs}))


def wake_keras() -> None:
    """Import Keras and TensorFlow without the greetings that TensorFlow's C++ writes past Python to standard error."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        import keras  # noqa: F401
        import tensorflow

        tensorflow.config.list_physical_devices()  # so that it looks for a GPU now
    except (ImportError, ValueError, AttributeError) as error:
        backend = os.environ.get("KERAS_BACKEND")
        if backend in (None, "tensorflow"):
            raise
        raise InputError(
            f"Expected KERAS_BACKEND=tensorflow, or jax with pip install 'touchstone-vision[jax]'. "
            f"Received: {backend}, {error}."
        ) from None
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def terminal() -> "Console":
    """Standard output as a rich console: 120 columns in a pipe, where nobody says, so that tables keep their names."""
    from rich.console import Console

    told = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if told else 120)


def runs_folder(data: str) -> str:
    """What the folder of a run on this data is called where nobody names one."""
    return Path(data).resolve().stem if Path(data).exists() else data.replace(":", "_")


def own_modules() -> None:
    """Let module:function name a module of the folder one stands in, as `python -m` does."""
    sys.path.insert(0, "")


def wants_gpu(name: str) -> bool:
    """Whether a task of this contestant asks a cluster for a GPU; one of the user's own does not."""
    from toolkit.catalogue import CATALOGUE

    return name in CATALOGUE and CATALOGUE[name].side != "classical"
