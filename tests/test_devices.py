"""A training spread over devices or processes: the same weights as on one, or a refusal in one line."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.test_checkpoint import brightness, classifier
from toolkit.cli.meeting import meet
from toolkit.errors import InputError
from toolkit.training import devices

ROOT = Path(__file__).parent.parent
SCRIPT = """
import sys
import keras, numpy as np
from tests.test_checkpoint import brightness
from toolkit.training import KerasClassifier, Recipe
from toolkit.training.devices import join, processes

def network(image_shape, classes):
    inputs = keras.Input(image_shape)
    tensor = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    tensor = keras.layers.Conv2D(8, 3, activation="relu")(tensor)
    tensor = keras.layers.GlobalAveragePooling2D()(tensor)
    return keras.Model(inputs, keras.layers.Dense(classes)(tensor))

out, over = sys.argv[1], sys.argv[2]
if over == "processes":
    join(sys.argv[3], 2, int(sys.argv[4]))
elif keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    cpu, = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
recipe = Recipe(epochs=3, batch_size=16, learning_rate=0.02, holdout=0.2, class_weight="balanced")
several = None if over == "processes" else ("cpu:0", "cpu:1")
for name, chosen in (("several", several), ("one", ("cpu:0",))):
    model = KerasClassifier(network, recipe, verbose=False, devices=chosen).fit(*brightness(63))  # 16, 16, 16, 3 rows
    np.savez(f"{out}/{name}{processes()[0]}.npz", *model.weights_, model.history_["holdout_loss"])
"""


def begin(*arguments, **environment):
    told = {**os.environ, "PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)], env=told, cwd=ROOT, stderr=subprocess.PIPE, text=True
    )


def arrays(path):
    with path.open("rb") as file, np.load(file) as stored:
        return [stored[name] for name in stored.files]


def assert_same(one, other):
    for a, b in zip(arrays(one), arrays(other), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-6)  # sums of float32 in another order


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_give_the_weights_of_one(tmp_path, backend):
    if backend == "jax":
        pytest.importorskip("jax")
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"} if backend == "jax" else {}
    done = begin(tmp_path, "devices", KERAS_BACKEND=backend, **flags)
    _, said = done.communicate(timeout=200)
    assert done.returncode == 0, said
    assert_same(tmp_path / "several0.npz", tmp_path / "one0.npz")


@pytest.mark.thorough  # what it is made of is tested below: meeting, dividing, one weight for several devices
def test_two_processes_give_the_weights_of_one(tmp_path):
    pytest.importorskip("jax")
    address = f"127.0.0.1:{free_port()}"
    both = [begin(tmp_path, "processes", address, number, KERAS_BACKEND="jax") for number in (0, 1)]
    for process in both:
        _, said = process.communicate(timeout=200)
        assert process.returncode == 0, said
    assert_same(tmp_path / "several0.npz", tmp_path / "several1.npz")
    assert_same(tmp_path / "several0.npz", tmp_path / "one0.npz")


@pytest.mark.thorough
def test_the_command_trains_in_two_processes(tmp_path):
    pytest.importorskip("jax")
    several = ["--processes", "2", "--coordinator", f"127.0.0.1:{free_port()}", "--process-id"]
    told = ["train", "cnn", "digits", "--epochs", "2", "--option", "width=4", "--set", "patience=1"]
    line = [sys.executable, "-m", "toolkit", *told, "--out", str(tmp_path / "run"), *several]
    told_environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONWARNINGS": "ignore"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*line, number], env=told_environment, cwd=ROOT, **pipes) for number in "01"]
    said = [process.communicate(timeout=400) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "validation images" in said[0][0]
    assert said[1][0].splitlines()[-1] == "Process 1 is done; process 0 writes."  # Gloo speaks before
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"training.json", "predictions.npz", "history.csv"} <= left
    assert "checkpoint.npz" not in left
    assert not list((tmp_path / "run").rglob("*.partial"))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("rows", [1, 2, 5, 8])
@pytest.mark.parametrize(("parts", "count"), [(2, 1), (3, 1), (2, 2), (4, 2)])
def test_a_batch_is_divided_evenly_and_its_mean_stays(monkeypatch, rows, parts, count):
    generator = np.random.default_rng(0)
    images, targets = generator.normal(size=(rows, 2)), np.arange(rows, dtype=np.float32)[:, None]
    weights = generator.uniform(0.5, 2, rows).astype(np.float32)
    monkeypatch.setattr(devices, "shares", lambda: parts)
    found = []
    for number in range(count):
        monkeypatch.setattr(devices, "processes", lambda number=number: (number, count))
        found.append([np.asarray(part) for part in devices.even(images, targets, weights)])
    sizes = {len(part) for batch in found for part in batch}
    assert len(sizes) == 1
    assert (sizes.pop() * count) % parts == 0
    _, values, weight = (np.concatenate(together) for together in zip(*found, strict=True))
    assert_allclose((values[:, 0] * weight).mean(), (targets[:, 0] * weights).mean(), rtol=1e-5)


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"Unknown device 'cpu:7'\. Did you mean 'cpu:0'"):
        classifier(devices=("cpu:0", "cpu:7")).fit(*brightness())


def test_a_keras_distribution_is_refused_where_it_would_not_distribute(monkeypatch):
    monkeypatch.setattr(keras.distribution, "distribution", lambda: object())
    with pytest.raises(InputError, match="does not distribute"):
        classifier().fit(*brightness())
    with pytest.raises(InputError, match="Set KERAS_BACKEND=jax"):
        devices.check_backend()


def called(*arguments):
    """What `meet` raised, if anything."""
    try:
        meet(*arguments)
    except InputError as error:
        return str(error)
    return None


def together(calls):
    found = [None] * len(calls)
    threads = [
        threading.Thread(target=lambda place=place, call=call: found.__setitem__(place, called(*call)))
        for place, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_processes_meet():
    address = f"127.0.0.1:{free_port()}"
    assert together([(address, 3, number, "same", 20.0) for number in (2, 0, 1)]) == [None] * 3


def test_processes_that_would_do_different_things_are_told_so():
    address = f"127.0.0.1:{free_port()}"
    found = together([(address, 2, 0, "one", 20.0), (address, 2, 1, "other", 20.0)])
    assert all("differ from those of process 0" in line for line in found)


def test_who_does_not_come_is_named_with_the_time_it_was_waited_for():
    address = f"127.0.0.1:{free_port()}"
    assert f"process 0 at {address}. Nobody answered in 0.5 s" in called(address, 2, 1, "x", 0.5)
    assert "process 1, 2 to call at port" in called(address, 3, 0, "x", 0.3)
    with socket.create_server(("", int(address.split(":")[1]))):
        assert "to be free" in called(address, 2, 0, "x", 0.3)


@pytest.mark.parametrize(
    ("address", "count", "number"), [("here", 2, 0), ("here:x", 2, 0), ("h:1", 1, 0), ("h:1", 2, 2)]
)
def test_numbers_and_addresses_that_cannot_be_are_refused(address, count, number):
    assert "Expected --" in called(address, count, number, "x", 0.1)
