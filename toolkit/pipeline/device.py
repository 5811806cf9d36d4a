"""The same plan carried out by keras.ops, whole batches at once, for training on an accelerator. It draws nothing.

Values are rounded to whole grey levels after each step as on the CPU, so that both paths give the same pictures to
within a level or two (OpenCV 4 places pixels in steps of 1/32; OpenCV 5 does not).
"""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from toolkit.pipeline.plan import Plan

_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13


@keras.saving.register_keras_serializable(package="touchstone")
class Augment(keras.layers.Layer):
    """{"images": (B, H, W, C) 0..255, and the fields of a plan} -> float32 (B, H, W, C) 0..255."""

    def call(self, inputs: dict[str, Any]) -> Any:
        """Fields that are left away do nothing."""
        fields = {field.name: inputs.get(field.name) for field in dataclasses.fields(Plan)}
        return augment_on_device(inputs["images"], Plan(**fields))


def augment_on_device(images: Any, plan: Plan) -> Any:
    """(B, H, W, C) 0..255 -> float32 (B, H, W, C) of whole numbers 0..255, varied as `augment` does."""
    images = ops.cast(images, "float32")
    if plan.geometry is not None:
        last = ops.zeros_like(plan.geometry[:, :1, :2])
        transform = ops.reshape(plan.geometry, (-1, 6))
        transform = ops.concatenate([transform, ops.reshape(last, (-1, 2))], axis=1)
        images = _levels(ops.image.affine_transform(images, transform, fill_mode="reflect"))
    images = _recolour(images, plan)
    if plan.erased is not None:
        filling = ops.reshape(_levels(plan.filling), (-1, 1, 1, images.shape[3]))
        images = ops.where(_inside(plan.erased, images), filling, images)
    return _mix(images, plan)


def _levels(values: Any) -> Any:
    return ops.clip(ops.round(values), 0, 255)


def _each(values: Any) -> Any:
    """(B,) -> (B, 1, 1, 1)."""
    return ops.reshape(values, (-1, 1, 1, 1))


def _inside(boxes: Any, images: Any) -> Any:
    """Boxes (B, 4) of top, bottom, left, right -> bool (B, H, W, 1)."""
    top, bottom, left, right = (_each(boxes[:, side]) for side in range(4))
    y = ops.reshape(ops.arange(images.shape[1], dtype="int32"), (1, -1, 1, 1))
    x = ops.reshape(ops.arange(images.shape[2], dtype="int32"), (1, 1, -1, 1))
    return ops.logical_and(ops.logical_and(y >= top, y < bottom), ops.logical_and(x >= left, x < right))


def _recolour(images: Any, plan: Plan) -> Any:
    channels = images.shape[3]
    if plan.stretch is not None:
        low, high = ops.min(images, axis=(1, 2), keepdims=True), ops.max(images, axis=(1, 2), keepdims=True)
        stretched = _levels((images - low) * (255 / ops.maximum(high - low, 1.0)))
        images = ops.where(_each(plan.stretch) > 0, stretched, images)
    if plan.sharpness is not None:
        kernel = np.repeat(_SMOOTH[:, :, None, None], channels, axis=2)
        padded = ops.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")
        smooth = _levels(ops.depthwise_conv(padded, kernel, padding="valid"))
        images = _levels(images + _each(plan.sharpness) * (images - smooth))
    if plan.colour is not None:
        linear = ops.einsum("bhwc,bdc->bhwd", images, plan.colour[:, :, :channels])
        images = _levels(linear + ops.reshape(plan.colour[:, :, channels], (-1, 1, 1, channels)))
    if plan.levels is not None:
        images = ops.floor(images / _each(plan.levels)) * _each(plan.levels)
    if plan.solarize is not None:
        images = ops.where(images >= _each(plan.solarize), 255 - images, images)
    return images


def _mix(images: Any, plan: Plan) -> Any:
    if plan.partner is None or plan.pasted is None:
        return images
    partners, share = ops.take(images, plan.partner, axis=0), _each(plan.share)
    boxes = plan.pasted
    pastes = _each(ops.logical_and(boxes[:, 1] > boxes[:, 0], boxes[:, 3] > boxes[:, 2]))
    pasted = ops.where(_inside(boxes, images), partners, images)
    return ops.where(pastes, pasted, _levels(share * images + (1 - share) * partners))
