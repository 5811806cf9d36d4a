"""Where in an image an answer comes from: heat maps of networks, of features, and of anything with predict_proba.

It knows the protocol and Keras, never KerasClassifier. Images are uint8 (N, H, W, C), maps float32 (N, H, W) in 0..1,
each image's own largest value being 1 (a map without any evidence is 0 everywhere).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
