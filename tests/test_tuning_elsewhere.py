"""Searches wider than one machine: a chief and workers over gRPC, a Ray cluster, and what is refused in one line."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest

from tests.pretend import Closed, bowl, few, pretend_data
from tests.pretend_ray import pretend_ray
from toolkit.cluster import run_all
from toolkit.comparison import compare
from toolkit.errors import InputError
from toolkit.tuning import Settings, Trial, chief, rays, tune, wire, work
from toolkit.tuning.points import key
from toolkit.tuning.workers import Here

ROOT = Path(__file__).parent.parent
RANDOM = Settings(method="random")


@pytest.fixture
def address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def in_threads(monkeypatch):
    """Workers without processes of their own, and a chief that gives them up soon."""
    import toolkit.evaluation  # noqa: F401  # now, because the first trial would take seconds over it

    class Pool(Here):
        def __init__(self, job, count):
            super().__init__(job)

        def ended(self, seconds):
            time.sleep(0.02)  # as a trial that takes its time
            return super().ended()

    monkeypatch.setattr("toolkit.tuning.remote.Workers", Pool)
    for module in ("serving", "remote"):
        monkeypatch.setattr(f"toolkit.tuning.{module}.SIGN_SECONDS", 0.05)
        monkeypatch.setattr(f"toolkit.tuning.{module}.ASK_SECONDS", 0.2)
    monkeypatch.setattr("toolkit.tuning.serving.LOST_SIGNS", 60)  # 3 s: a loaded machine may be late


class Worker(threading.Thread):
    """`work` in a thread; `ran` is what it returned."""

    def __init__(self, address, space=bowl, settings=RANDOM, **more):
        super().__init__(daemon=True)
        self.run_it = lambda: work(space, pretend_data(), address, settings=settings, patience_seconds=20, **more)
        self.start()

    def run(self):
        self.ran = self.run_it()


def told(trials):
    return [(trial.number, trial.origin, key(trial.values), trial.metrics) for trial in trials]


def test_a_chief_hands_its_trials_to_workers(in_threads, address):
    workers = [Worker(address, workers=2), Worker(address, worker_name="other")]
    found = tune(bowl, pretend_data(), trials=14, workers=chief(address), settings=RANDOM)
    for worker in workers:
        worker.join(20)
    assert workers[0].ran + workers[1].ran == 14
    assert all(worker.ran > 0 for worker in workers)
    assert told(found.trials) == told(tune(bowl, pretend_data(), trials=14, workers=0, settings=RANDOM).trials)


@pytest.mark.parametrize("method", ["bayesian", "hyperband"])
def test_methods_that_learn_from_results_do_so_over_several_machines(in_threads, address, method):
    settings = Settings(method=method)
    workers = [Worker(address, settings=settings, worker_name=name) for name in ("one", "other")]
    found = tune(bowl, pretend_data(), trials=18, workers=chief(address), settings=settings)
    for worker in workers:
        worker.join(20)
    assert {trial.status for trial in found.trials} == {"finished"}
    if method == "bayesian":
        assert [trial.origin for trial in found.trials].count("suggested") == 18 - 4
        return
    assert_promoted_in_order(found.trials)


def assert_promoted_in_order(trials):
    """Of the nine on a ninth of the rows the three best went on, and of those the best."""
    rounds = [[trial for trial in trials if (trial.bracket, trial.level) == (0, level)] for level in range(3)]
    assert [len(members) for members in rounds] == [9, 3, 1]
    for below, above in pairwise(rounds):
        best = sorted(below, key=lambda trial: trial.metrics["log_loss"])[: len(above)]
        assert {key(trial.values) for trial in above} == {key(trial.values) for trial in best}


def test_the_trial_of_a_worker_that_dies_is_run_by_another(in_threads, address):
    asked = []

    def die():
        with grpc.insecure_channel(address) as channel:
            question = wire.messages.CreateTrialRequest(tuner_id="mortal")
            answer = wire.service.OracleStub(channel).CreateTrial(question, wait_for_ready=True, timeout=20)
            asked.append(wire.unpacked(answer.trial).number)
        Worker(address)

    threading.Thread(target=die, daemon=True).start()
    found = tune(bowl, pretend_data(), trials=4, workers=chief(address), settings=RANDOM)
    assert asked == [0]
    assert [(trial.number, trial.status) for trial in found.trials] == [(number, "finished") for number in range(4)]


def ask(address, worker, *then):
    """Ask for a trial as a worker does that then says nothing more than `then`, signs of life of anybody."""
    with grpc.insecure_channel(address) as channel:
        stub = wire.service.OracleStub(channel)
        question = wire.messages.CreateTrialRequest(tuner_id=worker)
        while wire.status_of(given := stub.CreateTrial(question, wait_for_ready=True, timeout=20).trial) == "IDLE":
            pass
        for other in then:
            stub.GetTrial(wire.sign_of_life(wire.unpacked(given).number, other))
        return given


def test_a_trial_over_which_workers_fall_silent_has_failed_and_the_chief_says_who(in_threads, address, monkeypatch):
    monkeypatch.setattr("toolkit.tuning.serving.LOST_SIGNS", 6)  # 0.3 s
    said = []

    def die():
        for number in range(3):
            assert wire.unpacked(ask(address, f"mortal {number}", "somebody else", "")).number == 0
            while len(said) == number:
                time.sleep(0.02)
        Worker(address)

    threading.Thread(target=die, daemon=True).start()
    found = tune(bowl, pretend_data(), trials=3, workers=chief(address, said.append), settings=RANDOM)
    assert [trial.status for trial in found.trials] == ["failed", "finished", "finished"]
    assert "handed out 3 times" in found.trials[0].error
    assert said[0].startswith("Worker 'mortal 0' is silent for 0.3 s; its trial 0 waits")
    assert "'mortal 2'" in said[2]


def test_a_trial_that_kills_a_worker_which_is_started_again_under_its_name_has_failed(in_threads, address):
    def die():
        for _ in range(3):
            assert wire.unpacked(ask(address, "mortal, 0")).number == 0
        Worker(address, worker_name="mortal")

    threading.Thread(target=die, daemon=True).start()
    found = tune(bowl, pretend_data(), trials=2, workers=chief(address), settings=RANDOM)
    assert [trial.status for trial in found.trials] == ["failed", "finished"]


def test_signs_of_life_of_others_do_not_keep_a_trial(in_threads, address):
    """See `Chief.GetTrial`: a worker that was given up and still runs the trial says nothing about its new one."""
    job = SimpleNamespace(digest="0")
    pool = chief(address)(job)
    trial = Trial(0, "random", {})
    pool.start("one", trial)
    for worker, missing in (("other", 5), ("one", 0)):
        pool._given[0].signs_missing = 5
        pool.GetTrial(wire.sign_of_life(0, worker), None)
        assert pool._given[0].signs_missing == missing


def test_a_search_whose_chief_was_killed_goes_on(in_threads, address, tmp_path):
    tune(bowl, pretend_data(), trials=3, workers=0, settings=RANDOM, out=tmp_path)
    book = tmp_path / "search.json"
    book.write_text(book.read_text().replace('"status": "finished"', '"status": "running"', 1))  # as a kill leaves it
    Worker(address)
    found = tune(bowl, pretend_data(), trials=5, workers=chief(address), settings=RANDOM, out=tmp_path)
    assert told(found.trials) == told(tune(bowl, pretend_data(), trials=5, workers=0, settings=RANDOM).trials)


def test_a_chief_that_is_not_there_is_one_line(address):
    with pytest.raises(InputError) as caught:
        work(bowl, pretend_data(), address, patience_seconds=0.3)
    assert f"Expected a chief at {address}. None answered in 0.3 s" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_chief_of_another_search_is_refused(in_threads, address):
    refused = []

    def other():
        try:
            work(few, pretend_data(), address, patience_seconds=20)
        except InputError as error:
            refused.append(str(error))
        Worker(address)

    threading.Thread(target=other, daemon=True).start()
    tune(bowl, pretend_data(), trials=2, workers=chief(address), settings=RANDOM)
    assert "to tune the same contestant on the same data" in refused[0]


@pytest.mark.parametrize("text", ["somewhere", ":80", "host:", "host:port", "host:70000"])
def test_an_address_of_another_form_is_one_line(text):
    with pytest.raises(InputError, match="Expected --address as HOST:PORT"):
        chief(text)


def test_an_address_that_is_taken_is_one_line(address):
    host, port = address.split(":")
    with socket.socket() as taken:
        taken.bind((host, int(port)))
        taken.listen()
        with pytest.raises(InputError, match=f"{address} cannot be listened on"):
            tune(bowl, pretend_data(), trials=2, workers=chief(address), settings=RANDOM)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_ray_without_the_extra_is_refused_with_the_command_that_installs_it():
    for begin in (lambda: rays("auto"), lambda: next(run_all("auto", lambda name: False, {"one": len}, "shared"))):
        with pytest.raises(InputError, match=r"pip install 'touchstone-vision\[ray\]'"):
            begin()


@pytest.fixture
def cluster(monkeypatch):
    """A function that puts a pretended Ray in the place of the real one, installed or not."""

    def begin(**told):
        ray = pretend_ray(**told)
        monkeypatch.setattr("toolkit.cluster.find_spec", lambda name: name)
        monkeypatch.setitem(sys.modules, "ray", ray)
        monkeypatch.setitem(sys.modules, "ray.exceptions", ray.exceptions)
        return ray

    return begin


@pytest.mark.parametrize("method", ["random", "hyperband"])
def test_actors_run_the_trials_of_a_search(cluster, method):
    ray = cluster(gpus=1)
    settings = Settings(method=method)
    found = tune(bowl, pretend_data(), trials=18, workers=rays("auto", 2, gpu=True), settings=settings)
    assert {trial.status for trial in found.trials} == {"finished"}
    assert [one for one in ray.asked if one] == [{"num_cpus": 1, "num_gpus": 1.0}] * 2  # two actors, warm all along
    assert len(ray.ended) == 2
    if method == "hyperband":
        assert_promoted_in_order(found.trials)
    else:
        assert told(found.trials) == told(tune(bowl, pretend_data(), trials=18, workers=0, settings=settings).trials)


def test_an_actor_that_dies_costs_its_own_trial_and_over_the_same_one_again_a_failure(cluster):
    cluster(deadly=[1, 3, 3])
    found = tune(bowl, pretend_data(), trials=5, workers=rays("auto", 2), settings=RANDOM)
    statuses = [trial.status for trial in found.trials]
    assert statuses == ["finished", "finished", "finished", "failed", "finished"]
    assert "process that ran it died 2 times" in found.trials[3].error


def test_contestants_of_a_duel_ask_the_cluster_for_the_gpus_that_they_want(cluster, tmp_path):
    ray = cluster(gpus=2)
    contestants = {"network": Closed(0.1), "pipeline": Closed(0.9)}
    more = {"keep_models": False, "resamples": 100, "show_progress": False}
    there = compare(contestants, pretend_data(), **more, elsewhere=partial(run_all, "auto", lambda n: n == "network"))
    assert [one["num_gpus"] for one in ray.asked] == [1.0, 0.0]
    here = compare(contestants, pretend_data(), **more)
    assert {name: one.evaluation.to_dict() for name, one in there.outcomes.items()} == {
        name: one.evaluation.to_dict() for name, one in here.outcomes.items()
    }


def test_a_refusal_on_the_cluster_is_the_same_line_as_here(cluster):
    cluster()

    def refuses(_):
        raise InputError("Expected grey images. Received colour.")

    with pytest.raises(InputError, match=r"^Expected grey images\. Received colour\.$"):
        list(run_all("auto", lambda name: False, {"one": refuses}, "shared"))


def test_a_cluster_that_is_not_there_is_one_line(cluster):
    cluster(answers=False)
    with pytest.raises(InputError) as caught:
        rays("10.0.0.7:6379", 2)
    assert "Expected a Ray cluster at '10.0.0.7:6379'. None answered (nobody there)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_contestants_that_run_elsewhere_come_back_in_their_order(tmp_path):
    def backwards(tasks, dataset):
        for name in reversed(tasks):
            yield name, tasks[name](dataset)

    contestants = {"good": Closed(0.1), "middling": Closed(0.5), "bad": Closed(0.9)}
    told = {"out": tmp_path, "keep_models": False, "resamples": 100, "show_progress": False}
    result = compare(contestants, pretend_data(), **told, elsewhere=backwards)
    assert list(result.outcomes) == list(contestants)
    again = compare(contestants, pretend_data(), **told, elsewhere=lambda tasks, dataset: iter(dict(tasks)))
    assert again.outcomes.keys() == result.outcomes.keys()  # all were finished: no task was left


@pytest.mark.thorough
def test_commands_on_one_machine_of_which_a_worker_is_killed(address, tmp_path):
    command = [sys.executable, "-m", "toolkit.tuning", "tests.my_space:space", "digits", "--trials", "12"]
    command += ["--address", address, "--method", "random"]

    def begun(*more):
        return subprocess.Popen(
            [*command, *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    head = begun("--role", "chief", "--out", str(tmp_path / "search"))
    mortal = begun("--role", "worker")
    assert "trial 0 finished" in mortal.stdout.readline()
    os.kill(mortal.pid, signal.SIGKILL)  # in the middle of another trial
    steady = begun("--role", "worker", "--workers", "2")
    assert head.wait(300) == 0, head.stdout.read()
    assert steady.wait(60) == 0
    assert "trials run for the chief" in steady.stdout.read()
    assert "Best: trial" in head.stdout.read()
    mortal.wait()
    for process in (head, mortal, steady):
        process.stdout.close()
