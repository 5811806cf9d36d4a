"""How a network is trained: the recipe, and the adapter that makes a Keras model one of the duel's classifiers."""

from toolkit.training.classifier import KerasClassifier
from toolkit.training.recipe import Recipe

__all__ = ["KerasClassifier", "Recipe"]
