"""The duel: the same rows for all, one evaluation, a verdict for each pair, the cost. It knows the protocol only."""

import dataclasses
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from toolkit import runs
from toolkit.artifact import save
from toolkit.classifier import Classifier
from toolkit.contending import Contended, contend, plain, settings
from toolkit.data import Dataset
from toolkit.environment import device, versions
from toolkit.errors import InputError
from toolkit.evaluation import Design, Evaluation, Pair, cochran_q, compare_pairs, details, evaluate, grouped, groups
from toolkit.pair_table import pair_table
from toolkit.progress import Advance, bar

if TYPE_CHECKING:
    from rich.table import Table

Task = Callable[[Dataset], Contended]
Elsewhere = Callable[[Mapping[str, Task], Dataset], Iterator[tuple[str, Contended]]]  # results as they come
CHECKPOINT = "checkpoint.npz"  # in a contestant's folder while its network trains
SCHEMA = 1  # of comparison.json; grows when a reader would have to change


@dataclass(frozen=True)
class Outcome:
    """What one contestant reached on the test rows, and what it cost."""

    name: str
    folder: str  # its folder inside the run
    evaluation: Evaluation
    fit_seconds: float  # wall time of fit, compilation and calibration included
    predict_seconds_per_image: float  # of one call for all test rows, warm, divided by them
    size_bytes: int | None  # pickled; None for a contestant that cannot be
    settings: dict[str, Any]
    cost: dict[str, Any] = dataclasses.field(default_factory=dict)  # `toolkit.cost.Cost`: latency, memory, parameters
    history: dict[str, list[float | None]] = dataclasses.field(default_factory=dict)  # a value an epoch, of networks
    best_epoch: int | None = None  # counted from 0, whose weights were kept
    unsaved: str = ""  # why there is no NAME/model
    diagnosis: dict[str, Any] = dataclasses.field(default_factory=dict)  # kind, words, advice: what its curves say
    details: dict[str, Any] = dataclasses.field(default_factory=dict)  # `toolkit.evaluation.details`

    def to_dict(self) -> dict[str, Any]:
        """Plain values: every metric at the top, then costs, classes, confusion, details and settings."""
        evaluation = self.evaluation.to_dict()
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        further = {**own.pop("details"), **{key: evaluation[key] for key in ("per_class", "confusion")}}
        own.pop("evaluation")
        return {**evaluation["metrics"], **own, **further}


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`: print it, or read `outcomes` and `pairs`."""

    outcomes: dict[str, Outcome]  # in the order given
    pairs: tuple[Pair, ...]  # every two contestants, p-values corrected for all of them (Holm)
    letters: dict[str, str]  # contestants that share a letter cannot be told apart
    data: dict[str, Any]  # the manifest: source, rows of each split, class names, sha256
    seed: int
    confidence: float
    resamples: int
    command: str = ""  # that made it, where it was one
    tuning: dict[str, Any] = dataclasses.field(default_factory=dict)  # budget, and what each spent; empty: defaults
    cochran: tuple[float, float] | None = None  # Q and p over three or more, rows drawn alone

    def ranked(self) -> list[Outcome]:
        """Outcomes, the most accurate first; ties by log loss."""
        return sorted(
            self.outcomes.values(),
            key=lambda outcome: (-outcome.evaluation["accuracy"].value, outcome.evaluation["log_loss"].value),
        )

    def to_dict(self) -> dict[str, Any]:
        """What comparison.json holds."""
        return {
            "schema": SCHEMA,
            "data": self.data,
            "seed": self.seed,
            "confidence": self.confidence,
            "resamples": self.resamples,
            "command": self.command,
            "tuning": self.tuning,
            "contestants": {name: outcome.to_dict() for name, outcome in self.outcomes.items()},
            "pairs": [pair.to_dict() for pair in self.pairs],
            "cochran": None if self.cochran is None else {"q": self.cochran[0], "p": self.cochran[1]},
            "groups": self.letters,
            "versions": versions(),
            "device": device(),
        }

    def table(self) -> "Table":
        """The leaderboard as a rich table."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        rows, source = self.data["rows"], escape(str(self.data["source"]))
        table = Table(
            title=f"{source}: {rows['fit']:,} images to learn from, {rows['test']:,} to be judged on",
            caption=f"[ ] {self.confidence:.0%} intervals. Contestants that share a letter cannot be told apart."
            + self._clustered()
            + self._tuned(),
            box=box.SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
        )
        table.add_column("contestant", no_wrap=True)
        for column in ("accuracy", "macro F1", "group", "fit s", "ms/image", "MB"):
            table.add_column(column, justify="center" if column == "group" else "right", no_wrap=True)
        for outcome in self.ranked():
            table.add_row(
                escape(outcome.name),
                _interval(outcome.evaluation["accuracy"]),
                f"{outcome.evaluation['macro_f1'].value:.3f}",
                self.letters[outcome.name],
                f"{outcome.fit_seconds:,.1f}",
                f"{outcome.predict_seconds_per_image * 1e3:.2f}",
                "-" if outcome.size_bytes is None else f"{outcome.size_bytes / 1e6:,.1f}",
            )
        return table

    def _clustered(self) -> str:
        """That intervals and tests count groups of rows, where some rows share one."""
        return f" Rows share {self.data['clusters']:,} groups, which is what counts." if "clusters" in self.data else ""

    def _tuned(self) -> str:
        """The budget that was spent on choosing settings, or that none was."""
        spent = self.tuning.get("contestants", {})
        if not spent:
            return ""
        each = ", ".join(f"{name} {cost['trials']:.0f} in {cost['seconds']:,.0f} s" for name, cost in spent.items())
        return f" Tuned by {self.tuning['objective']} on the same validation rows, trials: {each}."

    def pair_table(self) -> "Table":
        """A row for each pair: the verdict, and the smallest difference that this test set could have shown."""
        return pair_table(self.pairs, [outcome.name for outcome in self.ranked()], self.cochran)

    def verdict(self) -> str:
        """The answer in two sentences: who is the most accurate, who cannot be told from it, and what is cheap."""
        best, *others = self.ranked()
        accuracy = best.evaluation["accuracy"]
        first = f"Most accurate: {best.name}, {accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f})."
        if not others:
            return first
        beaten = {pair.a if pair.better == pair.b else pair.b for pair in self.pairs if pair.better == best.name}
        level = [outcome for outcome in others if outcome.name not in beaten]
        if not level:
            return f"{first} It is better than each of the others."
        quickest = min([best, *level], key=lambda outcome: outcome.fit_seconds)
        names = ", ".join(outcome.name for outcome in level)
        return (
            f"{first} These {self.data['rows']['test']:,} images cannot tell it from {names}; "
            f"the quickest of all these to fit is {quickest.name} ({quickest.fit_seconds:,.1f} s)."
        )

    def __str__(self) -> str:
        """The leaderboard, the pairs and the verdict as plain text."""
        from rich.console import Console

        console = Console(file=io.StringIO(), width=120, color_system=None)
        console.print(self.table())
        if self.pairs:
            console.print(self.pair_table())
        console.print(self.verdict(), highlight=False, markup=False)
        return str(console.file.getvalue())  # type: ignore[attr-defined]


def _interval(interval: Any) -> str:
    return f"{interval.value:.3f} \\[{interval.low:.3f}, {interval.high:.3f}]"


def compare(
    contestants: Mapping[str, Classifier],
    dataset: Dataset,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = 2000,
    show_progress: bool = True,
    command: str = "",
    tuning: Mapping[str, Any] | None = None,
    keep_models: bool = True,
    elsewhere: Elsewhere | None = None,
) -> Comparison:
    """Fit every contestant on the training and validation rows, judge all of them on the test rows.

    Nothing is chosen here, so the validation rows train too. Contestants are fitted in place. With `out`, each finished
    contestant is written to the folder at once; the same call goes on with those not yet finished, a network after its
    last whole epoch; another call is refused. `seed` is that of the bootstrap; contestants carry their own. `command`
    is written down, for whoever runs it again, and so is `tuning`, the account of a search that chose the settings
    (`toolkit.tuning.together.account`). With `out` each fitted classifier is kept as NAME/model (`keep_models`); one
    that cannot be is told so in contestant.json. `elsewhere` runs contestants side by side on other machines
    (`toolkit.cluster.run_all`) and not in place.
    """
    if not contestants:
        raise InputError("Expected at least one contestant. Received none.")
    for name, classifier in contestants.items():
        if not isinstance(classifier, Classifier):
            raise InputError(f"Expected '{name}' to have fit and predict_proba. Received: {type(classifier).__name__}.")
    folders = runs.folder_names(contestants)
    data = {**dataset.manifest.as_json(), "rows": _rows(dataset), "class_names": list(dataset.class_names)}
    identity: dict[str, Any] = {
        "schema": SCHEMA,
        "data": {"sha256": dataset.manifest.sha256, "settings": plain(dict(dataset.manifest.settings))},
        "contestants": {name: settings(classifier) for name, classifier in contestants.items()},
        "settings": {"seed": seed, "confidence": confidence, "resamples": resamples},
    }
    folder = Path(out) if out is not None else None
    if folder is not None:
        runs.open_run(folder, identity)

    stored = {name: runs.read_contestant(folder, folders[name]) if folder is not None else None for name in contestants}
    finished = {name: known for name, known in stored.items() if known is not None}
    kept = {name: folder / folders[name] / CHECKPOINT for name in contestants} if folder and not elsewhere else {}
    waiting = {name: one for name, one in contestants.items() if name not in finished}
    tasks = {name: partial(contend, name, one, checkpoint=kept.get(name)) for name, one in waiting.items()}
    with bar("Duel", total=len(contestants), show=show_progress) as advance:
        advance(len(finished))
        for name, (fitted, predictions, costs) in (elsewhere or partial(_in_turn, advance))(tasks, dataset):
            finished[name] = predictions, costs
            if folder is not None:
                also = _keeping(fitted, dataset, predictions, costs) if keep_models else None
                runs.write_contestant(folder, folders[name], predictions, costs, also=also)
            advance(1)
    finished = {name: finished[name] for name in contestants}

    labels, design = dataset.test.labels, _design(dataset.test.columns)
    told: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed, "design": design}
    if design is not None:
        data["clusters"] = design.units
    runs.check_together({name: predictions for name, (predictions, _) in finished.items()}, dataset.manifest.sha256)
    by_name = {name: predictions.probabilities for name, (predictions, _) in finished.items()}
    outcomes = {}
    for name, (predictions, costs) in finished.items():
        evaluation = evaluate(labels, predictions.probabilities, dataset.class_names, **told)
        further = details(labels, predictions.probabilities, dataset.test.columns, confidence=confidence, design=design)
        outcomes[name] = Outcome(
            name, folders[name], evaluation, settings=identity["contestants"][name], details=further, **costs
        )
    pairs = tuple(compare_pairs(labels, by_name, **told))
    accuracies = {name: outcome.evaluation["accuracy"].value for name, outcome in outcomes.items()}
    together = cochran_q(labels, by_name) if len(by_name) > 2 and design is None else None
    comparison = Comparison(
        outcomes,
        pairs,
        groups(accuracies, pairs),
        data,
        seed,
        confidence,
        resamples,
        command,
        tuning=dict(tuning or {}),
        cochran=together,
    )
    if folder is not None:
        runs.write_json(folder / "comparison.json", comparison.to_dict())
    return comparison


def _keeping(
    classifier: Classifier, dataset: Dataset, predictions: runs.Predictions, details: dict[str, Any]
) -> Callable[[Path], None]:
    """Write the model into a contestant's folder, or the reason why not into its details."""

    def keep(folder: Path) -> None:
        right = predictions.probabilities.argmax(axis=1) == predictions.labels
        about: dict[str, Any] = {"class_names": dataset.class_names, "manifest": dataset.manifest}
        about["image_shape"] = dataset.image_shape
        metrics = {"test_accuracy": float(right.mean()), "test_rows": len(right)}
        try:
            save(classifier, folder / "model", **about, metrics=metrics)
        except InputError as error:
            details["unsaved"] = str(error)

    return keep


def _design(columns: Mapping[str, NDArray[Any]]) -> Design | None:
    """Rows of one `group` are drawn together, rows without one alone; None where no group has two test rows."""
    return grouped(columns["group"]) if "group" in columns else None


def _rows(dataset: Dataset) -> dict[str, int]:
    counts = {part: len(getattr(dataset, part).labels) for part in ("train", "validation", "test")}
    return {**counts, "fit": counts["train"] + counts["validation"]}


def _in_turn(advance: Advance, tasks: Mapping[str, Task], dataset: Dataset) -> Iterator[tuple[str, Contended]]:
    """One contestant after the other, here."""
    for name, task in tasks.items():
        advance(0, note=name)
        yield name, task(dataset)
