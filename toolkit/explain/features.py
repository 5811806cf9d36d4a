"""What HOG and LBP see of an image, drawn. It knows neither a classifier nor our own feature layers."""

import numpy as np

from toolkit.classifier import check_images
from toolkit.explain.form import Images, Maps, scaled


def hog_glyphs(
    images: Images,
    *,
    orientations: int = 9,
    pixels_per_cell: tuple[int, int] = (8, 8),
    cells_per_block: tuple[int, int] = (3, 3),
) -> Maps:
    """What HOG sees: in each cell strokes along its edges, the brighter the stronger. scikit-image draws them."""
    from skimage.feature import hog

    check_images(images)
    settings = {"orientations": orientations, "pixels_per_cell": pixels_per_cell, "cells_per_block": cells_per_block}
    return scaled(np.stack([hog(image, visualize=True, channel_axis=-1, **settings)[1] for image in images]))


def lbp_codes(images: Images, *, points: int = 8, radius: float = 1.0) -> Maps:
    """What LBP sees: each pixel's uniform pattern code over `points` + 1, computed by scikit-image on the grey image.

    The code is the number of neighbours that are not darker, 0 at a bright spot; patterns that are not uniform are 1.
    """
    from skimage.color import rgb2gray
    from skimage.feature import local_binary_pattern

    check_images(images)
    codes = []
    for image in images:
        grey = image[..., 0] if image.shape[-1] == 1 else np.round(255 * rgb2gray(image)).astype(np.uint8)
        codes.append(local_binary_pattern(grey, points, radius, method="uniform"))
    return (np.stack(codes) / (points + 1)).astype(np.float32)
