"""Intervals: against published numbers, against brute force, and properties that hold whatever the data."""

import json

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from toolkit.errors import InputError
from toolkit.evaluation import Evaluation, compare_pair, evaluate, evaluate_groups, point_metrics, sampled
from toolkit.evaluation.bootstrap import area_replicates, bootstrap_function, confusion_replicates
from toolkit.evaluation.confusion import CONFUSION_METRICS
from toolkit.evaluation.design import check_design, skewness, standard_error
from toolkit.evaluation.evidence import AREAS, Evidence
from toolkit.evaluation.groupwise import _against_the_rest
from toolkit.evaluation.intervals import bca, percentile, score, skewed, wilson
from toolkit.evaluation.precision import double_precision
from toolkit.evaluation.resampling import draws, resample_mean
from toolkit.evaluation.rows import read_rows


def case(rows=300, classes=4, seed=0, strength=1.5):
    """Labels (N,), unevenly many a class, and probabilities (N, K)."""
    rng = np.random.default_rng(seed)
    share = 0.7 ** np.arange(classes)
    labels = rng.choice(classes, rows, p=share / share.sum())
    scores = rng.normal(size=(rows, classes))
    scores[np.arange(rows), labels] += strength
    odds = np.exp(scores)
    return labels, odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes, trials, low, high):
    """Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3."""
    interval = wilson(successes, trials)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_statsmodels(trials, share, confidence):
    successes = round(share * trials)
    interval = wilson(successes, trials, confidence)
    expected = proportion_confint(successes, trials, alpha=1 - confidence, method="wilson")
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-9)


def test_bca_and_percentile_agree_with_scipy():
    values = np.random.default_rng(0).exponential(size=60)
    influence = (values - values.mean()) / 60
    replicates = resample_mean(values, check_design(None, 60), 20_000, seed=1)
    for interval, method in (
        (percentile(values.mean(), replicates), "percentile"),
        (bca(values.mean(), replicates, skewness(influence)), "BCa"),
    ):
        expected = scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method=method, rng=2)
        ends = tuple(expected.confidence_interval)
        assert (interval.low, interval.high) == pytest.approx(ends, abs=0.015)  # 20,000 resamples of either


@pytest.mark.parametrize("rows", [500, 20_000])  # drawn value by value, and in cells
def test_the_bootstrap_of_a_mean_has_its_spread_and_skewness(rows):
    values = np.random.default_rng(3).lognormal(sigma=1.5, size=rows)
    replicates = resample_mean(values, check_design(None, rows), 4000, seed=0)
    assert replicates.mean() == pytest.approx(values.mean(), abs=4 * values.std() / np.sqrt(rows * 4000))
    assert replicates.std() == pytest.approx(values.std() / np.sqrt(rows), rel=0.05)  # 4,000 resamples know it to 1.1 %
    expected = scipy.stats.skew(values) / np.sqrt(rows)
    assert scipy.stats.skew(replicates) == pytest.approx(expected, abs=0.2)  # and the skewness to 0.04, more with it


def macro_f1(labels, probabilities):
    """Of four classes, all of them in use: scikit-learn's costs a millisecond."""
    table = np.bincount(4 * labels + probabilities.argmax(axis=1), minlength=16).reshape(4, 4)
    return np.mean(2 * np.diagonal(table) / (table.sum(axis=0) + table.sum(axis=1)))


@double_precision
def replicates_of(labels, probabilities, design, resamples=3000):
    rows = read_rows(labels, probabilities)
    found = confusion_replicates([rows], design, resamples, seed=0)[0]
    return found | area_replicates([rows], design, resamples, seed=0)[0]


@pytest.mark.jax
def test_the_bootstrap_by_cells_is_the_bootstrap_by_rows():
    labels, probabilities = case(120)
    rows = read_rows(labels, probabilities)
    fast = replicates_of(labels, probabilities, check_design(None, 120))
    slow = bootstrap_function([rows], macro_f1, check_design(None, 120), 1500, seed=1)
    assert scipy.stats.ks_2samp(fast["macro_f1"], slow).pvalue > 0.01
    assert set(fast) == set(CONFUSION_METRICS) | set(AREAS)


@pytest.mark.jax
def test_resampled_areas_equal_scikit_learn_with_weights():
    labels, probabilities = case(80, seed=4)
    probabilities = np.round(probabilities, 1) + 1e-3  # ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = replicates_of(labels, probabilities, check_design(None, 80), 5)
    counts = np.concatenate(list(draws(np.ones(80, int), np.zeros(80, int), 5, np.random.default_rng(0))))
    for index, weights in enumerate(counts):
        for name, metric in (("roc_auc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)):
            each = [metric(labels == k, probabilities[:, k], sample_weight=weights) for k in range(4)]
            assert found[name][index] == pytest.approx(np.mean(each), abs=1e-9)


ON_JAX = [pytest.param(metric, marks=pytest.mark.jax) for metric in ("macro_f1", "roc_auc")]


@pytest.mark.parametrize("metric", ["matthews", "kappa", "weighted_f1", "average_precision", *ON_JAX])
def test_influence_is_what_leaving_a_row_out_shows(metric):
    labels, probabilities = case(150, seed=5)
    influence = double_precision(lambda: Evidence(read_rows(labels, probabilities)).influence(metric))()
    full = point_metrics(labels, probabilities)[metric]
    for row in range(0, 150, 30):
        kept = np.arange(150) != row
        without = point_metrics(labels[kept], probabilities[kept])[metric]
        assert influence[row] == pytest.approx((full - without) * 149 / 150, abs=3e-4)  # they differ by 1 / N squared
    assert influence.sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("method", ["score", "percentile", "bca"])
def test_intervals_hold_their_value_and_stay_in_bounds(method):
    for strength in (-3, 0, 2, 8):
        labels, probabilities = case(60, strength=strength, seed=6)
        evaluation = evaluate(labels, probabilities, method=method, resamples=400)
        for name, interval in evaluation.metrics.items():
            assert interval.low <= interval.high, name
            assert interval.low >= -1 or name == "log_loss"
            assert interval.high <= 1 or name in ("log_loss", "brier")
            if method == "score":
                assert interval.low <= interval.value <= interval.high, name


def test_a_perfect_score_keeps_an_interval_and_a_weak_class_widens_it():
    labels = np.repeat([0, 1], [190, 10])
    evaluation = evaluate(labels, np.eye(2)[labels])
    assert evaluation["accuracy"].low == pytest.approx(wilson(200, 200).low)
    assert evaluation["balanced_accuracy"].low < evaluation["accuracy"].low < 1
    assert evaluation["macro_f1"].high == 1


@pytest.mark.parametrize("method", ["score", "bca"])
def test_rows_that_come_three_times_tell_no_more_than_once(method):
    labels, probabilities = case(200, seed=7)
    once = evaluate(labels, probabilities, method=method)
    thrice = evaluate(
        np.repeat(labels, 3),
        np.repeat(probabilities, 3, axis=0),
        method=method,
        design=sampled(clusters=np.repeat([f"patient {index}" for index in range(200)], 3)),
    )
    for name in ("accuracy", "macro_f1", "log_loss", "roc_auc", "kappa"):
        width, wide = once[name].high - once[name].low, thrice[name].high - thrice[name].low
        assert wide == pytest.approx(width, rel=0.12 if method == "bca" else 0.02), name  # t for z, and fewer draws
    recall, again = once.per_class[0].recall, thrice.per_class[0].recall
    assert again.high - again.low == pytest.approx(recall.high - recall.low, rel=0.03)


@pytest.mark.parametrize("heavy", [[], [500, 40, 20]])
def test_counts_of_many_units_are_multinomial(heavy):
    rng = np.random.default_rng(0)
    multiplicity = np.concatenate([rng.integers(1, 9, 600), np.array(heavy, int)])
    rows, size = int(multiplicity.sum()), 4000
    stratum = np.zeros(len(multiplicity), int)
    counts = np.concatenate(list(draws(multiplicity, stratum, size, rng)))
    assert (counts.sum(axis=1) == rows).all()
    variance = multiplicity * (1 - multiplicity / rows)
    assert np.abs((counts.mean(axis=0) - multiplicity) / np.sqrt(variance / size)).max() < 5
    assert np.abs(counts.var(axis=0) / variance - 1).max() < 0.2
    half = counts[:, ::2].sum(axis=1)  # takes in how the units lean against each other
    share = multiplicity[::2].sum() / rows
    assert half.var() == pytest.approx(rows * share * (1 - share), rel=0.1)


def test_strata_keep_their_size_in_every_resample():
    labels = case(200, seed=8)[0]
    counts = np.concatenate(list(draws(np.ones(200, int), labels, 20, np.random.default_rng(0))))
    for label in range(4):
        assert (counts[:, labels == label].sum(axis=1) == np.sum(labels == label)).all()


def test_strata_narrow_an_interval_that_the_strata_explain():
    labels, probabilities = case(400, seed=9)
    site = probabilities.argmax(axis=1) == labels  # a stratum in which all is right, and one in which all is wrong
    loose, tight = evaluate(labels, probabilities), evaluate(labels, probabilities, design=sampled(strata=site))
    assert tight["log_loss"].high - tight["log_loss"].low < 0.9 * (loose["log_loss"].high - loose["log_loss"].low)
    replicates = evaluate(labels, probabilities, method="percentile", resamples=200, design=sampled(strata=site))
    assert replicates["accuracy"] == tight["accuracy"]  # all resamples are alike, and there are still 400 rows only
    assert vars(tight["accuracy"]) == pytest.approx(vars(loose["accuracy"]))


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.2), st.floats(-0.5, 0.5))
@settings(max_examples=50)
def test_score_and_skewed_intervals_hold_their_value(value, error, skew):
    for interval in (score(value, error, 100, 1.96), skewed(value, error, skew, 1.96, (0, 1))):
        assert 0 <= interval.low <= value <= interval.high <= 1


def test_without_skewness_the_skewed_interval_is_the_plain_one():
    interval = skewed(1.0, 0.1, 0.0, 2.0, (0.0, np.inf))
    assert (interval.low, interval.high) == pytest.approx((0.8, 1.2))
    leaning = skewed(1.0, 0.1, 0.5, 2.0, (0.0, np.inf))
    assert leaning.high - 1 > 1 - leaning.low


def test_the_standard_error_of_independent_rows_is_the_textbook_one():
    values = np.random.default_rng(1).normal(size=50)
    sums = check_design(None, 50).sums((values - values.mean()) / 50)
    assert standard_error(sums) == pytest.approx(scipy.stats.sem(values))


def test_the_worst_group_is_named_and_tested():
    labels, probabilities = case(900, strength=4, seed=10)
    camera = np.array(["north", "south", "<b>east</b>"])[np.arange(900) % 3]
    broken = camera == "south"
    probabilities[broken] = np.roll(probabilities[broken], 1, axis=1)
    table = evaluate_groups(labels, probabilities, camera, ["a", "b", "c", "d"])
    assert table.worst.name == "south"
    assert table.worst.verdict == "worse than the rest"
    assert table.worst.evaluation.rows == 300
    assert {group.verdict for group in table.groups[1:]} == {"better than the rest"}
    same = evaluate_groups(*case(900, seed=11), camera)
    assert {group.verdict for group in same.groups} == {"cannot tell"}
    assert table.to_dict()["worst"] == "south"


def test_a_group_of_few_patients_is_not_judged_by_its_many_rows():
    rng = np.random.default_rng(12)
    alarms = {"alone": 0, "clustered": 0}
    for _ in range(20):
        patient = np.repeat(np.arange(24), 20)
        right = rng.random(480) < np.repeat(rng.choice([0.55, 0.95], 24), 20)  # patients differ, the two sites do not
        labels = np.zeros(480, int)
        told = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
        site = np.where(patient % 2, "north", "south")
        for name, design in (("alone", None), ("clustered", sampled(clusters=patient))):
            table = evaluate_groups(labels, told, site, design=design)
            alarms[name] += table.worst.verdict != "cannot tell"
    assert alarms["clustered"] <= 3  # one is to be expected of 20
    assert alarms["alone"] >= 4
    apart = np.where((patient % 2 == 1)[:, None], [0.9, 0.1], [0.1, 0.9])
    apart[::7] = 1 - apart[::7]
    found = evaluate_groups(labels, apart, site, design=sampled(clusters=patient))
    assert found.worst.verdict == "worse than the rest"
    assert {one.p for one in evaluate_groups(labels, told, patient, design=sampled(clusters=patient)).groups} == {1.0}


def test_designs_and_methods_that_cannot_be_are_refused():
    labels, probabilities = case(20)
    with pytest.raises(InputError, match="20 rows"):
        evaluate(labels, probabilities, design=sampled(clusters=np.arange(19)))
    with pytest.raises(InputError, match="two clusters"):
        sampled(clusters=np.zeros(20))
    with pytest.raises(InputError, match="neither"):
        sampled()
    with pytest.raises(InputError, match="several strata"):
        sampled(clusters=np.repeat([0, 1], 10), strata=np.arange(20))
    with pytest.raises(InputError, match="one value for each"):
        sampled(clusters=np.arange(20), strata=np.arange(19))
    with pytest.raises(InputError, match="Did you mean 'bca'"):
        evaluate(labels, probabilities, method="bcaa")
    with pytest.raises(InputError, match="at most 500"):
        evaluate_groups(*case(600), np.arange(600))


@pytest.mark.parametrize("clusters", [None, 40])
def test_a_group_as_far_from_the_rest_as_would_show_is_told(clusters):
    rng, large = np.random.default_rng(0), 0
    for sites in (2, 3, 6):
        for _ in range(8):
            labels, site = rng.integers(0, 2, 300), rng.integers(0, sites, 300)
            right = rng.random(300) < rng.uniform(0.4, 1.0, sites)[site]
            design = None if clusters is None else sampled(clusters=np.arange(300) % clusters)
            told = np.eye(2)[np.where(right, labels, 1 - labels)]
            for group in evaluate_groups(labels, told, site, design=design).groups:
                apart = right[site == int(group.name)].mean() - right[site != int(group.name)].mean()
                assert group.smallest_difference > 0
                if abs(apart) >= group.smallest_difference:
                    large += 1
                    assert group.verdict == ("better" if apart > 0 else "worse") + " than the rest"
    assert large > 10


def test_fishers_p_is_that_of_scipy():
    for right, mine, everybody, rows in ((3, 10, 30, 60), (0, 4, 20, 25), (12, 12, 80, 100), (5, 5, 7, 9)):
        table = [[right, mine - right], [everybody - right, rows - mine - everybody + right]]
        expected = scipy.stats.fisher_exact(table).pvalue
        assert _against_the_rest(right, mine, everybody, rows, 0.05)[0] == pytest.approx(expected, rel=1e-6)


def test_a_group_within_one_cluster_has_no_interval():
    labels, probabilities = case(90)
    patient = np.arange(90) // 30
    table = evaluate_groups(labels, probabilities, np.where(patient == 0, "a", "b"), design=sampled(clusters=patient))
    alone, others = sorted(table.groups, key=lambda group: group.name)
    assert (alone.verdict, alone.smallest_difference) == ("cannot tell", np.inf)
    assert np.isnan([alone.evaluation["accuracy"].low, alone.evaluation["macro_f1"].high]).all()
    assert np.isnan(alone.evaluation.per_class[0].recall.low)
    assert str(alone.evaluation["accuracy"]) == f"{alone.evaluation['accuracy'].value:.3f}"
    assert others.evaluation["accuracy"].low < others.evaluation["accuracy"].high
    stored = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert Evaluation.from_dict(stored["groups"][0]["evaluation"]).rows in (30, 60)


def test_values_that_are_not_of_one_kind_are_refused():
    with pytest.raises(InputError, match=r"one kind.*NoneType, str"):
        evaluate_groups(*case(4), np.array(["a", None, "b", "a"], dtype=object))


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("design", [None, sampled(clusters=np.arange(300))])
def test_scores_of_a_class_have_the_interval_that_was_asked_for(method, design):
    labels, probabilities = case()
    one = evaluate(labels, probabilities, method=method, resamples=1000, design=design).per_class[1]
    known = evaluate(labels, probabilities, design=design).per_class[1]

    def f1(labels, probabilities):
        return sk.f1_score(labels == 1, probabilities.argmax(axis=1) == 1)

    rows = read_rows(labels, probabilities)
    drawn = bootstrap_function([rows], f1, check_design(None, 300), 1000, 1)
    assert (one.f1.low, one.f1.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)
    for interval, score_interval in ((one.recall, known.recall), (one.precision, known.precision)):
        assert interval != score_interval
        assert (interval.low, interval.high) == pytest.approx((score_interval.low, score_interval.high), abs=0.04)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_perfect_score_keeps_an_interval_under_every_method(method):
    labels = np.arange(60) % 3
    told = np.eye(3)[labels]
    found, known = evaluate(labels, told, method=method, resamples=100), evaluate(labels, told)
    for metric in ("accuracy", "macro_f1", "kappa"):
        assert found[metric] == known[metric]
        assert found[metric].low < found[metric].high == 1
    assert found.per_class == known.per_class
    assert compare_pair(labels, told, told, method=method).low < 0


def test_groups_of_two_clusters_each_prove_nothing():
    labels, group, cluster = np.arange(40) % 2, np.repeat(["a", "b"], 20), np.repeat([0, 1, 2, 3], 10)
    told = np.eye(2)[np.where(group == "a", labels, 1 - labels)]  # all right, all wrong
    for one in evaluate_groups(labels, told, group, design=sampled(clusters=cluster)).groups:
        assert (one.p, one.verdict) == (pytest.approx(1 / 3), "cannot tell")  # 2 of the 6 ways to part four clusters
    many = evaluate_groups(labels, told, group, design=sampled(clusters=np.arange(40) // 2))
    assert many.worst.verdict == "worse than the rest"
    across = evaluate_groups(labels, told, group, design=sampled(clusters=np.arange(40) % 20))  # each in both groups
    assert across.worst.verdict == "worse than the rest"


def test_no_group_would_show_from_more_than_everything():
    labels, group = np.arange(60) % 2, np.repeat(["a", "b"], 30)
    right = np.r_[np.ones(15), np.zeros(15), np.ones(20), np.zeros(10)].astype(bool)
    told = np.eye(2)[np.where(right, labels, 1 - labels)]
    for one in evaluate_groups(labels, told, group, design=sampled(clusters=np.arange(60) // 15)).groups:
        assert one.smallest_difference <= 1 or one.smallest_difference == np.inf


def test_groups_are_judged_in_the_precision_that_came():
    labels, told = np.arange(40) % 2, np.eye(2, dtype=np.float16)[np.r_[np.arange(38) % 2, 1, 0]]
    (group,) = evaluate_groups(labels, told, np.zeros(40)).groups
    assert group.evaluation["log_loss"].value == evaluate(labels, told)["log_loss"].value


def test_clusters_alike_keep_an_interval_whatever_their_order():
    right, cluster = np.tile(np.arange(20) < 5, 2), np.repeat([0, 1], 20)
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(40)
        found = evaluate(np.zeros(40, int), np.eye(2)[np.where(right, 0, 1)][order], design=sampled(cluster[order]))
        assert found["accuracy"].low < 0.1
        assert found["accuracy"].high > 0.8
        assert found["brier"].low < found["brier"].value < found["brier"].high
        assert np.isnan(found["log_loss"].low)  # it has no bound, and no two clusters differ
    assert np.isnan(evaluate([0], [[0.9, 0.1]])["brier"].low)


def test_strata_of_two_rows_know_their_spread_by_one():
    rng, widths = np.random.default_rng(0), []
    for _ in range(40):
        labels, right = rng.integers(0, 2, 200), rng.random(200) < 0.8
        told = np.eye(2)[np.where(right, labels, 1 - labels)]
        found = [
            evaluate(labels, told, design=design)["accuracy"] for design in (sampled(strata=np.arange(200) // 2), None)
        ]
        widths.append([one.high - one.low for one in found])
    assert np.mean(widths, axis=0)[0] == pytest.approx(np.mean(widths, axis=0)[1], rel=0.03)  # strata tell nothing here


def test_a_stratum_of_one_row_joins_another():
    assert sampled(strata=[0, 1, 1, 2, 3, 3]).stratum.tolist() == [0, 1, 1, 0, 2, 2]
    assert sampled(strata=[0, 1, 1, 2, 2, 2]).stratum.tolist() == [0, 0, 0, 1, 1, 1]
    assert sampled(strata=np.arange(5)).strata == 1
    both = sampled(clusters=[0, 0, 1, 1, 2, 2, 3, 3], strata=[0, 0, 1, 1, 1, 1, 1, 1])
    assert both.stratum.tolist() == [0] * 8


def test_memory_is_bounded_where_few_clusters_hold_many_rows():
    blocks = draws(np.ones(10, int), np.zeros(10, int), 50, np.random.default_rng(0), width=1 << 18)
    assert {len(counts) for counts in blocks} <= {4, 2}  # of 2**20 elements
