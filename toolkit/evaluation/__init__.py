"""What predictions are worth: metrics, intervals, calibration, pairs. It knows arrays, no model and no image."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
