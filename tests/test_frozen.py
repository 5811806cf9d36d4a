"""A frozen backbone's new head, and fine-tuning: features once, what is frozen does not move, both phases watched."""

import gc
import pickle
import weakref

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from toolkit.errors import InputError
from toolkit.models import feature_extractor, transfer
from toolkit.pipeline import Batches, Subset
from toolkit.training import KerasClassifier, Recipe, frozen
from toolkit.training.features import FeatureBatches, Features, Forward
from toolkit.training.inference import logits
from toolkit.training.linear import Choice
from toolkit.training.optimizer import optimizer

SIZE = 32
HEAD = ("logits/kernel", "logits/bias")
QUICK = Recipe(frozen_epochs=12, epochs=2, batch_size=16, augment="none", learning_rate=0.02, holdout=0.2, refit=False)


def stripes(rows=40, seed=0):
    """Two classes, stripes across and down under noise, grey, 20 x 20: what even random layers tell apart."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    across = 128 + 100 * np.sin(np.arange(20) * 1.5)[:, None].repeat(20, 1)
    images = np.where(labels[:, None, None], across, across.T)[..., None] + generator.normal(0, 1, (rows, 20, 20, 1))
    return np.clip(images, 0, 255).astype(np.uint8), labels.astype(np.int64)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Weights of a small MobileNet, random but for BatchNorm's statistics, which are those of some images."""
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNet(alpha=0.25, input_shape=(SIZE, SIZE, 3), weights=None, include_top=False)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # the statistics of this one batch, or the random layers' signal would fade
    network(np.pad(stripes(64)[0], ((0, 0), (6, 6), (6, 6), (0, 2)), "edge") / 127.5 - 1, training=True)
    path = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    network.save_weights(path)
    return {"weights": str(path), "size": SIZE}


@pytest.fixture(scope="module")
def before(options):
    """Path of each weight -> its values before any training."""
    model = transfer("mobilenet_025", (20, 20, 1), 2, **options)
    return {weight.path: np.array(weight) for weight in model.weights}


def classifier(options, recipe=QUICK, **settings):
    return KerasClassifier("mobilenet_025", recipe, verbose=False, options=options, **settings)


def moved(model, before):
    """Paths of the weights that are not what they were."""
    pairs = zip(before.items(), model.weights_, strict=True)
    return {path for (path, old), new in pairs if not np.array_equal(old, new)}


@pytest.fixture(scope="module")
def fitted(options):
    return classifier(options).fit(*stripes())


@pytest.mark.jax
def test_only_the_head_moves_and_it_learns(fitted, before):
    assert moved(fitted, before) == set(HEAD)  # so BatchNorm's statistics stay
    images, labels = stripes(seed=1)
    assert (fitted.predict(images) == labels).mean() > 0.8
    assert fitted.history_["phase"] == [1.0] * len(fitted.history_["loss"])
    assert len(fitted.history_["holdout_loss"]) == len(fitted.history_["loss"])
    assert fitted.recipe_.frozen_epochs == 12


def test_the_head_that_is_kept_is_the_best_epoch_s(fitted):
    images, labels = stripes()
    _, held = frozen_rows(labels)
    chances = fitted.predict_proba(images[held])[np.arange(len(held)), labels[held]]
    assert fitted.best_epoch_ == int(np.argmin(fitted.history_["holdout_loss"]))
    assert_allclose(-np.log(chances).mean(), min(fitted.history_["holdout_loss"]), rtol=1e-3, atol=1e-6)


def frozen_rows(labels):
    from toolkit.training.holdout import stratified_holdout

    return stratified_holdout(labels, QUICK.holdout, 0)


@pytest.mark.parametrize("passes", [1, 3])
def test_features_are_computed_once_a_pass_and_not_once_an_epoch(options, monkeypatch, passes):
    seen = []
    whole = keras.Model.predict_on_batch

    def counted(self, images):
        if self.name.endswith("_features"):
            seen.append(len(images))
        return whole(self, images)

    monkeypatch.setattr(keras.Model, "predict_on_batch", counted)
    images, labels = stripes()
    rows, held = frozen_rows(labels)
    classifier(options, Recipe(epochs=6, batch_size=8, passes=passes, holdout=0.2)).fit(images, labels)
    assert sum(seen) == passes * power(len(rows)) + power(len(held))  # batches are filled up to a power of two


def power(rows):
    return 1 << (rows - 1).bit_length()


def test_one_pass_takes_the_images_as_they_are_and_several_vary_them(options):
    images, labels = stripes(10)
    model = transfer("mobilenet_025", (20, 20, 1), 2, **options)
    batches = Batches(Subset(images, np.arange(10)), labels, 4, "strong", seed=0)
    source = Features(feature_extractor(model), Forward())
    features, targets = source.training(batches, 1, lambda done=1, note="": None)
    plain = source.plain(images)
    assert_allclose(features[0], plain, atol=1e-5)  # row by row in their own order; float32
    assert_array_equal(targets[0].argmax(axis=1), labels)
    varied, _ = source.training(batches, 2, lambda done=1, note="": None)
    assert not np.allclose(varied[0], plain, atol=1e-3)
    assert not np.allclose(varied[0], varied[1], atol=1e-3)


def test_an_epoch_takes_the_rows_in_order_one_pass_after_the_other():
    labels = np.array([0, 1, 0, 1, 0])
    batches = Batches(np.zeros((5, 4, 4, 1), np.uint8), labels, 2, class_weight=np.array([1.0, 3.0]), seed=2)
    features = np.arange(10, dtype=np.float32).reshape(2, 5, 1)
    epoch = 0
    source = FeatureBatches(batches, features, np.eye(2, dtype=np.float32)[labels][None].repeat(2, 0), lambda: epoch)
    for epoch in range(3):
        parts = [source.batch(step) for step in range(batches.steps)]
        values, targets, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        rows = batches.order(epoch)
        assert_array_equal(values[:, 0], rows + 5 * (epoch % 2))
        assert_array_equal(targets.argmax(axis=1), labels[rows])
        assert_array_equal(weights, np.array([1, 3])[labels[rows]])


def test_the_same_seed_gives_the_same_head_and_a_refit_forgets(options, fitted):
    images, labels = stripes()
    again = classifier(options).fit(images, 1 - labels)
    assert not np.allclose(again.predict_proba(images), fitted.predict_proba(images), atol=0.1)
    again.fit(images, labels)
    assert_allclose(again.predict_proba(images), fitted.predict_proba(images), atol=1e-4)  # threads add otherwise


@pytest.mark.jax
def test_fine_tuning_moves_the_last_layers_and_no_batchnorm(options, before):
    recipe = Recipe(**{**vars(QUICK), "unfreeze": 0.2, "holdout": 0.0})  # nothing held back: the last epoch is kept
    model = classifier(options, recipe).fit(*stripes())
    changed = moved(model, before)
    layers = list(dict.fromkeys(path.split("/")[0] for path in before if "_bn" not in path and "logits" not in path))
    last = layers[-round(0.2 * len(layers)) :]
    assert {path.split("/")[0] for path in changed} == {*last, "logits"}
    assert model.history_["phase"] == [1.0] * 12 + [2.0] * 2
    assert model.best_epoch_ == 13
    again = pickle.loads(pickle.dumps(model))
    assert_allclose(again.predict_proba(stripes()[0]), model.predict_proba(stripes()[0]), atol=1e-6)


def test_a_fine_tuning_that_does_not_gain_leaves_the_head_as_it_was(options, before, monkeypatch):
    monkeypatch.setattr(frozen, "FINE", 50.0)  # ruins what was learned
    recipe = Recipe(**{**vars(QUICK), "unfreeze": 1.0, "epochs": 8, "patience": 2})
    model = classifier(options, recipe).fit(*stripes())
    phases = model.history_["phase"]
    assert phases == sorted(phases)
    if model.history_["phase"][model.best_epoch_] < 2:
        assert moved(model, before) == set(HEAD)
        assert phases.count(2.0) == 2  # patience counts from the phase's own start
    else:
        pytest.fail("A learning rate of 1 should have ruined the hold-out loss.")


def test_rates_fall_layer_by_layer_and_reach_the_optimiser():
    inputs = keras.Input((4,))
    tensor = keras.layers.Dense(4, name="low")(inputs)
    tensor = keras.layers.BatchNormalization(name="norm")(tensor)
    tensor = keras.layers.Dense(4, name="high")(tensor)
    tensor = keras.layers.Dense(4, name="features")(tensor)
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(tensor))
    rates = frozen.unfreeze(model, 0.6, 0.01)  # two of three
    assert rates == pytest.approx(
        {"features/kernel": 0.1, "features/bias": 0.1, "high/kernel": 0.01, "high/bias": 0.01}
    )
    assert {layer.name for layer in model.layers if layer.weights and layer.trainable} == {"high", "features", "logits"}
    recipe = Recipe(optimizer="sgd", weight_decay=0, learning_rate=1.0, schedule="constant", warmup=0)
    old = {weight.path: np.array(weight) for weight in model.trainable_weights}
    made = optimizer(recipe, 10, rates)
    made.apply([keras.ops.ones_like(weight) for weight in model.trainable_weights], model.trainable_weights)
    steps = {weight.path: float((old[weight.path] - np.array(weight)).mean()) for weight in model.trainable_weights}
    assert_allclose(steps["high/kernel"], 0.01 * steps["logits/kernel"], rtol=1e-3)
    assert_allclose(steps["features/bias"], 0.1 * steps["logits/bias"], rtol=1e-3)


def test_a_network_from_scratch_has_no_phases():
    model = KerasClassifier("cnn", Recipe(epochs=1, unfreeze=0.5), verbose=False).fit(*stripes(8))
    assert "phase" not in model.history_


@pytest.mark.parametrize(
    ("field", "value"), [("unfreeze", 1.5), ("passes", 0), ("frozen_epochs", 2.5), ("layer_decay", -1)]
)
def test_other_values_are_refused(field, value):
    with pytest.raises(InputError, match=f"Expected {field} as"):
        Recipe(**{field: value})


def test_a_linear_head_is_solved_on_all_rows_and_is_the_last_epoch_of_the_history(options, fitted, monkeypatch):
    monkeypatch.setattr(frozen, "chosen", lambda rows, seed, groups: Choice(10.0, 0.25, 0.875))
    images, labels = stripes()
    model = classifier(options, Recipe(**{**vars(QUICK), "refit": True})).fit(images, labels)
    assert_allclose(model.history_["loss"][:-1], fitted.history_["loss"], rtol=1e-3)
    assert model.best_epoch_ == len(model.history_["loss"]) - 1
    last = {name: column[-1] for name, column in model.history_.items()}
    assert (last["phase"], last["holdout_loss"], last["holdout_accuracy"]) == (1.5, 0.25, 0.875)
    assert last["accuracy"] == (model.predict(images) == labels).mean()
    assert "solved to its optimum" in model.diagnosis.words
    assert "0.875 on rows that it had not seen" in model.diagnosis.words
    features = logits(feature_extractor(transfer("mobilenet_025", (20, 20, 1), 2, **options)), images)
    features = (features - features.mean(axis=0)) / np.sqrt(features.var(axis=0).sum())
    # of two classes scikit-learn has one vector, twice either of ours and so punished twice as much
    peer = LogisticRegression(C=20.0, tol=1e-8).fit(features, labels)
    assert_allclose(model.predict_proba(images), peer.predict_proba(features), atol=0.01)
    assert (model.predict(stripes(seed=1)[0]) == labels).mean() > 0.9


@pytest.mark.parametrize("told", [{"hidden": 8}, {"loss": "focal"}], ids=["a hidden layer", "another loss"])
def test_another_head_is_trained_again_on_all_rows_to_the_end_of_its_schedule(options, monkeypatch, told):
    lengths = []
    whole = frozen.train

    def noted(network, source, recipe, watch, **settings):
        lengths.append((recipe.epochs, settings["steps"]))
        return whole(network, source, recipe, watch, **settings)

    monkeypatch.setattr(frozen, "train", noted)
    monkeypatch.setattr(frozen, "solved", None)
    again = Recipe(**{**vars(QUICK), "refit": True, "patience": 1, "loss": told.get("loss", "cross_entropy")})
    hidden = {name: value for name, value in told.items() if name == "hidden"}
    model = classifier({**options, **hidden}, again).fit(*stripes())
    assert lengths == [(12, 2), (12, 3)]  # batches of 16, of 32 images and of all 40
    assert model.held_out_ is None  # it has learned from all rows
    assert len(model.history_["loss"]) <= 12


def test_answers_for_rows_held_back_are_of_what_has_not_learned_from_them(options):
    images, labels = stripes()

    def fit(**told):
        return classifier(options, Recipe(**{**vars(QUICK), "refit": True, "frozen_epochs": 1, **told})).fit(
            images, labels
        )

    solved_head = fit()
    rows, answers = solved_head.held_out_
    assert_array_equal(np.sort(rows), np.arange(40))  # each by the head of the other folds
    assert abs(answers - solved_head.predict_proba(images[rows])).max() > 1e-4
    chances = answers[np.arange(40), labels[rows]]
    assert_allclose(-np.log(chances).mean(), solved_head.history_["holdout_loss"][-1], rtol=1e-4)
    varied = fit(passes=2, augment="light")
    assert len(varied.held_out_.rows) == 8  # the others were seen augmented only


def test_a_fine_tuning_begins_from_the_solved_head_where_that_is_the_best(options):
    recipe = Recipe(**{**vars(QUICK), "refit": True, "unfreeze": 0.2, "frozen_epochs": 1, "epochs": 1})
    images, labels = stripes()
    model = classifier(options, recipe).fit(images, labels)
    rows, answers = model.held_out_
    assert len(rows) == 8
    assert_allclose(answers, model.predict_proba(images[rows]), atol=1e-4)
    history = model.history_
    assert history["phase"] == [1, 1.5, 2]  # one epoch is far from the optimum
    assert history["holdout_loss"][1] < history["holdout_loss"][0]
    assert len(set(map(len, history.values()))) == 1


@pytest.mark.parametrize(
    ("what", "starts"), [("all", ("conv",)), ("conv_pw_13,conv_dw_13", ("conv_pw_13", "conv_dw_13"))]
)
def test_layers_are_unfrozen_by_name(options, what, starts):
    model = transfer("mobilenet_025", (20, 20, 1), 2, **options)
    frozen.unfreeze(model, what, 0.5)
    moving = {layer.name for layer in model.layers if layer.weights and layer.trainable} - {"logits"}
    assert moving
    assert all(name.startswith(starts) for name in moving)
    assert len(moving) == (27 if what == "all" else 2)  # 1 + 2 * 13 convolutions


def test_a_fit_leaves_no_head_and_so_no_backbone_in_memory(options, monkeypatch):
    made, whole = [], frozen.head_of

    def noted(network):
        head = whole(network)
        made.append(weakref.ref(head))
        return head

    monkeypatch.setattr(frozen, "head_of", noted)
    classifier(options, Recipe(epochs=1, holdout=0.2)).fit(*stripes())
    gc.collect()
    assert [head() for head in made] == [None]


def test_a_layer_that_is_not_there_is_refused_before_any_work(options, monkeypatch):
    monkeypatch.setattr(frozen, "Features", None)
    with pytest.raises(InputError, match=r"Unknown layer of 'mobilenet_025' to unfreeze 'conv_pw_14'. Did you mean"):
        classifier(options, Recipe(unfreeze="conv_pw_14")).fit(*stripes(8))


def test_features_kept_on_disk_are_taken_again_and_only_for_the_same(options, monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(
        Features, "_passes", lambda self, batches, passes, advance: made.append(1) or plain(batches, passes)
    )

    def plain(batches, passes):
        shape = (passes, len(batches.labels))
        return np.ones((*shape, 256), np.float32), np.ones((*shape, batches.classes), np.float32)

    images, labels = stripes(12)
    settings = {"feature_cache": tmp_path / "features"}

    def fit(recipe=QUICK, images=images, seed=0, **more):
        return classifier({**options, **more}, recipe, seed=seed, **settings).fit(images, labels)

    quick = Recipe(**{**vars(QUICK), "frozen_epochs": 1, "holdout": 0.0})
    fit(quick)
    files = sorted((tmp_path / "features").iterdir())
    assert len(made) == len(files) == 1
    fit(Recipe(**{**vars(quick), "learning_rate": 0.1}))  # another head
    fit(quick, seed=1)  # the images are taken as they are
    assert len(made) == 1
    several = Recipe(**{**vars(quick), "passes": 2, "augment": "light"})
    fit(several)
    fit(several, seed=1)
    fit(quick, images=255 - images)
    fit(quick, pooling="maximum")
    assert len(made) == 5
    assert not list((tmp_path / "features").glob("*.partial"))
