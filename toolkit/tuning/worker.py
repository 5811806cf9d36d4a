"""A process that runs trials: warm, so that TensorFlow is imported once, and ended by the search before it grows large.

It is started with one end of a pipe, over which the space, the rows and then trials come, and results go back.
"""

import os
import threading
from collections.abc import Collection
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle  # takes functions of a notebook and of __main__ along, which pickle does not
import numpy as np
from numpy.typing import NDArray

from toolkit.tuning.declared import ChangedError
from toolkit.tuning.trial import run_trial

READY = "ready"  # what it says when all is imported, before its first trial
ORPHAN_SECONDS = 1.0  # how often a worker looks whether its search is still there


def serve(descriptor: int, parent: int, cores: Collection[int] = ()) -> None:
    """Run the trials that come over the pipe until it is closed, or the process `parent` is gone; on these cores."""
    if cores:
        os.sched_setaffinity(0, cores)  # before TensorFlow counts them
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    pipe = Connection(descriptor)
    try:
        job = cloudpickle.loads(pipe.recv_bytes())
        job = replace(job, rows=replace(job.rows, images=job.rows.images.open()))
        import toolkit.evaluation.metrics  # noqa: F401  # with Keras, which no trial is to wait for

        pipe.send(READY)
        while True:
            trial = cloudpickle.loads(pipe.recv_bytes())
            result: Any
            try:
                result = run_trial(job, trial)
            except ChangedError as error:
                result = error
            pipe.send((result, resident_bytes()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def resident_bytes() -> int:
    """Memory that this process holds now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _follow(parent: int) -> None:
    """End with the search, even in the middle of a trial: its result would reach nobody."""
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(ORPHAN_SECONDS)
    os._exit(1)


class Shared:
    """Images that other processes read from the disk: where a memory map lies already, or a copy in `folder`."""

    def __init__(self, images: NDArray[np.uint8], folder: Path) -> None:
        owner: Any = images
        while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap) and owner.base is not None:
            owner = owner.base
        self.shape, self.offset = images.shape, 0
        if isinstance(owner, np.memmap) and owner.filename and images.flags.c_contiguous:
            while isinstance(owner.base, np.memmap):
                owner = owner.base
            place = images.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
            self.path, self.offset = Path(str(owner.filename)), owner.offset + place
        else:
            self.path = folder / "images.bin"
            with self.path.open("wb") as file:
                for start in range(0, len(images), 1024):
                    file.write(np.ascontiguousarray(images[start : start + 1024]).tobytes())

    def open(self) -> NDArray[np.uint8]:
        """The images, read-only, uint8."""
        return np.memmap(self.path, np.uint8, "r", self.offset, self.shape)
