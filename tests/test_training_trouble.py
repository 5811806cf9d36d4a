"""What goes wrong in a training: no memory for a batch or the next fit, one image in a class, too large a batch."""

import gc
import weakref

import numpy as np
import pytest

from tests.test_checkpoint import brightness, classifier, tiny
from toolkit.errors import InputError
from toolkit.pipeline import Subset
from toolkit.training import Recipe
from toolkit.training.phase import memory
from toolkit.training.watch import Watch


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 4 GiB"),
        ResourceExhaustedError("OOM when allocating tensor with shape[64,224,224,64]"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9437184 bytes."),  # as JAX says it
    ],
)
def test_out_of_memory_says_which_batch_size_to_try(monkeypatch, error):
    def no_room(*_):
        raise error

    monkeypatch.setattr("toolkit.training.watch.Watch.on_epoch_begin", no_room)
    with pytest.raises(InputError, match=r"a batch of 16 images.*try batch_size=8\.") as raised:
        classifier().fit(*brightness())
    assert raised.value.__cause__ is error


def test_other_errors_stay_what_they_are(monkeypatch):
    def broken(*_):
        raise RuntimeError("something else")

    monkeypatch.setattr("toolkit.training.watch.Watch.on_epoch_begin", broken)
    with pytest.raises(RuntimeError, match="something else"):
        classifier().fit(*brightness())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_loss_that_is_not_finite_names_a_tenth_of_the_rate_that_was_asked_for(precision):
    """And not of a phase's own, which the recipe would scale again."""
    told = Recipe(precision=precision, learning_rate=0.5, epochs=1)
    watch = Watch(
        told.for_head(80),
        Subset(np.zeros((0, 1, 1, 1), np.uint8), np.arange(0)),
        np.arange(0),
        lambda *_: None,
        asked=told,
    )
    watch.on_epoch_begin(0)
    with pytest.raises(InputError, match=r"learning_rate=0\.05\.") as raised:
        watch.on_train_batch_end(0, {"loss": np.nan, "accuracy": 0.0})
    assert ("precision=float32" in str(raised.value)) == (precision == "bfloat16")
    assert "began with" in str(raised.value)


def test_memory_that_ends_in_the_features_blames_no_batch(monkeypatch):
    def no_room(*_):
        raise MemoryError

    with pytest.raises(InputError, match="a smaller network or smaller images"), memory():
        no_room()


def test_a_fit_leaves_no_network_in_memory():
    made = []

    def noted(image_shape, classes):
        network = tiny(image_shape, classes)
        made.append(weakref.ref(network))
        return network

    classifier(recipe=Recipe(epochs=1), model=noted).fit(*brightness())
    gc.collect()
    assert [network() for network in made] == [None]


@pytest.mark.parametrize(("size", "smaller"), [(64, 32), (100, 64), (2, 1), (3, 2)])
def test_the_batch_size_to_try_is_a_smaller_power_of_two(size, smaller):
    from toolkit.training.phase import out_of_memory

    assert f"batch_size={smaller}." in str(out_of_memory(size))
    assert "a smaller network" in str(out_of_memory(1))
