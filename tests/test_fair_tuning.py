"""What makes a table of tuned contestants fair: one budget, one split, nothing spoiled by asking again."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.pretend import Closed, bowl, few, pretend_data
from tests.test_spaces import saved
from toolkit.comparison import compare
from toolkit.data import load
from toolkit.errors import InputError
from toolkit.tuning import Settings, account, tune, tune_all
from toolkit.tuning.spaces import named
from toolkit.tuning.together import check_rows, check_untuned, chosen_before

OWN = "tests.my_space:space"


def touchstone(*arguments):
    from toolkit.cli import app

    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(told):
    assert told.exit_code == 0, (told.output, told.exception)
    return " ".join(told.output.split())


def made(folder, name, space=bowl, **more):
    tune(space, pretend_data(), out=folder / name, name=name, workers=0, **{"trials": 2, **more})
    return folder / name


def test_a_search_on_another_split_is_refused(tmp_path):
    search = made(tmp_path, "one")
    data = pretend_data()
    check_rows([search], data.manifest)
    other = type(data.manifest)("pretend", 1, data.manifest.sizes, "1" * 64)
    with pytest.raises(InputError, match="search on the same data and splits as here, pretend with seed 1"):
        check_rows([search], other)


def test_searches_that_are_not_alike_are_refused(tmp_path):
    one, again = made(tmp_path, "one"), made(tmp_path / "again", "one")
    other = made(tmp_path, "two", settings=Settings(objective="accuracy"))
    folds = made(tmp_path, "three", settings=Settings(folds=2))
    with pytest.raises(InputError, match="one search of each contestant"):
        chosen_before([one, again], ["one", "two"])
    for path, what in ((other, "objective"), (folds, "folds")):
        with pytest.raises(InputError, match=f"searches of one {what}"):
            chosen_before([one, path], ["one", "two", "three"])


def test_the_budget_of_each_search_is_kept_and_told(tmp_path):
    one, two = made(tmp_path, "one"), made(tmp_path, "two", seconds=900)
    assert chosen_before([one], ["one"])[1]["budget"] == {"trials": 2, "seconds": None}
    _, tuning = chosen_before([one, two], ["one", "two"])
    assert tuning["budget"] == {}
    assert tuning["contestants"]["two"]["budget"] == {"trials": 2, "seconds": 900}
    fighters = {"one": Closed(0.1), "two": Closed(0.2), "three": Closed(0.3)}
    result = compare(
        fighters, pretend_data(), resamples=100, show_progress=False, tuning={**tuning, "untuned": ["three"]}
    )
    caption = " ".join(str(result).split())
    assert "Tuned by log_loss on the same validation rows." in caption
    assert "Their budgets differ: one 2 trials, two 2 trials or 900 s, whichever is over first." in caption
    assert "Spent, in trials: one 2 in 0 s, two 2 in 0 s. Not tuned: three." in caption


def test_another_budget_in_the_same_folder_is_refused_before_a_trial_and_spoils_nothing(tmp_path):
    told = {"out": tmp_path, "workers": 0}
    before = tune_all({"one": few, "two": few}, pretend_data(), trials=2, **told)
    with pytest.raises(InputError, match=r"was begun with, 2 trials for each\. Received: 4 trials"):
        tune_all({"one": few, "two": few}, pretend_data(), trials=4, **told)
    with pytest.raises(InputError, match="differs in: objective"):
        tune_all({"one": few, "two": few}, pretend_data(), trials=2, settings=Settings(objective="accuracy"), **told)
    settings = Settings(about={"weights": {"one": "None"}})
    with pytest.raises(InputError, match="differs in: about"):
        tune_all({"one": few, "two": few}, pretend_data(), trials=2, settings=settings, **told)
    with pytest.raises(InputError, match="differs in: contestants"):
        tune_all({"one": few, "three": few}, pretend_data(), trials=2, **told)
    after = tune_all({"one": few, "two": few}, pretend_data(), trials=2, **told)
    assert {name: search.trials for name, search in after.items()} == {
        name: search.trials for name, search in before.items()
    }
    assert account(after, 2, None) == account(before, 2, None)


def test_a_duel_begun_without_tuning_is_not_tuned_and_the_other_way_round(tmp_path):
    compare({"one": Closed(0.1)}, pretend_data(), out=tmp_path / "plain", resamples=100, show_progress=False)
    with pytest.raises(InputError, match="was begun without"):
        tune_all({"one": few}, pretend_data(), trials=2, out=tmp_path / "plain", workers=0)
    assert not (tmp_path / "plain" / "tuning").exists()
    tune_all({"one": few}, pretend_data(), trials=2, out=tmp_path / "tuned", workers=0)
    with pytest.raises(InputError, match="It was begun with --tune"):
        check_untuned(tmp_path / "tuned")
    check_untuned(tmp_path / "plain")


def trials_of(run):
    return {path.parent.name: json.loads(path.read_text())["trials"] for path in run.glob("tuning/*/search.json")}


def test_a_tuned_duel_says_its_budget_and_goes_on_without_a_new_trial(tmp_path):
    data, run = saved(tmp_path), tmp_path / "run"
    command = ["compare", data, OWN, "pixels_svm", "--tune", 2, "--seeds", 2, "--out", run, "--resamples", 100]
    command += ["--explain", 0, "--objective", "accuracy"]
    said = words(touchstone(*command))
    assert "Tuned by accuracy on the same validation rows. Budget for each: 2 trials. Spent, in trials:" in said
    assert "Settings are tuned once, on the validation rows of seed 0." in said
    assert "pixels_svm: trial 1 finished, accuracy" in said  # a line a trial, where there is no terminal
    assert "2 of 2 trials, best so far" in said
    tuning = json.loads((run / "comparison.json").read_text())["tuning"]
    assert tuning["budget"] == {"trials": 2, "seconds": None}
    assert {cost["trials"] for cost in tuning["contestants"].values()} == {2}
    assert json.loads((run / "seeds.json").read_text())["tuned_on"] == 0
    before = trials_of(run)
    assert len(before) == 2
    assert all((run / "tuning" / name / "search.html").is_file() for name in before)
    words(touchstone(*command))
    assert trials_of(run) == before
    for more, message in (
        (["--tune", 3], "Received: 3 trials"),
        (["--objective", "log_loss"], "differs in: objective"),
    ):
        told = touchstone(*command, *more)
        assert isinstance(told.exception, InputError)
        assert message in str(told.exception)
    told = touchstone("compare", data, OWN, "pixels_svm", "--out", run)
    assert "It was begun with --tune" in str(told.exception)
    assert trials_of(run) == before


def test_searches_of_another_seed_are_refused_by_compare_and_train(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", images=pixels, labels=np.arange(40) % 2)
    search = tmp_path / "search"
    tune(named(OWN), load(tmp_path / "data.npz", seed=1), trials=1, out=search, name=OWN, workers=0)
    for command in (["compare", tmp_path / "data.npz", OWN], ["train", OWN, tmp_path / "data.npz"]):
        told = touchstone(*command, "--from", search, "--out", tmp_path / "never")
        assert "a search on the same data and splits as here" in str(told.exception)
        assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("option", [("--objective", "accuracy"), ("--method", "random"), ("--folds", "2")])
def test_how_to_search_is_refused_where_nothing_is_searched(option):
    told = touchstone("compare", "digits", "pixels_svm", *option)
    assert f"Expected {option[0]} together with --tune" in str(told.exception)


def test_a_search_is_written_beside_others_of_other_data(tmp_path, monkeypatch):
    data = saved(tmp_path)
    monkeypatch.chdir(tmp_path)
    said = words(touchstone("tune", OWN, data, "--trials", "1", "--skip-bad", "--fit", "pad", "--duplicates", "ignore"))
    assert "Written to runs/tune_tests.my_space.space_stripes;" in said
