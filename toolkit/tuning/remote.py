"""A worker of a search over several machines: it asks the chief for trials and runs them in processes of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from os import getpid
from platform import node
from typing import Any, TypeVar

import grpc
from keras_tuner.engine.trial import TrialStatus

from toolkit.data import Dataset
from toolkit.errors import InputError
from toolkit.tuning import wire
from toolkit.tuning.declared import ChangedError, Space
from toolkit.tuning.search import prepared
from toolkit.tuning.serving import ASK_SECONDS, SIGN_SECONDS
from toolkit.tuning.settings import Settings, checked_address
from toolkit.tuning.trial import Job, Trial
from toolkit.tuning.workers import Workers

PATIENCE_SECONDS = 60.0  # without an answer of the chief

Answer = TypeVar("Answer")


def work(
    space: Space,
    dataset: Dataset,
    address: str,
    *,
    settings: Settings | None = None,
    name: str | None = None,
    workers: int = 1,
    patience_seconds: float = PATIENCE_SECONDS,
    worker_name: str | None = None,
    watch: Callable[[Trial], None] | None = None,
) -> int:
    """Run trials of the search of a chief until it says that all is over; how many they were.

    The space, the data and the settings have to be the chief's own. `workers` trials run at once, each in a process
    that is started anew when it dies; should this machine die, the chief gives its trials to another. `watch` is called
    with each trial that ended.

    Raises:
        InputError: nobody answers at the address for so long, or the chief of another search.
    """
    if workers < 1:
        raise InputError(f"Expected 1 or more workers. Received: {workers}.")
    job, _ = prepared(space, dataset, settings or Settings(), name)
    with grpc.insecure_channel(checked_address(address), options=wire.OPTIONS) as channel:
        line = _Line(channel, address, patience_seconds)
        if line.ask("GetSpace", wire.messages.GetSpaceRequest(), wire.digest_of) != job.digest:
            raise InputError(
                f"Expected the chief at {address} to tune the same contestant on the same data by the same settings. "
                "It does not; start chief and workers with the same command but for --role, --workers and --out."
            )
        names = [f"{worker_name or f'{node()} {getpid()}'}, {number}" for number in range(workers)]
        stop = threading.Event()
        with ThreadPoolExecutor(workers) as threads:
            try:
                return sum(threads.map(lambda own: _serve(line, job, own, stop, watch), names))
            finally:
                stop.set()  # after Ctrl-C, or with the first that fails


class _Line:
    """Questions to the chief, asked again until there is an answer or patience ends."""

    def __init__(self, channel: grpc.Channel, address: str, patience_seconds: float) -> None:
        self._stub = wire.service.OracleStub(channel)
        self._address, self._patience = address, patience_seconds

    def ask(self, method: str, request: Any, read: Callable[[Any], Answer]) -> Answer:
        try:
            return read(self._once(method, request))
        except grpc.RpcError as error:
            with suppress(grpc.RpcError):
                if error.code() == grpc.StatusCode.UNAVAILABLE:  # it went away while it was asked; it may come back
                    return read(self._once(method, request))
        raise InputError(
            f"Expected a chief at {self._address}. None answered in {self._patience:g} s; start it with "
            f"`touchstone tune ... --role chief --address {self._address}`, or name another address."
        )

    def _once(self, method: str, request: Any) -> Any:
        held_back = ASK_SECONDS if method == "CreateTrial" else 0  # by a chief that has no trial yet
        return getattr(self._stub, method)(request, wait_for_ready=True, timeout=self._patience + held_back)


def _serve(line: _Line, job: Job, name: str, stop: threading.Event, watch: Callable[[Trial], None] | None) -> int:
    """Trials in one process, one after the other, until all is over; how many."""
    messages, ran = wire.messages, 0
    with Workers(job, 1) as pool:
        while not stop.is_set():
            given = line.ask("CreateTrial", messages.CreateTrialRequest(tuner_id=name), lambda answer: answer.trial)
            status = wire.status_of(given)
            if status == TrialStatus.STOPPED:
                break
            if status != TrialStatus.RUNNING:
                continue
            trial = wire.unpacked(given)
            pool.start("here", trial)
            sign = wire.sign_of_life(trial.number, name)
            try:
                while not (ended := pool.ended(SIGN_SECONDS)) and not stop.is_set():
                    line.ask("GetTrial", sign, lambda _: None)
            except ChangedError as error:
                ended = [("here", replace(trial, status="failed", error=str(error)))]
            for _, result in ended:
                line.ask("EndTrial", messages.EndTrialRequest(trial=wire.packed(result)), lambda _: None)
                ran += 1
                if watch is not None and result is not None:
                    watch(result)
    return ran
