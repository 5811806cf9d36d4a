"""What stands behind the numbers adds up: bins hold every row, groups part them, the curve ends at the error rate."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from toolkit.errors import InputError
from toolkit.evaluation import calibration_error, details, evaluate, evaluate_groups, groupings, temperature_scaling


@pytest.fixture(scope="module")
def told():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 300)
    scores = generator.normal(size=(300, 4))
    scores[np.arange(300), labels] += 1.5
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return (
        labels,
        probabilities.astype(np.float32),
        {"site": generator.choice(["n", "s", ""], 300), "file": np.arange(300)},
    )


def test_a_temperature_is_told_where_rows_were_held_out(told):
    labels, probabilities, _ = told
    assert "temperature" not in details(labels, probabilities)["calibration"]
    held = (labels[:100], probabilities[:100])
    found = details(labels[100:], probabilities[100:], held_out=held)["calibration"]["temperature"]
    json.dumps(found, allow_nan=False)
    wanted = temperature_scaling(labels[100:], probabilities[100:], *held)
    assert (found["temperature"], found["rows"]) == (wanted.temperature, 100)
    assert found["log_loss_after"] == wanted.log_loss_after.to_dict()
    before = evaluate(labels[100:], probabilities[100:])
    assert [found[f"{name}_before"]["value"] for name in ("ece", "log_loss", "brier")] == [
        before[name].value for name in ("ece", "log_loss", "brier")
    ]
    assert found["log_loss_before"] == before["log_loss"].to_dict()


def test_details_agree_with_the_functions_behind_them(told):
    labels, probabilities, columns = told
    found = details(labels, probabilities, columns)
    json.dumps(found, allow_nan=False)  # plain values
    wrong = 1 - evaluate(labels, probabilities)["accuracy"].value
    bins = found["calibration"]["bins"]
    assert sum(one["rows"] for one in bins) == 300
    assert_allclose(sum(one["rows"] * one["accuracy"]["value"] for one in bins) / 300, 1 - wrong)
    assert found["calibration"]["errors"]["ece"]["value"] == calibration_error(labels, probabilities).value
    brier = found["calibration"]["brier"]
    parts = brier["reliability"] - brier["resolution"] + brier["uncertainty"] + brier["within"]
    assert_allclose(parts, brier["brier"], atol=1e-12)
    assert found["selective"]["coverage"][-1] == 1
    assert_allclose(found["selective"]["risk"][-1], wrong)
    assert found["selective"]["coverage"] == sorted(found["selective"]["coverage"])
    assert len(found["selective"]["coverage"]) <= 200
    assert list(found["by_group"]) == ["site"]  # a name for each file is no grouping
    groups = found["by_group"]["site"]
    assert {group["name"] for group in groups} == {"n", "s", "none"}
    assert sum(group["rows"] for group in groups) == 300
    assert [group["accuracy"]["value"] for group in groups] == sorted(group["accuracy"]["value"] for group in groups)


def test_only_columns_that_part_the_rows_are_groupings():
    columns = {"one": np.zeros(9), "box": np.zeros((9, 4)), "name": np.arange(9), "day": np.arange(9) % 3}
    assert list(groupings(columns, most=5)) == ["day"]
    assert groupings(columns, most=5)["day"].tolist() == list("012012012")


def test_a_group_that_is_worse_is_named(told):
    labels, probabilities, _ = told
    site = np.where(np.arange(300) < 100, "bad", np.where(np.arange(300) < 200, "good", "fine"))
    shifted = probabilities.copy()
    shifted[:100] = np.roll(shifted[:100], 1, axis=1)
    table = evaluate_groups(labels, shifted, site)
    assert (table.worst.name, table.worst.verdict) == ("bad", "worse than the rest")
    group = details(labels, shifted, {"site": site})["by_group"]["site"][0]
    assert (group["name"], group["verdict"]) == ("bad", "worse than the rest")


def test_what_is_no_answer_is_refused(told):
    labels, probabilities, _ = told
    with pytest.raises(InputError, match="softmax"):
        details(labels, np.log(probabilities))
    with pytest.raises(InputError, match="one value for each of 300 rows"):
        details(labels, probabilities, {"site": np.arange(10) % 2})
