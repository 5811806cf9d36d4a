"""Every metric against scikit-learn's, on cases made to be awkward, and every wrong input refused in one line."""

import json
import warnings

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.evaluation import Evaluation, evaluate, point_metrics

TOLERANCE = 1e-6  # float32 input is added up in float64, so what remains is scikit-learn's own rounding


def case(rows, classes, seed, sharpness=1.0, absent=(), grid=None, dtype=np.float64):
    """Labels (N,) and probabilities (N, K); `absent` classes never occur, `grid` rounds scores so that they tie."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([index for index in range(classes) if index not in absent], rows)
    scores = rng.normal(size=(rows, classes)) * sharpness
    scores[np.arange(rows), labels] += rng.normal() * sharpness
    if grid is not None:
        scores = np.round(scores * grid) / grid
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return labels, (odds / odds.sum(axis=1, keepdims=True)).astype(dtype)


def reference(labels, probabilities):
    """What scikit-learn gives, the areas over the classes that have a row and are not all rows."""
    classes = probabilities.shape[1]
    predicted, one_hot = probabilities.argmax(axis=1), np.eye(classes)[labels]
    occurring = [index for index in range(classes) if 0 < one_hot[:, index].sum() < len(labels)]
    epsilon = np.finfo(probabilities.dtype).eps
    wide = probabilities.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes that do not occur
        values = {
            "accuracy": sk.accuracy_score(labels, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
            "matthews": sk.matthews_corrcoef(labels, predicted),
            "kappa": sk.cohen_kappa_score(labels, predicted),
            "log_loss": sk.log_loss(labels, np.clip(wide, epsilon, 1 - epsilon), labels=np.arange(classes)),
            "brier": np.mean(np.sum((wide - one_hot) ** 2, axis=1)),
            "roc_auc": np.nan,
            "average_precision": np.nan,
        }
        for average in ("macro", "weighted"):
            found = sk.precision_recall_fscore_support(labels, predicted, average=average)
            values |= {
                f"{average}_{name}": value for name, value in zip(("precision", "recall", "f1"), found, strict=False)
            }
        if occurring:
            pairs = [(one_hot[:, index], probabilities[:, index]) for index in occurring]
            values["roc_auc"] = np.mean([sk.roc_auc_score(*pair) for pair in pairs])
            values["average_precision"] = np.mean([sk.average_precision_score(*pair) for pair in pairs])
        for k in (3, 5):
            if k < classes:
                top = sk.top_k_accuracy_score(labels, probabilities, k=k, labels=np.arange(classes))
                values[f"top_{k}_accuracy"] = top
    return values


def assert_equal_to_reference(labels, probabilities):
    found = point_metrics(labels, probabilities)
    expected = reference(labels, probabilities)
    assert set(found) == set(expected) | {"ece"}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=TOLERANCE, nan_ok=True), name


@settings(max_examples=120)
@given(
    rows=st.integers(1, 60),
    classes=st.integers(2, 8),
    seed=st.integers(0, 2**32 - 1),
    sharpness=st.sampled_from([0.1, 1.0, 5.0, 40.0]),  # 40: most probabilities are 0 or 1 to the last bit
    absent=st.integers(0, 6),
    grid=st.sampled_from([None, 1, 4]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_metrics_equal_scikit_learn(rows, classes, seed, sharpness, absent, grid, dtype):
    labels, probabilities = case(rows, classes, seed, sharpness, range(min(absent, classes - 1)), grid, dtype)
    assert_equal_to_reference(labels, probabilities)


@pytest.mark.jax
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("absent", [(), (0, 3)])
def test_metrics_equal_scikit_learn_on_more_rows(absent, dtype):
    assert_equal_to_reference(*case(3000, 7, seed=3, absent=absent, grid=4, dtype=dtype))


def test_one_row():
    labels, probabilities = np.array([1]), np.array([[0.2, 0.5, 0.3]])
    evaluation = evaluate(labels, probabilities)
    assert evaluation["accuracy"].value == 1
    assert np.isnan(evaluation["roc_auc"].value)
    assert evaluation.to_dict()["metrics"]["roc_auc"] == {"value": None, "low": None, "high": None}


def test_blocks_of_rows_do_not_change_the_metrics(monkeypatch):
    labels, probabilities = case(500, 6, seed=1)
    whole = point_metrics(labels, probabilities)
    monkeypatch.setattr("toolkit.evaluation.precision.BLOCK", 64)
    monkeypatch.setattr("toolkit.evaluation.ranking.BLOCK", 64)
    assert point_metrics(labels, probabilities) == pytest.approx(whole, abs=1e-12)


@pytest.mark.jax
def test_evaluation_agrees_with_its_metrics_and_survives_json():
    labels, probabilities = case(400, 5, seed=2, absent=(4,))
    names = ["daisy", "rose", "tulip", "<script>", "never"]
    evaluation = evaluate(labels, probabilities, names, resamples=200)
    points = point_metrics(labels, probabilities)
    assert {name: interval.value for name, interval in evaluation.metrics.items()} == pytest.approx(points, abs=1e-12)
    for interval in evaluation.metrics.values():
        assert interval.low <= interval.value <= interval.high
    assert evaluation.confusion.sum() == 400
    assert np.array_equal(
        evaluation.confusion, sk.confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(5))
    )
    written = json.dumps(evaluation.to_dict(), allow_nan=False)
    again = Evaluation.from_dict(json.loads(written))
    assert json.dumps(again.to_dict(), allow_nan=False) == written
    assert again.class_names == tuple(names)


def test_a_class_that_never_occurs_has_no_recall_and_no_f1():
    labels, probabilities = case(300, 4, seed=5, absent=(2,))
    scores = evaluate(labels, probabilities, resamples=100).per_class[2]
    assert scores.support == 0
    assert np.isnan([scores.recall.value, scores.f1.value]).all()
    assert scores.precision.value == 0  # it was predicted, wrongly


def test_per_class_scores_equal_scikit_learn():
    labels, probabilities = case(300, 4, seed=6)
    expected = np.stack(sk.precision_recall_fscore_support(labels, probabilities.argmax(axis=1)))
    per_class = evaluate(labels, probabilities, resamples=100).per_class
    found = [
        [s.precision.value for s in per_class],
        [s.recall.value for s in per_class],
        [s.f1.value for s in per_class],
    ]
    np.testing.assert_allclose(found, expected[:3], atol=1e-12)
    assert [scores.support for scores in per_class] == list(expected[3])


def test_the_seed_decides_the_intervals():
    labels, probabilities = case(200, 3, seed=7)
    first, again, other = (evaluate(labels, probabilities, method="bca", resamples=300, seed=s) for s in (0, 0, 1))
    assert first.to_dict() == again.to_dict()
    assert first["macro_f1"] != other["macro_f1"]


def refused(labels, probabilities, *, match, **options):
    with pytest.raises(InputError, match=match) as caught:
        evaluate(labels, probabilities, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.jax
def test_wrong_input_is_refused_in_one_line():
    labels, probabilities = case(20, 3, seed=8)
    broken = probabilities.copy()
    broken[4, 1] = np.nan
    negative = probabilities.copy()
    negative[0] = [-0.1, 0.6, 0.5]
    refused(labels, np.log(probabilities), match="softmax")
    refused(labels, negative, match="smallest value of -0.1")
    refused(labels, broken, match="NaN.* row 4")
    refused(labels, np.where(broken > 2, 1, np.inf), match="finite")
    refused(labels + 1, probabilities, match="labels from 0 to 2")
    refused(labels - 1, probabilities, match="labels from 0 to 2")
    refused(labels.astype(float), probabilities, match="labels as integers")
    refused(probabilities, labels, match="swapped")
    refused(labels[:-1], probabilities, match="19 and 20")
    refused(labels, labels, match=r"floats \(N, K\)")
    refused(labels, probabilities[:, :1] * 0 + 1, match="two classes")
    refused(labels[:0], probabilities[:0], match="at least one row")
    refused(labels, probabilities, class_names=["a", "b"], match="3 class names")
    refused(labels, probabilities, class_names=["a", "b", "a"], match="'a' more than once")
    refused(labels, probabilities, confidence=95, match="between 0 and 1")
    refused(labels, probabilities, resamples=10, match="at least 40 resamples")


def test_sums_that_only_rounding_keeps_from_one_are_accepted():
    labels, probabilities = case(2000, 10, seed=9, dtype=np.float16)
    assert evaluate(labels, probabilities, resamples=100).rows == 2000
