"""A real Ray, started here: searches and duels on its actors and tasks, one of which is killed in its trial."""

import os
import signal
import subprocess
import threading
import time

import pytest

import toolkit
from tests.pretend import Closed, pretend_data
from toolkit.catalogue import contestant
from toolkit.cluster import connected, run_all
from toolkit.data import load
from toolkit.errors import InputError
from toolkit.tuning import Settings, tune
from toolkit.tuning.on_ray import rays

ray = pytest.importorskip("ray", reason="needs the extra ray")

pytestmark = [pytest.mark.thorough, pytest.mark.filterwarnings("ignore")]  # Ray's own, of its start and its end
RANDOM = Settings(method="random")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    os.environ.update(RAY_worker_niceness="0")  # actors are as important as the test that waits for them
    yield connected("local")
    ray.shutdown()


def slow(hp):
    class Slow(Closed):
        def fit(self, images, labels):
            time.sleep(1)
            return super().fit(images, labels)

    return Slow(0.1 + (hp.Float("x", 0, 1) - 0.4) ** 2 + hp.Float("y", 0, 1))


def actors():
    return [int(one) for one in subprocess.run(["pgrep", "-f", "ray::_Runner.run"], capture_output=True).stdout.split()]


def test_an_actor_that_is_killed_costs_its_own_trial_which_is_run_again(tmp_path):
    killed = []

    def kill():
        while not killed:
            killed.extend(actors()[:1])
            time.sleep(0.2)
        os.kill(killed[0], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    found = tune(slow, pretend_data(), trials=8, out=tmp_path, workers=rays("local", 2), settings=RANDOM)
    assert killed
    assert [trial.status for trial in found.trials] == ["finished"] * 8
    alone = tune(slow, pretend_data(), trials=8, workers=0, settings=RANDOM)
    assert [(one.values, one.metrics) for one in found.trials] == [(one.values, one.metrics) for one in alone.trials]


def test_an_actor_that_cannot_be_made_says_why(monkeypatch):
    def broken(job, images):
        raise ModuleNotFoundError("No module named 'elsewhere'")

    monkeypatch.setattr("toolkit.tuning.on_ray._Runner.__init__", lambda self, *told: broken(*told))
    with pytest.raises(InputError, match=r"No process could be started: ModuleNotFoundError: No module named 'elsewh"):
        tune(slow, pretend_data(), trials=6, workers=rays("local", 1), settings=RANDOM)


def test_contestants_of_a_duel_are_fitted_as_tasks(tmp_path):
    dataset = load("digits", seed=0)
    names = ["lbp_svm", "pixels_svm"]

    def elsewhere(tasks, shared):
        return run_all("local", lambda name: False, tasks, shared)

    fighters = {name: contestant(name, dataset.image_shape) for name in names}
    there = toolkit.compare(fighters, dataset, out=tmp_path, elsewhere=elsewhere, show_progress=False)
    here = toolkit.compare(
        {name: contestant(name, dataset.image_shape) for name in names}, dataset, show_progress=False
    )
    for name in names:
        losses = [one.outcomes[name].evaluation["log_loss"].value for one in (there, here)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-6)  # sums in another order: a task has one thread
        assert (tmp_path / name / "model").is_dir()


def test_what_a_task_refuses_is_raised_here():
    def refuse(shared):
        raise InputError(f"Expected peace. Received: {shared}.")

    with pytest.raises(InputError, match="Received: war"):
        list(run_all("local", lambda name: False, {"one": refuse}, "war"))


def test_a_cluster_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(InputError, match=r"Expected a Ray cluster at '127\.0\.0\.1:1'"):
        connected("127.0.0.1:1")
