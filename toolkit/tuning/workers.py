"""Processes that run the trials of a search side by side. It knows how they begin and end, not what a trial is."""

import itertools
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from types import TracebackType
from typing import Self

import cloudpickle

from toolkit.errors import InputError
from toolkit.tuning.trial import Job, Trial, run_trial
from toolkit.tuning.worker import READY, Shared

RECYCLE_TRIALS, RECYCLE_BYTES = 100, 200_000_000  # trials of one process; growth since its first trial
END_SECONDS = 5.0  # that a process which closed its pipe may still take
DEATHS = 2  # of workers over one trial: then the trial is at fault


class Here:
    """No process at all: trials run where the search runs. For classifiers that cost nothing to keep."""

    places = ("here",)
    waking = False

    def __init__(self, job: Job) -> None:
        self._job = job
        self._waiting: list[tuple[str, Trial]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.clear()

    def start(self, place: str, trial: Trial) -> None:
        """See `Pool`."""
        self._waiting.append((place, trial))

    def ended(self) -> list[tuple[str, Trial | None]]:
        """See `Pool`."""
        place, trial = self._waiting.pop(0)
        return [(place, run_trial(self._job, trial))]


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    pipe: Connection
    said: Path  # what it writes to standard error
    ready: bool = False  # all is imported
    trials: int = 0
    first_bytes: int = 0


class Workers:
    """Up to as many processes as trials are started at once. One that dies has its trial run again by another."""

    def __init__(self, job: Job, count: int) -> None:
        self.places = tuple(f"worker {number}" for number in range(count))
        self._folder = tempfile.TemporaryDirectory(prefix="touchstone-tuning-")
        images = Shared(job.rows.images, Path(self._folder.name))
        self._job = sendable(replace(job, rows=replace(job.rows, images=images)))  # type: ignore[arg-type]
        self._cores = dict(zip(self.places, shares_of_cores(count), strict=True))
        self._numbers = itertools.count()
        self._idle: dict[str, _Worker] = {}  # by place
        self._busy: dict[str, tuple[_Worker, Trial, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in [*self._idle.values(), *(worker for worker, _, _ in self._busy.values())]:
            _end(worker)
        self._folder.cleanup()

    @property
    def waking(self) -> bool:
        """See `Pool`."""
        return bool(self._busy) and not any(worker.ready for worker, _, _ in self._busy.values())

    def start(self, place: str, trial: Trial, deaths: int = 0) -> None:
        """See `Pool`; the process is a warm one, where there is one, or new."""
        worker = self._idle.pop(place, None) or self._begin(self._cores.get(place, ()))
        with suppress(BrokenPipeError, ConnectionResetError):  # it died while it waited: `ended` sees that
            worker.pipe.send_bytes(cloudpickle.dumps(trial))
        self._busy[place] = (worker, trial, deaths)

    def ended(self, seconds: float | None = None) -> list[tuple[str, Trial | None]]:
        """See `Pool`; none after so many `seconds`, where a worker is ready for its first trial, or where one died and
        its trial was started again.
        """
        ready = set(wait([worker.pipe for worker, _, _ in self._busy.values()], seconds))
        found: list[tuple[str, Trial | None]] = []
        for place, (worker, trial, deaths) in list(self._busy.items()):
            if worker.pipe not in ready:
                continue
            try:
                news = worker.pipe.recv()
            except (EOFError, ConnectionResetError):
                del self._busy[place]
                error = _death(worker, deaths + 1)
                if deaths + 1 < DEATHS:
                    self.start(place, trial, deaths + 1)
                else:
                    found.append((place, replace(trial, status="failed", error=error)))
                continue
            if news == READY:
                worker.ready = True
                continue
            del self._busy[place]
            result, held = news
            self._keep(place, worker, held)
            if isinstance(result, InputError):
                raise result
            found.append((place, result))
        return found

    def _begin(self, cores: tuple[int, ...]) -> _Worker:
        here, there = Pipe()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            f"from toolkit.tuning.worker import serve\nserve({there.fileno()}, {os.getpid()}, {cores})"
        )
        said = Path(self._folder.name) / f"{next(self._numbers)}.stderr"
        with said.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,  # greetings of TensorFlow; errors of a trial come back over the pipe
            )
        there.close()
        with suppress(BrokenPipeError, ConnectionResetError):  # it is dead already: `ended` sees that
            here.send_bytes(self._job)
        return _Worker(process, here, said)

    def _keep(self, place: str, worker: _Worker, held: int) -> None:
        """Have the worker wait for another trial, unless it has grown or served long."""
        worker.trials += 1
        worker.first_bytes = worker.first_bytes or held
        if worker.trials >= RECYCLE_TRIALS or held - worker.first_bytes > RECYCLE_BYTES:
            _end(worker)
        else:
            self._idle[place] = worker


def shares_of_cores(count: int) -> list[tuple[int, ...]]:
    """For each of so many workers the cores that it alone uses, so that their threads do not get in each other's way.

    Empty where a worker may use all: one alone, more workers than cores, or a system that does not tell.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [tuple(cores[number::count]) if 1 < count <= len(cores) else () for number in range(count)]


def sendable(job: Job) -> bytes:
    """The job for another process, functions of a notebook and of __main__ with it."""
    try:
        return cloudpickle.dumps(job)
    except Exception as error:  # pickle raises what it likes
        raise InputError(f"Expected a space that can be sent to another process. It cannot: {error}") from error


def _end(worker: _Worker) -> int:
    worker.pipe.close()
    worker.process.kill()
    status = worker.process.wait()
    worker.said.unlink(missing_ok=True)
    return status


def _death(worker: _Worker, times: int) -> str:
    """What is known of the end of a process: its status and, of one that was still starting, its last words."""
    worker.pipe.close()
    with suppress(subprocess.TimeoutExpired):
        worker.process.wait(END_SECONDS)  # it closed its pipe, and so is at its end
    worker.process.kill()
    status = worker.process.wait()
    lines = worker.said.read_text(errors="replace").split("\n") if not worker.ready else []
    words = next((line.strip() for line in reversed(lines) if line.strip()), "")
    worker.said.unlink(missing_ok=True)
    if worker.ready:
        return f"The process that ran it died {times} times (status {status}), perhaps out of memory"
    return f"The process that was to run it died {times} times while it started (status {status}): {words[:300]}"
