"""The chief of a search over several machines: a pool whose places are the workers that ask over gRPC.

It is KerasTuner's service (`OracleServicer`) on KerasTuner's messages, with two things that its own chief lacks: a
worker says every few seconds that it is there, and the trial of one that no longer does is given to the next that asks.
There is no encryption and no password: open the port to machines that you trust.
"""

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import grpc
from keras_tuner.engine.trial import TrialStatus

from toolkit.errors import InputError
from toolkit.tuning import wire
from toolkit.tuning.settings import checked_address
from toolkit.tuning.trial import Job, Trial

SIGN_SECONDS = 2.0  # between two signs of life of a worker
LOST_SIGNS = 15  # missing in a row, and the worker is given up
ASK_SECONDS = 2.0  # that a question waits for its answer before it is asked again
MOST_WORKERS = 100  # each holds a thread of the chief while it waits


@dataclass
class _Given:
    trial: Trial
    worker: str
    signs_missing: int = 0


def chief(address: str) -> Callable[[Job], "Chief"]:
    """For `tune(workers=chief("0.0.0.0:8200"))`: trials run wherever a worker asks at that address."""
    checked_address(address)
    return lambda job: Chief(job, address)


class Chief(wire.service.OracleServicer):
    """Answers workers in threads of its own, and the search in the one that called it."""

    places: tuple[str, ...] = ()  # workers come and go; the loop hears of them from `ended`

    def __init__(self, job: Job, address: str) -> None:
        self._digest, self._address = job.digest, address
        self._news: queue.Queue[tuple[str, Trial | None]] = queue.Queue()
        self._changed = threading.Condition()
        self._given: dict[int, _Given] = {}  # number -> who runs it, or will when it asks the next time
        self._again: list[Trial] = []  # of lost workers, for whoever asks next
        self._known: set[str] = set()  # workers that are not told yet that all is over
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(MOST_WORKERS + 8), options=wire.OPTIONS)
        wire.service.add_OracleServicer_to_server(self, self._server)
        try:
            if not self._server.add_insecure_port(self._address):
                raise RuntimeError
        except RuntimeError:
            raise InputError(
                f"Expected a free address of this machine. {self._address} cannot be listened on; name another port."
            ) from None
        self._server.start()
        threading.Thread(target=self._look_after, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Tell the workers that all is over, as far as they ask in time."""
        self._over.set()
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._known, timeout=2 * ASK_SECONDS)
        self._server.stop(grace=1).wait()

    def start(self, place: str, trial: Trial) -> None:
        """See `Pool`; the worker `place` is given the trial when it asks the next time."""
        with self._changed:
            self._given[trial.number] = _Given(trial, place)
            self._changed.notify_all()

    def ended(self) -> list[tuple[str, Trial | None]]:
        """See `Pool`."""
        return [self._news.get()]

    def GetSpace(self, request: Any, context: Any) -> Any:
        """What search this is, for a worker to compare with its own."""
        return wire.digest_message(self._digest)

    def CreateTrial(self, request: Any, context: Any) -> Any:
        """A trial for the worker that asks; IDLE: ask again, STOPPED: all is over."""
        worker = request.tuner_id
        with self._changed:
            self._known.add(worker)
            trial = self._own(worker) or self._taken_over(worker)
            if trial is None and not self._over.is_set():
                self._news.put((worker, None))
                self._changed.wait_for(lambda: self._own(worker) or self._over.is_set(), ASK_SECONDS)
                trial = self._own(worker)
            if trial is None and self._over.is_set():
                self._known.discard(worker)
                self._changed.notify_all()
        status = TrialStatus.STOPPED if self._over.is_set() else TrialStatus.IDLE
        return wire.messages.CreateTrialResponse(
            trial=wire.packed(trial, status if trial is None else TrialStatus.RUNNING)
        )

    def GetTrial(self, request: Any, context: Any) -> Any:
        """A sign of life: whoever runs the trial is still there."""
        with self._changed:
            given = self._given.get(int(request.trial_id))
            if given is not None:
                given.signs_missing = 0
        return wire.messages.GetTrialResponse(trial=wire.packed(None))

    def EndTrial(self, request: Any, context: Any) -> Any:
        """The outcome of a trial; the first one counts, should a worker that was given up come back."""
        trial = wire.unpacked(request.trial)
        with self._changed:
            if self._given.pop(trial.number, None) is not None:
                self._again = [other for other in self._again if other.number != trial.number]
                self._news.put(("", trial))
        return wire.messages.EndTrialResponse()

    def _own(self, worker: str) -> Trial | None:
        """What waits for this worker, or what it ran before it was started anew under the same name."""
        return next((given.trial for given in self._given.values() if given.worker == worker), None)

    def _taken_over(self, worker: str) -> Trial | None:
        """A lost worker's trial."""
        if not self._again:
            return None
        trial = self._again.pop(0)
        self._given[trial.number] = _Given(trial, worker)
        return trial

    def _look_after(self) -> None:
        """Count the signs of life that are missing."""
        for _ in itertools.takewhile(lambda _: not self._over.wait(SIGN_SECONDS), itertools.count()):
            with self._changed:
                for given in self._given.values():
                    given.signs_missing += 1
                    if given.signs_missing == LOST_SIGNS:
                        self._known.discard(given.worker)
                        given.worker = ""
                        self._again.append(given.trial)
