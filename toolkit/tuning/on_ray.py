"""Trials on a Ray cluster: actors that stay warm, as the processes of `workers.py` do on one machine."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import cloudpickle
import numpy as np

from toolkit.cluster import connected, gpus_of_one
from toolkit.errors import InputError
from toolkit.tuning.declared import ChangedError
from toolkit.tuning.trial import Job, Trial, run_trial
from toolkit.tuning.worker import resident_bytes
from toolkit.tuning.workers import DEATHS, RECYCLE_BYTES, RECYCLE_TRIALS, sendable


def rays(address: str, workers: int = 1, gpu: bool = False) -> Callable[[Job], "Rays"]:
    """For `tune(workers=rays("auto", 4))`: trials in so many actors, each on one core and, with `gpu`, on one GPU.

    Raises:
        InputError: Ray is not installed, no cluster answers, or less than one worker.
    """
    if workers < 1:
        raise InputError(f"Expected 1 or more workers. Received: {workers}.")
    connected(address)
    return lambda job: Rays(job, address, workers, gpu)


class _Runner:
    """The actor; Ray keeps its process."""

    def __init__(self, job: bytes, images: Any) -> None:
        job_of_all = cloudpickle.loads(job)
        self.job = replace(job_of_all, rows=replace(job_of_all.rows, images=images))

    def run(self, trial: Trial) -> tuple[Trial | ChangedError, int]:
        """The trial with its outcome, and the memory that this process now holds."""
        try:
            return run_trial(self.job, trial), resident_bytes()
        except ChangedError as error:
            return error, 0


class Rays:
    """A pool of actors; one that dies has its trial run again by another."""

    waking = False

    def __init__(self, job: Job, address: str, count: int, gpu: bool) -> None:
        self.places = tuple(f"actor {number}" for number in range(count))
        self._ray = connected(address)
        self._images = self._ray.put(np.asarray(job.rows.images))  # once, for all actors of a machine
        self._job = sendable(replace(job, rows=replace(job.rows, images=job.rows.images[:0])))
        self._gpus = gpus_of_one(self._ray, gpu)
        self._actors: dict[str, tuple[Any, int, int]] = {}  # place -> actor, its trials, its first memory
        self._busy: dict[Any, tuple[str, Trial, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for place in list(self._actors):
            self._end(place)

    def start(self, place: str, trial: Trial, deaths: int = 0) -> None:
        """See `Pool`."""
        if place not in self._actors:
            kind = self._ray.remote(_Runner).options(num_cpus=1, num_gpus=self._gpus)
            self._actors[place] = kind.remote(self._job, self._images), 0, 0
        self._busy[self._actors[place][0].run.remote(trial)] = place, trial, deaths

    def ended(self) -> list[tuple[str, Trial | None]]:
        """See `Pool`."""
        from ray.exceptions import RayActorError

        done, _ = self._ray.wait(list(self._busy))
        place, trial, deaths = self._busy.pop(done[0])
        try:
            result, held = self._ray.get(done[0])
        except RayActorError as error:
            self._end(place)
            if not error.actor_init_failed and deaths + 1 < DEATHS:
                self.start(place, trial, deaths + 1)
                return []
            what = f"The process that ran it died {deaths + 1} times, perhaps out of memory"
            if error.actor_init_failed:
                what = f"No process could be started: {str(error).strip().splitlines()[-1]}"
            return [(place, replace(trial, status="failed", error=what))]
        if isinstance(result, InputError):
            raise result
        actor, trials, first = self._actors[place]
        self._actors[place] = actor, trials + 1, first or held
        if trials + 1 >= RECYCLE_TRIALS or held - (first or held) > RECYCLE_BYTES:
            self._end(place)
        return [(place, result)]

    def _end(self, place: str) -> None:
        self._ray.kill(self._actors.pop(place)[0])
