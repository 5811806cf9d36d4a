"""Several contestants that answer as one: votes, stacking, bagging, seeds, snapshots. It knows the protocol only.

Members are any classifiers of uint8 images. `fit` fits copies and leaves the members as they were.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.validation import check_is_fitted

from toolkit.classifier import Classifier, check_images, check_labels
from toolkit.errors import InputError

Member = tuple[str, Classifier]
Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]

SMALLEST = 1e-6  # a probability below counts as this, or one sure mistake would outweigh everything
ROUNDS = 200  # of learning the weights; each raises the likelihood


class _Members(ClassifierMixin, BaseEstimator):
    """What all ensembles share: fitted copies in `fitted_`, which must agree about the classes."""

    classes_: NDArray[np.int64]
    fitted_: list[Classifier]

    def predict_proba(self, images: Images) -> Probabilities:
        """uint8 (N, H, W, C) -> probabilities (N, K), the members' mean."""
        return self._answers(images).mean(axis=0)

    def predict(self, images: Images) -> NDArray[np.int64]:
        """uint8 (N, H, W, C) -> the most probable label (N,)."""
        return self.classes_[self.predict_proba(images).argmax(axis=1)]

    def _keep(self, names: Sequence[str], fitted: Sequence[Classifier], classes: NDArray[np.int64]) -> None:
        for name, member in zip(names, fitted, strict=True):
            seen = np.asarray(getattr(member, "classes_", classes))
            if not np.array_equal(seen, classes):
                raise InputError(
                    f"Expected every member to know the classes {classes.tolist()}. Member '{name}' knows "
                    f"{seen.tolist()}; fit all of them on the same labels."
                )
        self.classes_, self.fitted_ = classes, list(fitted)

    def _answers(self, images: Images) -> Probabilities:
        """(N, H, W, C) -> (members, N, K)."""
        check_is_fitted(self, "fitted_")
        images = check_images(images)
        return np.stack([np.asarray(member.predict_proba(images), np.float64) for member in self.fitted_])


class Voting(_Members):
    """The members' probabilities, averaged: soft voting.

    Args:
        members: pairs of a name and a classifier.
        weights: None counts all alike; numbers, one a member, count so much each; "learned" finds those, not negative
            and of sum 1, under which out-of-fold probabilities of the training rows are the most likely.
        folds: of "learned", which costs so many fits more of each member.
        seed: of the folds.

    After `fit`: `classes_`, `fitted_`, `weights_` (members,).
    """

    def __init__(
        self, members: Sequence[Member], weights: Sequence[float] | str | None = None, folds: int = 3, seed: int = 0
    ) -> None:
        self.members = members
        self.weights = weights
        self.folds = folds
        self.seed = seed

    def fit(self, images: Images, labels: Labels) -> Self:
        """Fit a copy of each member to uint8 (N, H, W, C) and int64 (N,)."""
        labels = check_labels(labels, len(check_images(images)))
        names = _names(self.members)
        if self.weights is None:
            weights = np.ones(len(names))
        elif isinstance(self.weights, str):
            if self.weights != "learned":
                raise InputError(f"Expected weights as numbers, None or 'learned'. Received: {self.weights!r}.")
            weights = _most_likely(out_of_fold(self.members, images, labels, self.folds, self.seed), labels)
        else:
            weights = np.asarray(self.weights, np.float64)
        if weights.shape != (len(names),) or weights.min() < 0 or weights.sum() == 0:
            raise InputError(f"Expected {len(names)} weights, not negative, one a member. Received: {self.weights}.")
        fitted = [copied(member).fit(images, labels) for _, member in self.members]
        self._keep(names, fitted, np.unique(labels))
        self.weights_ = weights / weights.sum()
        return self

    def predict_proba(self, images: Images) -> Probabilities:
        """uint8 (N, H, W, C) -> probabilities (N, K)."""
        check_is_fitted(self, "weights_")
        return np.tensordot(self.weights_, self._answers(images), 1)


class Stacking(_Members):
    """A logistic regression on the logarithms of the members' probabilities (Wolpert 1992), learned out of fold.

    Each member is fitted `folds` times for the answers that the regression learns from, and once more to all rows.
    After `fit`: `classes_`, `fitted_`, `head_`.
    """

    def __init__(self, members: Sequence[Member], folds: int = 3, C: float = 0.1, seed: int = 0) -> None:
        self.members = members
        self.folds = folds
        self.C = C  # of the regression; small, for its columns are all but copies of each other
        self.seed = seed

    def fit(self, images: Images, labels: Labels) -> Self:
        """Fit members and regression to uint8 (N, H, W, C) and int64 (N,)."""
        labels = check_labels(labels, len(check_images(images)))
        answers = out_of_fold(self.members, images, labels, self.folds, self.seed)
        head = LogisticRegression(C=self.C, max_iter=3000).fit(_columns(answers), labels)
        fitted = [copied(member).fit(images, labels) for _, member in self.members]
        self._keep(_names(self.members), fitted, np.unique(labels))
        self.head_ = head
        return self

    def predict_proba(self, images: Images) -> Probabilities:
        """uint8 (N, H, W, C) -> probabilities (N, K)."""
        check_is_fitted(self, "head_")
        return self.head_.predict_proba(_columns(self._answers(images)))


class Bagging(_Members):
    """One contestant fitted to `count` samples of the rows, drawn with replacement in each class (Breiman 1996).

    Drawing class by class keeps every class in every sample. After `fit`: `classes_`, `fitted_`.
    """

    def __init__(self, member: Classifier, count: int = 10, seed: int = 0) -> None:
        self.member = member
        self.count = count
        self.seed = seed

    def fit(self, images: Images, labels: Labels) -> Self:
        """Fit `count` copies, each with a seed and a sample of its own."""
        labels = check_labels(labels, len(check_images(images)))
        random, fitted = np.random.default_rng(self.seed), []
        for number in range(self.count):
            rows = np.concatenate(
                [random.choice(own, len(own)) for own in (np.flatnonzero(labels == one) for one in np.unique(labels))]
            )
            rows.sort()
            fitted.append(reseeded(self.member, self.seed + number).fit(images[rows], labels[rows]))
        self._keep([f"sample {number}" for number in range(self.count)], fitted, np.unique(labels))
        return self


class Seeds(_Members):
    """One contestant fitted `count` times to the same rows, with seeds of its own each time; for networks.

    Deep ensembles (Lakshminarayanan et al., NIPS 2017), less their adversarial examples. After `fit`: as `Bagging`.
    """

    def __init__(self, member: Classifier, count: int = 5, seed: int = 0) -> None:
        self.member = member
        self.count = count
        self.seed = seed

    def fit(self, images: Images, labels: Labels) -> Self:
        """Fit `count` copies with the seeds from `seed` on."""
        labels = check_labels(labels, len(check_images(images)))
        seeds = range(self.seed, self.seed + self.count)
        fitted = [reseeded(self.member, seed).fit(images, labels) for seed in seeds]
        self._keep([f"seed {seed}" for seed in seeds], fitted, np.unique(labels))
        return self


class Snapshots(_Members):
    """One network kept `count` times in one training, each time when its learning rate has fallen to zero.

    Huang et al. (ICLR 2017): several members at the price of one training. The member is anything with a method
    `annealed(images, labels, count)` giving fitted copies, as `KerasClassifier` has. After `fit`: as `Bagging`.
    """

    def __init__(self, member: Classifier, count: int = 5) -> None:
        self.member = member
        self.count = count

    def fit(self, images: Images, labels: Labels) -> Self:
        """Train one copy on uint8 (N, H, W, C) and int64 (N,), keeping it `count` times on the way."""
        labels = check_labels(labels, len(check_images(images)))
        annealed = getattr(copied(self.member), "annealed", None)
        if annealed is None:
            raise InputError(f"Expected a network to keep snapshots of. Received: {type(self.member).__name__}.")
        fitted = annealed(images, labels, self.count)
        self._keep([f"snapshot {number}" for number in range(self.count)], fitted, np.unique(labels))
        return self


def out_of_fold(members: Sequence[Member], images: Images, labels: Labels, folds: int, seed: int = 0) -> Probabilities:
    """Probabilities (members, N, K) of each row by copies that were fitted without it; folds are stratified by class.

    Raises:
        InputError: a class of one row, or a member that does not learn all classes from a fold.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2 or folds < 2:
        raise InputError(
            f"Expected two folds or more, and two images or more of each class. Received: {folds} folds, "
            f"{counts.min()} of class {classes[counts.argmin()]}."
        )
    answers = np.empty((len(members), len(labels), len(classes)))
    splitter = StratifiedKFold(int(min(folds, counts.min())), shuffle=True, random_state=seed)
    for learn, rest in splitter.split(labels, labels):
        for number, (name, member) in enumerate(members):
            fitted = copied(member).fit(images[learn], labels[learn])
            answer = np.asarray(fitted.predict_proba(images[rest]))
            if answer.shape[1] != len(classes):
                raise InputError(
                    f"Expected '{name}' to answer for all {len(classes)} classes. Received: {answer.shape[1]} columns."
                )
            answers[number, rest] = answer
    return answers


def of_all(members: Mapping[str, Classifier], seed: int = 0) -> dict[str, Classifier]:
    """The ensembles of `touchstone compare --ensemble`: all members' vote, and a stack of them."""
    named = list(members.items())
    return {"voting": Voting(named, seed=seed), "stacking": Stacking(named, seed=seed)}


def copied(member: Classifier) -> Any:
    """An unfitted copy: scikit-learn's clone, or a deep copy of what has no parameters to clone by."""
    return clone(member) if hasattr(member, "get_params") else copy.deepcopy(member)


def reseeded(member: Classifier, seed: int) -> Any:
    """An unfitted copy, in which every parameter called seed or random_state, at any depth, is `seed`.

    Raises:
        InputError: a member without such a parameter: its copies would all be one.
    """
    found = copied(member)
    names = found.get_params() if hasattr(found, "get_params") else {}
    seeds = [name for name in names if name.split("__")[-1] in ("seed", "random_state")]
    if not seeds:
        raise InputError(f"Expected a member with a parameter `seed`. Received: {type(member).__name__} without one.")
    return found.set_params(**dict.fromkeys(seeds, seed))


def _names(members: Sequence[Member]) -> list[str]:
    names = [name for name, _ in members]
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(f"Expected two members or more, of different names. Received: {', '.join(names) or 'none'}.")
    return names


def _columns(answers: Probabilities) -> Probabilities:
    """(members, N, K) -> logarithms (N, members * K)."""
    return np.concatenate(list(np.log(np.maximum(answers, SMALLEST))), axis=1)


def _most_likely(answers: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Weights (members,) of sum 1 under which the mixture of answers (members, N, K) makes labels the most likely.

    Expectation maximisation: each round a member's weight becomes its mean share in the mixture's probability.
    """
    _, places = np.unique(labels, return_inverse=True)
    right = np.maximum(answers[:, np.arange(len(labels)), places], SMALLEST)  # (members, N)
    weights = np.full(len(right), 1 / len(right))
    for _ in range(ROUNDS):
        weights = (weights[:, None] * right / (weights @ right)).mean(axis=1)
    return weights
