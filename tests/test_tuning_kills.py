"""Searches and workers that are killed: no finished trial is lost, none is run twice, and the search ends well."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.pretend import Closed, bowl, pretend_data
from toolkit.tuning import Settings, Trial, tune
from toolkit.tuning.search import prepared
from toolkit.tuning.workers import Workers

ROOT = str(Path(__file__).parent.parent)
SERVER = """
import os, sys, time, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import keras, keras_tuner  # before the first fork: each child would take seconds
import sklearn.gaussian_process, toolkit.evaluation.metrics
from tests.pretend import Closed, bowl, pretend_data
from toolkit.tuning import Settings, tune

class Slow(Closed):
    def fit(self, images, labels):
        time.sleep(0.02)
        return super().fit(images, labels)

def space(hp):
    return Slow(0.1 + (hp.Float("x", 0, 1) - 0.4) ** 2 + hp.Float("y", 0, 1))

for line in sys.stdin:
    folder, method, trials = line.split()
    child = os.fork()
    if child == 0:
        tune(space, pretend_data(), trials=int(trials), out=folder, workers=0, settings=Settings(method=method))
        os._exit(0)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""


@contextmanager
def search_server():
    """A function that runs a search in a process, kills it after some seconds or trials, and returns what had ended."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, ROOT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as server:

        def ended(folder):
            book = Path(folder) / "search.json"
            told = json.loads(book.read_text())["trials"] if book.exists() else []
            return [trial for trial in told if trial["status"] == "finished"]

        def run(folder, method, trials, kill_after=None, kill_at=None):
            server.stdin.write(f"{folder} {method} {trials}\n")
            server.stdin.flush()
            child = int(server.stdout.readline())
            while kill_at is not None and len(ended(folder)) < kill_at:
                time.sleep(0.01)
            if kill_after is not None or kill_at is not None:
                time.sleep(kill_after or 0)
                with suppress(ProcessLookupError):  # it had come to its end already
                    os.kill(child, signal.SIGKILL)
            server.stdout.readline()
            return ended(folder)

        yield run
        server.stdin.close()


def disturbed(run, folder, method, trials, moments):
    """Trials of a search that was killed at these moments; nothing that had ended is lost on the way."""
    ended = []
    for moment in [*moments, None]:
        now = run(folder, method, trials, moment)
        assert now[: len(ended)] == ended
        ended = now
    return ended


def asked(trials):
    return [(trial["number"], trial["origin"], trial["values"], trial["share"]) for trial in trials]


def test_a_kill_loses_no_trial_and_repeats_none(tmp_path):
    with search_server() as run:
        for method in ("bayesian", "hyperband"):
            folder = tmp_path / f"{method}-killed"
            before = run(folder, method, 10, kill_at=3)
            killed = run(folder, method, 10)
            assert 3 <= len(before) < len(killed)
            assert killed[: len(before)] == before
            assert asked(killed) == asked(run(tmp_path / method, method, 10))


@pytest.mark.thorough
@pytest.mark.parametrize(("method", "longest"), [("random", 0.25), ("hyperband", 0.25), ("bayesian", 2.0)])
def test_ten_kills_lose_no_trial_and_repeat_none(tmp_path, method, longest):
    moments = np.random.default_rng(0).uniform(0, longest, 10)
    with search_server() as run:
        killed = disturbed(run, tmp_path / "killed", method, 30, moments)
        assert len(killed) == 30
        assert asked(killed) == asked(run(tmp_path / "undisturbed", method, 30))


class Mortal(Closed):
    """Kills the process that fits it: always, or the first time, which a file remembers."""

    def __init__(self, loss, memory):
        super().__init__(loss)
        self.memory = memory

    def fit(self, images, labels):
        try:
            os.close(os.open(self.memory, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            if self.loss == 0.1:
                return super().fit(images, labels)
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_costs_its_own_trial_and_one_that_kills_again_has_failed(tmp_path):
    memory = str(tmp_path / "memory")
    found = tune(
        lambda hp: Mortal(hp.Choice("loss", [0.1, 0.9]), memory),
        pretend_data(),
        trials=2,
        workers=1,
        settings=Settings(method="random"),
    )
    assert Path(memory).exists()  # the first process died over the first trial
    assert [trial.status for trial in found.trials] == ["finished", "failed"]
    assert "process that ran it died 2 times" in found.trials[1].error


def test_a_process_that_cannot_start_leaves_its_last_words(monkeypatch):
    monkeypatch.setattr("toolkit.tuning.workers.sys", SimpleNamespace(executable=sys.executable, path=["/nowhere"]))
    job, _ = prepared(bowl, pretend_data(), Settings(), None)
    with Workers(job, 1) as pool:
        pool.start("worker 0", Trial(0, "random", {}))
        while not (ended := pool.ended()):
            pass
    ((place, trial),) = ended
    assert (place, trial.status) == ("worker 0", "failed")
    assert "died 2 times while it started (status 1): ModuleNotFoundError: No module named" in trial.error


def test_a_search_does_not_pay_for_the_start_of_its_workers(monkeypatch):
    """One worker: what the search counts is its trials, and not the seconds that TensorFlow takes to be imported."""
    monkeypatch.setattr("toolkit.tuning.loop.timed", lambda call: (call(), 1.0))  # every wait and proposal is a second
    seen = []

    class Pool(Workers):
        def ended(self, seconds=None):
            seen.append((self.waking, [worker.ready for worker, _, _ in self._busy.values()]))
            return super().ended(seconds)

    found = tune(bowl, pretend_data(), trials=2, workers=lambda job: Pool(job, 1), settings=Settings(method="random"))
    assert seen == [(True, [False]), (False, [True]), (False, [True])]
    assert [trial.elapsed_seconds for trial in found.trials] == [3, 5]


@pytest.mark.thorough
def test_processes_side_by_side_run_the_same_trials():
    told = {"trials": 8, "settings": Settings(method="random")}
    here, there = (tune(bowl, pretend_data(), **told, workers=count).trials for count in (0, 2))
    assert [(trial.number, trial.values, trial.metrics) for trial in there] == [
        (trial.number, trial.values, trial.metrics) for trial in here
    ]
