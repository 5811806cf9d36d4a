"""A Ray cluster: found, or refused in one line. It knows neither trials nor contestants."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, TypeVar

from toolkit.errors import InputError

Shared = TypeVar("Shared")
Result = TypeVar("Result")


def connected(address: str) -> Any:
    """The module `ray`, connected: "auto" finds a cluster that runs, "local" starts one here, else its address.

    Its processes import modules from where this one does: a space or a contestant may be of a module beside the caller.

    Raises:
        InputError: Ray is not installed, or no cluster answers.
    """
    if find_spec("ray") is None:
        raise InputError(
            f"Expected Ray for --ray {address}. It is not installed: `pip install 'touchstone-vision[ray]'`."
        )
    import ray

    if not ray.is_initialized():
        try:
            paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}}
            told: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "runtime_env": paths}
            ray.init(None if address == "local" else address, **told)
        except Exception as error:  # a start that took too long is a bare Exception of Ray's
            line = " ".join(str(error).split())[:200]
            raise InputError(
                f"Expected a Ray cluster at '{address}'. None answered ({line}); start one with `ray start --head`, or "
                "take --ray local."
            ) from None
    return ray


def gpus_of_one(ray: Any, wants: bool) -> float:
    """GPUs that a task asks for: one where it wants one and the cluster has any."""
    return 1.0 if wants and ray.cluster_resources().get("GPU", 0) >= 1 else 0.0


def run_all(
    address: str, wants_gpu: Callable[[str], bool], tasks: Mapping[str, Callable[[Shared], Result]], shared: Shared
) -> Iterator[tuple[str, Result]]:
    """Call every task with `shared` on the cluster, each on one core and the GPU that it wants; results as they come.

    A task whose machine dies is run again elsewhere, by Ray; an InputError of the task itself is raised here.
    """
    ray = connected(address)
    from ray.exceptions import RayTaskError

    sent = ray.put(shared)  # once for all tasks
    waiting = {}
    for name, task in tasks.items():
        gpus = gpus_of_one(ray, wants_gpu(name))
        remote = ray.remote(_called).options(num_cpus=1, num_gpus=gpus, max_retries=2)
        waiting[remote.remote(task, sent)] = name
    while waiting:
        done, _ = ray.wait(list(waiting))
        try:
            result = ray.get(done[0])
        except RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise error.cause from None
            raise
        yield waiting.pop(done[0]), result


def _called(task: Callable[[Shared], Result], shared: Shared) -> Result:
    return task(shared)
