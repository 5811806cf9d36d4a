from .classifier import KerasClassifier as KerasClassifier
from .recipe import Recipe as Recipe
