"""Ray in so far as Touchstone uses it, in this process: tasks run when their answer is asked for, actors can die."""

from types import ModuleType


class RayActorError(Exception):
    """What Ray raises where the process of an actor is gone, or where it could not be made."""

    actor_init_failed = False


class RayTaskError(Exception):
    """What Ray raises where a task raised; `cause` is what that was."""

    def __init__(self, cause):
        super().__init__(str(cause))
        self.cause = cause


class Remote:
    """A function or a class that runs elsewhere."""

    def __init__(self, ray, what, options=None):
        self.ray, self.what, self.told = ray, what, options or {}

    def options(self, **told):
        return Remote(self.ray, self.what, told)

    def remote(self, *arguments):
        self.ray.asked.append(self.told)
        if isinstance(self.what, type):
            return Actor(self.ray, self.what(*arguments))
        return Answer(self.what, arguments)


class Actor:
    """An object that lives elsewhere; it dies over the trials in `ray.deadly`, each as often as it stands there."""

    def __init__(self, ray, own):
        self.ray, self.own, self.alive = ray, own, True
        self.run = Remote(ray, self._run)

    def _run(self, trial):
        if trial.number in self.ray.deadly:
            self.ray.deadly.remove(trial.number)
            self.alive = False
        if not self.alive:
            raise RayActorError
        return self.own.run(trial)


class Answer:
    """A reference to a result that is not there yet."""

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments

    def get(self):
        try:
            return self.function(*self.arguments)
        except RayActorError:
            raise
        except Exception as error:
            raise RayTaskError(error) from error


def pretend_ray(gpus=0, deadly=(), answers=True):
    """The module; `asked` lists the options of everything begun, `ended` the actors that were."""
    ray, exceptions = ModuleType("ray"), ModuleType("ray.exceptions")
    exceptions.RayActorError, exceptions.RayTaskError = RayActorError, RayTaskError
    ray.exceptions, ray.asked, ray.ended, ray.deadly = exceptions, [], [], list(deadly)

    def init(*_, **__):
        if not answers:
            raise ConnectionError("nobody\nthere")

    ray.init = init
    ray.is_initialized = lambda: False
    ray.cluster_resources = lambda: {"CPU": 4.0, "GPU": float(gpus)}
    ray.put = lambda value: value
    ray.remote = lambda what: Remote(ray, what)
    ray.wait = lambda waiting: (waiting[:1], waiting[1:])
    ray.get = lambda answer: answer.get()
    ray.kill = ray.ended.append
    return ray
