"""The commands over what was written: the same numbers, groups, pairs and temperatures; one line for what cannot be."""

import json
import re
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

    def run(*arguments, width=120):
        monkeypatch.setattr(sys, "argv", ["touchstone", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", str(width))
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
    assert "good - bad" in out
    assert "better" in out
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


def test_rows_of_a_group_count_together_here_as_in_compare(touchstone, tmp_path):
    one = predictions(skill=1)
    twice = np.repeat(np.arange(120), 2)  # every row stands there twice, which tells nothing new
    columns = {"group": np.array([f"patient {row}" for row in twice])}
    names = np.array([f"{row}.png" for row in range(240)])
    doubled = replace(
        one, labels=one.labels[twice], probabilities=one.probabilities[twice], names=names, columns=columns
    )

    def width(file, *options):
        ends = json.loads(touchstone("evaluate", file, "--json", *options)[1])["metrics"]["accuracy"]
        return ends["high"] - ends["low"]

    alone = width(write(tmp_path, "alone", one))
    grouped, named = (
        write(tmp_path, "grouped", doubled),
        write(tmp_path, "named", replace(doubled, columns={"who": columns["group"]})),
    )
    assert width(grouped) == pytest.approx(alone, rel=0.02)
    assert width(named, "--cluster", "who") == pytest.approx(alone, rel=0.02)
    assert width(named) < 0.8 * alone


def test_intervals_by_bootstrap_and_within_strata(touchstone, tmp_path):
    file = write(tmp_path, "hog", predictions(skill=1))
    for method in ("percentile", "bca"):
        found = json.loads(touchstone("evaluate", file, "--method", method, "--stratify", "class", "--json")[1])
        assert found["method"] == method
        assert found["metrics"]["macro_f1"]["low"] < found["metrics"]["macro_f1"]["value"]
    status, _, error = touchstone("evaluate", file, "--method", "bcA")
    assert (status, len(error.splitlines())) == (2, 1)
    assert "Did you mean 'bca'?" in error


def test_answering_only_when_sure(touchstone, tmp_path):
    one = predictions(skill=2)
    file = write(tmp_path, "hog", one)
    other = replace(predictions(7, 2), names=np.array([f"validation/{row}.png" for row in range(120)]))
    validation = write(tmp_path, "validation", other)
    status, out, _ = touchstone("evaluate", file, "--risk", 0.05, "--risk", 0.2)
    assert status == 0
    assert "Chosen on these same rows" in out
    found = json.loads(touchstone("evaluate", file, "--risk", 0.05, "--risk", 0.2, "--json")[1])["selective"]["hog"]
    first, second = found["at_risk"]
    assert first["risk_seen"]["value"] <= 0.05
    assert first["coverage"] < second["coverage"]
    told = json.loads(touchstone("evaluate", file, "--risk", 0.05, "--validation", validation, "--json")[1])
    (elsewhere,) = told["selective"]["hog"]["at_risk"]
    sure = one.probabilities.max(axis=1)
    assert elsewhere["coverage"] == pytest.approx(np.mean(sure >= elsewhere["threshold"]))
    assert elsewhere["threshold"] in other.probabilities.max(axis=1)


def test_thresholds_keep_the_precision_or_the_recall(touchstone, tmp_path):
    file = write(tmp_path, "hog", predictions(skill=2))
    for goal in ("precision", "recall"):
        told = json.loads(touchstone("evaluate", file, f"--{goal}", 0.9, "--json")[1])["thresholds"]["hog"]
        assert list(told) == ["a", "b", "<i>"]
        assert all(one[goal]["value"] >= 0.9 for one in told.values())
    status, _, error = touchstone("evaluate", file, "--precision", 0.9, "--recall", 0.9)
    assert (status, len(error.splitlines())) == (2, 1)
    assert "either a precision or a recall" in error


def test_a_goal_that_no_threshold_reaches_is_reached_never(touchstone, tmp_path):
    one = predictions()
    file = write(tmp_path, "hog", replace(one, labels=np.minimum(one.labels, 1)))  # no row is of the third class
    status, out, _ = touchstone("evaluate", file, "--precision", 0.9)
    assert status == 0
    assert re.search(r"<i> +never +undefined +undefined", out)
    assert "inf" not in out.split()


def test_costs_decide(touchstone, tmp_path):
    file, costs = write(tmp_path, "hog", predictions(skill=1)), tmp_path / "costs.csv"
    costs.write_text("class,b,a,<i>,ask\n<i>,9,9,0,0.5\na,1,0,1,0.5\nb,0,1,1,0.5\n")
    found = json.loads(touchstone("evaluate", file, "--costs", costs, "--json")[1])["costs"]["hog"]
    assert found["the cheapest expected"]["value"] < found["the likeliest class"]["value"]
    assert sum(found["decisions"].values()) == 120
    assert found["decisions"]["ask"] > 0
    for text in ("class,a\na,1\n", "class,a\na,x\nb,1\n<i>,1\n", "class,a,b\na,1\nb,1\n<i>,1\n", ""):
        costs.write_text(text)
        status, _, error = touchstone("evaluate", file, "--costs", costs)
        assert (status, len(error.splitlines())) == (2, 1)
        assert "class,DECISION" in error


def test_pairs_by_any_metric(touchstone, tmp_path):
    good, bad = (
        write(tmp_path, name, predictions(seed, skill)) for name, seed, skill in (("good", 1, 3), ("bad", 2, 0))
    )
    told = ("evaluate", good, bad, "--metric", "log_loss", "--metric", "macro_f1", "--resamples", 200)
    found = json.loads(touchstone(*told, "--json")[1])["pairs_by_metric"]
    assert found["log_loss"][0]["difference"] < 0 < found["macro_f1"][0]["difference"]
    assert {one[0]["verdict"] for one in found.values()} == {"good is better"}
    assert "macro f1" in touchstone(*told)[1]
    status, _, error = touchstone("evaluate", good, bad, "--metric", "macro_f")
    assert (status, len(error.splitlines())) == (2, 1)
    assert "Did you mean 'macro_f1'?" in error


def test_three_are_also_tested_together(touchstone, tmp_path):
    files = [write(tmp_path, f"skill {skill}", predictions(skill, skill)) for skill in (1, 2, 3)]
    found = json.loads(touchstone("evaluate", *files, "--json")[1])
    assert found["cochran"]["p"] < 0.05
    assert set(found["calibration"]) == {"skill 1", "skill 2", "skill 3"}
    status, out, _ = touchstone("evaluate", *files)
    assert status == 0
    assert "Cochran's Q" in out


def test_names_in_brackets_are_text(touchstone, tmp_path):
    odd = replace(predictions(), class_names=("[/b]", "[red]a[/red]", "c"), columns={"site": np.full(120, "[bold]x")})
    odd.columns["site"][:60] = "[/]"
    files = [write(tmp_path, name, odd) for name in ("[one]", "[two]")]
    status, out, error = touchstone("evaluate", files[0], "--by", "site", "--precision", 0.5)
    assert status == 0, error
    assert all(word in out for word in ("[/b]", "[red]a[/red]", "[bold]x", "[/]", "[one]"))
    assert "[one] - [two]" in touchstone("evaluate", *files)[1]


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_off(touchstone, tmp_path, width):
    names = [f"a_contestant_with_a_long_name_{index}" for index in range(4)]
    files = [write(tmp_path, name, predictions(index, index)) for index, name in enumerate(names)]
    _, out, _ = touchstone("evaluate", *files, "--risk", 0.1, width=width)
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= width


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
    told = ("compare", data, "pixels_svm", "--out", run, "--explain", 3, "--no-memory", "--cache", tmp_path / "cache")
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
    told = (
        "compare",
        data,
        "pixels_svm",
        "--out",
        run,
        "--explain",
        0,
        "--no-audit",
        "--no-memory",
        "--cache",
        tmp_path / "cache",
    )
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


def test_a_metric_of_pairs_wants_two_files_and_shows_what_would_show(touchstone, tmp_path):
    files = [write(tmp_path, name, predictions(seed, skill)) for name, seed, skill in (("good", 1, 3), ("bad", 2, 1))]
    status, _, error = touchstone("evaluate", files[0], "--metric", "macro_f1")
    assert (status, len(error.splitlines())) == (2, 1)
    assert "two predictions.npz or more" in error
    status, out, _ = touchstone("evaluate", *files, "--metric", "macro_f1", "--resamples", 200)
    assert status == 0
    assert "shows from" in out.partition("Pairs by other metrics")[2]
    status, _, error = touchstone("evaluate", *files, "--metric", "ece")
    assert (status, len(error.splitlines())) == (2, 1)
    assert "noise raises it" in error


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "an empty file"), ("class\na\nb\n", "no decisions"), ("class,a,b\n", "no line of costs")],
)
def test_costs_that_are_none_are_named(touchstone, tmp_path, text, said):
    (tmp_path / "costs.csv").write_text(text)
    status, _, error = touchstone("evaluate", write(tmp_path, "hog", predictions()), "--costs", tmp_path / "costs.csv")
    assert (status, len(error.splitlines())) == (2, 1)
    assert said in error


def test_clusters_widen_every_answer(touchstone, tmp_path):
    one = predictions(skill=1)
    site = replace(one, columns={"site": np.array([f"site {row % 6}" for row in range(120)])})
    file = write(tmp_path, "hog", site)
    (tmp_path / "costs.csv").write_text("class,a,b,<i>\na,0,1,1\nb,1,0,1\n<i>,1,1,0\n")
    asked = ("--risk", 0.3, "--recall", 0.8, "--costs", tmp_path / "costs.csv", "--json")
    alone, clustered = (
        json.loads(touchstone("evaluate", file, *asked, *more)[1]) for more in ((), ("--cluster", "site"))
    )
    for read in (
        lambda found: found["selective"]["hog"]["at_risk"][0]["risk_seen"],
        lambda found: found["thresholds"]["hog"]["a"]["precision"],
        lambda found: found["costs"]["hog"]["the cheapest expected"],
    ):
        assert read(alone)["value"] == read(clustered)["value"]
        assert read(alone) != read(clustered)
