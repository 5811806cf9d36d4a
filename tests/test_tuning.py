"""The tuner: better than chance, the same after a kill, open about failures, nothing tried twice, one-line refusals."""

import csv
import json
import random

import numpy as np
import pytest

from tests.pretend import Closed, Failing, bowl, conditional, fails, few, learner, pretend_data
from toolkit.errors import InputError
from toolkit.evaluation import compare_recipes
from toolkit.repeats import Repeats
from toolkit.tuning import Budget, Settings, account, gaussian, read_best, tune, tune_all
from toolkit.tuning.declared import declared, narrowed
from toolkit.tuning.points import Cube, key
from toolkit.tuning.pruning import FREE, hopeless, limits
from toolkit.tuning.settings import fixed_values
from toolkit.tuning.together import chosen_before
from toolkit.tuning.workers import shares_of_cores


def search(space=bowl, trials=12, workers=0, seconds=None, out=None, watch=None, data=None, **settings):
    return tune(
        space,
        data or pretend_data(),
        trials=trials,
        seconds=seconds,
        out=out,
        workers=workers,
        watch=watch,
        settings=Settings(**settings),
    )


def values_of(found):
    return [(trial.number, trial.origin, key(trial.values)) for trial in found.trials]


def test_bayesian_search_finds_what_random_search_does_not():
    suggested, drawn = (search(method=method, trials=25).best.metrics["log_loss"] for method in ("bayesian", "random"))
    assert suggested < 0.102  # 0.1 is the lowest there is
    assert suggested < drawn


def test_the_book_says_which_trial_was_random_and_which_suggested():
    origins = [trial.origin for trial in search(first=4, trials=7).trials]
    assert origins == ["defaults", "random", "random", "random", "suggested", "suggested", "suggested"]


def test_the_first_trial_is_the_untuned_contestant():
    for method in ("bayesian", "random", "grid"):
        assert search(method=method, trials=1).best.values == {"x": 0.9, "y": 0.1, "kind": "a"}


@pytest.mark.parametrize("method", ["bayesian", "random", "hyperband"])
def test_seed_0_is_a_seed(method):
    first, again, other = (values_of(search(method=method, trials=8, seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("method", ["bayesian", "random", "grid"])
def test_no_setting_is_tried_twice_and_a_small_space_is_exhausted(method):
    tried = [key(trial.values) for trial in search(few, trials=50, method=method).trials]
    assert len(tried) == len(set(tried)) == 6


def test_hyperband_promotes_the_best_to_more_training_rows():
    found = search(method="hyperband", trials=22)
    first = [trial for trial in found.trials if trial.bracket == 0]
    assert [round(trial.share, 3) for trial in first] == [0.111] * 9 + [0.333] * 3 + [1.0]
    best = sorted(first[:9], key=lambda trial: trial.metrics["log_loss"])[:3]
    assert {key(trial.values) for trial in first[9:12]} == {key(trial.values) for trial in best}
    assert found.best.share == 1.0


def test_a_condition_that_is_not_met_has_no_value():
    found = search(conditional, trials=12)
    assert all(("z" in trial.values) == (trial.values["kind"] == "b") for trial in found.trials)
    assert found.best.metrics["log_loss"] < 0.2


@pytest.mark.parametrize("objective", ["accuracy", "macro_f1"])
def test_scores_that_should_be_high_are_made_high(objective):
    scores = [trial.metrics[objective] for trial in search(objective=objective, trials=12).trials]
    assert search(objective=objective, trials=12).best.metrics[objective] == max(scores)


def test_a_failing_trial_is_recorded_and_the_search_goes_on(tmp_path):
    found = search(fails, trials=8, method="random", out=tmp_path)
    failed = [trial for trial in found.trials if trial.status == "failed"]
    assert failed
    assert len(found.trials) == 8
    assert all("no room" in trial.error and trial.values["x"] > 0.5 for trial in failed)
    rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == [trial.status for trial in found.trials]


def test_failures_in_a_row_end_the_search_with_one_line(tmp_path):
    with pytest.raises(InputError, match=r"last 5 failed, the latest with MemoryError: no room") as caught:
        search(lambda hp: Failing(hp.Float("x", 0.6, 1)), trials=30, out=tmp_path)
    assert "\n" not in str(caught.value)
    assert len(json.loads((tmp_path / "search.json").read_text())["trials"]) == 5


def test_answers_that_are_not_finite_are_a_failure():
    found = search(lambda hp: Closed(float("nan") if hp.Choice("nan", [0, 1]) else 0.1), trials=2)
    assert [trial.status for trial in found.trials] == ["finished", "failed"]


def test_the_best_is_written_as_plain_values(tmp_path):
    found = search(trials=6, out=tmp_path)
    best = read_best(tmp_path)
    assert best["values"] == found.best.values
    assert best["spent"]["trials"] == 6
    assert read_best(tmp_path / "best.json") == best


def test_a_finished_search_is_read_and_a_larger_budget_continues_it(tmp_path):
    first = search(trials=6, out=tmp_path)
    assert search(trials=6, out=tmp_path).trials == first.trials
    assert values_of(search(trials=9, out=tmp_path)) == values_of(search(trials=9))


def test_other_settings_in_the_same_folder_are_refused(tmp_path):
    search(trials=3, out=tmp_path)
    for other in ({"seed": 1}, {"objective": "accuracy"}, {"method": "random"}, {"fixed": {"kind": "b"}}):
        with pytest.raises(InputError, match="differs in"):
            search(trials=3, out=tmp_path, **other)
    with pytest.raises(InputError, match="differs in"):
        search(few, trials=3, out=tmp_path)


def test_seconds_end_a_search():
    assert len(search(trials=None, seconds=1e-9).trials) == 1  # none begins after they are over


def test_the_watcher_sees_every_trial_begin_and_end():
    seen = []
    search(trials=3, watch=lambda book: seen.append([trial.status for trial in book]))
    assert seen[0] == ["running"]
    assert seen[-1] == ["finished"] * 3


def test_folds_score_every_row_but_the_test_once():
    seen = []

    class Rows(Closed):
        def predict_proba(self, images):
            seen.append(len(images))
            return super().predict_proba(images)

    search(lambda hp: Rows(hp.Float("x", 0.1, 1)), trials=1, folds=3)
    assert sum(seen) == 26


def test_importance_finds_what_matters():
    def one_matters(hp):
        hp.Float("nothing", 0, 1)
        return Closed(0.1 + hp.Float("all", 0, 1))

    shares = search(one_matters, trials=20, method="random").importance
    assert next(iter(shares)) == "all"
    assert shares["all"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_narrowing_keeps_to_the_hand():
    found = search(trials=8, fixed={"kind": "b"}, ranges={"x": (0.2, 0.4)})
    assert all(trial.values["kind"] == "b" and 0.2 <= trial.values["x"] <= 0.4 for trial in found.trials)


def test_every_contestant_gets_the_same_budget(tmp_path):
    searches = tune_all({"one": bowl, "two": few}, pretend_data(), out=tmp_path, trials=4, workers=0)
    told = account(searches, 4, None)
    assert {name: cost["trials"] for name, cost in told["contestants"].items()} == {"one": 4, "two": 4}
    values, again = chosen_before([tmp_path / "tuning" / "one"], ["one", "two"])
    assert values == {"one": searches["one"].best.values}
    assert again["contestants"]["one"]["trials"] == 4
    with pytest.raises(InputError, match="is that of 'two'"):
        chosen_before([tmp_path / "tuning" / "two"], ["one"])


def test_points_and_values_are_each_others_inverse():
    cube = Cube(declared(conditional))
    draws = np.random.default_rng(0).random((50, len(cube)))
    for point in draws:
        values = cube.values(point)
        assert key(cube.values(cube.point(values))) == key(values)
        assert np.allclose(cube.features(point[None]), cube.features(cube.point(values)[None]))


def test_trainings_that_fall_behind_the_others_are_ended_early(tmp_path):
    found = search(learner, trials=20, method="random", out=tmp_path)
    pruned = [trial for trial in found.trials if trial.status == "pruned"]
    losses = {trial.number: 0.1 + abs(trial.values["x"] - 0.3) for trial in found.trials}
    assert len(pruned) == found.spent["pruned"] > 3
    assert all(trial.number >= 5 and len(trial.curve) < 10 for trial in pruned)
    assert all(losses[trial.number] > np.median([losses[n] for n in range(trial.number)]) for trial in pruned)
    assert found.best.number == min(losses, key=losses.get)  # no good one was lost
    rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert [row["number"] for row in rows if row["status"] == "pruned"] == [str(trial.number) for trial in pruned]
    assert values_of(search(learner, trials=22, method="random", out=tmp_path)) == values_of(
        search(learner, trials=22, method="random")
    )


def test_nothing_is_ended_early_where_nobody_wants_it():
    found = search(learner, trials=20, method="random", prune=False)
    assert {trial.status for trial in found.trials} == {"finished"}


def test_after_many_trials_a_suggestion_is_still_a_function_of_the_history_and_learns_from_all_of_it(monkeypatch):
    points = np.random.default_rng(0).random((150, 3))
    scores = ((points - 0.6) ** 2).sum(axis=1)
    sizes, learn = [], gaussian.GaussianProcessRegressor.fit

    def fit(self, features, scores):
        sizes.append((len(features), self.optimizer is not None, self.n_restarts_optimizer))
        return learn(self, features, scores)

    monkeypatch.setattr(gaussian.GaussianProcessRegressor, "fit", fit)
    for rows, expected in ((40, [(40, True, 1)]), (80, [(80, True, 0)]), (150, [(100, True, 0), (150, False, 0)])):
        sizes.clear()
        first = gaussian.propose(points[:rows], scores[:rows], lambda found: found, [0, rows])
        assert sizes == expected
        again = gaussian.propose(points[:rows], scores[:rows], lambda found: found, [0, rows])
        assert np.array_equal(first, again)
        assert np.abs(first[0] - 0.6).max() < 0.1


def test_limits_are_the_median_of_the_best_so_far():
    curves = [[1.0, 0.5, 0.8], [1.0, 0.9], [0.7, 0.8, 0.2], [2.0, 1.0, 1.0]]
    assert limits(curves) == ()  # too few
    assert limits([*curves, [], [3.0, 2.0, 1.0]]) == (1.0, 0.9, 0.9)
    assert not hopeless([9.0] * FREE, [0.0] * 10)
    assert hopeless([9.0] * (FREE + 1), [0.0] * 10)
    assert not hopeless([9.0] * 20, [0.0] * 10)  # nobody else went so far


def random_space(hp):
    return Closed(hp.Float(f"x{random.random()}", 0, 1))


def changing_space(hp, calls=[]):  # noqa: B006
    calls.append(1)
    return Closed(hp.Float("x", 0.1, 1) + (hp.Float("late", 0, 1) if len(calls) > 5 else 0))


def dropping_space(hp, calls=[]):  # noqa: B006
    calls.append(1)
    return Closed(hp.Float("x", 0.1, 1) + (hp.Float("late", 0, 1) if len(calls) <= 5 else 0))


def widening_space(hp, calls=[]):  # noqa: B006
    calls.append(1)
    return Closed(hp.Float("x", 0.1, 1 if len(calls) <= 5 else 2))


def broken_space(hp):
    raise RuntimeError("no\nway")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "acuracy"}, "Unknown objective 'acuracy'. Did you mean 'accuracy'"),
        ({"method": "baysian"}, "Unknown method 'baysian'. Did you mean 'bayesian'"),
        ({"trials": None}, "Expected a budget"),
        ({"trials": 0}, "more than 0 trials"),
        ({"trials": None, "seconds": -1}, "more than 0 seconds"),
        ({"space": broken_space}, "It raised RuntimeError: no way"),
        ({"space": random_space}, "same hyper-parameters at each call"),
        ({"space": changing_space}, "it now asks for late too"),
        ({"space": lambda hp: Closed(0.1)}, "at least one hyper-parameter"),
        ({"space": dropping_space}, "it now does not ask for late"),
        ({"space": widening_space}, "it now allows others for x"),
        (
            {"space": lambda hp: hp.Float("x", 0, 1)},
            "returns a classifier, with fit and predict_proba. Received: float",
        ),
        ({"ranges": {"x": (0.5, 2.0)}}, "Expected 'x' within 0:1, what its space allows. Received: 0.5:2"),
        ({"ranges": {"kind": (0.5, 2.0)}}, "'kind' is no number"),
        ({"ranges": {"x": (0.9, 0.1)}}, "Expected the range of 'x' as LOW:HIGH. Received: 0.9:0.1"),
        ({"ranges": {"kind": (0.9, 0.1)}}, "'kind' is no number"),
        ({"space": few, "ranges": {"n": (1.5, 3)}}, "Expected 'n' as a whole number. Received: 1.5"),
        ({"fixed": {"kind": "z"}}, "Unknown value of 'kind' 'z'"),
        ({"fixed": {"z": 1}}, "Unknown hyper-parameter 'z'"),
        ({"fixed": {"x": "much"}}, "Expected 'x' as a number"),
        ({"folds": 1}, "Expected 2 to 10 folds"),
        ({"first": 1}, "two or more trials before"),
        ({"workers": -1}, "0 or more workers"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    with pytest.raises(InputError) as caught:
        search(**{"trials": 12, **arguments})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds other things"):
        search(out=tmp_path)
    with pytest.raises(InputError, match="is not there"):
        read_best(tmp_path)


def test_a_book_that_is_none_is_one_line(tmp_path):
    search(trials=1, out=tmp_path)
    for other in ("[]", "{}", '{"trials": [{"numbr": 0}]}', '{"trials": 3}'):
        (tmp_path / "search.json").write_text(other)
        with pytest.raises(InputError, match="Expected the trials of a search in"):
            search(trials=2, out=tmp_path)


def test_a_grid_of_many_numbers_and_a_range_of_many_whole_numbers_are_searched():
    def vast(hp):
        return Closed(0.1 + sum(hp.Float(f"x{number}", 0, 1) for number in range(31)) / 100)

    def long(hp):
        return Closed(0.1 + abs(hp.Int("n", 1, 10**8) - 10**7) / 10**8)

    for space, method in ((vast, "grid"), (long, "grid"), (long, "bayesian")):
        tried = [key(trial.values) for trial in search(space, trials=8, method=method).trials]
        assert len(tried) == len(set(tried))
    assert len(tried) == 8
    assert not Cube(declared(long)).axes[0].levels


def test_a_fixed_space_is_built_as_it_is_declared():
    found = search(conditional, trials=3, fixed={"kind": "b"}, ranges={"z": (0.2, 0.4)})
    assert [trial.status for trial in found.trials] == ["finished"] * 3
    assert found.classifier().loss == pytest.approx(found.best.metrics["log_loss"])


@pytest.mark.parametrize(
    ("text", "chosen"), [("share=0", 0.0), ("share=0.90", 0.9), ("root=true", True), ("root=False", False)]
)
def test_text_of_a_command_line_means_the_choice_of_that_value(text, chosen):
    def space(hp):
        return Closed(0.1 + hp.Choice("share", [0.0, 0.9]) + hp.Boolean("root"))

    name, _, _ = text.partition("=")
    (fixed,) = (one for one in narrowed(declared(space), fixed_values([text]), {}).space if one.name == name)
    assert fixed.value == chosen
    assert type(fixed.value) is type(chosen)


def test_a_data_set_without_validation_rows_needs_folds():
    data = pretend_data()
    data = type(data)(data.train, data.validation.take(slice(0, 0)), data.test, data.class_names, data.manifest)
    with pytest.raises(InputError, match="Expected validation rows"):
        search(data=data)
    assert search(data=data, folds=2, trials=2).best


def test_a_budget_is_whichever_ends_first():
    assert Budget(5, 10.0).over(5, 0.0)
    assert Budget(5, 10.0).over(0, 10.0)
    assert not Budget(5, None).over(4, 1e9)


def test_ranges_of_choices_keep_those_inside():
    space = narrowed(declared(few), {}, {"k": (0.5, 2)})
    assert next(one for one in space.space if one.name == "k").values == [1]


def test_the_conclusion_says_in_words_who_can_be_told_apart():
    scores = {"good": (0.98, 0.981, 0.979), "twin": (0.98, 0.981, 0.979), "poor": (0.5, 0.51, 0.49)}
    pairs = compare_recipes(scores, test_rows=100, train_rows=400)
    words = Repeats("accuracy", (0, 1, 2), scores, pairs).conclusion()
    assert words.startswith("Over 3 seeds and splits by accuracy: good is better than poor, twin is better than poor; ")
    assert "good and twin are practically equal" in words


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2, 3, 5, 7}, raising=False)
    assert shares_of_cores(2) == [(0, 3, 7), (2, 5)]
    assert shares_of_cores(1) == [()]  # one alone has all
    assert shares_of_cores(6) == [()] * 6
