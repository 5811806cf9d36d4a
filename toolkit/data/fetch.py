"""Public sets that are fetched by name: Keras' four, and those of TensorFlow Datasets and Hugging Face behind extras.

What lies in the cache's folder `named/NAME` is taken first: so a copy put there by hand serves a machine offline.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.cifar import cifar_folder, is_cifar
from toolkit.data.decode import Fit, resize
from toolkit.data.listing import SPLIT_FOLDERS, Listing
from toolkit.data.readers import from_arrays, idx_folder, idx_parts, npz_file
from toolkit.errors import InputError

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
KERAS_SETS: dict[str, tuple[str, ...] | None] = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": FASHION,
    "cifar10": CIFAR10,
    "cifar100": None,
}


def keras_set(name: str, cache: Path) -> Listing:
    """One of Keras' sets: a local copy in `named/NAME` (IDX, CIFAR batches or an .npz), or Keras' own download."""
    folder = cache / "named" / name
    class_names = KERAS_SETS[name]
    if folder.is_dir():
        if idx_parts(folder):
            return idx_folder(folder, class_names)
        if is_cifar(folder):
            return cifar_folder(folder)
        archives = sorted(folder.glob("*.npz"))
        if archives:
            return npz_file(archives[0])
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise InputError(
            f"Expected to fetch '{name}'. Received: {' '.join(str(error).split())}. "
            f"Put its files into '{folder}' (data/README.md says which)."
        ) from error
    names = [f"{part}/{row:05d}" for part, rows in (("train", y_train), ("test", y_test)) for row in range(len(rows))]
    given = np.array(["train"] * len(y_train) + ["test"] * len(y_test))
    return from_arrays(
        np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test]), name, names, class_names, given
    )


def tfds_set(name: str, size: tuple[int, int] | None, fit: Fit) -> Listing:
    """`tfds:NAME`, a set of TensorFlow Datasets with the features `image` and `label`."""
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise InputError("Expected tensorflow-datasets. Install it: pip install 'touchstone-vision[tfds]'.") from None
    try:
        splits, information = tfds.load(name, with_info=True)
        class_names = tuple(information.features["label"].names)
        rows = [
            (split, f"{split}/{row:06d}", _fitted(example["image"], size, fit), int(example["label"]))
            for split in splits
            for row, example in enumerate(tfds.as_numpy(splits[split]))
        ]
    except Exception as error:  # the library raises many kinds, for names, features and networks alike
        raise _not_fetched(f"tfds:{name}", error, "TFDS_DATA_DIR may name a folder where it lies prepared") from error
    return _listing(f"tfds:{name}", rows, class_names)


def hugging_face_set(name: str, size: tuple[int, int] | None, fit: Fit) -> Listing:
    """`hf:NAME`, a set of the Hugging Face hub with one image column and one column of class labels."""
    try:
        import datasets
    except ImportError:
        raise InputError("Expected datasets. Install it: pip install 'touchstone-vision[hf]'.") from None
    try:
        splits = datasets.load_dataset(name)
        features = next(iter(splits.values())).features
        images = [key for key, feature in features.items() if isinstance(feature, datasets.Image)]
        labels = [key for key, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
        if len(images) != 1 or len(labels) != 1:
            raise ValueError(f"image columns {images} and label columns {labels}, one of each is needed")
        rows = [
            (
                split,
                f"{split}/{row:06d}",
                _fitted(np.asarray(example[images[0]].convert("RGB")), size, fit),
                int(example[labels[0]]),
            )
            for split, part in splits.items()
            for row, example in enumerate(part)
        ]
    except Exception as error:  # as above
        raise _not_fetched(f"hf:{name}", error, "hf:FOLDER reads a copy that lies on this machine") from error
    return _listing(f"hf:{name}", rows, tuple(features[labels[0]].names))


def _not_fetched(source: str, error: Exception, offline: str) -> InputError:
    received = " ".join(str(error).split())
    shown = received if len(received) <= 160 else f"{received[:160]}..."
    return InputError(f"Expected to fetch '{source}'. Received: {shown.rstrip('.')}. Without a network: {offline}.")


def _fitted(picture: NDArray[np.uint8], size: tuple[int, int] | None, fit: Fit) -> NDArray[np.uint8]:
    """At once, one by one: the pictures as they were published need not fit in memory together."""
    return picture if size is None else resize(picture, size, fit)


def _listing(
    source: str, rows: Iterable[tuple[str, str, NDArray[np.uint8], int]], class_names: tuple[str, ...]
) -> Listing:
    pictures: list[NDArray[np.uint8]] = []
    names, labels, given = [], [], []
    for split, name, picture, label in rows:
        if split not in SPLIT_FOLDERS or label < 0:  # parts like "unsupervised" have no labels
            continue
        pictures.append(picture)
        names.append(name)
        labels.append(label)
        given.append(SPLIT_FOLDERS[split])
    shapes = {picture.shape for picture in pictures}
    if len(shapes) != 1:
        received = " and ".join(str(shape) for shape in sorted(shapes)[:2]) or "no labelled images"
        raise InputError(
            f"Expected images of one size in '{source}', or image_size (--image-size). Received: {received}."
        )
    images: Any = np.stack(pictures)
    if images.shape[3] == 3 and (images == images[..., :1]).all():
        images = np.ascontiguousarray(images[..., :1])
    return from_arrays(images, np.array(labels), source, names, class_names, np.array(given))
