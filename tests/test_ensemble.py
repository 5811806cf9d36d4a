"""Ensembles: what they make of their members' answers, that members stay as they were, and what is refused."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from toolkit.classifier import Classifier
from toolkit.ensemble import Bagging, Seeds, Snapshots, Stacking, Voting, copied, of_all, out_of_fold, reseeded
from toolkit.errors import InputError

ROWS, K = 90, 3
LABELS = np.arange(ROWS) % K
GENERATOR = np.random.default_rng(0)
IMAGES = np.clip(GENERATOR.normal(60 + 60 * LABELS[:, None, None, None], 25, (ROWS, 4, 4, 1)), 0, 255).astype(np.uint8)


class Nearest(ClassifierMixin, BaseEstimator):
    """By the distance of one pixel's level to the classes' means; `noise` spoils the answer, differently by seed."""

    def __init__(self, pixel=0, noise=0.0, seed=0):
        self.pixel = pixel
        self.noise = noise
        self.seed = seed

    def fit(self, images, labels):
        self.classes_ = np.unique(labels)
        levels = images.reshape(len(images), -1)[:, self.pixel].astype(float)
        self.means_ = np.array([levels[labels == one].mean() for one in self.classes_])
        self.rows_ = len(images)
        return self

    def predict_proba(self, images):
        levels = images.reshape(len(images), -1)[:, self.pixel].astype(float)
        scores = -(((levels[:, None] - self.means_) / 30) ** 2)
        scores = scores + self.noise * np.random.default_rng(self.seed).normal(size=scores.shape)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


class Plain:
    """The protocol and nothing else."""

    def fit(self, images, labels):
        self.inner = Nearest(5).fit(images, labels)
        self.classes_ = self.inner.classes_
        return self

    def predict_proba(self, images):
        return self.inner.predict_proba(images)


MEMBERS = [("first", Nearest(0)), ("second", Nearest(7)), ("plain", Plain())]
ENSEMBLES = [
    Voting(MEMBERS),
    Voting(MEMBERS, weights="learned"),
    Stacking(MEMBERS),
    Bagging(Nearest(3), count=4),
    Seeds(Nearest(3, noise=1.0), count=4),
]
EACH = pytest.mark.parametrize("ensemble", ENSEMBLES, ids=lambda one: type(one).__name__)


@EACH
def test_keeps_the_contract_of_a_contestant(ensemble):
    fitted = copied(ensemble)
    assert isinstance(fitted, Classifier)
    assert fitted.fit(IMAGES, LABELS) is fitted
    answer = fitted.predict_proba(IMAGES[:7])
    assert answer.shape == (7, K)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_array_equal(fitted.classes_, range(K))
    np.testing.assert_array_equal(fitted.predict(IMAGES[:7]), fitted.predict_proba(IMAGES[:7]).argmax(axis=1))
    again = copied(ensemble).fit(IMAGES, LABELS)
    np.testing.assert_array_equal(again.predict_proba(IMAGES), fitted.predict_proba(IMAGES))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(IMAGES[:7]), answer)
    assert not hasattr(MEMBERS[0][1], "means_")  # copies were fitted
    with pytest.raises(InputError, match="uint8"):
        fitted.predict_proba(IMAGES / 255)


def test_a_vote_is_the_weighted_mean():
    members = [(name, copied(member).fit(IMAGES, LABELS)) for name, member in MEMBERS[:2]]
    first, second = (member.predict_proba(IMAGES) for _, member in members)
    np.testing.assert_allclose(Voting(members).fit(IMAGES, LABELS).predict_proba(IMAGES), (first + second) / 2)
    weighted = Voting(members, weights=[1, 3]).fit(IMAGES, LABELS).predict_proba(IMAGES)
    np.testing.assert_allclose(weighted, first / 4 + second * 3 / 4)


def test_learned_weights_leave_a_member_that_knows_nothing():
    members = [("good", Nearest(0)), ("noise", Nearest(1, noise=30.0))]
    learned = Voting(members, weights="learned").fit(IMAGES, LABELS)
    assert learned.weights_[0] > 0.85
    assert learned.weights_.sum() == pytest.approx(1)


def test_out_of_fold_answers_come_from_copies_that_did_not_see_the_row():
    class Memory(Nearest):
        def fit(self, images, labels):
            self.seen_ = {image.tobytes() for image in images}
            return super().fit(images, labels)

        def predict_proba(self, images):
            assert not any(image.tobytes() in self.seen_ for image in images)
            return super().predict_proba(images)

    answers = out_of_fold([("memory", Memory())], IMAGES, LABELS, folds=3)
    assert answers.shape == (1, ROWS, K)
    np.testing.assert_allclose(answers.sum(axis=2), 1)


def test_stacking_learns_whom_to_trust_where():
    members = [("noise", Nearest(1, noise=30.0)), ("good", Nearest(0)), ("other", Nearest(7))]
    stacked = Stacking(members).fit(IMAGES, LABELS)
    alone = Nearest(1, noise=30.0).fit(IMAGES, LABELS)
    right = [np.mean(one.predict_proba(IMAGES).argmax(axis=1) == LABELS) for one in (stacked, alone)]
    assert right[0] > right[1] + 0.2


def test_bags_hold_every_class_as_often_as_the_rows_and_differ():
    rare = np.concatenate([LABELS[:30], [2]])
    images = IMAGES[:31]
    bag = Bagging(Nearest(3), count=5).fit(images, rare)
    assert [member.rows_ for member in bag.fitted_] == [31] * 5
    assert [len(member.classes_) for member in bag.fitted_] == [3] * 5
    assert len({member.means_.tobytes() for member in bag.fitted_}) == 5


def test_seeds_reach_every_depth():
    from baselines import hog_svm

    assert reseeded(hog_svm(), 7).get_params()["svm__seed"] == 7
    assert {member.seed for member in Seeds(Nearest(noise=1.0), 3, seed=4).fit(IMAGES, LABELS).fitted_} == {4, 5, 6}
    with pytest.raises(InputError, match=r"a parameter `seed`\. Received: Plain without one"):
        reseeded(Plain(), 7)


class Falling(Nearest):
    """Keeps what it would be after each of several falls: means of ever more rows."""

    def annealed(self, images, labels, count):
        ends = [K + (len(labels) - K) * (number + 1) // count for number in range(count)]
        return [copied(self).fit(images[:end], labels[:end]) for end in ends]


def test_snapshots_are_kept_of_one_training_and_answer_with_their_mean():
    kept = Snapshots(Falling(), count=3).fit(IMAGES, LABELS)
    answers = [member.predict_proba(IMAGES) for member in kept.fitted_]
    assert len(answers) == 3
    np.testing.assert_allclose(kept.predict_proba(IMAGES), np.mean(answers, axis=0))
    with pytest.raises(InputError, match=r"a network to keep snapshots of\. Received: Plain"):
        Snapshots(Plain()).fit(IMAGES, LABELS)


def test_of_all_is_a_vote_and_a_stack_that_can_be_cloned():
    ensembles = of_all(dict(MEMBERS[:2]))
    assert list(ensembles) == ["voting", "stacking"]
    for ensemble in ensembles.values():
        clone(ensemble).fit(IMAGES, LABELS)


class Stubborn(Nearest):
    """Knows classes of its own, whatever it is fitted to."""

    def fit(self, images, labels):
        super().fit(images, labels)
        self.classes_ = self.classes_ + 1
        return self


@pytest.mark.parametrize(
    ("ensemble", "message"),
    [
        (Voting([*MEMBERS, ("odd", Stubborn())]), r"classes \[0, 1, 2\]. Member 'odd' knows \[1, 2, 3\]"),
        (Voting(MEMBERS[:1]), "two members or more, of different names. Received: first"),
        (Stacking([MEMBERS[0], MEMBERS[0]]), "of different names. Received: first, first"),
        (Voting(MEMBERS, weights=[1, 2]), "3 weights, not negative"),
        (Voting(MEMBERS, weights="learnt"), "None or 'learned'. Received: 'learnt'"),
    ],
)
def test_refuses_in_one_line(ensemble, message):
    with pytest.raises(InputError, match=message) as refused:
        ensemble.fit(IMAGES, LABELS)
    assert "\n" not in str(refused.value)


def test_stacking_needs_two_images_of_each_class():
    with pytest.raises(InputError, match=r"two images or more of each class\. Received: 3 folds, 1 of class 2"):
        Stacking(MEMBERS).fit(IMAGES[:31], np.concatenate([np.arange(30) % 2, [2]]))
