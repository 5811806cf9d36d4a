"""Runs as the report sees them: what `compare` wrote, with a note for whatever is missing. It draws nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.evaluation.checks import check_arrays, check_sums, sum_tolerance
from toolkit.runs import Predictions, check_together, read_json, read_predictions


@dataclass(frozen=True)
class Interval:
    """A value and the ends of its interval; the ends are None where only the value is known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Entrant:
    """One contestant of a run; `colour` follows its name through all runs of a report."""

    name: str
    colour: int
    values: Mapping[str, Any]  # its entry in comparison.json
    predicted: NDArray[np.int64] | None = None  # (N,)
    confidence: NDArray[np.float32] | None = None  # (N,), probability of the predicted class
    true_probability: NDArray[np.float32] | None = None  # (N,)
    probabilities: NDArray[np.float32] | None = None  # (N, K)
    details: Mapping[str, Any] = field(default_factory=dict)  # its contestant.json

    def metric(self, name: str) -> Interval | None:
        """A metric with its interval, None where the run does not have it."""
        return as_interval(self.values.get(name))

    def number(self, *path: str) -> float | None:
        """A plain number of its entry, such as `number("latency", "p50_seconds")`; None where it is missing."""
        value: Any = self.values
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def deep(self) -> bool:
        """Whether a network is in it; of runs that do not say, whether it is one, by its type."""
        told = dict(self.values.get("made_of") or {})
        return bool(told.get("network", dict(self.values.get("settings") or {}).get("type") == "KerasClassifier"))

    @property
    def calibrated(self) -> bool:
        """Whether its own fit ends in a calibration, of runs that say so."""
        return bool(dict(self.values.get("made_of") or {}).get("calibrated"))

    @property
    def members(self) -> tuple[str, ...]:
        """The names of those that an ensemble is made of, none for others."""
        return tuple(str(name) for name in dict(self.values.get("made_of") or {}).get("members") or ())


@dataclass(frozen=True)
class Run:
    """A finished duel, the most accurate contestant first."""

    folder: Path
    title: str
    data: Mapping[str, Any]
    confidence: float
    entrants: tuple[Entrant, ...]
    pairs: tuple[Mapping[str, Any], ...]
    letters: Mapping[str, str]
    class_names: tuple[str, ...]
    labels: NDArray[np.int64]  # (N,), empty without predictions
    names: NDArray[np.str_]  # (N,)
    comparison: Mapping[str, Any]
    audit: Mapping[str, Any]  # audit.json; empty where there is none
    notes: tuple[str, ...]  # what the run lacks

    @property
    def answered(self) -> tuple[Entrant, ...]:
        """The contestants whose predictions are there."""
        return tuple(entrant for entrant in self.entrants if entrant.predicted is not None)

    @property
    def classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    def test_rows(self) -> int:
        """N."""
        return len(self.labels) or int((self.data.get("rows") or {}).get("test", 0))


def as_interval(entry: Any) -> Interval | None:
    """`{"value", "low", "high"}` or a bare number as an Interval; None for anything else, null and NaN included."""
    if isinstance(entry, int | float) and not isinstance(entry, bool):
        entry = {"value": entry}
    if not isinstance(entry, Mapping) or not _finite(entry.get("value")):
        return None
    ends = [float(entry[end]) if _finite(entry.get(end)) else None for end in ("low", "high")]
    return Interval(float(entry["value"]), *ends)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))


def read_runs(folders: Sequence[str | Path]) -> tuple[Run, ...]:
    """Read finished runs; a contestant has the same colour in all of them.

    Raises:
        InputError: for no folder, a folder that is no finished run, damaged files, or predictions of another test set.
    """
    if not folders:
        raise InputError("Expected at least one run folder. Received none.")
    paths = [Path(folder) for folder in folders]
    twice = [str(path) for at, path in enumerate(paths) if path.resolve() in {one.resolve() for one in paths[:at]}]
    if twice:
        raise InputError(f"Expected every run once. Received more than once: {', '.join(twice)}.")
    comparisons = [_read_comparison(path) for path in paths]
    colours: dict[str, int] = {}
    for comparison in comparisons:
        for name in comparison["contestants"]:
            colours.setdefault(name, len(colours))
    runs = [_run(path, comparison, colours) for path, comparison in zip(paths, comparisons, strict=True)]
    titles = [run.title for run in runs]  # several of one data set are told apart by their folders
    return tuple(
        replace(run, title=f"{run.title}, {run.folder.resolve().name}") if titles.count(run.title) > 1 else run
        for run in runs
    )


def _read_comparison(folder: Path) -> dict[str, Any]:
    path = folder / "comparison.json"
    if not path.is_file():
        if (folder / "search.json").is_file():
            raise InputError(f"Expected the folder of a run. {folder} is that of a search; report it alone.")
        if (folder / "training.json").is_file():
            raise InputError(f"Expected the folder of a `compare` or a `tune`. {folder} is that of a `train`.")
        if (folder / "run.json").is_file():
            raise InputError(
                f"Expected a finished run. {folder} is half finished; the command that began it goes on from there."
            )
        raise InputError(f"Expected the folder of a run, with a comparison.json. Received: {folder}.")
    comparison = read_json(path)
    contestants = comparison.get("contestants") if isinstance(comparison, dict) else None
    if not isinstance(contestants, dict) or not contestants or not isinstance(comparison.get("data"), dict):
        raise InputError(
            f"Expected a comparison with 'data' and 'contestants' in {path}. Received other JSON; repeat the run."
        )
    if not all(isinstance(values, dict) and as_interval(values.get("accuracy")) for values in contestants.values()):
        raise InputError(f"Expected an accuracy for every contestant in {path}. Received one without; repeat the run.")
    return comparison


def _run(folder: Path, comparison: Mapping[str, Any], colours: Mapping[str, int]) -> Run:
    data, notes = comparison["data"], []
    entrants, answers, found = [], {}, {}
    for name, values in comparison["contestants"].items():
        place = folder / str(values.get("folder", name))
        if (place / "predictions.npz").is_file():
            predictions = read_predictions(place / "predictions.npz")
            answers[name] = predictions
        else:
            notes.append(f"The predictions of {name} are missing: its calibration and its images cannot be shown.")
        details = read_json(place / "contestant.json") if (place / "contestant.json").is_file() else {}
        found[name] = details if isinstance(details, dict) else {}
    _check_answers(folder, data, answers)
    for name, values in comparison["contestants"].items():
        entrants.append(_entrant(name, colours[name], values, answers.get(name), found[name]))
    entrants.sort(key=lambda entrant: (-_value(entrant, "accuracy"), _value(entrant, "log_loss")))
    first = next(iter(answers.values()), None)
    class_names = data.get("class_names") or (first.class_names if first else _numbered(entrants[0]))
    return Run(
        folder=folder,
        title=_title(data.get("source"), folder),
        data=data,
        confidence=float(comparison.get("confidence", 0.95)),
        entrants=tuple(entrants),
        pairs=tuple(pair for pair in comparison.get("pairs") or () if isinstance(pair, dict)),
        letters=comparison.get("groups") or {},
        class_names=tuple(str(name) for name in class_names),
        labels=first.labels if first else np.zeros(0, np.int64),
        names=first.names if first else np.zeros(0, np.str_),
        comparison=comparison,
        audit=_audit(folder),
        notes=tuple(notes),
    )


def _audit(folder: Path) -> Mapping[str, Any]:
    """What `touchstone audit` wrote into the run, if anything."""
    path = folder / "audit.json"
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _entrant(
    name: str, colour: int, values: Mapping[str, Any], predictions: Predictions | None, details: Mapping[str, Any]
) -> Entrant:
    if predictions is None:
        return Entrant(name, colour, values, details=details)
    probabilities = np.asarray(predictions.probabilities)
    rows = np.arange(len(probabilities))
    predicted = probabilities.argmax(axis=1)
    return Entrant(
        name,
        colour,
        values,
        predicted=predicted,
        confidence=probabilities[rows, predicted],
        true_probability=probabilities[rows, predictions.labels],
        probabilities=probabilities,
        details=details,
    )


def _check_answers(folder: Path, data: Mapping[str, Any], answers: Mapping[str, Predictions]) -> None:
    """Refuse what are no probabilities, and what is not of one test set: this run's manifest, rows and classes."""
    for name, one in answers.items():
        try:
            _, values = check_arrays(one.labels, one.probabilities)
            check_sums(float(values.min()), values.sum(axis=1, dtype=np.float64), sum_tolerance(one.probabilities))
        except InputError as error:
            raise InputError(f"{error} They are those of '{name}' in {folder}.") from None
        told = data.get("class_names") or one.class_names
        if not values.shape[1] == len(told) == len(one.class_names):
            raise InputError(
                f"Expected {values.shape[1]} class names, one for each column of '{name}' in {folder}. "
                f"Received: {len(told)} in comparison.json, {len(one.class_names)} in predictions.npz."
            )
    try:
        check_together(answers, str(data.get("sha256") or ""))
    except InputError as error:
        raise InputError(f"{error} They are in {folder}.") from None


def _value(entrant: Entrant, metric: str) -> float:
    interval = entrant.metric(metric)
    return interval.value if interval else float("inf")


def _numbered(entrant: Entrant) -> list[str]:
    return [str(index) for index in range(len(entrant.values.get("confusion") or ()))]


def _title(source: Any, folder: Path) -> str:
    text = str(source or folder.resolve().name)
    return Path(text).name or text
