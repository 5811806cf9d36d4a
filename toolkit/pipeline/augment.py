"""A plan carried out on the CPU: uint8 in, uint8 out, one resampling an image. It draws nothing and knows no labels.

OpenCV lets go of Python's lock while it works, so several batches are augmented at once on several threads.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.pipeline.plan import Plan

Images = NDArray[np.uint8]  # (B, H, W, C)
_FLAGS = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
ALIGNMENT = 64  # bytes
_SMOOTH = (
    np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
)  # Pillow's SMOOTH, which RandAugment sharpens against


def augment(images: Images, plan: Plan) -> Images:
    """uint8 (B, H, W, C) -> a new uint8 (B, H, W, C), each image varied as its row of the plan says.

    A plan that asks for nothing gives the images themselves back.
    """
    if all(choice is None for choice in vars(plan).values()):
        return images
    result = aligned(images.shape)
    for row, image in enumerate(images):
        target = result[row]
        if plan.geometry is None:
            target[...] = image
        else:
            target[...] = _resampled(image, plan.geometry[row])
        _recolour(target, plan, row)
        if plan.erased is not None and plan.filling is not None:
            top, bottom, left, right = plan.erased[row]
            target[top:bottom, left:right] = plan.filling[row].round()
    return _mix(result, plan)


def aligned(shape: tuple[int, ...]) -> Images:
    """An empty uint8 array that begins where TensorFlow takes a tensor over without copying it."""
    size = math.prod(shape)
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].reshape(shape)


def _resampled(image: Images, matrix: NDArray[np.float32]) -> Images:
    """One (H, W, C) seen through a matrix (2, 3). OpenCV warps four channels in half the time of three, to the bit."""
    colour = image.shape[2] == 3
    source = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA) if colour else image
    size = (image.shape[1], image.shape[0])
    warped = cv2.warpAffine(source, matrix, size, flags=_FLAGS, borderMode=cv2.BORDER_REFLECT)
    return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB) if colour else warped.reshape(image.shape)


def _recolour(image: Images, plan: Plan, row: int) -> None:
    """Stretch, sharpness, colour, posterising and solarising of one (H, W, C), in place."""
    if plan.stretch is not None and plan.stretch[row]:
        low, high = image.min(axis=(0, 1)).astype(np.float32), image.max(axis=(0, 1)).astype(np.float32)
        image[...] = ((image - low) * (255 / np.maximum(high - low, 1))).round()
    if plan.sharpness is not None and plan.sharpness[row]:
        smooth = cv2.filter2D(image, -1, _SMOOTH, borderType=cv2.BORDER_REFLECT).reshape(image.shape)
        factor = 1 + float(plan.sharpness[row])
        image[...] = cv2.addWeighted(image, factor, smooth, 1 - factor, 0).reshape(image.shape)
    if plan.colour is not None:
        image[...] = cv2.transform(image, plan.colour[row]).reshape(image.shape)
    table = _table(plan, row)
    if table is not None:
        image[...] = cv2.LUT(image, table).reshape(image.shape)


def _table(plan: Plan, row: int) -> NDArray[np.uint8] | None:
    """uint8 (256,): what posterising and solarising make of each value; None where they leave every value as it is."""
    if plan.levels is None or plan.solarize is None or (plan.levels[row] == 1 and plan.solarize[row] == 256):
        return None
    values = np.floor(np.arange(256) / plan.levels[row]) * plan.levels[row]
    return np.where(values >= plan.solarize[row], 255 - values, values).astype(np.uint8)


def _mix(images: Images, plan: Plan) -> Images:
    """MixUp and CutMix: partners are taken before anything is mixed, so that no image is mixed twice."""
    if plan.partner is None or plan.share is None or plan.pasted is None:
        return images
    result = images.copy()
    for row, (partner, (top, bottom, left, right)) in enumerate(zip(plan.partner, plan.pasted, strict=True)):
        if bottom > top and right > left:
            result[row, top:bottom, left:right] = images[partner, top:bottom, left:right]
        elif plan.share[row] < 1:
            share = float(plan.share[row])
            result[row] = cv2.addWeighted(images[row], share, images[partner], 1 - share, 0).reshape(result[row].shape)
    return result
