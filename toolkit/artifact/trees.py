"""Decision trees that a stranger may have written: scikit-learn follows their numbers without a look, so we look first.

A child beyond the nodes, or a feature beyond the row, would have it read memory that is not the tree's; a child before
its parent would have it run for ever. A tree that knows how long its rows are refuses others, so that number must be
true, as must be that of the forest, which asks its trees without their check.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from toolkit.artifact.inside import parts
from toolkit.errors import InputError


def check_trees(part: Any, path: Path) -> None:
    """Refuse the trees of a scikit-learn estimator whose nodes point where no node or no feature is."""
    if "tree_" in vars(part):
        _check_tree(part, path)
    if "estimators_features_" in vars(part):
        _check_columns(part, path)
    if isinstance(part, ExtraTreesClassifier | RandomForestClassifier) and "estimators_" in vars(part):
        widths = {_width(one, path) for one in parts(part.estimators_) if "tree_" in vars(one)}
        if widths != {_width(part, path)}:
            raise InputError(f"Expected trees in {path} over the features of their forest. Received: others.")
    if "_predictors" in vars(part):
        _check_boosted(part, path)


def _check_tree(part: Any, path: Path) -> None:
    tree = part.tree_
    if type(tree).__name__ != "Tree" or int(tree.n_features) != _width(part, path):
        raise InputError(f"Expected a tree in {path} over the features of its rows. Received: another.")
    inner = tree.children_left >= 0
    sides = (tree.children_left[inner], tree.children_right[inner])
    _check(sides, np.flatnonzero(inner), tree.node_count, tree.feature[inner], int(tree.n_features), path)


def _check_columns(part: Any, path: Path) -> None:
    """Of bagging: which columns each member sees."""
    columns, width = part.estimators_features_, _width(part, path)
    if len(columns) != len(part.estimators_):
        raise InputError(f"Expected the columns of each member in {path}. Received: {len(columns)} sets of them.")
    for seen, member in zip(columns, part.estimators_, strict=True):
        seen = np.asarray(seen)
        short = hasattr(member, "n_features_in_") and len(seen) != int(member.n_features_in_)
        if seen.dtype.kind not in "iu" or seen.ndim != 1 or short or ((seen < 0) | (seen >= width)).any():
            raise InputError(f"Expected members in {path} over columns that are there. Received: others.")


def _check_boosted(part: Any, path: Path) -> None:
    width = _width(part, path)
    if vars(part).get("_in_fit"):  # rows would be read as the numbers of their bins
        raise InputError(f"Expected trees in {path} that are fitted. Received: some that say they are being fitted.")
    for predictor in (one for stage in part._predictors for one in stage):
        nodes = predictor.nodes
        inner = nodes["is_leaf"] == 0
        if nodes["is_categorical"][inner].any():
            raise InputError(f"Expected trees over numbers in {path}. Received: splits by category.")
        sides = (nodes["left"][inner], nodes["right"][inner])
        _check(sides, np.flatnonzero(inner), len(nodes), nodes["feature_idx"][inner], width, path)


def _width(part: Any, path: Path) -> int:
    """How long the estimator says its rows are; without that number it would take any."""
    width = vars(part).get("n_features_in_")
    if isinstance(width, bool) or not isinstance(width, int | np.integer):
        raise InputError(f"Expected trees in {path} that know how many features they read. Received: {width!r}.")
    return int(width)


def _check(
    sides: tuple[NDArray[Any], NDArray[Any]],
    parents: NDArray[Any],
    count: int,
    used: NDArray[Any],
    features: int,
    path: Path,
) -> None:
    later = all((side.astype(np.int64) > parents).all() and (side < count).all() for side in sides)
    if not count or not later or (used < 0).any() or (used >= features).any():
        raise InputError(f"Expected trees in {path} whose nodes lead to nodes and features that are there.")
