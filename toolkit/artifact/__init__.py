"""A fitted classifier as a folder, and back: nothing in it is code, so one from a stranger runs none."""

from toolkit.artifact.folder import load_model, read_card, save

__all__ = ["load_model", "read_card", "save"]
