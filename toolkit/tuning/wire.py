"""Trials over KerasTuner's gRPC service: messages out of trials, and back. It knows neither chief nor worker.

The messages are KerasTuner's. Inside, a trial stands as JSON in one text value: KerasTuner sends floats with seven
digits, and neither errors, nor seconds, nor shares of the rows.
"""

import json
from typing import Any

from keras_tuner import HyperParameters
from keras_tuner.engine.trial import Trial as TunerTrial
from keras_tuner.engine.trial import TrialStatus
from keras_tuner.src import protos  # KerasTuner exports its messages nowhere else

from toolkit.tuning.trial import Trial

TRIAL, SEARCH = "touchstone/trial", "touchstone/search"  # names of values that no space has
OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.so_reuseport", 0),  # two chiefs at one address must not share it
    ("grpc.max_reconnect_backoff_ms", 2000),  # a chief that is started later is found soon
)

messages, service = protos.get_service(), protos.get_service_grpc()


def packed(trial: Trial | None, status: str = TrialStatus.RUNNING) -> Any:
    """A trial as KerasTuner's message; without one, what the status says."""
    parameters = HyperParameters()
    if trial is not None:
        parameters.values = {TRIAL: json.dumps(trial.to_dict())}
    number = "" if trial is None else str(trial.number)
    return TunerTrial(parameters, trial_id=number, status=status).to_proto()


def unpacked(message: Any) -> Trial:
    """The trial of a message that `packed` made."""
    return Trial.from_dict(json.loads(message.hyperparameters.values.values[TRIAL].string_value))


def sign_of_life(number: int, worker: str) -> Any:
    """That this worker still runs that trial; KerasTuner's message has no field for the worker."""
    return messages.GetTrialRequest(trial_id=f"{number} {worker}")


def digest_message(digest: str) -> Any:
    """What makes the search this one and no other, as a space of one fixed parameter."""
    parameters = HyperParameters()
    parameters.Fixed(SEARCH, digest)
    return messages.GetSpaceResponse(hyperparameters=parameters.to_proto())


def digest_of(message: Any) -> str:
    """The digest of such a message; empty where a chief of another program answered."""
    return next((one.value.string_value for one in message.hyperparameters.space.fixed_space if one.name == SEARCH), "")


def status_of(message: Any) -> str:
    """RUNNING: there is a trial in it; IDLE: ask again; STOPPED: all is over."""
    return str(TrialStatus.from_proto(message.status))
