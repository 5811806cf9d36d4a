"""The spaces of the catalogue: their defaults are the untuned contestants, and all that they allow can be built."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import toolkit
from toolkit import catalogue
from toolkit.contending import settings
from toolkit.data import Dataset, Manifest, Split
from toolkit.errors import InputError
from toolkit.models import MODELS
from toolkit.tuning import Settings, spaces, tune
from toolkit.tuning.declared import build, declared
from toolkit.tuning.points import Cube

SHAPE = (32, 32, 1)
COMPOSED = ("hog_forest", "lbp_linear", "hog_lbp_adaboost", "hog_lbp_colour_logistic", "colour_svm", "pixels_boosting")
NAMES = (
    *catalogue.DEFAULTS, "hog_svm_best", "hog_lbp_svm", "pixels_svm", *COMPOSED, "resnet20", "vit_tiny", "googlenet",
    "capsnet",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_space_gives_the_untuned_contestant(name):
    function = catalogue.space(name, SHAPE, seed=3)
    space = declared(function)
    untuned = settings(catalogue.contestant(name, SHAPE, seed=3, verbose=False))
    default = settings(build(function, space, space.values))
    untuned.pop("options", None)
    default.pop("options", None)  # compared as networks below
    assert {key: value for key, value in default.items() if key in untuned} == untuned


@pytest.mark.parametrize("name", ["cnn", "resnet20", "wide_resnet_16_4", "vgg11", "capsnet"])
def test_the_default_options_give_the_default_network(name):
    from keras_tuner import HyperParameters

    plain, told = (MODELS[name](SHAPE, 3, **given) for given in ({}, spaces.options(HyperParameters(), name)))
    assert [weight.shape for weight in plain.weights] == [weight.shape for weight in told.weights]
    rates = [[layer.rate for layer in model.layers if hasattr(layer, "rate")] for model in (plain, told)]
    assert rates[0] == rates[1]


def test_composed_features_vary_as_in_a_pipeline_and_so_does_their_machine():
    def names(name, shape=SHAPE):
        return {one.name for one in declared(catalogue.space(name, shape)).space}

    assert names("hog_forest") == {"trees", *(names("hog_lbp_svm") & names("hog_svm"))} - names("pixels_svm")
    assert names("lbp_linear") - {"C"} == names("lbp_svm") - names("pixels_svm")
    assert names("hog_lbp_colour_svm") == names("hog_lbp_svm")
    assert names("colour_svm") == names("mobilenet_v2_svm", (96, 96, 3)) == names("pixels_svm")


def test_a_range_of_rates_holds_good_ones_for_every_optimizer():
    from keras_tuner import HyperParameters

    told = {}
    for optimizer in ("adamw", "adam", "sgd", "lion"):
        hp = HyperParameters()
        hp.Fixed("optimizer", optimizer)
        told[optimizer] = spaces.recipe(hp)["learning_rate"]
    assert told["adamw"] == told["adam"] == toolkit.Recipe().learning_rate
    assert 10 <= told["sgd"] / told["adamw"] <= 50
    assert 3 <= told["adamw"] / told["lion"] <= 10


def test_a_pretrained_network_says_how_much_of_it_moves():
    names = {one.name for one in declared(catalogue.space("mobilenet_v2", (96, 96, 3))).space}
    assert {"unfreeze", "dropout", "learning_rate"} <= names
    assert "unfreeze" not in {one.name for one in declared(catalogue.space("cnn", SHAPE)).space}


@pytest.mark.parametrize("name", ["cnn", "resnet20", "vit_tiny"])
def test_networks_differ_in_width_or_depth(name):
    from keras_tuner import HyperParameters

    smallest = HyperParameters()
    for option, choice in spaces.OPTIONS[name].items():
        if isinstance(choice[0], int):
            smallest.Fixed(option, choice[0])
    small, usual = (MODELS[name](SHAPE, 3, **spaces.options(hp, name)) for hp in (smallest, HyperParameters()))
    assert small.count_params() < usual.count_params()


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_can_be_built(name):
    function = catalogue.space(name, SHAPE)
    space = declared(function)
    cube = Cube(space)
    for point in np.random.default_rng(0).random((20, len(cube))):
        classifier = build(function, space, cube.values(point))
        assert hasattr(classifier, "fit")
        assert hasattr(classifier, "predict_proba")


def test_the_seed_reaches_the_contestant():
    for name in ("hog_svm", "cnn"):
        function = catalogue.space(name, SHAPE, seed=7)
        assert "7" in str(settings(build(function, declared(function), {**declared(function).values})))


def test_values_of_a_search_build_the_same_contestant_again():
    function = catalogue.space("hog_svm", SHAPE)
    space = declared(function)
    values = Cube(space).values(np.random.default_rng(1).random(len(Cube(space))))
    found = catalogue.contestants(["hog_svm", "lbp_svm"], SHAPE, values={"hog_svm": values})
    assert settings(found["hog_svm"]) == settings(build(function, space, values))
    assert settings(found["lbp_svm"]) == settings(catalogue.contestant("lbp_svm", SHAPE))
    with pytest.raises(InputError, match="Unknown hyper-parameter 'depht'"):
        catalogue.contestants(["hog_svm"], SHAPE, values={"hog_svm": {"depht": 3}})


@pytest.mark.parametrize("text", ["tests.my_space:nothing", "tests.no_such:x", "tests.my_space:not_a_function", ":"])
def test_a_space_that_cannot_be_imported_is_one_line(text):
    with pytest.raises(InputError, match="Expected"):
        spaces.named(text)


def stripes(rows=48, side=16):
    """Two classes of noisy stripes, lying and standing."""
    random = np.random.default_rng(0)

    def part(name, count):
        labels = np.arange(count) % 2
        wave = 127 + 100 * np.sign(np.sin(np.arange(side)))
        images = np.where(labels[:, None, None] == 0, wave[None, :, None], wave[None, None, :])
        noisy = np.clip(images + random.normal(0, 40, images.shape), 0, 255).astype(np.uint8)[..., None]
        return Split(noisy, labels.astype(np.int64), np.array([f"{name}/{row}" for row in range(count)]))

    manifest = Manifest("stripes", 0, {"train": rows, "validation": 16, "test": 16}, "1" * 64)
    return Dataset(part("train", rows), part("validation", 16), part("test", 16), ("lying", "standing"), manifest)


def test_a_real_search_of_each_side():
    data = stripes()
    recipe = toolkit.Recipe(epochs=2, augment="none")
    for name, fixed in (
        ("hog_svm", {"pca": "0.0", "hog_cells": 5}),
        ("cnn", {"batch_size": 16, "width": 16, "widest": 64}),
    ):
        function = catalogue.space(name, data.image_shape, recipe=recipe)
        found = tune(function, data, trials=2, workers=0, settings=Settings(fixed=fixed))
        assert [trial.status for trial in found.trials] == ["finished"] * 2, found.trials
        fitted = found.classifier().fit(data.train.images, data.train.labels)
        assert fitted.predict_proba(data.test.images).shape == (16, 2)


def saved(folder):
    """The stripes as an .npz that the command line reads."""
    data = stripes()
    arrays = {}
    for part in ("train", "validation", "test"):
        split = getattr(data, part)
        arrays |= {f"x_{part}": split.images, f"y_{part}": split.labels}
    np.savez(folder / "stripes.npz", **arrays)
    return str(folder / "stripes.npz")


def test_the_command_tunes_and_compare_reads_it(tmp_path):
    from toolkit.cli import app

    data, run = saved(tmp_path), str(tmp_path / "search")
    name = "tests.my_space:space"
    told = CliRunner().invoke(
        app, ["tune", name, data, "--trials", "3", "--out", run, "--range", "C=0.1:10", "--first", "2"]
    )
    assert told.exit_code == 0, (told.output, told.exception)
    assert "suggested" in told.output
    assert (tmp_path / "search" / "search.html").exists()
    out = tmp_path / "duel"
    told = CliRunner().invoke(
        app, ["compare", data, name, "pixels_svm", "--from", run, "--seeds", "2", "--no-memory", "--out", str(out)]
    )
    assert told.exit_code == 0, (told.output, told.exception)
    assert "probability" in told.output
    assert "Over 2 seeds and splits by accuracy:" in " ".join(told.output.split())
    written = json.loads((out / "comparison.json").read_text())
    best = json.loads((tmp_path / "search" / "best.json").read_text())
    assert written["tuning"]["contestants"][name]["values"] == best["values"]
    assert json.loads((out / "seeds.json").read_text())["seeds"] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tune", "hog_smv", "digits"], "Did you mean 'hog_svm'"),
        (["tune", "hog_svm", "digits", "--trials", "0"], "more than 0 trials"),
        (["tune", "hog_svm", "digits", "--objective", "loss"], "Unknown objective 'loss'"),
        (["tune", "hog_svm", "digits", "--method", "grit"], "Did you mean 'grid'"),
        (["tune", "hog_svm", "digits", "--set", "C"], "Expected --set NAME=VALUE"),
        (["tune", "hog_svm", "digits", "--set", "C=1", "--set", "C=2"], "Expected 'C' once. Received: 1, and 2"),
        (
            ["tune", "hog_svm", "digits", "--range", "C=1:2", "--range", "C=2:3"],
            "Expected 'C' once. Received: 1:2, and",
        ),
        (["tune", "hog_svm", "digits", "--range", "C=1"], "Expected --range NAME=LOW:HIGH"),
        (["tune", "hog_svm", "digits", "--role", "boss", "--address", "here:80"], "Unknown role 'boss'"),
        (["tune", "hog_svm", "digits", "--role", "worker"], "together with --address HOST:PORT"),
        (["tune", "hog_svm", "digits", "--role", "chief", "--address", "here"], "Expected --address as HOST:PORT"),
        (["tune", "hog_svm", "digits", "--role", "chief", "--address", "a:1", "--ray", "auto"], "Received both"),
        (["compare", "digits", "--tune", "0"], "more than 0 trials"),
        (["compare", "digits", "--from", "/nowhere"], "Expected the folder of a search"),
    ],
)
def test_bad_commands_are_one_line(arguments, message):
    from toolkit.cli import app

    told = CliRunner().invoke(app, arguments)
    assert isinstance(told.exception, InputError)
    assert message in str(told.exception)
    assert "\n" not in str(told.exception)


def test_trials_train_shorter_where_nobody_says_how_long():
    recipe = toolkit.Recipe()
    assert spaces.shorter(recipe, 1200).epochs == round(recipe.for_rows(1200).epochs / 3) == 8
    assert spaces.shorter(toolkit.Recipe(epochs=2), 1200).epochs == 2
