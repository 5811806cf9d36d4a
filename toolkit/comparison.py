"""The duel: the same rows for all, one evaluation, a verdict for each pair, the cost. It knows the protocol only."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from toolkit import runs
from toolkit.artifact import save
from toolkit.classifier import Classifier
from toolkit.contending import Contended, check_weights, contend, plain, settings
from toolkit.data import Dataset
from toolkit.errors import InputError
from toolkit.evaluation import Design, Evaluation, cochran_q, compare_pairs, details, evaluate, grouped, groups
from toolkit.leaderboard import SCHEMA, Comparison, Outcome
from toolkit.memory import peaks
from toolkit.progress import Advance, bar

Task = Callable[[Dataset], Contended]
Elsewhere = Callable[[Mapping[str, Task], Dataset], Iterator[tuple[str, Contended]]]  # results as they come


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
    memory: bool = False,
) -> Comparison:
    """Fit every contestant on the training and validation rows, judge all of them on the test rows.

    Nothing is chosen here, so the validation rows train too. What a contestant held back of them inside its own fit
    (`contending.held_out`) gives a temperature, whose effect on the test rows the details tell; its predictions stay as
    they are. Contestants are fitted in place. With `out`, each finished
    contestant is written to the folder at once; the same call goes on with those not yet finished, a network after its
    last whole epoch; another call is refused. `seed` is that of the bootstrap; contestants carry their own. `command`
    is written down, for whoever runs it again, and so is `tuning`, the account of a search that chose the settings
    (`toolkit.tuning.together.account`). With `out` each fitted classifier is kept as NAME/model (`keep_models`); one
    that cannot be is told so in contestant.json. `elsewhere` runs contestants side by side on other machines
    (`toolkit.cluster.run_all`) and not in place. `memory` measures what each kept model takes to answer, in a process
    of its own that needs some seconds to start (`toolkit.memory`).
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
        "data": {
            "sha256": dataset.manifest.sha256,
            "pixels": dataset.pixels if out is not None else "",  # read once more, to know the run by
            "settings": plain(dict(dataset.manifest.settings)),
        },
        "contestants": {name: settings(classifier) for name, classifier in contestants.items()},
        "settings": {"seed": seed, "confidence": confidence, "resamples": resamples},
    }
    folder = Path(out) if out is not None else None
    if folder is not None:
        runs.open_run(folder, identity)

    stored = {name: runs.read_contestant(folder, folders[name]) if folder is not None else None for name in contestants}
    finished = {name: known for name, known in stored.items() if known is not None}
    held_out = {name: runs.read_held_out(folder, folders[name]) for name in finished} if folder is not None else {}
    kept = {name: folder / folders[name] / runs.CHECKPOINT for name in contestants} if folder and not elsewhere else {}
    waiting = {name: one for name, one in contestants.items() if name not in finished}
    if len(waiting) > 1 and not elsewhere:  # one alone says so itself; elsewhere may have what is not here
        check_weights(waiting, dataset.image_shape)
    tasks = {name: partial(contend, name, one, checkpoint=kept.get(name)) for name, one in waiting.items()}
    with bar("Duel", total=len(contestants), show=show_progress) as advance:
        advance(len(finished))
        for name, (fitted, predictions, costs, held) in (elsewhere or partial(_in_turn, advance))(tasks, dataset):
            finished[name], held_out[name] = (predictions, costs), held
            if folder is not None:
                also = _keeping(fitted, dataset, predictions, costs, memory) if keep_models else None
                runs.write_contestant(folder, folders[name], predictions, costs, also, held)
            advance(1)
    finished = {name: finished[name] for name in contestants}

    labels, design = dataset.test.labels, _design(dataset.test.columns)
    told: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed, "design": design}
    if design is not None:
        data["clusters"] = design.units
    elif _one_group(dataset.test.columns):
        data["clusters"] = 1  # nobody knows how far another group would be from it
    runs.check_together({name: predictions for name, (predictions, _) in finished.items()}, dataset.manifest.sha256)
    by_name = {name: predictions.probabilities for name, (predictions, _) in finished.items()}
    outcomes = {}
    for name, (predictions, costs) in finished.items():
        evaluation, further = _judged(predictions, held_out[name], dataset, told)
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


def _judged(
    predictions: runs.Predictions, held: runs.Predictions | None, dataset: Dataset, told: Mapping[str, Any]
) -> tuple[Evaluation, dict[str, Any]]:
    """What the test rows say, and what stands behind it; rows held back (`held`) give a temperature."""
    test, answers = dataset.test, predictions.probabilities
    known = None if held is None else (held.labels, held.probabilities)
    more = {name: told[name] for name in ("confidence", "design")}
    further = details(test.labels, answers, test.columns, held_out=known, **more)
    return evaluate(test.labels, answers, dataset.class_names, **told), further


def _keeping(
    classifier: Classifier, dataset: Dataset, predictions: runs.Predictions, details: dict[str, Any], memory: bool
) -> Callable[[Path], None]:
    """Write the model into a contestant's folder, or the reason why not into its details; and what it takes."""

    def keep(folder: Path) -> None:
        right = predictions.probabilities.argmax(axis=1) == predictions.labels
        about: dict[str, Any] = {"class_names": dataset.class_names, "manifest": dataset.manifest}
        about["image_shape"] = dataset.image_shape
        metrics = {"test_accuracy": float(right.mean()), "test_rows": len(right)}
        try:
            save(classifier, folder / "model", **about, metrics=metrics)
        except InputError as error:
            details["unsaved"] = str(error)
            return
        if memory:
            details["cost"] = {**details["cost"], **peaks(folder / "model", dataset.test.images)}

    return keep


def _design(columns: Mapping[str, NDArray[Any]]) -> Design | None:
    """Rows of one `group` are drawn together, rows without one alone; None where no group has two test rows."""
    return grouped(columns["group"]) if "group" in columns else None


def _one_group(columns: Mapping[str, NDArray[Any]]) -> bool:
    """Whether all test rows, two or more, are of one group."""
    groups = columns["group"].tolist() if "group" in columns else []
    return len(groups) > 1 and len(set(groups)) == 1 and groups[0] != ""


def _rows(dataset: Dataset) -> dict[str, int]:
    counts = {part: len(getattr(dataset, part).labels) for part in ("train", "validation", "test")}
    return {**counts, "fit": counts["train"] + counts["validation"]}


def _in_turn(advance: Advance, tasks: Mapping[str, Task], dataset: Dataset) -> Iterator[tuple[str, Contended]]:
    """One contestant after the other, here."""
    for name, task in tasks.items():
        advance(0, note=name)
        yield name, task(dataset)
