"""The command `train`: what it leaves behind, what it refuses. That it survives being killed: `test_train_kills.py`."""

import csv
import json
import os
import sys
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.test_checkpoint import RECIPE, brightness, classifier
from toolkit import fitting
from toolkit.data import Dataset, Manifest, Split
from toolkit.errors import InputError


def dataset(rows=60, lone=False):
    """Three parts of images that differ in brightness, uint8 (rows, 10, 10, 3); with `lone`, a class of one image."""

    def part(name, rows, seed):
        images, labels = brightness(rows, seed=seed)
        if lone and name == "train":
            labels[-1] = 3
        return Split(images, labels, np.array([f"{name}/{row}" for row in range(rows)]))

    parts = part("train", rows, 0), part("validation", 30, 1), part("test", 30, 2)
    return Dataset(*parts, tuple("abcd" if lone else "abc"), Manifest("made", 0, {}, "0" * 64))


def read_history(folder):
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def test_what_stays_of_a_training(tmp_path):
    model = classifier()
    result = fitting.train("tiny", model, dataset(), out=tmp_path / "run", tensorboard=True)
    assert list(result.evaluations) == ["validation"]
    answer = model.predict_proba(dataset().validation.images)
    right = (answer.argmax(axis=1) == dataset().validation.labels).mean()
    assert_allclose(result.evaluations["validation"]["accuracy"].value, right)
    history = read_history(result.folder)
    assert history.pop("epoch") == list(range(1, len(model.history_["loss"]) + 1))
    assert history == model.history_
    assert result.details["diagnosis"] == model.diagnosis.to_dict()
    assert json.loads((result.folder / "diagnosis.json").read_text()) == result.details["diagnosis"]
    assert events(result.folder / "tensorboard") == pytest.approx(model.history_["loss"], rel=1e-6)
    assert not (result.folder / "test_predictions.npz").exists()


def events(folder):
    """Values of `loss` in the events of a folder, in their order."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    (path,) = folder.iterdir()
    found = [value for event in LegacyEventFileLoader(str(path)).Load() for value in event.summary.value]
    return [value.simple_value for value in found if value.tag == "loss"]


def test_the_same_training_goes_on_and_another_is_refused(tmp_path, monkeypatch):
    whole = fitting.train("tiny", classifier(), dataset(), out=tmp_path / "whole")

    def interrupt(history, writers=None):
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.fitting._tell", lambda writers, history: interrupt(history))
    with pytest.raises(KeyboardInterrupt):
        fitting.train("tiny", classifier(), dataset(), out=tmp_path / "run", tensorboard=True)
    monkeypatch.undo()
    assert not (tmp_path / "run" / "training.json").exists()
    again = fitting.train("tiny", classifier(), dataset(), out=tmp_path / "run", tensorboard=True)
    loss = whole.details["history"]["loss"]
    assert_allclose(again.details["history"]["loss"], loss, rtol=1e-4)  # threads add float32 in another order
    assert events(again.folder / "tensorboard") == pytest.approx(loss, rel=1e-4)
    with pytest.raises(InputError, match="differs in: contestants"):
        fitting.train("tiny", classifier(seed=1), dataset(), out=tmp_path / "run")


def test_a_finished_training_is_not_repeated_and_may_be_judged_later(tmp_path, monkeypatch):
    first = fitting.train("tiny", classifier(), dataset(), out=tmp_path / "run")
    late = fitting.train("tiny", classifier(), dataset(), out=tmp_path / "run", test=True)
    assert list(late.evaluations) == ["validation", "test"]
    assert late.details["history"] == first.details["history"]
    monkeypatch.setattr("toolkit.training.KerasClassifier.fit", None)
    again = fitting.train("tiny", classifier(), dataset(), out=tmp_path / "run", test=True)
    assert again.evaluations["test"].metrics == late.evaluations["test"].metrics


def test_what_a_failed_attempt_was_advised_is_done_in_the_same_folder(tmp_path, monkeypatch):
    gone = classifier(model="mobilenet_025", options={"weights": str(tmp_path / "gone.h5"), "size": 32})
    with pytest.raises(InputError, match=r"weights file for 'mobilenet_025'"):
        fitting.train("net", gone, dataset(), out=tmp_path / "run", tensorboard=True)
    monkeypatch.setattr("toolkit.training.watch.Watch.on_epoch_begin", lambda *_: [].append(bytearray(1 << 62)))
    with pytest.raises(InputError, match="try batch_size=8"):
        fitting.train("net", classifier(), dataset(), out=tmp_path / "run", tensorboard=True)
    monkeypatch.undo()
    smaller = type(RECIPE)(**{**vars(RECIPE), "batch_size": 8, "epochs": 1})
    assert fitting.train("net", classifier(recipe=smaller), dataset(), out=tmp_path / "run").details["history"]


def test_a_frozen_backbone_s_features_wait_for_the_next_attempt(tmp_path, monkeypatch):
    import keras

    weights = tmp_path / "small.weights.h5"
    keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False).save_weights(weights)
    model = partial(classifier, model="mobilenet_025", options={"weights": str(weights), "size": 32})

    def interrupt(writers, history):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("toolkit.fitting._tell", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fitting.train("net", model(), dataset(), out=tmp_path / "run", find_rate=True)
    assert list((tmp_path / "run" / "features").iterdir())
    monkeypatch.setattr("toolkit.training.features.Features._passes", None)  # none are made again
    done = model()
    result = fitting.train("net", done, dataset(), out=tmp_path / "run", find_rate=True)
    assert "No learning rate was searched: the head is solved" in result.details["notes"][0]
    assert result.details["recipe"]["learning_rate"] == done.recipe.learning_rate == RECIPE.learning_rate
    assert done.feature_cache is None
    assert not (result.folder / "features").exists()
    assert not (result.folder / "checkpoint.npz").exists()


def test_one_killed_between_its_end_and_its_clearing_up_is_cleared_up(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("toolkit.fitting._clear", lambda folder: None)
        fitting.train("tiny", classifier(), dataset(), out=tmp_path / "run")
    (tmp_path / "run" / "features").mkdir()
    fitting.train("tiny", classifier(), dataset(), out=tmp_path / "run")
    assert not {"checkpoint.npz", "features"} & {path.name for path in (tmp_path / "run").iterdir()}


def test_notes_say_what_is_otherwise_than_told(tmp_path):
    recipe = type(RECIPE)(**{**vars(RECIPE), "batch_size": 500, "epochs": 1})
    result = fitting.train("tiny", classifier(recipe=recipe), dataset(lone=True), out=tmp_path / "run")
    batch, lone, *_ = result.details["notes"]
    assert "A batch of 500 is more than the 4" in batch
    assert "Class 'd' has one image to learn from" in lone


def test_the_learning_rate_found_is_kept(tmp_path, monkeypatch):
    result = fitting.train("tiny", classifier(), dataset(), out=tmp_path / "run", find_rate=True)
    kept = json.loads((tmp_path / "run" / "rates.json").read_text())
    assert result.details["recipe"]["learning_rate"] == kept["suggestion"] != RECIPE.learning_rate
    monkeypatch.setattr("toolkit.training.rates.find_learning_rate", None)
    fitting.train("tiny", classifier(), dataset(), out=tmp_path / "run", find_rate=True, test=True)  # searches no more


def refusals():
    """Lines of which none may look at the data, which are not there."""
    data = "no_such_data"
    yield ("train", "hog_smv", data), ("Did you mean 'hog_svm'",)
    yield ("train", "hog_svm", data, "--set", "epochs=3"), ("hog_svm", "no recipe")
    yield ("train", "cnn", data, "--set", "epoch=3"), ("Did you mean 'epochs'",)
    yield ("train", "cnn", data, "--set", "optimizer=admw"), ("Did you mean 'adamw'",)
    yield ("train", "cnn", data, "--preset", "quik"), ("Did you mean 'quick'",)
    yield ("train", "cnn", data, "--set", "epochs"), ("--set FIELD=VALUE",)
    yield ("train", "cnn", data, "--option", "widht=8"), ("Did you mean 'width'",)
    yield ("train", "cnn", data, "--weights", "mobilenet_v2=x.h5"), ("no backbone among the contestants: cnn",)
    yield ("train", "mobilenet_v2", data, "--weights", "mobilenet_v2=gone.h5"), ("gone.h5", "where nothing is")
    yield ("train", "hog_svm", data, "--engine", "keras"), ("a network with --engine",)
    yield ("train", "cnn", data, "--processes", "2"), ("--coordinator HOST:PORT and --process-id",)
    yield ("train", "cnn", data, "--coordinator", "here:1"), ("--processes with --coordinator",)
    several = ("--processes", "2", "--coordinator")
    yield ("train", "cnn", data, *several, "here", "--process-id", "0"), ("--coordinator as HOST:PORT",)
    yield ("train", "cnn", data, *several, "here:1", "--process-id", "2"), ("0 to one less",)
    yield ("train", "cnn", data, *several, "here:1", "--process-id", "1"), ("KERAS_BACKEND=jax",)
    yield ("compare", data, "cnn", "--preset", "thorogh"), ("Did you mean 'thorough'",)
    yield ("compare", data, "mobilenet_v2", "--weights", "mobilenet_v2=gone.h5"), ("gone.h5", "where nothing is")
    yield ("compare", data, "cnn", "--option", "cnn.width=0"), ("from 1 to 4096",)


def test_a_mistake_is_one_line_before_the_data_are_loaded(tmp_path, capsys, monkeypatch):
    from toolkit.cli import main

    for arguments, words in refusals():
        monkeypatch.setattr(sys, "argv", ["touchstone", *arguments, "--out", str(tmp_path / "never")])
        with pytest.raises(SystemExit) as stopped:
            main()
        said = capsys.readouterr().err
        assert stopped.value.code == 2, said
        assert len(said.splitlines()) == 1, said
        assert all(word in said for word in words), said
    assert not os.listdir(tmp_path)
