"""The same search for every contestant: KerasTuner on validation rows, under one budget. Loaded on first use."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
