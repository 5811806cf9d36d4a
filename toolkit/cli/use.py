"""The commands that use a saved model: predict, export, bench."""

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.options import Json, app, terminal, wake_keras
from toolkit.errors import InputError, unknown

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="RUN/NAME/model, or a folder that toolkit.save wrote.")]
Images = Annotated[
    Path | None, typer.Option(help="Folder of pictures to try it on. [those of the run, else made-up ones]")
]
PREDICTION_FORMATS = ("table", "csv", "jsonl")
MADE_UP = "made-up pictures"


@app.command()
def predict(
    model: Model,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Pictures, folders, patterns; -: paths on standard input.")
    ],
    format: Annotated[str, typer.Option(help="table, csv or jsonl (an object a line).")] = "table",
    top: Annotated[int, typer.Option(help="So many classes of each picture.", min=1)] = 1,
    threshold: Annotated[
        float, typer.Option(help="Abstain where the best class has a smaller probability.", min=0, max=1)
    ] = 0.0,
    batch: Annotated[int, typer.Option(help="Pictures that the model is asked about at once.", min=1)] = 512,
) -> None:
    """Label pictures. A bad file is a row with its error, and makes the exit status 1 at the end; the rest go on."""
    from toolkit.artifact import load_model, read_card
    from toolkit.prediction import Predictor, files_of
    from toolkit.progress import bar

    if format not in PREDICTION_FORMATS:
        raise unknown("format", format, PREDICTION_FORMATS)
    card = read_card(model)
    found: Any = files_of(paths, sys.stdin)
    piped = "-" in paths
    if not piped:
        found = list(found)  # so that a mistake is told, and the bar's length known, before the model is read
    wake_keras()
    predictor = Predictor.of(load_model(model), card)
    write = _writer(format, top, max(map(len, predictor.class_names)))
    bad = 0
    shown = not sys.stdout.isatty()  # else rows and bar would write over each other
    with bar("Predicting", len(found) if isinstance(found, list) else None, shown) as advance:
        try:
            for row in predictor.predict(found, top=top, threshold=threshold, batch=batch, waiting=piped):
                write(row)
                if piped:
                    sys.stdout.flush()  # whoever sends paths may wait for their answers
                bad += bool(row.error)
                advance()
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read our rows has seen enough, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if bad:
        print(f"touchstone: {bad} of the files could not be read", file=sys.stderr)
        raise typer.Exit(1)


def _writer(format: str, top: int, width: int) -> Callable[[Any], None]:
    """What prints a prediction in one of the formats, the head of the table first."""
    if format == "jsonl":
        return lambda row: print(json.dumps(_plain(row), ensure_ascii=True, allow_nan=False))
    if format == "table":
        return lambda row: print(_line(row, width))
    out = csv.writer(sys.stdout, lineterminator="\n")
    ranks = [("label", "probability"), *((f"label_{rank}", f"probability_{rank}") for rank in range(2, top + 1))]
    out.writerow(["path", *(name for pair in ranks for name in pair), "abstained", "error"])

    def write(row: Any) -> None:
        told = [
            value for pair in zip(row.labels, map("{:.6f}".format, row.probabilities), strict=True) for value in pair
        ]
        told += [""] * (2 * top - len(told))
        out.writerow([_shown(row.path), *told, int(row.abstained), row.error])

    return write


def _line(row: Any, width: int) -> str:
    """A row of the table; what would move the cursor or begin a line is written as an escape."""
    line = _told(row, width)
    return (
        line
        if line.isprintable()
        else "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in line)
    )


def _told(row: Any, width: int) -> str:
    if row.error:
        return f"{'-':<{width}}  -      {_shown(row.path)}: {row.error}"
    first = "?" if row.abstained else row.labels[0]
    others = "".join(
        f"  {label} {chance:.3f}" for label, chance in zip(row.labels[1:], row.probabilities[1:], strict=True)
    )
    return f"{first:<{width}}  {row.probabilities[0]:.3f}  {_shown(row.path)}{others and '  then' + others}"


def _plain(row: Any) -> dict[str, Any]:
    pairs = zip(row.labels, row.probabilities, strict=True)
    return {
        "path": _shown(row.path),
        "label": None if row.error or row.abstained else row.labels[0],
        "top": [{"label": label, "probability": round(chance, 6)} for label, chance in pairs],
        "abstained": row.abstained,
        "error": row.error or None,
    }


def _shown(path: str) -> str:
    """A path as text: file names need not be UTF-8."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _read(model: Path) -> tuple[Any, dict[str, Any]]:
    """The predictor and the card of a model; Keras awake."""
    from toolkit.artifact import load_model, read_card
    from toolkit.prediction import Predictor

    card = read_card(model)
    wake_keras()
    return Predictor.of(load_model(model), card), card


def _pictures(predictor: Any, model: Path, images: Path | None, most: int) -> tuple[Any, Any, str]:
    """At most so many pictures uint8 (N, H, W, C) as the model takes them, their labels, and of what they are.

    Labels are known where each picture lies in a folder named as a class, else None.
    """
    import numpy as np

    from toolkit.data.decode import resize
    from toolkit.prediction import files_of
    from toolkit.report import thumbnails

    if images is not None:
        paths = list(files_of([str(images)]))
        chosen = [paths[place] for place in np.linspace(0, len(paths) - 1, min(most, len(paths))).astype(int)]
        found, read = predictor.pictures(chosen)
        if not read:
            raise InputError(f"Expected pictures that can be read below '{images}'. Received none.")
        return found, predictor.labels(read), f"pictures of {images}"
    kept = list(thumbnails.read(model.resolve().parent.parent, 2**31).values())[:most]
    if kept:
        return predictor.stacked(kept), None, "pictures of the run"
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (min(most, 64), 8, 8, predictor.image_shape[2])).astype(np.uint8)
    return np.stack([resize(one, predictor.image_shape[:2], "squash") for one in coarse]), None, MADE_UP


@app.command()
def bench(
    model: Model,
    images: Images = None,
    seconds: Annotated[float, typer.Option(help="So long in all.", min=0.1)] = 4.0,
    as_json: Json = False,
) -> None:
    """Latency of a model here: one picture alone, and the batch that takes least a picture. Decoding is not counted."""
    from dataclasses import asdict

    from toolkit.cost import measure

    predictor, _ = _read(model)
    pictures, _, source = _pictures(predictor, model, images, 256)
    predictor.answer(pictures[:1])  # refuses what the model does not take, in one line
    cost = measure(predictor.classifier, pictures, seconds=seconds)
    if as_json:
        print(json.dumps({"model": str(model), "images": source, **asdict(cost)}, indent=2))
        return
    from rich.table import Table

    title = f"{model}: {source}, {' x '.join(map(str, predictor.image_shape))}, {cost.threads} cores"
    table = Table("pictures at once", "median ms", "95 % ms", "ms a picture", "pictures a second", title=title)
    for count, median, late in (
        (1, cost.one_image_p50_seconds, cost.one_image_p95_seconds),
        (cost.best_batch, cost.batch_p50_seconds, cost.batch_p95_seconds),
    ):
        told = (f"{median * 1e3:.2f}", f"{late * 1e3:.2f}", f"{median / count * 1e3:.3f}", f"{count / median:,.0f}")
        table.add_row(str(count), *told)
    terminal().print(table)


@app.command()
def export(
    model: Model,
    out: Annotated[Path, typer.Option(help="File to write: NAME.onnx, NAME.tflite, or a folder for savedmodel.")],
    format: Annotated[str, typer.Option(help="onnx, litert or savedmodel.")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="LiteRT in whole numbers of 8 bits; give --images.")] = False,
    float16: Annotated[bool, typer.Option("--float16", help="LiteRT with weights of 16 bits.")] = False,
    images: Images = None,
    as_json: Json = False,
) -> None:
    """One graph from uint8 pixels to probabilities, for another runtime, compared there with the original.

    Where the pictures lie in folders named as the classes, the accuracy before and after is told too.
    """
    from toolkit.artifact import read_card

    if int8 and float16:
        raise InputError("Expected --int8 or --float16. Received both.")
    read_card(model)
    predictor, _ = _read(model)
    from toolkit.export import export as write

    pictures, labels, source = _pictures(predictor, model, images, 200)
    if int8 and source == MADE_UP:
        raise InputError(
            "Expected --images FOLDER with --int8, whose scales are taken from real pictures. Received: none, and the "
            "model lies in no run that has kept some."
        )
    precision = "int8" if int8 else "float16" if float16 else "float32"
    found = write(predictor.classifier, out, format, pictures, labels=labels, precision=precision)
    if as_json:
        print(json.dumps({**found.to_dict(), "source": source}, indent=2))
        return
    accuracy = "" if found.accuracy is None else f" Accuracy {found.accuracy:.3f}, before {found.accuracy_before:.3f}."
    print(
        f"Written to {found.path}: {format}, {precision}, {_size(found.size_bytes)}. On {found.images} {source} "
        f"probabilities differ by {found.largest_difference:.2g} at most, {found.same_labels:.1%} of the "
        f"labels are the same.{accuracy}"
    )


def _size(count: int) -> str:
    """Bytes in the unit that shows three figures."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:.3g} kB"
