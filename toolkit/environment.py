"""On what a result was made: versions, backend, devices. It measures nothing."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
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
    """Backend of Keras, accelerators it sees, processor, cores this process may use, memory, threads, system."""
    import keras
    from threadpoolctl import threadpool_info

    return {
        "backend": keras.backend.backend(),
        "accelerators": accelerators(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_bytes": _memory(),
        "threads": {pool["prefix"]: int(pool["num_threads"]) for pool in threadpool_info()},  # of BLAS and OpenMP
        "system": platform.platform(terse=True),
    }


def accelerators() -> list[str]:
    """Names of the GPUs and TPUs that Keras' backend sees: "gpu:0", ..."""
    return [name for kind in ("gpu", "tpu") for name in _devices(kind)]


def lacking() -> dict[str, list[str]]:
    """Requirements that are not met, as "name>=1 (0.9 is here)", by the extra that brings them; "" is what all need."""
    from packaging.requirements import Requirement

    found: dict[str, list[str]] = {}
    for text in requires("touchstone-vision") or []:
        wanted, extra = Requirement(text), re.search(r"extra == ['\"]([\w-]+)['\"]", text)
        name = extra[1] if extra else ""
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": name}):
            continue
        missing = found.setdefault(name, [])
        try:
            here = version(wanted.name)
        except PackageNotFoundError:
            missing.append(f"{wanted.name}{wanted.specifier}")
            continue
        if not wanted.specifier.contains(here, prereleases=True):
            missing.append(f"{wanted.name}{wanted.specifier} ({here} is here)")
    return found


def unseen_gpu() -> bool:
    """Whether the machine has an NVIDIA driver, but Keras' backend sees no GPU."""
    return Path("/proc/driver/nvidia/version").exists() and not accelerators()


def _devices(kind: str) -> list[str]:
    import keras

    try:
        return [str(name) for name in keras.distribution.list_devices(kind)]
    except RuntimeError:  # JAX raises where the platform is unknown, TensorFlow answers with an empty list
        return []


def _memory() -> int | None:
    """Bytes of the machine's memory; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
