"""The commands over what was written: the same numbers, groups, pairs and temperatures; one line for what cannot be."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from toolkit import runs
from toolkit.cli import main


@pytest.fixture
def touchstone(monkeypatch, capfd):
    """Run a command within this process: (exit status, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["touchstone", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "120")
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        said = capfd.readouterr()
        return stopped.value.code, said.out, said.err

    return run


def predictions(seed=0, skill=2.0, rows=120):
    """Predictions of three classes; the labels are those of seed 0, whatever the contestant's seed."""
    labels = np.random.default_rng(0).integers(0, 3, rows)
    scores = np.random.default_rng(seed).normal(size=(rows, 3))
    scores[np.arange(rows), labels] += skill
    told = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    names = np.array([f"{row}.png" for row in range(rows)])
    site = np.where(np.arange(rows) % 2, "north", "south")
    return runs.Predictions(labels, told.astype(np.float32), names, ("a", "b", "<i>"), "0" * 64, {"site": site})


def write(folder, name, one):
    runs.write_contestant(folder, name, one, {})
    return folder / name / "predictions.npz"


def test_two_files_are_a_pair(touchstone, tmp_path):
    good, bad = (
        write(tmp_path, name, predictions(seed, skill)) for name, seed, skill in (("good", 1, 3), ("bad", 2, 0))
    )
    status, out, _ = touchstone("evaluate", good, bad, "--resamples", 200)
    assert status == 0
    assert "good is better" in out
    found = json.loads(touchstone("evaluate", good, bad, "--json")[1])
    assert found["pairs"][0]["verdict"] == "good is better"
    assert found["contestants"]["good"]["metrics"]["accuracy"]["value"] > 0.8


def test_groups_of_any_column(touchstone, tmp_path):
    one = predictions(skill=3)
    told = one.probabilities.copy()
    told[::2] = np.roll(told[::2], 1, axis=1)
    file = write(tmp_path, "hog", replace(one, probabilities=told))
    status, out, _ = touchstone("evaluate", file, "--by", "site")
    assert status == 0
    assert out.index("south") < out.index("north")  # the worst first
    assert "worse than the rest" in out
    found = json.loads(touchstone("evaluate", file, "--by", "site", "--json")[1])
    assert found["groups"]["hog"]["worst"] == "south"
    status, _, error = touchstone("evaluate", file, "--by", "sites")
    assert (status, len(error.splitlines())) == (2, 1)
    assert "Did you mean 'site'?" in error


def test_a_temperature_is_fitted_on_validation_rows(touchstone, tmp_path):
    one = predictions(skill=2)
    sharp = one.probabilities.astype(np.float64) ** 4
    sharp = replace(one, probabilities=(sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32))
    before = replace(sharp, names=np.array([f"validation/{row}.png" for row in range(120)]))
    test, validation = write(tmp_path, "test", sharp), write(tmp_path, "validation", before)
    found = json.loads(touchstone("evaluate", test, "--validation", validation, "--json")[1])["temperature"]["test"]
    assert 1.4 < found["temperature"] < 3  # scores with unit noise and a lead of 2 are calibrated at 1/2, these at 2
    assert found["log_loss_after"]["value"] < found["log_loss_before"]["value"]
    assert "temperature" in touchstone("evaluate", test, "--validation", validation)[1]
    status, _, error = touchstone("evaluate", test, "--validation", test)
    assert status == 2
    assert "rows of the test set among them" in error


BAD = {
    "logits": ({"probabilities": np.full((120, 3), 2.5)}, "softmax"),
    "nan": ({"probabilities": np.full((120, 3), np.nan)}, "NaN"),
    "labels out of range": ({"labels": np.full(120, 3)}, "labels from 0 to 2"),
    "swapped": ({"labels": predictions().probabilities, "probabilities": predictions().labels}, "swapped"),
    "class names": ({"class_names": ("a", "b")}, "3 class names"),
    "twice": ({"class_names": ("a", "b", "a")}, "differ"),
    "nothing": ({"labels": np.zeros(0, int), "probabilities": np.zeros((0, 3))}, "at least one row"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_answer_is_one_line(touchstone, tmp_path, kind):
    change, words = BAD[kind]
    file = write(tmp_path, "odd", replace(predictions(), columns={}, **change))
    status, _, error = touchstone("evaluate", file)
    assert (status, len(error.splitlines())) == (2, 1)
    assert words in error


def test_two_test_sets_form_no_pair(touchstone, tmp_path):
    one = write(tmp_path, "one", predictions())
    changes = {
        "labels": {"labels": 2 - predictions().labels},
        "names of images": {"names": predictions().names[::-1]},
        "data manifest": {"manifest": "1" * 64},
        "class names": {"class_names": ("a", "b", "c")},
    }
    for words, change in changes.items():
        other = write(tmp_path, "other", replace(predictions(), **change))
        status, _, error = touchstone("evaluate", one, other)
        assert (status, len(error.splitlines())) == (2, 1)
        assert words in error
    status, _, error = touchstone("evaluate", one, one)
    assert status == 2
    assert "twice" in error


def write_images(root, names=("<script>alert(1)</script>", "b&w")):
    generator = np.random.default_rng(0)
    for index, name in enumerate(names):
        folder = root / name.replace("/", "\N{DIVISION SLASH}")
        folder.mkdir(parents=True)
        for number in range(20):
            pixels = generator.integers(0, 150, (16, 16, 3)) + 8 * index
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"<b>{number:02d}.png")
    return root


def test_a_duel_explains_itself_and_its_data(touchstone, tmp_path):
    data, run = write_images(tmp_path / "set"), tmp_path / "run"
    told = ("compare", data, "pixels_svm", "--out", run, "--explain", 3, "--cache", tmp_path / "cache")
    status, _, error = touchstone(*told)
    assert status == 0, error
    with np.load(run / "pixels_svm" / "explanations.npz") as stored:
        assert len(stored["rows"]) <= 3
        assert stored["occlusion"].shape[1:] == (16, 16)
    assert json.loads((run / "audit.json").read_text())["images"] == 40
    entry = json.loads((run / "comparison.json").read_text())["contestants"]["pixels_svm"]
    assert {"calibration", "selective", "by_group"} <= set(entry)
    page = (run / "report.html").read_text()
    assert "<script>alert" not in page  # a class of that name is text
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b&gt;" in page
    before = (run / "pixels_svm" / "explanations.npz").stat().st_mtime_ns
    assert touchstone(*told)[0] == 0
    assert (run / "pixels_svm" / "explanations.npz").stat().st_mtime_ns == before  # what is there is not made again


def test_a_resumed_duel_refuses_predictions_of_other_rows(touchstone, tmp_path):
    data, run = write_images(tmp_path / "set", ("a", "b")), tmp_path / "run"
    told = ("compare", data, "pixels_svm", "--out", run, "--explain", 0, "--no-audit", "--cache", tmp_path / "cache")
    assert touchstone(*told)[0] == 0
    assert not (run / "audit.json").exists()
    assert not (run / "pixels_svm" / "explanations.npz").exists()
    file = run / "pixels_svm" / "predictions.npz"
    stored = dict(np.load(file))
    np.savez(file, **{**stored, "manifest": np.array("1" * 64)})
    status, _, error = touchstone(*told)
    assert (status, len(error.splitlines())) == (2, 1)
    assert "data manifest" in error
    status, _, error = touchstone("report", run)
    assert status == 2
    assert "data manifest" in error
