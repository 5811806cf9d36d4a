"""The random choices for one batch, drawn from a policy: small arrays, a row an image. It sees no pixels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.pipeline.policy import Policy

Shape = tuple[int, int, int]  # height, width, channels
Matrices = NDArray[np.float64]  # (B, 3, 3) or (B, C + 1, C + 1), acting on columns that end in 1

GREY = np.array([0.299, 0.587, 0.114])  # Rec. 601 luma of R, G, B
MIDDLE = 127.5  # the grey that contrast leaves as it is


@dataclass(frozen=True)
class Plan:
    """What happens to each of B images, in this order; a field is None where the policy asks for none of it."""

    geometry: NDArray[np.float32] | None = None  # (B, 2, 3): pixel (x, y, 1) of the result -> (x, y) of the image
    stretch: NDArray[np.float32] | None = None  # (B,): 1 spreads each channel over 0..255, 0 leaves it
    sharpness: NDArray[np.float32] | None = None  # (B,): 0 as it is, -1 smoothed over 3 x 3, 1 as far the other way
    colour: NDArray[np.float32] | None = None  # (B, C, C + 1): channels of the result from (channels, 1)
    levels: NDArray[np.float32] | None = None  # (B,): width of a posterised step, 1 as it is
    solarize: NDArray[np.float32] | None = None  # (B,): values from here on are inverted, 256 as it is
    erased: NDArray[np.int32] | None = None  # (B, 4): top, bottom, left, right of the filled box; empty: none
    filling: NDArray[np.float32] | None = None  # (B, C), 0..255: what the box is filled with
    partner: NDArray[np.int32] | None = None  # (B,): the image that is mixed in
    share: NDArray[np.float32] | None = None  # (B,): weight of the image's own label
    pasted: NDArray[np.int32] | None = None  # (B, 4): box taken from the partner; empty: both are blended by `share`


def parts(plan: Plan) -> dict[str, NDArray[Any]]:
    """The fields that a plan has, by name."""
    return {name: value for name, value in vars(plan).items() if value is not None}


def draw(policy: Policy, count: int, image_shape: Shape, generator: np.random.Generator) -> Plan:
    """Choices for `count` images of (H, W, C); the same policy and state of the generator give the same plan."""
    geometry, colour = _geometry(policy, count, image_shape, generator), _colour(policy, count, image_shape, generator)
    fields: dict[str, Any] = {}
    if policy.rand_augment:
        more_geometry, more_colour, fields = _rand_augment(policy, count, image_shape, generator)
        geometry, colour = geometry @ more_geometry, more_colour @ colour
    boxes: dict[str, Any] = {}
    if policy.erasing:
        area = np.where(generator.random(count) < policy.erasing, generator.uniform(0.02, 0.25, count), 0.0)
        boxes["erased"] = _boxes(area, image_shape, generator)
        fields["filling"] = generator.uniform(0, 255, (count, image_shape[2]))
    partner = None
    if policy.mixes:
        partner = generator.permutation(count).astype(np.int32)
        fields["share"], boxes["pasted"] = _mixing(policy, count, image_shape, generator)
    return Plan(
        geometry=_in_pixels(geometry, image_shape) if policy.moves else None,
        colour=colour[:, :-1].astype(np.float32) if policy.recolours else None,
        partner=partner,
        **{name: values.astype(np.float32) for name, values in fields.items()},
        **boxes,
    )


def mixed_targets(targets: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
    """Targets (B, K) of the images after mixing: each row the weighted sum of its own and its partner's."""
    if plan.partner is None or plan.share is None:
        return targets
    share = plan.share[:, None]
    return share * targets + (1 - share) * targets[plan.partner]


def _in_pixels(geometry: Matrices, image_shape: Shape) -> NDArray[np.float32]:
    """From coordinates around the middle, in pixels, to coordinates from the top left pixel's centre."""
    middle = np.array([image_shape[1] - 1, image_shape[0] - 1]) / 2
    linear, shift = geometry[:, :2, :2], geometry[:, :2, 2]
    return np.concatenate([linear, (shift + middle - linear @ middle)[..., None]], axis=2).astype(np.float32)


def _linear(count: int, xx: Any = 1.0, xy: Any = 0.0, yx: Any = 0.0, yy: Any = 1.0) -> Matrices:
    matrices = np.tile(np.eye(3), (count, 1, 1))
    matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1] = xx, xy, yx, yy
    return matrices


def _shift(count: int, x: Any, y: Any) -> Matrices:
    matrices = np.tile(np.eye(3), (count, 1, 1))
    matrices[:, 0, 2], matrices[:, 1, 2] = x, y
    return matrices


def _rotation(degrees: NDArray[np.float64]) -> Matrices:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return _linear(len(degrees), cosine, -sine, sine, cosine)


def _geometry(policy: Policy, count: int, image_shape: Shape, generator: np.random.Generator) -> Matrices:
    """Crop, shift, turn, zoom and mirror in one matrix; parts that are off draw nothing."""
    height, width, _ = image_shape
    matrices = _linear(count)
    if policy.crop:
        area = generator.uniform(1 - policy.crop, 1, count)
        aspect = np.exp(generator.uniform(-np.log(4 / 3), np.log(4 / 3), count))
        wide, tall = np.minimum(1, np.sqrt(area * aspect)), np.minimum(1, np.sqrt(area / aspect))
        slack_x, slack_y = (1 - wide) * width / 2, (1 - tall) * height / 2
        middle_x, middle_y = generator.uniform(-slack_x, slack_x), generator.uniform(-slack_y, slack_y)
        matrices = _shift(count, middle_x, middle_y) @ _linear(count, wide, yy=tall)
    if policy.translation:
        x, y = generator.uniform(-policy.translation, policy.translation, (2, count))
        matrices = matrices @ _shift(count, x * width, y * height)
    if policy.rotation:
        matrices = matrices @ _rotation(generator.uniform(-policy.rotation, policy.rotation, count))
    if policy.zoom:
        factor = np.exp(generator.uniform(-np.log1p(policy.zoom), np.log1p(policy.zoom), count))
        matrices = matrices @ _linear(count, factor, yy=factor)
    if policy.flip_horizontal or policy.flip_vertical:
        mirrored = generator.random((2, count)) < [[policy.flip_horizontal], [policy.flip_vertical]]
        x, y = np.where(mirrored, -1.0, 1.0)
        matrices = matrices @ _linear(count, x, yy=y)
    return matrices


def _channels(image_shape: Shape, factor: NDArray[np.float64], pull: NDArray[np.float64]) -> Matrices:
    """(B, C + 1, C + 1): each value times `factor` (B,), and `pull` (C + 1,) of (channels, 1) times 1 - factor."""
    channels = image_shape[2]
    matrices = np.tile(np.eye(channels + 1), (len(factor), 1, 1))
    matrices[:, :channels] = factor[:, None, None] * np.eye(channels, channels + 1) + (1 - factor)[:, None, None] * pull
    return matrices


def _brightness(image_shape: Shape, amount: NDArray[np.float64]) -> Matrices:
    matrices = np.tile(np.eye(image_shape[2] + 1), (len(amount), 1, 1))
    matrices[:, :-1, -1] = 255 * amount[:, None]
    return matrices


def _contrast(image_shape: Shape, factor: NDArray[np.float64]) -> Matrices:
    return _channels(image_shape, factor, np.append(np.zeros(image_shape[2]), MIDDLE))


def _saturation(image_shape: Shape, factor: NDArray[np.float64]) -> Matrices:
    """Towards or away from the pixel's own grey; an image of one channel is its own grey already."""
    grey = GREY if image_shape[2] == 3 else np.ones(1)
    return _channels(image_shape, factor, np.append(grey, 0.0))


def _colour(policy: Policy, count: int, image_shape: Shape, generator: np.random.Generator) -> Matrices:
    matrices = np.tile(np.eye(image_shape[2] + 1), (count, 1, 1))
    for amount, matrix, middle in (
        (policy.brightness, _brightness, 0.0),
        (policy.contrast, _contrast, 1.0),
        (policy.colour if image_shape[2] == 3 else 0.0, _saturation, 1.0),
    ):
        if amount:
            matrices = matrix(image_shape, generator.uniform(middle - amount, middle + amount, count)) @ matrices
    return matrices


OPERATIONS = (
    "identity", "rotate", "shear_x", "shear_y", "translate_x", "translate_y", "brightness", "contrast", "colour",
    "sharpness", "posterize", "solarize", "autocontrast",
)  # fmt: skip


def _rand_augment(
    policy: Policy, count: int, image_shape: Shape, generator: np.random.Generator
) -> tuple[Matrices, Matrices, dict[str, NDArray[np.floating]]]:
    """RandAugment (Cubuk et al., NeurIPS 2020) as matrices and fields of the plan.

    We differ from the paper: no equalize; geometry is composed and comes first, then autocontrast, sharpness, colour,
    posterize, solarize, each of the last two and sharpness at most once; contrast turns about mid-grey.
    """
    height, width, channels = image_shape
    geometry, colour = _linear(count), np.tile(np.eye(channels + 1), (count, 1, 1))
    fields: dict[str, NDArray[np.floating]] = {"stretch": np.zeros(count), "sharpness": np.zeros(count)}
    fields |= {"levels": np.ones(count), "solarize": np.full(count, 256.0)}
    for _ in range(policy.rand_augment):
        chosen = generator.integers(len(OPERATIONS), size=count)
        signed = policy.magnitude * generator.choice([-1.0, 1.0], count)
        on = {name: chosen == index for index, name in enumerate(OPERATIONS)}
        geometry = geometry @ _rotation(30 * signed * on["rotate"])
        geometry = geometry @ _linear(count, xy=0.3 * signed * on["shear_x"], yx=0.3 * signed * on["shear_y"])
        shift = 0.3 * signed
        geometry = geometry @ _shift(count, shift * on["translate_x"] * width, shift * on["translate_y"] * height)
        colour = _brightness(image_shape, 0.5 * signed * on["brightness"]) @ colour
        colour = _contrast(image_shape, 1 + 0.9 * signed * on["contrast"]) @ colour
        colour = _saturation(image_shape, 1 + 0.9 * signed * on["colour"]) @ colour
        fields["sharpness"] = np.where(on["sharpness"], 0.9 * signed, fields["sharpness"])
        fields["stretch"] = np.maximum(fields["stretch"], on["autocontrast"])
        step = 2.0 ** round(4 * policy.magnitude)
        fields["levels"] = np.where(on["posterize"], step, fields["levels"])
        fields["solarize"] = np.where(on["solarize"], 256 * (1 - policy.magnitude), fields["solarize"])
    return geometry, colour, fields


def _boxes(area: NDArray[np.float64], image_shape: Shape, generator: np.random.Generator) -> NDArray[np.int32]:
    """Boxes (B, 4) of top, bottom, left, right that cover about that share of the image, cut off at its border."""
    height, width, _ = image_shape
    aspect = np.exp(generator.uniform(-np.log(2), np.log(2), len(area)))
    tall, wide = np.sqrt(area * aspect) * height, np.sqrt(area / aspect) * width
    y, x = generator.uniform(0, height, len(area)), generator.uniform(0, width, len(area))
    top, bottom = np.clip(np.round([y - tall / 2, y + tall / 2]), 0, height)
    left, right = np.clip(np.round([x - wide / 2, x + wide / 2]), 0, width)
    return np.stack([top, bottom, left, right], axis=1).astype(np.int32)


def _mixing(
    policy: Policy, count: int, image_shape: Shape, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Shares (B,) and boxes (B, 4): an image is blended (MixUp) or pasted into (CutMix), at even odds of both."""
    paste = generator.random(count) < 0.5 if policy.mixup and policy.cutmix else np.full(count, policy.cutmix > 0)
    blended = generator.beta(policy.mixup, policy.mixup, count) if policy.mixup else np.ones(count)
    kept = generator.beta(policy.cutmix, policy.cutmix, count) if policy.cutmix else np.ones(count)
    boxes = _boxes(np.where(paste, 1 - kept, 0.0), image_shape, generator)
    covered = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2]) / (image_shape[0] * image_shape[1])
    return np.where(paste, 1 - covered, blended), boxes
