"""Support vectors and neighbours that a stranger may have written: LIBSVM and the search trust their numbers; we look.

They are read in compiled code by their counts, so that one number which is wrong has it read or write elsewhere.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, NuSVC

from toolkit.errors import InputError

KERNELS = ("linear", "poly", "rbf", "sigmoid")


def check_vectors(part: Any, path: Path) -> None:
    """Refuse an SVC or NuSVC whose arrays do not fit one another, and neighbours of classes that are not there."""
    good = True
    if isinstance(part, SVC | NuSVC):
        good = "support_vectors_" not in vars(part) or _fits(part)
    elif isinstance(part, KNeighborsClassifier):
        good = "_fit_X" not in vars(part) or _near(part)
    if not good:
        raise InputError(f"Expected {path} to hold a {type(part).__name__} as fit leaves it. Received: another.")


def _fits(part: Any) -> bool:
    """Arrays of LIBSVM, of K classes, S vectors and D features."""
    classes = len(part.classes_)
    pairs = classes * (classes - 1) // 2
    count, width = _shape(part.support_vectors_, 2)
    each = part._n_support
    chances = {_shape(part._probA, 1), _shape(part._probB, 1)}
    return bool(
        "_impl" not in vars(part)
        and part._sparse is False
        and part.kernel in KERNELS
        and int(part.n_features_in_) == width
        and _is(each, np.int32, (classes,))
        and (each >= 0).all()
        and int(each.sum(dtype=np.int64)) == count > 0
        and _is(part.support_, np.int32, (count,))
        and _is(part._dual_coef_, np.float64, (classes - 1, count))
        and _is(part._intercept_, np.float64, (pairs,))
        and chances in ({(0,)}, {(pairs,)})
    )


def _near(part: Any) -> bool:
    """Rows (N, D) and their classes (N,), searched one by one: a tree of them would be compiled code's again."""
    count, width = _shape(part._fit_X, 2)
    labels, classes = part._y, len(part.classes_)
    return bool(
        part._fit_method == "brute"
        and part._tree is None
        and int(part.n_features_in_) == width
        and int(part.n_samples_fit_) == count
        and isinstance(labels, np.ndarray)
        and labels.dtype.kind == "i"
        and labels.shape == (count,)
        and ((labels >= 0) & (labels < classes)).all()
    )


def _is(values: Any, dtype: type, shape: tuple[int, ...]) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == dtype and values.shape == shape


def _shape(values: NDArray[Any], dimensions: int) -> tuple[int, ...]:
    shape = values.shape if isinstance(values, np.ndarray) and values.dtype.kind == "f" else ()
    return shape if len(shape) == dimensions else (-1,) * dimensions
