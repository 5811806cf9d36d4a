"""How fast the evaluation is: the same numbers as scikit-learn's functions, side by side in one run.

    python benchmarks/evaluation.py [--rows 1000000 --classes 100] [--resamples 2000] [--loop 3]

prints seconds, peak memory and the ratio, for all metrics at once and for the bootstrap of accuracy, macro F1 and log
loss. The loop of scikit-learn calls is timed for a few resamples and multiplied up.
"""

import argparse
import resource
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import keras
import numpy as np
import sklearn.metrics as sk
from numpy.typing import NDArray

from toolkit.evaluation import evaluate, point_metrics
from toolkit.evaluation.bootstrap import confusion_replicates
from toolkit.evaluation.design import check_design
from toolkit.evaluation.precision import double_precision
from toolkit.evaluation.resampling import resample_mean
from toolkit.evaluation.rows import read_rows


def simulate(rows: int, classes: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels (N,) and the probabilities (N, K) of a contestant that is right about three times in four."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    scores = rng.standard_normal((rows, classes), dtype=np.float32)
    scores[np.arange(rows), labels] += 0.7 + np.sqrt(2 * np.log(classes))
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return labels, scores


def scikit_learn(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> dict[str, float]:
    """All the numbers of `point_metrics` but the calibration error, which scikit-learn has not."""
    classes = probabilities.shape[1]
    everything = np.arange(classes)
    predicted = probabilities.argmax(axis=1)
    values = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "matthews": sk.matthews_corrcoef(labels, predicted),
        "kappa": sk.cohen_kappa_score(labels, predicted),
        "log_loss": sk.log_loss(labels, probabilities, labels=everything),
        "brier": sk.brier_score_loss(labels, probabilities, labels=everything, scale_by_half=False),
    }
    for average in ("macro", "weighted"):
        found = sk.precision_recall_fscore_support(labels, predicted, average=average)
        values |= {f"{average}_{name}": found[at] for at, name in enumerate(("precision", "recall", "f1"))}
    each = [(labels == index, probabilities[:, index]) for index in range(classes)]
    values["roc_auc"] = np.mean([sk.roc_auc_score(*pair) for pair in each])
    values["average_precision"] = np.mean([sk.average_precision_score(*pair) for pair in each])
    for k in (3, 5):
        if k < classes:
            top = sk.top_k_accuracy_score(labels, probabilities, k=k, labels=everything)
            values[f"top_{k}_accuracy"] = top
    return {name: float(value) for name, value in values.items()}


@double_precision
def bootstrap(labels: Any, probabilities: Any, resamples: int) -> NDArray[np.float64]:
    """Replicates (3, resamples) of accuracy, macro F1 and log loss, from the arrays on."""
    rows = read_rows(labels, probabilities)
    design = check_design(None, len(labels))
    confusion = confusion_replicates([rows], design, resamples, seed=0)[0]
    return np.stack([confusion["accuracy"], confusion["macro_f1"], resample_mean(rows.log_loss, design, resamples, 0)])


def loop(labels: Any, probabilities: Any, resamples: int) -> NDArray[np.float64]:
    """The same by scikit-learn, row by row."""
    rng = np.random.default_rng(0)
    everything = np.arange(probabilities.shape[1])
    replicates = np.empty((3, resamples))
    for index in range(resamples):
        drawn = rng.integers(0, len(labels), len(labels))
        truth, told = labels[drawn], probabilities[drawn]
        predicted = told.argmax(axis=1)
        replicates[:, index] = (
            sk.accuracy_score(truth, predicted),
            sk.f1_score(truth, predicted, average="macro"),
            sk.log_loss(truth, told, labels=everything),
        )
    return replicates


def best_of(function: Callable[[], Any], times: int) -> tuple[Any, float]:
    """The result and the least wall seconds of a number of calls."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def peak_gigabytes() -> float:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--loop", type=int, default=3, help="resamples of the scikit-learn loop that are really timed")
    parser.add_argument("--repeats", type=int, default=3)
    settings = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn's, on float32 rows that sum to 1 only nearly
    devices = ", ".join(keras.distribution.list_devices())
    packages = ", ".join(f"{name} {version(name)}" for name in ("keras", "tensorflow", "scikit-learn", "numpy"))
    print(f"{keras.config.backend()} on {devices}; {packages}")

    labels, probabilities = simulate(100_000, 10, seed=0)
    bootstrap(labels, probabilities, settings.resamples)
    before = peak_gigabytes()
    ours, seconds = best_of(lambda: bootstrap(labels, probabilities, settings.resamples), settings.repeats)
    print(f"bootstrap, 100,000 x 10, {settings.resamples} resamples of accuracy, macro F1, log loss:")
    print(f"  here {seconds:.2f} s, process peak {peak_gigabytes():.2f} GB ({before:.2f} GB after the first call)")
    theirs, peer = best_of(lambda: loop(labels, probabilities, settings.loop), 1)
    peer *= settings.resamples / settings.loop
    print(f"  scikit-learn loop {peer:.0f} s (from {settings.loop} resamples): {peer / seconds:.0f} times as long")
    print(f"  standard errors {ours.std(axis=1)}, means {ours.mean(axis=1)} and {theirs.mean(axis=1)}")
    _, seconds = best_of(lambda: evaluate(labels[:10_000], probabilities[:10_000]), settings.repeats)
    print(f"evaluate, 10,000 x 10, every interval: {seconds:.2f} s")
    for method in ("percentile", "bca"):
        _, seconds = best_of(lambda m=method: evaluate(labels[:10_000], probabilities[:10_000], method=m), 1)  # type: ignore[misc]
        print(f"evaluate, 10,000 x 10, {method} with 2,000 resamples, areas too: {seconds:.2f} s")

    labels, probabilities = simulate(settings.rows, settings.classes, seed=1)
    found, seconds = best_of(lambda: point_metrics(labels, probabilities), settings.repeats)
    print(f"all metrics, {settings.rows:,} x {settings.classes}: here {seconds:.2f} s, peak {peak_gigabytes():.2f} GB")
    expected, peer = best_of(lambda: scikit_learn(labels, probabilities), 1)
    worst = max(abs(found[name] - value) for name, value in expected.items())
    print(f"  scikit-learn {peer:.1f} s: {peer / seconds:.1f} times as long; largest difference {worst:.1e}")


if __name__ == "__main__":
    main()
