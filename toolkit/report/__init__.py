"""A run as something to send: one offline HTML file, tables for papers, figures. It draws results and computes none."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
