"""The diagnosis: curves of known shape get their name, whatever the number of epochs and classes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.training.diagnosis import diagnose


def curves(kind, epochs=30, classes=10):
    """A history as such trainings have it, and its best epoch."""
    passed, top = np.linspace(0, 1, epochs), np.log(classes)
    guess = 1 / classes
    falling = np.exp(-8 * passed)
    loss, held = top * (0.05 + 0.95 * falling), top * (0.07 + 0.95 * falling)
    accuracy, right = 0.98 - (0.98 - guess) * falling, 0.95 - (0.95 - guess) * falling
    if kind == "over-fitting":
        held = top * (0.4 + 0.6 * falling) + top * 0.5 * np.clip(passed - 0.3, 0, None)
        right = 0.7 - (0.7 - guess) * falling
    if kind == "under-fitting":
        loss, held = top * (0.8 + 0.2 * falling), top * (0.81 + 0.2 * falling)
        accuracy = right = guess + 0.3 * (1 - guess) * (1 - falling)
    if kind == "not converged":
        loss = held = top * (1.05 - 0.9 * passed)
        accuracy = right = guess + 0.8 * (1 - guess) * passed
    if kind == "unstable":
        wild = 1 + 0.8 * (np.arange(epochs) % 3 == 1)
        loss, held = loss * wild + 0.1 * wild, held * wild + 0.1 * wild
    history = {"loss": loss, "accuracy": accuracy, "holdout_loss": held, "holdout_accuracy": right}
    return {name: column.tolist() for name, column in history.items()}, int(np.argmin(held))


@pytest.mark.parametrize("kind", ["fine", "over-fitting", "under-fitting", "not converged", "unstable"])
@pytest.mark.parametrize(("epochs", "classes"), [(12, 2), (30, 10), (200, 100)])
def test_curves_get_their_name(kind, epochs, classes):
    found = diagnose(*curves(kind, epochs, classes), classes)
    assert found.kind == kind, found
    assert bool(found.advice) == (kind != "fine")
    assert json.loads(json.dumps(found.to_dict()))["kind"] == kind
    assert str(found).lower().startswith(kind)


def test_without_rows_held_back_it_says_so():
    history, _ = curves("over-fitting")
    kept = {name: history[name] for name in ("loss", "accuracy")}
    found = diagnose(kept, 29, 10)
    assert found.kind == "fine"
    assert "no rows were held back" in found.words
    assert "holdout" in found.advice[0]


def test_the_phase_of_the_best_epoch_is_judged():
    one, best = curves("fine", 12)
    other, _ = curves("unstable", 12)
    history = {name: column + other[name] for name, column in one.items()} | {"phase": [1.0] * 12 + [2.0] * 12}
    assert diagnose(history, best, 10).kind == "fine"
    history = {name: other[name] + column for name, column in one.items()} | {"phase": [1.0] * 12 + [2.0] * 12}
    assert diagnose(history, 12 + best, 10) == diagnose(one, best, 10)


@pytest.mark.parametrize("last", [0.014, 0.004], ids=["rising", "falling"])
def test_a_loss_near_zero_is_no_trouble(last):
    """A share of next to nothing is nothing: all rows are right."""
    held = [0.5, 0.1, 0.02, 0.012, 0.010, last]
    history = {"loss": [0.5, 0.1, 0.02, 0.012, 0.01, 0.004], "accuracy": [0.8, 0.9, 1.0, 1.0, 1.0, 1.0]}
    history |= {"holdout_loss": held, "holdout_accuracy": [0.8, 0.9, 1.0, 1.0, 1.0, 1.0]}
    assert diagnose(history, int(np.argmin(held)), 10).kind == "fine"


def test_a_short_curve_that_still_falls_is_not_called_under_fitting():
    held = [1.3, 1.09, 0.99]
    history = {"loss": held, "accuracy": [0.4, 0.5, 0.6], "holdout_loss": held, "holdout_accuracy": [0.4, 0.5, 0.6]}
    assert diagnose(history, 2, 5).kind == "not converged"


@pytest.mark.parametrize(
    ("learned", "unseen", "kind"),
    [(0.98, 0.95, "fine"), (1.0, 0.8, "over-fitting"), (0.5, 0.45, "under-fitting"), (1.0, None, "fine")],
)
def test_a_solved_head_is_judged_by_its_own_row(learned, unseen, kind):
    history, _ = curves("unstable", 12, 2)
    row = {"loss": 0.1, "accuracy": learned, "holdout_loss": 0.2, "holdout_accuracy": unseen, "phase": 1.5}
    history = {name: [*history.get(name, [1.0] * 12), value] for name, value in row.items()}
    found = diagnose(history, 12, 10)
    assert found.kind == kind
    assert not any("epochs" in line or "learning_rate" in line for line in found.advice)


def test_a_few_epochs_are_too_few():
    history, _ = curves("fine", 30)
    assert diagnose({name: column[:1] for name, column in history.items()}, 0, 10).kind == "too short"


values = st.none() | st.floats(0, 1e6)


@given(st.lists(st.tuples(values, values, values, values), min_size=1, max_size=12), st.data())
def test_any_history_gets_an_answer(rows, data):
    names = ("loss", "accuracy", "holdout_loss", "holdout_accuracy")
    history = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    found = diagnose(history, data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(2, 50)))
    assert found.words.endswith(".")
