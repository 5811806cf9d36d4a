"""model.json: what a model says about itself, checked where it is read. It knows no classifier and no other file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolkit.data.decode import FITS
from toolkit.errors import InputError

SCHEMA = 1  # of the folder; grows when an older reader would read it wrongly
CARD = "model.json"
LARGEST = 2**14  # pixels of a side, or a forged card would have memory taken for pictures that nobody has


def read_card(folder: str | Path) -> dict[str, Any]:
    """What model.json says, each value of the kind that `save` writes; the other files are not looked at.

    Raises:
        InputError: no model, one of a newer schema, or a value of another kind, by its name.
    """
    path = Path(folder) / CARD
    if path.is_symlink():
        raise InputError(f"Expected {path} as a file of its own. Received: a link; a model is one folder.")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"Expected the folder of a model, as RUN/NAME/model. Received: {folder}, whose {CARD} cannot be read "
            f"({reason})."
        ) from None
    if not isinstance(card, dict) or type(card.get("schema")) is not int or card["schema"] < 1:
        raise InputError(f"Expected {path} to be the card of a model. Received: other JSON.")
    if card["schema"] > SCHEMA:
        raise InputError(
            f"Expected a model of schema {SCHEMA} or less in {folder}. Received: {card['schema']}. "
            "Update touchstone-vision to read it."
        )
    check_card(card, str(path))
    return card


def check_card(card: dict[str, Any], where: str) -> None:
    """Refuse values that `save` would not write: names that are no names, classes without one, shapes of no picture."""
    for key, (good, kind) in KINDS.items():
        if not good(card.get(key)):
            raise InputError(f"Expected {where} to tell '{key}' as {kind}. Received: {str(card.get(key))[:80]}.")
    names, numbers = card["class_names"], [label for label in card["classes"] if type(label) is int]
    if any(not 0 <= number < len(names) for number in numbers):
        raise InputError(f"Expected {where} to name the classes {numbers[:9]}. Received: {len(names)} names.")


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _labels(value: Any) -> bool:
    plain = isinstance(value, list) and all(isinstance(item, int | float | str) for item in value)
    return plain and 0 < len(value) == len(set(map(str, value)))


def _shape(value: Any) -> bool:
    if value is None:
        return True
    sides = isinstance(value, list) and len(value) == 3 and all(type(side) is int for side in value)
    return sides and all(1 <= side <= LARGEST for side in value[:2]) and value[2] in (1, 3)


KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {  # what a card must hold
    "what": (lambda value: isinstance(value, str), "text"),
    "classes": (_labels, "different labels"),
    "class_names": (_strings, "a list of names"),
    "files": (lambda value: isinstance(value, dict) and _strings(list(value.values())), "files and their checksums"),
    "image_shape": (_shape, "height, width and 1 or 3 channels"),
    "fit": (lambda value: value is None or value in FITS, f"one of {', '.join(FITS)}"),
}
