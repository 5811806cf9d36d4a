"""Batches: every row once an epoch, the same from the same seed, and nothing read or written that was not asked for."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from toolkit.errors import InputError
from toolkit.pipeline import Batches, FileImages, Subset, balanced_weights


def numbered(rows, side=4):
    """Images whose pixels all hold the row's number, so that a batch shows which rows it was made of."""
    return np.tile(np.arange(rows, dtype=np.uint8)[:, None, None, None], (1, side, side, 1))


def epoch_of(batches, epoch):
    made = [batches.batch(epoch, step) for step in range(batches.steps)]
    return [np.concatenate(parts) for parts in zip(*made, strict=True)]


@settings(max_examples=40)
@given(rows=st.integers(1, 60), size=st.integers(1, 70), seed=st.integers(0, 2**32 - 1), epoch=st.integers(0, 1000))
def test_each_row_comes_once_an_epoch_with_its_own_label(rows, size, seed, epoch):
    labels = np.arange(rows) % 3
    images, targets = epoch_of(Batches(numbered(rows), labels, size, seed=seed), epoch)
    seen = images[:, 0, 0, 0]
    assert_array_equal(np.sort(seen), np.arange(rows))
    assert_array_equal(targets.argmax(axis=1), labels[seen])


def test_order_depends_on_seed_and_epoch_alone():
    make = lambda seed: Batches(numbered(50), np.arange(50) % 2, 8, "standard", seed=seed)  # noqa: E731
    backwards = {step: make(1).batch(3, step)[0] for step in reversed(range(7))}
    forwards = make(1)
    for step in range(7):
        assert_array_equal(backwards[step], forwards.batch(3, step)[0])
    assert not np.array_equal(make(1).order(3), make(1).order(4))
    assert not np.array_equal(make(1).order(3), make(2).order(3))


def test_tensorflow_gets_the_same_batches_and_asks_for_the_epoch_anew():
    batches = Batches(numbered(10), np.arange(10) % 2, 4, "light", seed=5, class_weight=np.array([1.0, 3.0]))
    epochs = iter([2, 7])
    current = [0]
    dataset = batches.dataset(lambda: current[0], threads=2)
    for epoch in epochs:
        current[0] = epoch
        made = list(dataset.as_numpy_iterator())
        assert len(made) == batches.steps == 3
        for step, parts in enumerate(made):
            for part, expected in zip(parts, batches.batch(epoch, step), strict=True):
                assert_array_equal(part, expected)
    assert tuple(dataset.element_spec[0].shape) == (None, 4, 4, 1)


def test_a_memory_map_is_read_where_asked_and_never_written(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, numbered(30))
    stored = np.load(path, mmap_mode="r")
    before = path.read_bytes()
    rows = np.array([3, 17, 29])
    images, _ = epoch_of(Batches(Subset(stored, rows), np.array([0, 1, 0]), 2, "strong"), 0)
    assert images.shape == (3, 4, 4, 1)
    assert path.read_bytes() == before


def test_class_weights_count_every_class_the_same():
    labels = np.array([0] * 6 + [1] * 3 + [3])  # 2 never occurs
    weights = balanced_weights(labels)
    assert_allclose(weights[labels].mean(), 1)
    assert_allclose([weights[labels][labels == label].sum() for label in (0, 1, 3)], [10 / 3] * 3, rtol=1e-6)  # float32
    _, targets, emitted = epoch_of(Batches(numbered(10), labels, 4, class_weight=weights), 0)
    assert_array_equal(emitted, weights[targets.argmax(axis=1)])


def test_balanced_sampling_shows_every_class_equally_often():
    labels = np.repeat([0, 1, 2], [180, 15, 5])
    _, targets = epoch_of(Batches(numbered(200), labels, 64, sampling="balanced", seed=1), 0)
    assert len(targets) == 200
    assert_allclose(targets.mean(axis=0), 1 / 3, atol=0.12)  # 3.6 standard deviations of 200 draws


def test_files_are_decoded_when_asked(tmp_path):
    paths = []
    for number, image in enumerate(numbered(9)):
        paths.append(str(tmp_path / f"{number}.npy"))
        np.save(paths[-1], image)
    images = FileImages(paths, np.load, (4, 4, 1))
    assert_array_equal(images[np.array([4, 0, 4])], numbered(9)[[4, 0, 4]])
    seen, _ = epoch_of(Batches(images, np.arange(9) % 3, 4), 1)
    assert_array_equal(np.sort(seen[:, 0, 0, 0]), np.arange(9))


def test_a_file_that_vanished_or_has_another_size_is_named(tmp_path):
    np.save(tmp_path / "other.npy", np.zeros((5, 4, 1), np.uint8))
    images = FileImages([str(tmp_path / "gone.npy"), str(tmp_path / "other.npy")], np.load, (4, 4, 1))
    with pytest.raises(InputError, match=r"gone\.npy"):
        images[np.array([0])]
    with pytest.raises(InputError, match=r"other\.npy. Received: uint8 \(5, 4, 1\)"):
        images[np.array([1])]


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="a label for each of 5 images"):
        Batches(numbered(5), np.zeros(4, int), 2)
    with pytest.raises(InputError, match="batch size of 1 or more"):
        Batches(numbered(5), np.zeros(5, int), 0)


def test_a_data_set_that_is_let_go_lets_go_of_its_images():
    batches = Batches(numbered(10), np.arange(10) % 2, 4)
    held = weakref.ref(batches)
    assert len(list(batches.dataset().take(2))) == 2
    del batches
    gc.collect()
    assert held() is None  # TensorFlow keeps the functions that it calls back for ever
