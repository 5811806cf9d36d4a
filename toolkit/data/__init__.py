"""Labelled images from every place people keep them. It knows no model; `load.py` is the one door."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
