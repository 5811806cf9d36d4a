"""Published sets: CIFAR's batches, Keras' names, TensorFlow Datasets and Hugging Face, all without a network."""

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from toolkit.data import load
from toolkit.errors import InputError

RANDOM = np.random.default_rng(0)
ROWS = 20


def batch(classes: int) -> tuple[np.ndarray, list[int]]:
    return RANDOM.integers(0, 256, (ROWS, 3072), np.uint8), [row % classes for row in range(ROWS)]


def cifar10(root: Path, binary: bool) -> list[np.ndarray]:
    """Two train batches and the test batch; returns their pixels."""
    names = [f"class{number}" for number in range(5)]
    root.mkdir(parents=True, exist_ok=True)
    pixels = []
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        rows, labels = batch(5)
        pixels.append(rows)
        if binary:
            np.concatenate([np.array(labels, np.uint8)[:, None], rows], axis=1).tofile(root / f"{name}.bin")
        else:
            (root / name).write_bytes(pickle.dumps({b"data": rows, b"labels": labels}, protocol=2))
    if binary:
        (root / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    else:
        (root / "batches.meta").write_bytes(pickle.dumps({b"label_names": [name.encode() for name in names]}, 2))
    return pixels


@pytest.mark.parametrize("binary", [True, False])
def test_cifar10(tmp_path: Path, binary: bool) -> None:
    first, _, test = cifar10(tmp_path, binary)
    dataset = load(tmp_path)
    assert dataset.class_names == tuple(f"class{number}" for number in range(5))
    assert dataset.manifest.sizes == {"train": 35, "validation": 5, "test": 20}
    np.testing.assert_array_equal(dataset.test.images[7, :, :, 2].ravel(), test[7, 2048:])
    row = dataset.train.names.tolist().index(next(name for name in dataset.train.names if name < "train/00020"))
    number = int(dataset.train.names[row][-5:])
    np.testing.assert_array_equal(dataset.train.images[row, :, :, 0].ravel(), first[number, :1024])


@pytest.mark.parametrize("binary", [True, False])
def test_cifar100_has_its_fine_labels(tmp_path: Path, binary: bool) -> None:
    for name in ("train", "test"):
        rows, fine = batch(4)
        if binary:
            labels = np.stack([np.full(ROWS, 9), fine], axis=1).astype(np.uint8)
            np.concatenate([labels, rows], axis=1).tofile(tmp_path / f"{name}.bin")
        else:
            content = {b"data": rows, b"fine_labels": fine, b"coarse_labels": [9] * ROWS}
            (tmp_path / name).write_bytes(pickle.dumps(content, protocol=2))
    if not binary:
        (tmp_path / "meta").write_bytes(pickle.dumps({b"fine_label_names": [b"a", b"b", b"c", b"d"]}, protocol=2))
    dataset = load(tmp_path)
    assert dataset.class_names == (tuple("0123") if binary else tuple("abcd"))
    np.testing.assert_array_equal(dataset.test.labels, np.arange(ROWS) % 4)


class _Trap:
    def __reduce__(self) -> Any:
        return print, ("a pickle was run",)


def test_cifar_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": _Trap(), b"labels": []}))
    with pytest.raises(InputError, match=r"pickle of arrays\. Received: it asks for builtins\.print"):
        load(tmp_path)
    assert capsys.readouterr().out == ""
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": np.zeros((3, 3072), np.uint8), b"labels": [1]}))
    with pytest.raises(InputError, match=r"Expected uint8 \(1, 3072\)"):
        load(tmp_path)
    (tmp_path / "data_batch_1").unlink()
    (tmp_path / "data_batch_1.bin").write_bytes(b"123")
    with pytest.raises(InputError, match=r"rows of 3073 bytes\. Received: 3 bytes"):
        load(tmp_path)


def test_an_array_pair() -> None:
    images = RANDOM.integers(0, 256, (30, 8, 9, 3), np.uint8)
    dataset = load((images, np.arange(30) % 3), seed=3)
    assert dataset.manifest.source == "arrays"
    assert dataset.image_shape == (8, 9, 3)
    row = int(dataset.test.names[0])
    np.testing.assert_array_equal(dataset.test.images[0], images[row])
    with pytest.raises(InputError, match="30 images and 29 labels"):
        load((images, np.arange(29) % 3))


def test_a_local_copy_serves_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: pytest.fail("fetched"))
    cifar10(tmp_path / "named" / "cifar10", binary=False)
    assert load("cifar10", cache=tmp_path).class_names[0] == "class0"
    (tmp_path / "named" / "mnist").mkdir()
    images, labels = RANDOM.integers(0, 256, (30, 28, 28), np.uint8), np.arange(30) % 10
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: pytest.fail("fetched"))
    np.savez(tmp_path / "named" / "mnist" / "mnist.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert load("mnist", cache=tmp_path, validation=0).manifest.sizes["test"] == 30


def test_keras_fetches_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = RANDOM.integers(0, 256, (40, 28, 28), np.uint8), np.arange(40) % 10
    monkeypatch.setattr(
        keras.datasets.fashion_mnist, "load_data", lambda: ((images, labels), (images[:20], labels[:20]))
    )
    dataset = load("fashion_mnist", cache=tmp_path)
    assert dataset.class_names[9] == "Ankle boot"
    np.testing.assert_array_equal(dataset.test.images[..., 0], images[:20])

    def offline() -> None:
        raise Exception("URL fetch failure on https://example.org: no route")

    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", offline)
    with pytest.raises(
        InputError, match=r"fetch 'fashion_mnist'. Received: URL fetch failure.*Put its files into '.*named"
    ):
        load("fashion_mnist", cache=tmp_path)


def test_extras_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'touchstone-vision\[tfds\]'"):
        load("tfds:mnist")
    with pytest.raises(InputError, match=r"pip install 'touchstone-vision\[hf\]'"):
        load("hf:mnist")


def test_tensorflow_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that answers as the library does."""
    examples = [{"image": RANDOM.integers(0, 256, (9 + row, 12, 3), np.uint8), "label": row % 2} for row in range(10)]
    splits = {"train": examples, "test": examples[:4], "unsupervised": examples[:1]}
    information = SimpleNamespace(features={"label": SimpleNamespace(names=["cat", "dog"])})
    library = SimpleNamespace(load=lambda name, with_info: (splits, information), as_numpy=iter)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", library)
    dataset = load("tfds:pets", 8)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.manifest.sizes == {"train": 8, "validation": 2, "test": 4}
    with pytest.raises(InputError, match="one size in 'tfds:pets', or image_size"):
        load("tfds:pets")


def test_hugging_face(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that answers as the library does."""

    class ImageFeature:
        pass

    class ClassLabel:
        names = ("cat", "dog")

    class Part(list[dict[str, Any]]):
        features = {"img": ImageFeature(), "kind": ClassLabel(), "id": object()}  # noqa: RUF012

    def example(row: int) -> dict[str, Any]:
        return {"img": Image.fromarray(RANDOM.integers(0, 256, (9, 9), np.uint8)), "kind": row % 2, "id": row}

    parts = {"train": Part(map(example, range(20))), "validation": Part(map(example, range(6)))}
    library = SimpleNamespace(load_dataset=lambda name: parts, Image=ImageFeature, ClassLabel=ClassLabel)
    monkeypatch.setitem(sys.modules, "datasets", library)
    dataset = load("hf:someone/pets")
    assert dataset.image_shape == (9, 9, 1)
    assert dataset.manifest.sizes == {"train": 16, "validation": 6, "test": 4}
    del Part.features["kind"]
    with pytest.raises(InputError, match=r"label columns \[\], one of each is needed"):
        load("hf:someone/pets")
