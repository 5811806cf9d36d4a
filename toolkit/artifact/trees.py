"""Decision trees that a stranger may have written: scikit-learn follows their numbers without a look, so we look first.

A child beyond the nodes, or a feature beyond the row, would have it read memory that is not the tree's; a child before
its parent would have it run for ever.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError


def check_trees(part: Any, path: Path) -> None:
    """Refuse the trees of a scikit-learn estimator whose nodes point where no node or no feature is."""
    tree: Any = getattr(part, "tree_", None)
    for inner in np.ravel(np.asarray(getattr(part, "estimators_", ()), object)):
        own = getattr(getattr(inner, "tree_", None), "n_features", 0)
        if own > getattr(part, "n_features_in_", own):  # the forest checks a row's length, its trees do not
            raise InputError(f"Expected trees in {path} over the features of their forest. Received: one over {own}.")
    if type(tree).__name__ == "Tree":
        inner = tree.children_left >= 0
        sides = (tree.children_left[inner], tree.children_right[inner])
        _check(sides, np.flatnonzero(inner), tree.node_count, tree.feature[inner], int(tree.n_features), path)
    for stage in getattr(part, "_predictors", None) or ():
        for predictor in stage:
            nodes = predictor.nodes
            inner = nodes["is_leaf"] == 0
            if nodes["is_categorical"][inner].any():
                raise InputError(f"Expected trees over numbers in {path}. Received: splits by category.")
            sides = (nodes["left"][inner], nodes["right"][inner])
            features = nodes["feature_idx"][inner]
            _check(sides, np.flatnonzero(inner), len(nodes), features, int(part.n_features_in_), path)


def _check(
    sides: tuple[NDArray[Any], NDArray[Any]],
    parents: NDArray[Any],
    count: int,
    used: NDArray[Any],
    features: int,
    path: Path,
) -> None:
    later = all((side.astype(np.int64) > parents).all() and (side < count).all() for side in sides)
    if not later or (used < 0).any() or (used >= features).any():
        raise InputError(f"Expected trees in {path} whose nodes lead to nodes and features that are there.")
