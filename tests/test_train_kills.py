"""The command `train` killed at any moment, and however often: it ends with the history that it would have had."""

import json
import random
import signal
import subprocess
import time
from contextlib import suppress

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.test_cli import COMMAND, ENVIRONMENT, touchstone
from tests.test_train import read_history


def kill_when(moment, *arguments, log=None, within=200):
    """Run the command, and kill it as soon as `moment` has come; it must be at work then. `log` takes what it says."""
    killed = subprocess.Popen([*COMMAND, *map(str, arguments)], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=log)
    deadline = time.monotonic() + within
    while not moment() and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert moment(), "It ended, or took too long, before."
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL


def rows_of(folder):
    """How many epochs have been written."""
    return len(read_history(folder)["epoch"]) if (folder / "history.csv").exists() else 0


def checkpoint_of(folder):
    """What the checkpoint tells of the training, but for its arrays; nothing where there is none."""
    with suppress(FileNotFoundError), (folder / "checkpoint.npz").open("rb") as file, np.load(file) as stored:
        return json.loads(str(stored["told"]))
    return {"phase": None, "epochs": 0, "finished": False}


def finish(out, *arguments):
    """Run the command to its end; its history."""
    done = touchstone(*arguments, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "validation images" in done.stdout
    assert not list(out.rglob("*.partial"))
    assert not (out / "checkpoint.npz").exists()
    return read_history(out)


def test_a_killed_command_goes_on(tmp_path):
    out, arguments = tmp_path / "run", ["train", "cnn", "digits", "--epochs", "4"]
    kill_when((out / "checkpoint.npz").exists, *arguments, "--out", out)
    assert not (out / "training.json").exists()
    history = finish(out, *arguments)
    assert_allclose(history["loss"], undisturbed(4), rtol=1e-2)  # threads add float32 in another order
    assert {"loss.svg", "accuracy.svg", "model"} <= {path.name for path in out.iterdir()}


def undisturbed(epochs):
    """Losses of the same training in one go."""
    from toolkit.data import load
    from toolkit.training import KerasClassifier, Recipe

    rows = load("digits").train
    model = KerasClassifier("cnn", Recipe.preset("standard", epochs=epochs), verbose=False)
    return model.fit(rows.images, rows.labels).history_["loss"]


def later(condition, seconds):
    """A moment: so many seconds after a condition has come true."""
    since = []

    def moment():
        if not since and condition():
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= seconds

    return moment


@pytest.mark.thorough
@pytest.mark.timeout(1800)  # twelve processes that begin anew
def test_a_command_killed_ten_times_at_random_moments_ends_with_the_undisturbed_history(tmp_path):
    out = tmp_path / "run"
    arguments = ["train", "cnn", "digits", "--epochs", "24", "--set", "patience=99", "--set", "deterministic=true"]
    whole = finish(tmp_path / "whole", *arguments)
    generator, seen = random.Random(0), []
    for gained in (0, 1, 2, 0, 1, 3, 1, 2, 0, 1):  # epochs at least, in each attempt; 0: perhaps while it starts
        wanted = rows_of(out) + gained
        moment = later(lambda wanted=wanted: rows_of(out) >= wanted, generator.uniform(0, 1 if gained else 8))
        kill_when(moment, *arguments, "--out", out)
        assert not (out / "training.json").exists()
        seen.append(rows_of(out))
    assert len({*seen}) >= 7  # most kills met it in an epoch of its own
    assert 11 <= seen[-1] < 24
    assert finish(out, *arguments) == whole  # to the last bit


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small MobileNet's, random."""
    path = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    keras.utils.set_random_seed(0)
    keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False).save_weights(path)
    return path


@pytest.mark.thorough
def test_two_phases_killed_in_each_and_between_end_with_the_undisturbed_history(tmp_path, weights):
    out, said = tmp_path / "run", tmp_path / "said.txt"
    told = {"frozen_epochs": 30, "passes": 3, "unfreeze": 0.3, "patience": 99, "deterministic": "true"}
    arguments = ["train", "mobilenet_025", "digits", "--weights", f"mobilenet_025={weights}", "--epochs", "5"]
    arguments += ["--option", "size=32", *(word for pair in told.items() for word in ("--set", "{}={}".format(*pair)))]
    whole = finish(tmp_path / "whole", *arguments)
    assert whole["phase"] == [1] * 30 + [1.5] + [2] * 5

    def features_begun():
        return "head on frozen features" in said.read_text()

    def head_begun():
        return checkpoint_of(out)["phase"] == 1

    def head_ended():
        return head_begun() and checkpoint_of(out)["finished"]

    def tuned(epochs):
        return checkpoint_of(out)["phase"] == 2 and checkpoint_of(out)["epochs"] >= epochs

    moments = {
        "features": (later(features_begun, 0.5), lambda: not list((out / "features").glob("features-*.npz"))),
        "head": (head_begun, lambda: not head_ended()),
        "between": (head_ended, lambda: not tuned(1)),
        "fine-tuning": (lambda: tuned(2), lambda: not tuned(4)),
        "its last epochs": (lambda: tuned(4), lambda: not (out / "training.json").exists()),
    }
    for name, (moment, still) in moments.items():
        with said.open("w") as log:
            kill_when(moment, *arguments, "--out", out, log=log)
        assert still(), name
    assert finish(out, *arguments) == whole  # to the last bit
    assert not (out / "features").exists()


@pytest.mark.thorough
def test_a_duel_killed_inside_a_network_goes_on_in_it(tmp_path):
    out, arguments = (
        tmp_path / "run",
        ["compare", "digits", "cnn", "--epochs", "6", "--explain", "0", "--no-audit", "--no-memory"],
    )
    kill_when((out / "cnn" / "checkpoint.npz").exists, *arguments, "--out", out)
    before = checkpoint_of(out / "cnn")
    assert not (out / "comparison.json").exists()
    for folder in (out, tmp_path / "whole"):
        done = touchstone(*arguments, "--out", folder)
        assert done.returncode == 0, done.stderr
    after, whole = (json.loads((run / "cnn" / "contestant.json").read_text()) for run in (out, tmp_path / "whole"))
    assert after["history"]["loss"][: before["epochs"]] == before["history"]["loss"]  # gone on with, not begun anew
    assert_allclose(after["history"]["loss"], whole["history"]["loss"], rtol=1e-2)  # threads add float32 otherwise
    assert after["fit_seconds"] > before["seconds"]
    assert not list(out.rglob("checkpoint.npz"))
