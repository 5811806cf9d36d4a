"""Image sets that a name is enough for. They are found on this machine; nothing is trained or split here."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.data.listing import Listing

PATCH, STRIDE = 64, 32
BANDS = {"train": (0, 320), "validation": (320, 384), "test": (384, 512)}  # rows of the 512 x 512 photographs


def digits() -> Listing:
    """scikit-learn's 1,797 handwritten digits (UCI, Alpaydin & Kaynak 1998; CC BY 4.0).

    They are 8 x 8 in 17 shades, here 32 x 32 in 256.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    images = np.stack([cv2.resize(image, (32, 32), interpolation=cv2.INTER_LINEAR) for image in small])
    names = tuple(f"digit/{row:04d}" for row in range(len(images)))
    return Listing(names, bunch.target.astype(np.int64), tuple("0123456789"), images[..., None])


def textures() -> Listing:
    """585 patches of 64 x 64 from scikit-image's photographs of brick, grass and gravel (CC0).

    Patches overlap by half, so each split has a band of each picture to itself: rows 0 to 319 train, 320 to 383
    validation, 384 to 511 test.
    """
    from skimage import data

    names, labels, images, given = [], [], [], []
    classes = ("brick", "grass", "gravel")
    for number, class_name in enumerate(classes):
        picture: NDArray[np.uint8] = getattr(data, class_name)()
        for split, (start, stop) in BANDS.items():
            for top in range(start, stop - PATCH + 1, STRIDE):
                for left in range(0, picture.shape[1] - PATCH + 1, STRIDE):
                    names.append(f"{split}/{class_name}/{top:03d}_{left:03d}.png")
                    labels.append(number)
                    images.append(picture[top : top + PATCH, left : left + PATCH])
                    given.append(split)
    return Listing(
        tuple(names), np.array(labels, np.int64), classes, np.stack(images)[..., None], given=np.array(given)
    )


NAMED: dict[str, Callable[[], Listing]] = {"digits": digits, "textures": textures}
