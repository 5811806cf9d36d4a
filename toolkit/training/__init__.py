"""How a network is trained: the recipe, and the adapter that makes a Keras model one of the duel's classifiers."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
