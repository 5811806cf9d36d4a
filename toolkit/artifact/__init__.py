"""A fitted classifier as a folder, and back: nothing in it is code, so one from a stranger runs none."""

from toolkit.artifact.card import check_card, read_card
from toolkit.artifact.folder import load_model, save
from toolkit.artifact.inside import learned_shape

__all__ = ["check_card", "learned_shape", "load_model", "read_card", "save"]
