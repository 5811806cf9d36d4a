"""What a search leaves in its folder: search.json, the one book, from which trials.csv and best.json follow.

Every file is written beside and renamed, after every trial; a killed search has lost nothing that had ended.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.runs import read_json, write_json, write_text
from toolkit.tuning.trial import OBJECTIVES, Trial

BOOK, TABLE, BEST = "search.json", "trials.csv", "best.json"
SCHEMA = 1


def read_trials(folder: Path) -> list[Trial]:
    """The trials of the folder's book in their order, none where there is no book yet.

    Raises:
        InputError: for a file that is no book.
    """
    if not (folder / BOOK).exists():
        return []
    book = read_json(folder / BOOK)
    try:
        return [Trial.from_dict(trial) for trial in book["trials"]]
    except (TypeError, KeyError, AttributeError, ValueError):
        raise InputError(
            f"Expected the trials of a search in {folder / BOOK}. Received other JSON; name another folder."
        ) from None


def write_trials(folder: Path, head: Mapping[str, Any], trials: Sequence[Trial]) -> None:
    """Write the book: the head (contestant, objective, method, ...) and all trials; then what follows from it."""
    write_json(folder / BOOK, {"schema": SCHEMA, **head, "trials": [trial.to_dict() for trial in trials]})
    write_text(folder / TABLE, _table(trials))
    best = best_of(trials, head["objective"])
    if best is not None:
        own = {"trial": best.number, "values": best.values, "metrics": best.metrics}
        write_json(folder / BEST, {"schema": SCHEMA, **head, **own, "spent": spent(trials)})


def best_of(trials: Sequence[Trial], objective: str) -> Trial | None:
    """The finished trial with the best score, the earliest of equals, of those that saw the most training rows."""
    finished = [trial for trial in trials if trial.status == "finished"]
    if not finished:
        return None
    share = max(trial.share for trial in finished)
    sign = 1 if OBJECTIVES[objective] == "min" else -1
    return min((trial for trial in finished if trial.share == share), key=lambda trial: sign * trial.metrics[objective])


def spent(trials: Sequence[Trial]) -> dict[str, float]:
    """What the trials cost: how many ended, failed and pruned ones among them; seconds of the whole search."""
    ended = [trial for trial in trials if trial.status != "running"]
    return {
        "trials": len(ended),
        "failed": sum(trial.status == "failed" for trial in ended),
        "pruned": sum(trial.status == "pruned" for trial in ended),
        "seconds": max((trial.elapsed_seconds for trial in ended), default=0.0),
    }


def read_best(path: str | Path) -> dict[str, Any]:
    """The best.json of a search, given as the file or as the folder that it lies in.

    Raises:
        InputError: for no such file, or one that is not of this kind.
    """
    path = Path(path)
    file = path / BEST if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"Expected the folder of a search, or its best.json. {file} is not there.")
    best = read_json(file)
    if not isinstance(best, dict) or not {"contestant", "values", "objective"} <= set(best):
        raise InputError(f"Expected 'contestant', 'values' and 'objective' in {file}. Received another kind of file.")
    return best


def _table(trials: Sequence[Trial]) -> str:
    names = list(dict.fromkeys(name for trial in trials for name in trial.values))
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    kept = ("number", "origin", "status", "share", "seconds", "elapsed_seconds")
    writer.writerow([*kept, "epochs", *OBJECTIVES, *names, "error"])
    for trial in trials:
        own = [*(getattr(trial, name) for name in kept), len(trial.curve) or ""]
        scores = [trial.metrics.get(name, "") for name in OBJECTIVES]
        writer.writerow([*own, *scores, *(trial.values.get(name, "") for name in names), trial.error])
    return sheet.getvalue()
