"""Augmentation policies: how far images may be varied, by name and by part. It knows no pixels."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.errors import InputError, unknown


@dataclass(frozen=True)
class Policy:
    """How far an image may be varied, drawn evenly between both ends; zero everywhere changes nothing."""

    flip_horizontal: float = 0.0  # probability
    flip_vertical: float = 0.0  # probability
    rotation: float = 0.0  # degrees, either way
    zoom: float = 0.0  # 0.2: between 1 / 1.2 and 1.2 times the size
    translation: float = 0.0  # share of the side, either way
    crop: float = (
        0.0  # share of the area that a random crop may leave out, at 3:4 to 4:3 (Szegedy et al., CVPR 2015: 0.92)
    )
    brightness: float = 0.0  # share of the full range added or taken
    contrast: float = 0.0  # 0.2: between 0.8 and 1.2 times the distance from mid-grey
    colour: float = 0.0  # 0.2: between 0.8 and 1.2 times the distance from the pixel's own grey
    erasing: float = 0.0  # probability of one filled box of 2 to 25 % of the area (Zhong et al., AAAI 2020)
    rand_augment: int = 0  # operations an image (Cubuk et al., NeurIPS 2020)
    magnitude: float = 0.5  # of those operations, 0..1
    mixup: float = 0.0  # alpha of the Beta distribution (Zhang et al., ICLR 2018)
    cutmix: float = 0.0  # alpha of the Beta distribution (Yun et al., ICCV 2019)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, limit = getattr(self, field.name), _LIMITS.get(field.name, 1.0)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= limit:
                raise InputError(f"Expected augmentation '{field.name}' from 0 to {limit:g}. Received: {value!r}.")

    @property
    def moves(self) -> bool:
        """Whether pixels change their place."""
        parts = (self.flip_horizontal, self.flip_vertical, self.rotation, self.zoom, self.translation, self.crop)
        return any(parts) or self.rand_augment > 0

    @property
    def recolours(self) -> bool:
        """Whether values change where they are."""
        return any((self.brightness, self.contrast, self.colour)) or self.rand_augment > 0

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with each other, so that an image has more than one label."""
        return self.mixup > 0 or self.cutmix > 0


_LIMITS = {"rotation": 180.0, "zoom": 10.0, "rand_augment": 14, "mixup": 10.0, "cutmix": 10.0}

POLICIES: dict[str, Policy] = {
    "none": Policy(),
    "light": Policy(
        rotation=7, zoom=0.08, translation=0.07
    ),  # keeps what a mirror would change: digits, letters, signs
    "standard": Policy(
        flip_horizontal=0.5, rotation=10, zoom=0.15, translation=0.1, brightness=0.1, contrast=0.2, colour=0.2
    ),
    "strong": Policy(flip_horizontal=0.5, crop=0.6, rand_augment=2, magnitude=0.5, erasing=0.25, mixup=0.2, cutmix=1.0),
}


def policy_of(choice: str | Policy | Mapping[str, Any]) -> Policy:
    """The policy of that name, or of those parts: `policy_of("light")`, `policy_of({"rotation": 15})`."""
    if isinstance(choice, Policy):
        return choice
    if isinstance(choice, str):
        if choice not in POLICIES:
            raise unknown("augmentation policy", choice, POLICIES)
        return POLICIES[choice]
    if not isinstance(choice, Mapping):
        raise InputError(f"Expected augmentation as a name or its parts. Received: {choice!r}.")
    known = {field.name for field in dataclasses.fields(Policy)}
    for name in choice:
        if name not in known:
            raise unknown("augmentation", name, known)
    return Policy(**choice)
