"""On what a result was made: versions, backend, devices. It measures nothing."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = (
    *("touchstone-vision", "tensorflow", "keras", "jax", "keras-tuner", "scikit-learn", "scikit-learn-intelex"),
    *("scikit-image", "opencv-python-headless", "numpy", "scipy"),
)


def versions() -> dict[str, str]:
    """Version of Python and of each package that a result may depend on, those that are not installed left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def device() -> dict[str, Any]:
    """Backend of Keras, accelerators it sees, processor, cores this process may use, operating system."""
    import keras

    return {
        "backend": keras.backend.backend(),
        "accelerators": accelerators(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": platform.platform(terse=True),
    }


def accelerators() -> list[str]:
    """Names of the GPUs and TPUs that Keras' backend sees: "gpu:0", ..."""
    return [name for kind in ("gpu", "tpu") for name in _devices(kind)]


def _devices(kind: str) -> list[str]:
    import keras

    try:
        return [str(name) for name in keras.distribution.list_devices(kind)]
    except RuntimeError:  # JAX raises where the platform is unknown, TensorFlow answers with an empty list
        return []


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
