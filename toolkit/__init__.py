"""Is the deep model worth it here, how sure are we, and what does it cost? Public names, loaded on first use."""

import lazy_loader as lazy

__version__ = "0.1.0"

# What is offered stands in __init__.pyi, where type checkers and editors read it too.
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
