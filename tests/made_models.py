"""Small fitted classifiers of both sides, for the tests of what is done with a model after the duel."""

import keras
import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline

from baselines import Calibrated, HOGFeatures, LBPFeatures, PairwiseSVM, PixelFeatures, SquaredHingeSVM
from toolkit.training import KerasClassifier, Recipe


def pictures(rows=60, classes=3, side=24, channels=1, seed=0):
    """Noisy pictures, each class around one of its own: uint8 (N, side, side, C) and int64 (N,)."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    own = np.random.default_rng(7).integers(115, 135, (classes, side, side, channels))
    return np.clip(own[labels] + generator.normal(0, 60, (rows, side, side, channels)), 0, 255).astype(np.uint8), labels


def tiny(image_shape, classes):
    """A convolution, a normalisation, an average."""
    inputs = keras.Input(image_shape)
    tensor = keras.layers.Conv2D(6, 3, activation="relu")(keras.layers.Rescaling(1 / 127.5, -1)(inputs))
    tensor = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization(momentum=0.5)(tensor))
    return keras.Model(inputs, keras.layers.Dense(classes)(tensor))


def network(model=tiny, seed=0):
    """Fitted for two epochs."""
    recipe = Recipe(epochs=2, batch_size=16, augment="none", learning_rate=0.01)
    return KerasClassifier(model, recipe, seed=seed, verbose=False).fit(*pictures())


def kernel_machine(classes=3, channels=1):
    """HOG and an RBF machine."""
    steps = [("hog", HOGFeatures(padding=2)), ("svm", Calibrated(PairwiseSVM(C=0.1)))]
    return Pipeline(steps).fit(*pictures(classes=classes, channels=channels))


def linear_machine(classes=3, channels=1):
    """LBP and shrunken pixels side by side, and a linear machine."""
    features = FeatureUnion([("lbp", LBPFeatures(grid=(2, 2))), ("pixels", PixelFeatures(longest=10))])
    machine = Calibrated(SquaredHingeSVM(C=0.01))
    return Pipeline([("features", features), ("svm", machine)]).fit(*pictures(classes=classes, channels=channels))
