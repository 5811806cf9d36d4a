"""Labels that are likely wrong, from what a classifier said of pictures it had not learnt from. It knows no picture.

Confident learning (Northcutt, Jiang & Chuang 2021, DOI 10.1613/jair.1.12125) as cleanlab has it: pruned by class and
by noise rate alike, which blames fewer than either alone.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.data.audit.findings import Finding
from toolkit.data.audit.measure import Source
from toolkit.errors import InputError


class Predictions(Protocol):
    """Out-of-sample predictions, as `toolkit.read_predictions` reads them from a run."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,), 0..K-1."""

    @property
    def probabilities(self) -> NDArray[np.floating[Any]]:
        """(N, K), rows sum to 1."""

    @property
    def names(self) -> NDArray[np.str_]:
        """(N,), as the audited source names its pictures."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """K."""


def label_errors(source: Source, runs: Iterable[Predictions]) -> list[Finding]:
    """The likeliest label errors first, by the mean of what one or more classifiers said of the same rows."""
    predictions = list(runs)
    first = predictions[0]
    _check(source, predictions)
    probabilities = np.mean([np.asarray(p.probabilities, np.float64) for p in predictions], axis=0)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = []
    for row in _suspects(np.asarray(first.labels), probabilities):
        given, better = int(first.labels[row]), int(probabilities[row].argmax())
        by = "the run" if len(predictions) == 1 else f"{len(predictions)} contestants together"
        detail = (
            f"labelled '{first.class_names[given]}' ({probabilities[row, given]:.1%} by {by}), "
            f"rather '{first.class_names[better]}' ({probabilities[row, better]:.1%})"
        )
        found.append(Finding("label error", "warning", detail, (str(first.names[row]),)))
    return found


def _suspects(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows whose label is likely wrong, the likeliest first. Classes that no row has are no candidates."""
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise InputError(
            "Expected cleanlab, which finds label errors. It is not installed: pip install 'touchstone-vision[audit]'."
        ) from None
    present, compact = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return np.zeros(0, np.int64)
    kept = probabilities[:, present]
    kept = kept / np.maximum(kept.sum(axis=1, keepdims=True), 1e-12)
    ranked = find_label_issues(
        compact, kept, filter_by="both", return_indices_ranked_by="normalized_margin", n_jobs=1, verbose=False
    )
    return np.asarray(ranked, np.int64)


def _check(source: Source, predictions: list[Predictions]) -> None:
    first = predictions[0]
    for other in predictions:
        if not np.array_equal(other.names, first.names) or other.probabilities.shape != first.probabilities.shape:
            raise InputError("Expected predictions for the same rows from every contestant of the run. They differ.")
    foreign = sorted({str(name) for name in first.names} - set(source.names))
    if foreign:
        raise InputError(
            f"Expected a run over this data. {len(foreign)} of its {len(first.names)} pictures are not in "
            f"'{source.title}', such as '{foreign[0]}'."
        )
