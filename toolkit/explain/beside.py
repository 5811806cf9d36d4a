"""Explanations kept beside a contestant's predictions, of the same images for all. It knows the protocol and fits none.

`explanations.npz` holds `rows` int64 (R,), numbers of test rows, and an array for each method: uint8 (R, h, w), heat of
0..255, or uint8 (R, h, w, 3), a picture of its own.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.classifier import Classifier
from toolkit.errors import InputError
from toolkit.explain.features import hog_glyphs, lbp_codes
from toolkit.explain.form import Images, Maps
from toolkit.explain.hiding import occlusion
from toolkit.explain.network import attention_rollout, grad_cam

FILE = "explanations.npz"
SIDE = 96  # pixels of the longer side that a map keeps at most
GLYPHS = 128  # pixels of the shorter side on which features are drawn, in eight cells


def explain_contestant(classifier: Classifier, images: Images) -> dict[str, NDArray[np.uint8]]:
    """Method -> maps of the images uint8 (N, H, W, C), as `explanations.npz` holds them, of a fitted contestant.

    `occlusion` serves every side alike. Networks (a keras.Model at `network`) add `attention_rollout` where they attend
    and else `grad_cam`; pipelines with HOG or LBP features add what these see. What a network has no layers for is left
    out.
    """
    found = {"occlusion": _heat(occlusion(classifier.predict_proba, images))}
    network = getattr(classifier, "network", None)
    if network is not None:
        for name, method in (("attention_rollout", attention_rollout), ("grad_cam", grad_cam)):
            try:
                found[name] = _heat(method(network, images))
                break
            except InputError:  # no such layers
                continue
    seen = {type(part).__name__ for part in _parts(classifier)}
    if any("HOG" in name for name in seen):
        large = _enlarged(images)
        found["hog_glyphs"] = _picture(hog_glyphs(large, pixels_per_cell=(GLYPHS // 8, GLYPHS // 8)) ** 0.5)
    if any("LBP" in name for name in seen):
        found["lbp_codes"] = _picture(lbp_codes(images))
    return found


def keep_explanations(folder: str | Path, classifier: Classifier, images: Images, rows: Any) -> None:
    """Explain test rows (R,), whose images are uint8 (R, H, W, C), and write them to the contestant's folder, whole."""
    path = Path(folder) / FILE
    partial = path.with_name(f"{FILE}.partial.npz")
    found: dict[str, Any] = explain_contestant(classifier, images)
    try:
        np.savez_compressed(partial, rows=np.asarray(rows, np.int64), **found)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _parts(classifier: Any) -> Iterator[Any]:
    """The contestant and everything that it is made of, as scikit-learn's parameters tell."""
    yield classifier
    if hasattr(classifier, "get_params"):
        yield from classifier.get_params(deep=True).values()


def _heat(maps: Maps) -> NDArray[np.uint8]:
    """(N, H, W) in 0..1 -> uint8 (N, h, w), no longer than SIDE on a side."""
    import cv2

    height, width = maps.shape[1:]
    factor = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = maps if factor == 1 else np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in maps])
    return np.rint(255 * np.clip(small, 0, 1)).astype(np.uint8)


def _picture(maps: Maps) -> NDArray[np.uint8]:
    """(N, H, W) in 0..1 -> grey pictures uint8 (N, H, W, 3)."""
    return np.repeat(np.rint(255 * np.clip(maps, 0, 1)).astype(np.uint8)[..., None], 3, axis=-1)


def _enlarged(images: Images) -> Images:
    """The shorter side brought to GLYPHS pixels, so that strokes can be told apart whatever the images' size."""
    import cv2

    height, width = images.shape[1:3]
    factor = GLYPHS / min(height, width)
    size = (max(GLYPHS, round(width * factor)), max(GLYPHS, round(height * factor)))
    large = [cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) for image in images]
    return np.stack(large).reshape(len(images), size[1], size[0], images.shape[3])
