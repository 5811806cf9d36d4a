"""The duel: same rows for all, answers in the right columns, resumed without refitting, nothing half-written."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import toolkit
import toolkit.data
from baselines import hog_svm
from toolkit import contending
from toolkit.contending import made_of, settings
from toolkit.deep_features import BackboneFeatures
from toolkit.ensemble import Voting
from toolkit.evaluation import fit_temperature
from toolkit.report.figures.cost import PRICES_BY_KEY
from toolkit.report.reading import read_runs
from toolkit.training.checkpoint import Checkpoint


def flatten(images):
    return images[:, 2::4, 2::4].reshape(len(images), -1) / 255.0  # 64 pixels will do


def logistic(c=1.0):
    return make_pipeline(FunctionTransformer(flatten), LogisticRegression(C=c, max_iter=2000))


def bayes():
    return make_pipeline(FunctionTransformer(flatten), GaussianNB())


class Counting:
    """A contestant of a user's own: no scikit-learn, no Keras; counts its fits and may fail."""

    def __init__(self, fails=False):
        self.fails = fails
        self.fits = 0

    def fit(self, images, labels):
        self.fits += 1
        if self.fails:
            raise KeyboardInterrupt
        self.classes_, counts = np.unique(labels, return_counts=True)
        self.prior = counts / counts.sum()
        self.rows = len(labels)
        return self

    def predict_proba(self, images):
        return np.tile(self.prior, (len(images), 1))

    def __repr__(self):
        return "Counting()"


@pytest.fixture(scope="module")
def digits():
    return toolkit.load("digits", seed=0)


def test_the_duel(tmp_path, digits):
    duel = toolkit.compare({"a": logistic(), "b / two": bayes()}, digits, out=tmp_path / "run", resamples=200)
    stored = json.loads((tmp_path / "run" / "comparison.json").read_text())
    assert stored == json.loads(json.dumps(duel.to_dict()))
    accuracy = stored["contestants"]["a"]["accuracy"]
    assert 0.9 < accuracy["low"] < accuracy["value"] < accuracy["high"] < 1
    for contestant in stored["contestants"].values():
        assert contestant["fit_seconds"] > 0
        assert contestant["predict_seconds_per_image"] > 0
        assert contestant["size_bytes"] > 1000
        assert np.sum(contestant["confusion"]) == len(digits.test.labels)
    (pair,) = stored["pairs"]
    assert {pair["a"], pair["b"]} == {"a", "b / two"}
    assert pair["holm_p"] < 0.05  # one pair: naive Bayes on pixels is far behind
    assert stored["data"]["sha256"] == digits.manifest.sha256
    assert stored["data"]["rows"]["fit"] == len(digits.train.labels) + len(digits.validation.labels)
    text = str(duel)
    assert text.index("a ") < text.index("b / two")
    again = toolkit.read_predictions(tmp_path / "run" / "a" / "predictions.npz")
    evaluation = toolkit.evaluate(again.labels, again.probabilities, again.class_names, resamples=200)
    assert evaluation.to_dict()["metrics"]["macro_f1"] == stored["contestants"]["a"]["macro_f1"]


def test_the_table_and_the_report_tell_one_price_of_an_image(tmp_path, digits):
    duel = toolkit.compare({"a": bayes()}, digits, out=tmp_path / "run", resamples=100, keep_models=False)
    (outcome,) = duel.outcomes.values()
    (entrant,) = read_runs([tmp_path / "run"])[0].entrants
    assert outcome.seconds_per_image == PRICES_BY_KEY["batch"].of(entrant)
    cold = dataclasses.replace(outcome, predict_seconds_per_image=9.0, cost={"batch_seconds_per_image": 0.00123})
    assert " 1.23 " in str(dataclasses.replace(duel, outcomes={"a": cold}))
    assert dataclasses.replace(cold, cost={}).seconds_per_image == 9.0


def test_validation_rows_train_where_nothing_is_chosen(digits):
    contestant = Counting()
    toolkit.compare({"prior": contestant}, digits, resamples=100)
    assert contestant.rows == len(digits.train.labels) + len(digits.validation.labels)


def test_an_interrupted_duel_goes_on_where_it_was(tmp_path, digits):
    first, second = Counting(), Counting(fails=True)
    with pytest.raises(KeyboardInterrupt):
        toolkit.compare({"first": first, "second": second}, digits, out=tmp_path / "run", resamples=100)
    assert not (tmp_path / "run" / "comparison.json").exists()
    second.fails = False
    result = toolkit.compare({"first": first, "second": second}, digits, out=tmp_path / "run", resamples=100)
    assert (first.fits, second.fits) == (1, 2)
    assert set(result.outcomes) == {"first", "second"}


def test_weights_that_are_not_there_are_refused_before_anybody_is_fitted(tmp_path, digits):
    begun = {"weights": str(tmp_path / "gone.h5")}
    features = make_pipeline(BackboneFeatures("mobilenet_025", begun["weights"]), GaussianNB())
    for name, other in (("net", toolkit.KerasClassifier("mobilenet_025", options=begun)), ("features", features)):
        first = Counting()
        with pytest.raises(toolkit.InputError, match=rf"^Contestant '{name}': Expected a weights file .*gone\.h5"):
            toolkit.compare({"first": first, name: other}, digits, resamples=100)
        assert first.fits == 0


def test_what_a_contestant_says_of_itself_is_not_laid_on_the_images(digits):
    class Diverging(Counting):
        def fit(self, images, labels):
            raise toolkit.InputError("Expected a finite loss. Received: nan.")

    with pytest.raises(toolkit.InputError, match=r"^Contestant 'net': Expected a finite loss. Received: nan\.$"):
        toolkit.compare({"net": Diverging()}, digits, resamples=100)


def network():
    """A small network of some seconds."""
    recipe = toolkit.Recipe(epochs=3, batch_size=256, augment="none", deterministic=True)
    return toolkit.KerasClassifier("cnn", recipe, verbose=False, options={"width": 4})


def test_a_network_goes_on_after_its_last_epoch_where_its_duel_was_ended(tmp_path, digits, monkeypatch):
    whole = toolkit.compare({"net": network()}, digits, resamples=100).outcomes["net"]
    keep, seen = Checkpoint.keep, []

    def counted(self, state, history):
        seen.append(len(history["loss"]))
        answer = keep(self, state, history)
        if seen == [1, 2]:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(Checkpoint, "keep", counted)
    first, second = network(), network()
    with pytest.raises(KeyboardInterrupt):
        toolkit.compare({"net": first}, digits, out=tmp_path, resamples=100)
    assert (tmp_path / "net" / "checkpoint.npz").exists()
    gone_on = toolkit.compare({"net": second}, digits, out=tmp_path, resamples=100).outcomes["net"]
    assert seen == [1, 2, 3]
    assert gone_on.history == whole.history  # to the last bit
    assert gone_on.fit_seconds > second.earlier_seconds_ > 0  # the epochs before are part of the price
    assert not list(tmp_path.rglob("checkpoint.npz"))
    assert first.checkpoint is second.checkpoint is None


def test_another_run_is_refused(tmp_path, digits):
    toolkit.compare({"a": Counting()}, digits, out=tmp_path / "run", resamples=100)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(toolkit.InputError, match="differs in: contestants"):
        toolkit.compare({"a": bayes()}, digits, out=tmp_path / "run", resamples=100)
    with pytest.raises(toolkit.InputError, match="differs in: data"):
        toolkit.compare({"a": Counting()}, toolkit.load("digits", seed=1), out=tmp_path / "run", resamples=100)
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}


def test_columns_follow_classes_seen_in_fit(digits):
    class Partial(Counting):
        def fit(self, images, labels):
            return super().fit(images[labels != 4], labels[labels != 4])

    result = toolkit.compare({"partial": Partial()}, digits, resamples=100)
    confusion = np.array(result.outcomes["partial"].evaluation.confusion)
    assert confusion[:, 4].sum() == 0
    assert confusion.sum() == len(digits.test.labels)


def test_answers_of_another_shape_are_refused(digits):
    class Wrong(Counting):
        def predict_proba(self, images):
            return np.full((len(images), 3), 1 / 3)

    with pytest.raises(toolkit.InputError, match=r"'wrong'.*\(N, 10\).*Received"):
        toolkit.compare({"wrong": Wrong()}, digits, resamples=100)


def test_a_contestant_without_probabilities_is_refused(digits):
    with pytest.raises(toolkit.InputError, match=r"fit and predict_proba. Received: object"):
        toolkit.compare({"thing": object()}, digits)


def test_settings_do_not_change_with_the_address():
    assert settings(Counting()) == settings(Counting()) == {"type": "Counting", "repr": "Counting()"}
    assert settings(logistic(2.0))["logisticregression__C"] == 2.0
    assert settings(logistic()) == settings(logistic())
    assert settings(logistic()) != settings(logistic(2.0))


def test_the_same_seed_gives_the_same_numbers(digits):
    first, second = (
        toolkit.compare({"a": bayes(), "b": logistic(0.1)}, digits, resamples=150, seed=3) for _ in range(2)
    )
    for name in ("a", "b"):
        assert first.outcomes[name].evaluation.to_dict() == second.outcomes[name].evaluation.to_dict()
    assert_allclose(first.pairs[0].low, second.pairs[0].low)


class Brightness:
    """Says 1 where an image is bright; knows nothing else."""

    classes_ = np.arange(2)

    def __init__(self, level):
        self.level = level

    def fit(self, images, labels):
        return self

    def predict_proba(self, images):
        bright = images.mean(axis=(1, 2, 3)) > self.level
        return np.where(bright[:, None], [0.2, 0.8], [0.8, 0.2])


def patients(groups):
    """48 test rows of two classes, four alike of each of 12 patients; `groups` says whose each row is."""
    labels = np.repeat(np.arange(12) % 2, 4)
    levels = np.repeat(np.linspace(20, 230, 12).astype(np.uint8), 4)
    images = np.broadcast_to(levels[:, None, None, None], (48, 4, 4, 1)).copy()
    names = np.array([f"{row}.png" for row in range(48)])
    split = toolkit.Split(images, labels, names, {"group": groups, "site": np.array(["a", "b"] * 24)})
    manifest = toolkit.load("digits").manifest
    return toolkit.Dataset(split, split.take(slice(0)), split, ("dark", "bright"), manifest)


def test_rows_of_one_group_count_once():
    contestants = {"low": Brightness(60), "high": Brightness(190)}
    alone = toolkit.compare(contestants, patients(np.array([""] * 48)), show_progress=False)
    shared = toolkit.compare(contestants, patients(np.repeat(np.arange(12), 4).astype(str)), show_progress=False)
    assert shared.data["clusters"] == 12
    assert "clusters" not in alone.data
    assert "12 groups" in str(shared)
    one = toolkit.compare({"low": Brightness(60)}, patients(np.array(["x"] * 48)), show_progress=False)
    assert "All rows are of one group" in " ".join(str(one).split())
    for name in contestants:
        one, other = (run.outcomes[name].evaluation["accuracy"] for run in (alone, shared))
        assert one.value == other.value
        assert other.high - other.low > 1.6 * (one.high - one.low)  # the root of 4 alike, nearly
    assert shared.pairs[0].p >= alone.pairs[0].p
    assert list(shared.outcomes["low"].to_dict()["by_group"]) == ["group", "site"]


class HoldingBack(Counting):
    """It says what it answers for rows that it has not learned from, and is far too modest."""

    def fit(self, images, labels):
        super().fit(images[1:], labels)
        self.held_out_ = SimpleNamespace(
            rows=np.arange(0, len(labels), 5), probabilities=self.predict_proba(labels[::5])
        )
        return self

    def predict_proba(self, images):
        return np.tile(0.5 * self.prior + 0.05, (len(images), 1))


def test_rows_that_a_fit_held_back_give_a_temperature(tmp_path, digits):
    def duel(one):
        told = {"out": tmp_path / "run", "resamples": 100, "keep_models": False}
        return toolkit.compare({"modest": one, "plain": Counting()}, digits, **told).to_dict()["contestants"]

    modest = HoldingBack()
    found = duel(modest)
    assert "temperature" not in found["plain"]["calibration"]
    told = found["modest"]["calibration"]["temperature"]
    held, test = (
        toolkit.read_predictions(tmp_path / "run" / "modest" / f"{n}.npz") for n in ("held_out", "predictions")
    )
    rows = modest.held_out_.rows
    assert np.array_equal(held.labels, digits.fitting.labels[rows])
    assert np.array_equal(held.names, digits.fitting.names[rows])
    assert (told["temperature"], told["rows"]) == (fit_temperature(held.labels, held.probabilities), len(rows))
    assert_allclose(test.probabilities, modest.predict_proba(digits.test.images), rtol=1e-6)  # left as they are
    assert duel(HoldingBack()) == found  # read again, not fitted


def test_what_a_contestant_is_made_of():
    net = network()
    vote = Voting([("net", net), ("bayes", bayes())])
    assert made_of(net) == {"network": True, "calibrated": False, "members": []}
    assert made_of(bayes()) == {"network": False, "calibrated": False, "members": []}
    assert made_of(vote) == {"network": True, "calibrated": False, "members": ["net", "bayes"]}
    assert made_of(hog_svm())["calibrated"] is True
    assert made_of(CalibratedClassifierCV(bayes()))["calibrated"] is True
    assert made_of(Voting([("a", bayes()), ("b", logistic())]))["network"] is False
    assert made_of(make_pipeline(BackboneFeatures("mobilenet_v2"), GaussianNB()))["network"] is True
    assert made_of(Counting()) == {"network": False, "calibrated": False, "members": []}


def test_an_ensemble_is_held_against_its_best_member(digits):
    members = {"bayes": bayes(), "logistic": logistic()}
    duel = toolkit.compare({**members, "vote": Voting(list(members.items()))}, digits, resamples=100)
    assert duel.outcomes["vote"].made_of["members"] == ["bayes", "logistic"]
    assert "The ensemble vote" in duel.verdict()
    assert "its best member, logistic (" in duel.verdict()
    assert "a difference would show from" in duel.verdict()


def test_groups_go_to_a_fit_that_takes_them_and_to_no_other():
    seen = []

    class Taking:
        def fit(self, images, labels, groups=None):
            seen.append(groups)

    class Plain:
        def fit(self, images, labels):
            seen.append("plain")

    images, labels, groups = np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 1, 0, 1]), np.array(["a", "a", "b", "b"])
    for columns in ({"group": groups}, {}):
        split = toolkit.data.Split(images, labels, np.array(list("wxyz")), columns)
        contending.fit(Taking(), split)
        contending.fit(Plain(), split)
    assert seen[0] is groups
    assert seen[1:] == ["plain", None, "plain"]
