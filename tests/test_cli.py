"""The command: what it prints and writes, one line for every mistake, and a run killed at any moment goes on."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image

COMMAND = [sys.executable, "-m", "toolkit"]
ENVIRONMENT = {**os.environ, "COLUMNS": "120", "PYTHONWARNINGS": "ignore"}


def touchstone(*arguments, cwd=None, timeout=300):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=ENVIRONMENT, timeout=timeout
    )


def write_folder(root, sizes=((32, 32),) * 12, classes=("cat", "dog")):
    generator = np.random.default_rng(0)
    for index, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number, (height, width) in enumerate(sizes):
            pixels = generator.integers(0, 120, (height, width, 3)) + 100 * index
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number:02d}.png")
    return root


def test_help_and_list_need_no_tensorflow():
    code = (
        "import sys; from toolkit.cli import main; sys.argv = ['touchstone', '{}'];\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not [name for name in ('tensorflow', 'keras', 'sklearn') if name in sys.modules]"
    )
    for argument in ("--help", "list"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(argument)], capture_output=True, text=True, env=ENVIRONMENT
        )
        assert done.returncode == 0, done.stderr
    assert "compare" in touchstone("--help").stdout
    assert "hog_svm" in touchstone("list").stdout


def refusals(tmp_path):
    """Command lines that must end in one line and status 2, with words that the line must hold."""
    folder = write_folder(tmp_path / "good")
    (tmp_path / "empty").mkdir()
    one_class = write_folder(tmp_path / "one", classes=("cat",))
    few = write_folder(tmp_path / "few", sizes=((32, 32),) * 2)
    sizes = write_folder(tmp_path / "sizes", sizes=((32, 32),) * 6 + ((40, 32),) * 6)
    bad = write_folder(tmp_path / "bad")
    (bad / "cat" / "notes.jpg").write_text("a text")
    tiny = write_folder(tmp_path / "tiny", sizes=((3, 3),) * 12)
    np.savez(tmp_path / "odd.npz", images=np.zeros((5, 8, 8), np.uint8), labels=np.zeros(4, int))
    np.savez(tmp_path / "logits.npz", labels=np.array([0, 1]), probabilities=np.array([[3.0, -1], [0, 2]]))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    out = ("--out", tmp_path / "never")
    yield ("compare", tmp_path / "nowhere", "pixels_svm", *out), ("nowhere",)
    yield ("compare", tmp_path / "empty", "pixels_svm", *out), ("empty",)
    yield ("compare", one_class, "pixels_svm", *out), ("cat", "two")
    yield ("compare", few, "pixels_svm", *out), ("cat", "2")
    yield ("compare", sizes, "pixels_svm", *out), ("32", "40", "--image-size")
    yield ("compare", bad, "pixels_svm", *out), ("notes.jpg", "--skip-bad")
    yield ("compare", tmp_path / "odd.npz", "pixels_svm", *out), ("5", "4")
    yield ("compare", folder, "hog_smv", *out), ("hog_smv", "Did you mean 'hog_svm'")
    yield ("compare", "digit", "pixels_svm", *out), ("digit", "digits")
    yield ("compare", tiny, "hog_svm", *out), ("hog_svm", "3 x 3")
    yield ("compare", folder, "pixels_svm", "--out", tmp_path / "full"), ("full",)
    yield ("compare", folder, "--seed", "x"), ("--seed", "integer")
    yield ("evaluate", tmp_path / "logits.npz"), ("sum",)
    yield ("evaluate", tmp_path / "gone.npz"), ("gone.npz",)


def test_a_mistake_is_one_line_and_nothing_is_written(tmp_path):
    for arguments, words in refusals(tmp_path):
        done = touchstone(*arguments)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        assert len(done.stderr.splitlines()) == 1, (arguments, done.stderr)
        assert all(word in done.stderr for word in words), (arguments, words, done.stderr)
        assert done.stdout == ""
        assert not (tmp_path / "never").exists(), arguments
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_compare_then_evaluate_then_refuse_another(tmp_path):
    folder = write_folder(tmp_path / "pets")
    (folder / "cat" / "notes.jpg").write_text("a text")
    done = touchstone(
        "compare", folder, "pixels_svm", "lbp_svm", "--out", tmp_path / "run", "--skip-bad", "--resamples", 200
    )
    assert done.returncode == 0, done.stderr
    assert "pixels_svm" in done.stdout
    assert "notes.jpg" in done.stdout
    stored = json.loads((tmp_path / "run" / "comparison.json").read_text())
    again = touchstone("evaluate", tmp_path / "run" / "lbp_svm" / "predictions.npz", "--json", "--resamples", 200)
    assert again.returncode == 0, again.stderr
    metrics = json.loads(again.stdout)["metrics"]
    assert metrics == {name: stored["contestants"]["lbp_svm"][name] for name in metrics}
    other = touchstone("compare", folder, "pixels_svm", "--out", tmp_path / "run", "--skip-bad", "--resamples", 200)
    assert (other.returncode, len(other.stderr.splitlines())) == (2, 1)
    assert "contestants" in other.stderr


def test_a_killed_duel_goes_on_with_the_contestants_not_yet_finished(tmp_path):
    out = tmp_path / "run"
    told = "compare digits pixels_svm cnn --epochs 2 --resamples 200 --out"
    arguments = [*told.split(), str(out)]
    first = subprocess.Popen([*COMMAND, *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    done = out / "pixels_svm" / "contestant.json"
    deadline = time.monotonic() + 200
    while not done.exists() and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert done.exists()
    assert not (out / "comparison.json").exists()
    written = done.stat().st_mtime_ns
    second = touchstone(*arguments)
    assert second.returncode == 0, second.stderr
    assert done.stat().st_mtime_ns == written  # not fitted again
    contestants = json.loads((out / "comparison.json").read_text())["contestants"]
    assert set(contestants) == {"pixels_svm", "cnn"}
    assert all("peak_memory_bytes" in one["cost"] for one in contestants.values())  # None where no system tells it
    assert not list(out.glob("*.partial"))


def test_the_cache_is_listed_and_cleared(tmp_path):
    folder, cache = write_folder(tmp_path / "pets"), tmp_path / "cache"
    arguments = ("--cache", cache, "--resamples", 100, "--out", tmp_path / "run")
    assert touchstone("compare", folder, "pixels_svm", *arguments).returncode == 0
    listed = touchstone("cache", "--cache", cache).stdout
    assert "24 x 32 x 32 x 3" in listed
    assert touchstone("cache", "--clear", "zzz", "--cache", cache).returncode == 2
    assert touchstone("cache", "--cache", cache).stdout == listed
    assert touchstone("cache", "--clear", "--cache", cache).stdout.startswith("Freed")
    assert "32 x 32" not in touchstone("cache", "--cache", cache).stdout


def test_files_that_cannot_be_written_and_backends_that_are_not_there_are_one_line(tmp_path):
    folder = write_folder(tmp_path / "set")
    for arguments, words in (
        (("compare", folder, "pixels_svm", "--out", "/proc/x", "--no-memory"), "/proc/x"),
        (("audit", folder, "--out", "/proc/x"), "/proc/x"),
    ):
        done = touchstone(*arguments)
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
        assert words in done.stderr
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "list"], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
    done = subprocess.run(
        [*COMMAND, "doctor"], capture_output=True, text=True, env={**ENVIRONMENT, "KERAS_BACKEND": "foo"}
    )
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
    assert "Expected KERAS_BACKEND" in done.stderr
    shown = subprocess.run(
        f"{sys.executable} -m toolkit list | head -2", shell=True, capture_output=True, env=ENVIRONMENT
    )
    assert shown.stderr == b""


def test_a_run_is_not_gone_on_with_when_its_pictures_are_others(tmp_path):
    folder = write_folder(tmp_path / "set")
    told = ("compare", folder, "pixels_svm", "--out", tmp_path / "run", "--no-memory", "--no-audit")
    assert touchstone(*told).returncode == 0
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(folder / "cat" / "03.png")
    done = touchstone(*told)
    assert done.returncode == 2
    assert "It differs in: data" in done.stderr
