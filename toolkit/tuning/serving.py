"""The chief of a search over several machines: a pool whose places are the workers that ask over gRPC.

It is KerasTuner's service (`OracleServicer`) on KerasTuner's messages, with three things that its own chief lacks: a
worker says every few seconds that it is there, the trial of one that no longer does is given to the next that asks, and
one over which several fell silent has failed.
There is no encryption and no password: open the port to machines that you trust.
"""

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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
MOST_HANDED = 3  # times that a trial is handed out; then it is at fault
MOST_WORKERS = 100  # each holds a thread of the chief while it waits


@dataclass
class _Given:
    trial: Trial
    worker: str  # "" while it waits for whoever asks next
    signs_missing: int = 0
    handed: int = 0  # how often a worker was sent it


def chief(address: str, tell: Callable[[str], None] | None = None) -> Callable[[Job], "Chief"]:
    """For `tune(workers=chief("0.0.0.0:8200"))`: trials run wherever a worker asks at that address.

    `tell` is called with a line when a worker falls silent.
    """
    checked_address(address)
    return lambda job: Chief(job, address, tell)


class Chief(wire.service.OracleServicer):
    """Answers workers in threads of its own, and the search in the one that called it."""

    places: tuple[str, ...] = ()  # workers come and go; the loop hears of them from `ended`

    waking = False

    def __init__(self, job: Job, address: str, tell: Callable[[str], None] | None = None) -> None:
        self._digest, self._address, self._tell = job.digest, address, tell or (lambda line: None)
        self._news: queue.Queue[tuple[str, Trial | None]] = queue.Queue()
        self._changed = threading.Condition()
        self._given: dict[int, _Given] = {}  # number -> who runs it, or will when it asks the next time
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
            given = self._own(worker) or self._taken_over(worker)
            if given is None and not self._over.is_set():
                self._news.put((worker, None))
                self._changed.wait_for(lambda: self._own(worker) or self._over.is_set(), ASK_SECONDS)
                given = self._own(worker)
            if given is not None and given.handed == MOST_HANDED:  # started anew under its name, again and again
                self._fail(given)
                given = None
            if given is not None:
                given.handed, given.signs_missing = given.handed + 1, 0
            elif self._over.is_set():
                self._known.discard(worker)
                self._changed.notify_all()
        trial = None if given is None else given.trial
        status = TrialStatus.STOPPED if self._over.is_set() else TrialStatus.IDLE
        return wire.messages.CreateTrialResponse(
            trial=wire.packed(trial, status if trial is None else TrialStatus.RUNNING)
        )

    def GetTrial(self, request: Any, context: Any) -> Any:
        """A sign of life of the worker that runs the trial, of that one alone (`wire.sign_of_life`)."""
        number, _, worker = request.trial_id.partition(" ")
        with self._changed:
            given = self._given.get(int(number))
            if given is not None and given.worker == worker:
                given.signs_missing = 0
        return wire.messages.GetTrialResponse(trial=wire.packed(None))

    def EndTrial(self, request: Any, context: Any) -> Any:
        """The outcome of a trial; the first one counts, should a worker that was given up come back."""
        trial = wire.unpacked(request.trial)
        with self._changed:
            if self._given.pop(trial.number, None) is not None:
                self._news.put(("", trial))
        return wire.messages.EndTrialResponse()

    def _own(self, worker: str) -> _Given | None:
        """What waits for this worker, or what it ran before it was started anew under the same name."""
        return next((given for given in self._given.values() if given.worker == worker), None)

    def _taken_over(self, worker: str) -> _Given | None:
        """A lost worker's trial."""
        given = self._own("")
        if given is not None:
            given.worker = worker
        return given

    def _fail(self, given: _Given) -> None:
        """Have the search go on without a trial that nobody brings to its end."""
        del self._given[given.trial.number]
        error = f"It was handed out {given.handed} times, and no worker brought it to its end; perhaps it kills them."
        self._news.put(("", replace(given.trial, status="failed", error=error)))

    def _look_after(self) -> None:
        """Count the signs of life that are missing."""
        for _ in itertools.takewhile(lambda _: not self._over.wait(SIGN_SECONDS), itertools.count()):
            with self._changed:
                lost = [given for given in self._given.values() if self._silent(given)]
                lines = [self._given_up(given) for given in lost]
            for line in lines:
                self._tell(line)

    def _silent(self, given: _Given) -> bool:
        given.signs_missing += 1
        return given.signs_missing == LOST_SIGNS and given.worker != ""

    def _given_up(self, given: _Given) -> str:
        """Take the trial away from a silent worker; what there is to say of it."""
        worker, number, silent = given.worker, given.trial.number, SIGN_SECONDS * LOST_SIGNS
        self._known.discard(worker)
        given.worker = ""
        if given.handed >= MOST_HANDED:
            self._fail(given)
            return f"Worker '{worker}' is silent for {silent:g} s, as others before over trial {number}, which failed."
        return f"Worker '{worker}' is silent for {silent:g} s; its trial {number} waits for the next that asks."
