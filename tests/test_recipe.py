"""The recipe's parts: what each changes in a training, and that nothing else does."""

import dataclasses
import inspect

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from toolkit.errors import InputError
from toolkit.pipeline import Policy
from toolkit.training import KerasClassifier, Recipe
from toolkit.training.ema import averaged
from toolkit.training.losses import LOSSES, loss_of
from toolkit.training.network import built
from toolkit.training.optimizer import optimizer, penalise
from toolkit.training.precision import computing, resolved, same_bits
from toolkit.training.recipe import PRESETS

PLAIN = Recipe(epochs=2, batch_size=16, augment="none", learning_rate=0.01, holdout=0.2)

BARE = Recipe(optimizer="sgd", momentum=0.0, weight_decay=0, learning_rate=1, schedule="constant", warmup=0)


def tiny(image_shape, classes, dropout=0.1):
    """One convolution, one BatchNorm, one average, one dropout."""
    inputs = keras.Input(image_shape)
    tensor = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    tensor = keras.layers.Conv2D(8, 3, activation="relu", name="conv")(tensor)
    tensor = keras.layers.BatchNormalization(momentum=0.5)(tensor)
    tensor = keras.layers.GlobalAveragePooling2D(name="features")(tensor)
    tensor = keras.layers.Dropout(dropout, name="drop")(tensor)
    return keras.Model(inputs, keras.layers.Dense(classes, dtype="float32", name="logits")(tensor))


def brightness(rows=48, classes=3, seed=0):
    """Classes that differ in brightness: learned in a few steps."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    images = 40 + 170 * labels[:, None, None, None] / (classes - 1) + generator.normal(0, 15, (rows, 10, 10, 1))
    return np.clip(images, 0, 255).astype(np.uint8), labels.astype(np.int64)


def fit(recipe=PLAIN, **changes):
    return KerasClassifier(tiny, dataclasses.replace(recipe, **changes), verbose=False).fit(*brightness())


def some_logits(rows=6, classes=4):
    generator = np.random.default_rng(0)
    targets = np.eye(classes, dtype=np.float32)[generator.integers(0, classes, rows)]
    return targets, generator.normal(0, 2, (rows, classes)).astype(np.float32)


def softmax(values):
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.jax
def test_losses_are_what_their_papers_say():
    targets, logits = some_logits()
    chance = (softmax(logits) * targets).sum(axis=1)
    length = 1 / (1 + np.exp(-logits))
    spare, missing = np.maximum(0, length - 0.1) ** 2, np.maximum(0, 0.9 - length) ** 2
    expected = {
        "cross_entropy": -np.log(chance),
        "sparse_cross_entropy": -np.log(chance),
        "focal": -((1 - chance) ** 2) * np.log(chance),
        "margin": (targets * missing + 0.5 * (1 - targets) * spare).sum(axis=1),
    }
    assert set(expected) == set(LOSSES)
    for name, values in expected.items():
        assert_allclose(loss_of(Recipe(loss=name))(targets, keras.ops.convert_to_tensor(logits)), values, rtol=1e-4)


@pytest.mark.jax
@pytest.mark.parametrize("name", ["cross_entropy", "focal", "margin"])
def test_smoothed_targets_are_those_of_szegedy_et_al(name):
    targets, logits = some_logits()
    logits = keras.ops.convert_to_tensor(logits)
    smoothed = loss_of(Recipe(loss=name, label_smoothing=0.2))(targets, logits)
    assert_allclose(smoothed, LOSSES[name](0.8 * targets + 0.05, logits), rtol=1e-5)


@pytest.mark.parametrize("loss", ["sparse_cross_entropy", "focal", "margin"])
def test_every_loss_learns(loss):
    images, labels = brightness()
    model = fit(epochs=15, loss=loss, learning_rate=0.05, holdout=0.0)
    assert np.mean(model.predict(images) == labels) > 0.8


def test_the_gradient_is_clipped_over_all_weights_together():
    weights = [keras.Variable(np.zeros(3, np.float32)), keras.Variable(np.zeros(1, np.float32))]
    recipe = dataclasses.replace(BARE, clip=1.0)
    optimizer(recipe, 10).apply([np.array([6.0, 0, 0], np.float32), np.array([8.0], np.float32)], weights)
    assert_allclose(weights[0], [-0.6, 0, 0], atol=1e-6)
    assert_allclose(weights[1], [-0.8], atol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_momentum_is_that_of_nesterov(momentum):
    weight = keras.Variable(np.zeros(1, np.float32))
    recipe = dataclasses.replace(BARE, momentum=momentum)
    made = optimizer(recipe, 10)
    made.apply([np.ones(1, np.float32)], [weight])
    assert_allclose(weight, [-(1 + momentum)], atol=1e-6)


def test_l2_is_a_penalty_on_the_kernels_that_move_and_can_be_taken_back():
    model = tiny((10, 10, 1), 3)
    model.get_layer("conv").trainable = False
    penalise(model, 0.5)
    kernel = np.array(model.get_layer("logits").kernel)
    assert_allclose(sum(model.losses), 0.5 * (kernel**2).sum(), rtol=1e-5)
    penalise(model, 0.0)
    assert not model.losses


def test_l2_shrinks_the_kernels():
    free, held = fit(weight_decay=0, epochs=6), fit(weight_decay=0, epochs=6, l2=1.0)
    assert (held.weights_[0] ** 2).sum() < 0.9 * (free.weights_[0] ** 2).sum()


@pytest.mark.jax
def test_the_average_is_judged_and_kept_and_training_goes_on_with_its_own_weights():
    model = tiny((10, 10, 1), 3)
    recipe = dataclasses.replace(BARE, ema=0.5)
    model.compile(optimizer(recipe, 10), "mse")
    model.optimizer.build(model.trainable_variables)
    bias = model.get_layer("logits").bias
    for _ in range(2):
        gradients = [keras.ops.zeros_like(weight.value) for weight in model.trainable_variables[:-1]]
        model.optimizer.apply([*gradients, keras.ops.ones_like(bias.value)], model.trainable_variables)
    with averaged(model):
        assert_allclose(bias, -1.5 * np.ones(3), atol=1e-6)  # the mean of -1 and -2
    assert_allclose(bias, -2 * np.ones(3), atol=1e-6)


@pytest.mark.parametrize("holdout", [pytest.param(0.0, marks=pytest.mark.thorough), 0.2])
def test_with_an_average_the_kept_weights_are_the_average(holdout):
    own, smooth = fit(epochs=3, holdout=holdout), fit(epochs=3, holdout=holdout, ema=0.9)
    assert_allclose(own.history_["loss"], smooth.history_["loss"], rtol=1e-4)  # the same training
    assert not np.allclose(own.weights_[-2], smooth.weights_[-2], atol=1e-4)
    if holdout:
        assert own.history_["holdout_loss"] != pytest.approx(smooth.history_["holdout_loss"], rel=1e-4)


def test_dropout_and_stochastic_depth_reach_a_network_that_has_them():
    model = built("resnet20", (16, 16, 1), 3, Recipe(dropout=0.3, stochastic_depth=0.5).network_options(), seed=0)
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert max(rates) == 0.5
    assert rates[-1] == 0.3
    assert Recipe().network_options() == {}


@pytest.mark.parametrize(
    ("network", "field"), [("capsnet", "dropout"), ("cnn", "stochastic_depth"), ("mobilenet_025", "stochastic_depth")]
)
def test_a_network_without_them_refuses_them(network, field):
    images = np.zeros((4, 32, 32, 3), np.uint8)
    with pytest.raises(InputError, match=rf"options that '{network}' takes .*Received: {field.split('_')[-1]}=0.5"):
        KerasClassifier(network, Recipe(**{field: 0.5}), verbose=False).fit(images, np.arange(4) % 2)


def test_mixed_precision_computes_in_16_bits_between_float32_weights_and_float32_logits():
    with computing("bfloat16"):
        model = tiny((10, 10, 1), 3)
    assert keras.config.dtype_policy().name == "float32"
    assert model.get_layer("conv").compute_dtype == "bfloat16"
    assert {weight.dtype for weight in model.weights} <= {"float32", "uint32"}
    assert model.output.dtype == "float32"


def test_mixed_precision_learns_and_predicts_in_float32():
    images, labels = brightness()
    model = fit(epochs=15, precision="bfloat16", learning_rate=0.05, holdout=0.0)
    assert np.mean(model.predict(images) == labels) > 0.8
    assert model.network.get_layer("conv").compute_dtype == "float32"


def test_auto_is_float32_on_a_cpu_and_float16_needs_a_gpu(monkeypatch):
    assert fit(precision="auto", epochs=1).recipe_.precision == "float32"
    with pytest.raises(InputError, match="float32, bfloat16 or auto on a CPU"):
        fit(precision="float16")
    for capability, precision in {(9, 0): "bfloat16", (7, 5): "float16", (6, 1): "float32"}.items():
        monkeypatch.setattr("toolkit.training.precision._device", lambda version=capability: ("gpu", version))
        assert resolved("auto") == precision
    assert isinstance(optimizer(Recipe(precision="float16"), 10), keras.optimizers.LossScaleOptimizer)


def test_deterministic_runs_are_equal_to_the_last_bit():
    first, second = (fit(deterministic=True, augment="strong", ema=0.9) for _ in range(2))
    assert first.history_ == second.history_
    for one, other in zip(first.weights_, second.weights_, strict=True):
        assert_array_equal(one, other)


def test_determinism_is_left_as_it_was():
    config = pytest.importorskip("tensorflow.python.framework.config")
    with same_bits(True):
        assert config.is_op_determinism_enabled()
    assert not config.is_op_determinism_enabled()


@pytest.mark.parametrize(
    "augment", [pytest.param(Policy(mixup=0.4), marks=pytest.mark.thorough), Policy(cutmix=1.0), "strong"]
)
def test_mixed_images_train_a_network(augment):
    images, labels = brightness()
    model = fit(augment=augment, epochs=15, learning_rate=0.05, holdout=0.0)
    assert np.mean(model.predict(images) == labels) > 0.8
    with pytest.raises(InputError, match="loss='cross_entropy' with label smoothing, MixUp or CutMix"):
        Recipe(loss="sparse_cross_entropy", augment=augment)


def test_presets_are_recipes_and_fields_replace_theirs():
    assert set(PRESETS) == {"quick", "standard", "thorough", "paper"}
    for name in PRESETS:
        recipe = Recipe.preset(name)
        assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.preset("standard") == Recipe()
    assert Recipe.preset("paper", epochs=3).epochs == 3
    assert Recipe.preset("paper").optimizer == "sgd"
    with pytest.raises(InputError, match=r"Unknown preset 'thorogh'. Did you mean 'thorough'"):
        Recipe.preset("thorogh")


def test_a_recipe_says_what_it_will_do_a_line_for_each_phase():
    (whole,) = Recipe(epochs=7, loss="focal", clip=1.0, precision="bfloat16").describe()
    for word in ("7 epochs", "all layers", "focal", "adamw", "0.002", "clip 1", "bfloat16", "augmentation light"):
        assert word in whole
    assert len(Recipe().describe(pretrained=True)) == 1
    head, rest = Recipe(unfreeze=0.3, passes=3).describe(pretrained=True)
    assert "frozen features" in head
    assert "3 passes" in head
    assert "last 30% of the layers" in rest
    assert "BatchNorm fixed" in rest
    assert all("\n" not in line for line in (whole, head, rest))


def test_a_recipe_says_what_is_carried_out():
    (head,) = Recipe(epochs=5).describe(pretrained=True, held=30, width=320)
    assert "learning rate 0.004" in head  # 0.002 times the root of 1,280 / 320
    assert "30 images held back" in head
    assert "optimum" in head
    (none,) = Recipe(epochs=5, class_weight="balanced", sampling="balanced", deterministic=True).describe(held=0)
    for words in ("last epoch kept", "too small to hold", "balanced classes", "balanced sampling", "bit-equal"):
        assert words in none


def test_every_number_has_a_range_and_every_field_a_check():
    for field in dataclasses.fields(Recipe):
        wrong = {"augment": "ligth", "class_weight": "x", "deterministic": "yes", "refit": 1, "unfreeze": 2}.get(
            field.name, -1
        )
        with pytest.raises(InputError):
            Recipe(**{field.name: wrong})


def test_every_optimiser_takes_what_the_recipe_gives_it():
    for name in ("adamw", "adam", "sgd", "rmsprop", "lion"):
        made = optimizer(Recipe(optimizer=name, clip=2.0, ema=0.9), 10)
        assert (made.global_clipnorm, made.use_ema, made.ema_momentum) == (2.0, True, 0.9)
    assert "momentum" in inspect.signature(keras.optimizers.SGD).parameters
