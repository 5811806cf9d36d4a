"""The folder of a run: what is written there is written beside and renamed, and read back. It knows no contestant.

RUN/run.json is what makes it this run and no other. RUN/NAME/predictions.npz and RUN/NAME/contestant.json are there
from the moment a contestant is finished, RUN/comparison.json when all are.
"""

import json
import os
import re
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError

LONGEST = 200  # bytes of a contestant's folder; file systems take 255, and files beside it add to that
HELD_OUT = "held_out.npz"  # of a contestant: as predictions.npz, of rows that its fit held back
TUNING = "tuning"  # the folder of a run's searches, which come before the run itself
CHECKPOINT = "checkpoint.npz"  # of a network, after each epoch of its training
FEATURES = "features/features-*.npz"  # named by all that they depend on, so of use to another run too
# of a run that failed before anything was finished
LEFTOVERS = ("search.lock", "rates.json", "history.csv", "tensorboard/events.*", "*.partial", "*.partial/*")


@dataclass(frozen=True)
class Predictions:
    """What one classifier said about one test set: all that `evaluate` needs."""

    labels: NDArray[np.int64]  # (N,), 0..K-1
    probabilities: NDArray[np.float32]  # (N, K), rows sum to 1
    names: NDArray[np.str_]  # (N,), where each image came from
    class_names: tuple[str, ...]  # K
    manifest: str  # SHA-256 of the data manifest: predictions of different manifests are not compared
    columns: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)  # (N,) each: camera, site, ...


def check_together(predictions: Mapping[str, Predictions], manifest: str = "") -> None:
    """Refuse predictions, by name, that are not of one test set: the same rows, classes and data manifest.

    What is not known, a manifest '' or names that are mere numbers, agrees with any other.

    Raises:
        InputError: it names the first that differs, and in what.
    """
    manifest = next((known for known in (manifest, *(one.manifest for one in predictions.values())) if known), "")
    for name, one in predictions.items():
        first_name, first = next(iter(predictions.items()))
        differs = [
            what
            for what, alike in (
                (
                    f"number of rows, {len(one.labels):,} and {len(first.labels):,}",
                    len(one.labels) == len(first.labels),
                ),
                ("class names", _agree(one.class_names, first.class_names)),
                ("labels", np.array_equal(one.labels, first.labels)),
                ("names of images", _agree(one.names, first.names)),
                ("data manifest", one.manifest in ("", manifest)),
            )
            if not alike
        ]
        if differs:
            raise InputError(
                f"Expected predictions of one test set. Those of '{name}' differ from those of '{first_name}' in their "
                f"{differs[0]}; compare what was judged on the same rows."
            )


def _agree(names: Iterable[str], others: Iterable[str]) -> bool:
    one, other = ([str(name) for name in both] for both in (names, others))
    numbers = [str(index) for index in range(len(one))]
    return one == other or (len(one) == len(other) and numbers in (one, other))


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: beside it first, then renamed over it."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Plain values as indented JSON; NaN is refused, for other readers of JSON would be."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON, or say which file is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"Expected JSON in {path}. Received something else ({error}). Delete the run and repeat it."
        ) from None


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """Contestant name -> folder name: letters, digits and -_.+ kept; two names of one folder are refused."""
    folders: dict[str, str] = {}
    for name in names:
        folder = re.sub(r"[^\w.+-]+", "_", name).strip("._") or "contestant"
        if len(folder.encode()) > LONGEST:
            raise InputError(f"Expected contestant names of {LONGEST} bytes or fewer. Received: {name[:40]!r}...")
        if folder.lower() in {taken.lower() for taken in folders.values()}:
            raise InputError(f"Expected contestant names that differ in letters or digits. '{name}' repeats another's.")
        folders[name] = folder
    return folders


def open_run(out: Path, identity: dict[str, Any]) -> None:
    """Make `out` the folder of the run `identity`, or go on with it if it is that run already; refuse any other."""
    if out.exists() and not out.is_dir():
        raise InputError(f"Expected --out to be a folder. Received the file {out}.")
    marker = out / "run.json"
    if not marker.exists():
        if out.is_dir() and any(path.name != TUNING for path in out.iterdir()):
            raise InputError(
                f"Expected --out to be a new folder or a run. {out} holds other things; name a new folder."
            )
        out.mkdir(parents=True, exist_ok=True)
        write_json(marker, identity)
        return
    before = read_json(marker)
    wanted = json.loads(json.dumps(identity))  # as it would read back: tuples are lists
    if before != wanted:
        keys = sorted(key for key in {*before, *wanted} if before.get(key) != wanted.get(key))
        _take_over(out, f"It differs in: {', '.join(keys)}.")
        write_json(marker, identity)
    for partial in out.glob("*.partial"):  # what a killed run left half-written
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


def _take_over(out: Path, differs: str) -> None:
    """Clear away what another run left that failed before anything was finished; refuse if it left more than that."""
    found = [path for path in sorted(out.rglob("*"), reverse=True) if path.relative_to(out).parts[0] != TUNING]
    inside = {path: path.relative_to(out).as_posix() for path in found}
    kept = ("run.json", FEATURES)
    work = [path for path in found if path.is_file() and not _matches(inside[path], (*kept, *LEFTOVERS))]
    if work:
        remedy = "Name another --out, or delete that folder."
        if all(path.name == CHECKPOINT for path in work):
            remedy = f"Nothing is finished there: delete {', '.join(map(str, work))} to begin anew, or name another."
        raise InputError(f"Expected {out} to be a run of the same data, contestants and settings. {differs} {remedy}")
    for path in found:  # files before their folders
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and not _matches(inside[path], kept):
            path.unlink(missing_ok=True)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a predictions.npz whole or not at all."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with partial.open("wb") as file:
            arrays: dict[str, Any] = {
                "labels": predictions.labels,
                "probabilities": predictions.probabilities,
                "names": predictions.names,
                "class_names": np.array(predictions.class_names, dtype=np.str_),
                "manifest": np.array(predictions.manifest),
                **_columns_as_arrays(predictions.columns),
            }
            np.savez_compressed(file, **arrays)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_contestant(
    out: Path,
    folder: str,
    predictions: Predictions,
    details: dict[str, Any],
    also: Callable[[Path], None] | None = None,
    held_out: Predictions | None = None,
) -> None:
    """Write RUN/NAME with predictions.npz, contestant.json, perhaps held_out.npz, and what `also` puts there, all or
    nothing.
    """
    partial = out / f"{folder}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    write_predictions(partial / "predictions.npz", predictions)
    if held_out is not None:
        write_predictions(partial / HELD_OUT, held_out)
    if also is not None:
        also(partial)
    write_json(partial / "contestant.json", details)
    shutil.rmtree(out / folder, ignore_errors=True)
    os.replace(partial, out / folder)


def read_contestant(out: Path, folder: str) -> tuple[Predictions, dict[str, Any]] | None:
    """What `write_contestant` wrote, or None where that contestant is not finished."""
    details = out / folder / "contestant.json"
    return (read_predictions(out / folder / "predictions.npz"), read_json(details)) if details.exists() else None


def read_held_out(out: Path, folder: str) -> Predictions | None:
    """What a finished contestant answered for rows that its fit held back; None where it told of none."""
    path = out / folder / HELD_OUT
    return read_predictions(path) if path.exists() else None


def read_arrays(path: Path, remedy: str = "") -> dict[str, NDArray[Any]]:
    """All arrays of an .npz, nothing of it unpickled; remedy: ends the line of one that cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = "it holds Python objects" if "allow_pickle" in str(error) else error
        raise InputError(f"Expected an .npz of plain arrays. {path} cannot be read: {reason}{remedy}") from None


def read_predictions(path: str | Path) -> Predictions:
    """Read a predictions.npz (a run's, or your own with `labels` and `probabilities`); no model and no images needed.

    `names`, `class_names` and `manifest` may be missing: rows and classes are then named by their numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"Expected a predictions.npz. {path} is not a file.")
    if not zipfile.is_zipfile(path):  # NumPy would advise to load it unsafely
        raise InputError(f"Expected an .npz of plain arrays. {path} cannot be read as one.")
    arrays = read_arrays(path)
    missing = [key for key in ("labels", "probabilities") if key not in arrays]
    if missing:
        raise InputError(
            f"Expected 'labels' and 'probabilities' in {path}. Received: {', '.join(sorted(arrays)) or 'nothing'}."
        )
    labels, probabilities = arrays["labels"], arrays["probabilities"]
    rows, classes = labels.shape[:1], probabilities.shape[1:2]
    names = arrays.get("names", np.arange(*rows or (0,)).astype(np.str_))
    class_names = arrays.get("class_names", np.arange(*classes or (0,)))
    column_names = arrays.get("column_names", np.zeros(0, np.str_))
    columns = arrays.get("columns", np.zeros((0, *rows)))
    expected = {"names": (names, rows), "class_names": (class_names, class_names.shape[:1] or classes)}
    expected |= {"columns": (columns, (*column_names.shape, *rows))}
    for key, (array, shape) in expected.items():
        if array.shape != shape and rows != (0,):
            raise InputError(f"Expected {key} of shape {shape} in {path}. Received: {array.shape}.")
    return Predictions(
        labels=labels,
        probabilities=probabilities,
        names=names,
        class_names=tuple(str(name) for name in class_names),
        manifest=str(arrays.get("manifest", "")),
        columns={str(name): column for name, column in zip(column_names, columns, strict=True)},
    )


def _columns_as_arrays(columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """`column_names` str (J,) and `columns` str (J, N) of those columns (N,) in which any value occurs twice."""
    kept = {name: np.asarray(column) for name, column in columns.items()}
    kept = {name: column for name, column in kept.items() if column.ndim == 1 and len(np.unique(column)) < len(column)}
    if not kept:
        return {}
    texts = np.stack([column.astype(np.str_) for column in kept.values()])
    return {"column_names": np.array(list(kept), np.str_), "columns": texts}
