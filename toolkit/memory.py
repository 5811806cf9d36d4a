"""How much memory a saved model takes to answer, seen in a process of its own. It reads no clock and judges nothing."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGES = 32  # that are asked for together, the same number of every contestant
LONGEST = 600.0  # seconds; a process that takes longer tells nothing


def peaks(model: Path, images: NDArray[np.uint8]) -> dict[str, int | None]:
    """Read the folder of a model in a fresh process, let it answer some of the images uint8 (N, H, W, C), and return
    `peak_memory_bytes`, by how much that raised the process's highest resident memory, and `device_peak_bytes`, the
    highest that the accelerator held.

    In a process that has fitted others the rise is an artefact of what ran before: the first contestant pays for
    everything, the next uses the pages that it left. What is imported and a first operation of the backend are not
    counted. None where it cannot be told.
    """
    with tempfile.TemporaryDirectory() as folder:
        batch = Path(folder) / "images.npy"
        np.save(batch, images[:IMAGES])
        paths = f"import sys; sys.path[:] = {sys.path!r}; "  # this Touchstone and no other
        call = f"from toolkit.memory import tell; tell({str(model)!r}, {str(batch)!r})"
        try:
            command = [sys.executable, "-c", paths + call]
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=True)
            told = json.loads(done.stdout.splitlines()[-1])
        except (subprocess.SubprocessError, OSError, ValueError, IndexError):
            told = {}
    return {name: told.get(name) for name in ("peak_memory_bytes", "device_peak_bytes")}


def tell(model: str, batch: str) -> None:
    """What the fresh process does; the last line that it prints is JSON."""
    import keras
    import skops.io  # noqa: F401

    import toolkit.ensemble
    import toolkit.models.backbones
    import toolkit.training.inference  # noqa: F401
    from toolkit.artifact import load_model
    from toolkit.artifact.parts import read_parts  # noqa: F401

    images = np.load(batch)
    keras.ops.convert_to_numpy(keras.ops.ones(1) + 1)  # wakes the backend
    before = _reset()
    load_model(model).predict_proba(images)
    after = _status("VmHWM")
    resident = None if before is None or after is None else max(0, after - before)
    print("\n" + json.dumps({"peak_memory_bytes": resident, "device_peak_bytes": _device_peak(keras.config.backend())}))


def _reset() -> int | None:
    """Forget the highest resident memory so far and return the present one in bytes; None where that cannot be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: VmHWM starts again from here
    except OSError:
        return None
    return _status("VmRSS")


def _status(field: str) -> int | None:
    """A line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    return None


def _device_peak(backend: str) -> int | None:
    """Bytes that the first accelerator held at most; None where there is none or it does not tell."""
    told: Any
    if backend == "jax":
        import jax

        told = jax.local_devices()[0].memory_stats() or {}
        return told.get("peak_bytes_in_use")
    if backend == "tensorflow":
        import tensorflow

        if not tensorflow.config.list_physical_devices("GPU"):
            return None
        return int(tensorflow.config.experimental.get_memory_info("GPU:0")["peak"])
    return None
