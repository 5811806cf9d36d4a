"""Image sets described by a table: a CSV or Parquet file with a row for each picture. It opens no picture."""

import csv
import math
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.dataset import plain_name
from toolkit.data.listing import SPLIT_FOLDERS, Listing, ordered_classes
from toolkit.errors import InputError

BOX = ("xmin", "ymin", "xmax", "ymax")  # pixels of the picture as the file holds it, the right way up
Table = Mapping[str, Sequence[Any]]


def table_file(path: Path) -> Listing:
    """Columns `path` and `label`; as wanted `split`, `group` and the four of a box, `xmin`, `ymin`, `xmax`, `ymax`.

    All others, such as a camera or a site, are kept as text beside the rows, to judge each of their values by itself.
    Paths are relative to the table's folder and stay inside it, so that names mean the same on every machine.
    """
    table = _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)
    missing = [name for name in ("path", "label") if name not in table]
    if missing:
        raise InputError(f"Expected columns path and label in '{path.name}'. Received: {', '.join(table) or 'none'}.")
    if not table["path"]:
        raise InputError(f"Expected a row for each image in '{path.name}'. Received: none.")
    names = [_inside(str(value), row, path.name) for row, value in enumerate(table["path"], start=1)]
    _each_once(names, path.name)
    labels = [_text(value) for value in table["label"]]
    if "" in labels:
        raise InputError(
            f"Expected a label in each row of '{path.name}'. Received: none in row {labels.index('') + 1}."
        )
    class_names = ordered_classes(set(labels))
    numbers = {name: number for number, name in enumerate(class_names)}
    order = sorted(range(len(names)), key=lambda row: plain_name(names[row]))
    columns: dict[str, NDArray[Any]] = {
        name: np.array([_text(values[row]) for row in order])
        for name, values in table.items()
        if name and name not in ("path", "label", "split", *BOX)
    }
    if all(name in table for name in BOX):
        columns["box"] = np.array([[_number(table[name][row], name, row, path.name) for name in BOX] for row in order])
    given = np.array([_split(table["split"][row], row, path.name) for row in order]) if "split" in table else None
    return Listing(
        names=tuple(plain_name(names[row]) for row in order),
        labels=np.array([numbers[labels[row]] for row in order], np.int64),
        class_names=tuple(plain_name(name) for name in class_names),
        files=tuple(path.parent / names[row] for row in order),
        given=given,
        columns=columns,
    )


def _csv(path: Path) -> Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=head.count)
            rows = list(csv.reader(file, delimiter=delimiter, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Expected '{path.name}' as CSV in UTF-8. Received: {error}.") from error
    if not rows:
        raise InputError(f"Expected '{path.name}' with a line of column names. Received: an empty file.")
    columns = [name.strip() for name in rows[0]]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise InputError(f"Expected columns of '{path.name}' that differ. Received: {', '.join(twice)} more than once.")
    body = [row for row in rows[1:] if any(cell.strip() for cell in row)]
    for number, row in enumerate(body, start=1):
        if len(row) != len(columns):
            raise InputError(
                f"Expected {len(columns)} values in each row of '{path.name}'. Received: {len(row)} in row {number}."
            )
    return {name: [row[column].strip() for row in body] for column, name in enumerate(columns)}


def _parquet(path: Path) -> Table:
    try:
        from pyarrow import ArrowException, parquet, types
    except ImportError:
        raise InputError(
            "Expected pyarrow for Parquet files. Install it: pip install 'touchstone-vision[parquet]'."
        ) from None
    try:
        table = parquet.read_table(path)
        plain = [field.name for field in table.schema if not types.is_nested(field.type)]
        return table.select(plain).to_pydict()
    except (OSError, ArrowException) as error:
        raise InputError(f"Expected '{path.name}' as Parquet. Received: {' '.join(str(error).split())}.") from error


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()


def _number(value: Any, column: str, row: int, source: str) -> float:
    try:
        return float(_text(value) or math.nan)
    except ValueError:
        raise InputError(
            f"Expected numbers in '{column}' of '{source}'. Received: '{value}' in row {row + 1}."
        ) from None


def _split(value: Any, row: int, source: str) -> str:
    text = _text(value).lower()
    if text and text not in SPLIT_FOLDERS:
        raise InputError(
            f"Expected splits named train, validation or test in '{source}'. Received: '{value}' in row {row + 1}."
        )
    return SPLIT_FOLDERS.get(text, "")


def _inside(value: str, row: int, source: str) -> str:
    name = posixpath.normpath(value) if value.strip() else ""
    if not name or "\0" in name or posixpath.isabs(name) or Path(value).is_absolute() or name.split("/")[0] == "..":
        raise InputError(
            f"Expected paths relative to the folder of '{source}' and inside it. Received: '{value}' in row {row}. "
            "Put the table above its images."
        )
    return name


def _each_once(names: Sequence[str], source: str) -> None:
    rows: dict[str, int] = {}
    for row, name in enumerate(names, start=1):
        if rows.setdefault(name, row) != row:
            raise InputError(
                f"Expected each path once in '{source}'. Received: '{name}' in rows {rows[name]} and {row}."
            )
