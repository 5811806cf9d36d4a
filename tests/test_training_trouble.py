"""What goes wrong in a training: no memory for a batch, one image in a class, a batch larger than the rows."""

import pytest

from tests.test_checkpoint import brightness, classifier
from toolkit.errors import InputError


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


@pytest.mark.parametrize(("size", "smaller"), [(64, 32), (100, 64), (2, 1), (3, 2)])
def test_the_batch_size_to_try_is_a_smaller_power_of_two(size, smaller):
    from toolkit.training.phase import out_of_memory

    assert f"batch_size={smaller}." in str(out_of_memory(size))
    assert "a smaller network" in str(out_of_memory(1))
