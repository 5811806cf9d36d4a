"""What a space declares: all its parameters, those under conditions too, and narrower by hand. It fits nothing.

A space is a function `space(hp) -> Classifier`; `hp` is KerasTuner's HyperParameters.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from toolkit.classifier import Classifier
from toolkit.errors import InputError, unknown

Space = Callable[[Any], Any]
MOST_BUILDS = 100  # of classifiers, to see every condition once


def declared(space: Space) -> Any:
    """All hyper-parameters that the space may ask for, with its defaults.

    Raises:
        InputError: a space that raises, that asks for other things when asked again, or for nothing.
    """
    first, second = _explored(space), _explored(space)
    if description(first) != description(second):
        raise InputError(
            "Expected a space that asks for the same hyper-parameters at each call. It asked for "
            f"{_names(first)}, then for {_names(second)}; randomness belongs into seeds, not into the space."
        )
    if not first.space:
        raise InputError("Expected a space that asks for at least one hyper-parameter (hp.Float, hp.Choice, ...).")
    return first


def description(space: Any) -> list[dict[str, Any]]:
    """The hyper-parameters as plain values: two spaces are the same exactly when these are."""
    found = []
    for one in space.space:
        config = one.get_config()
        config["conditions"] = [condition.get_config() for condition in one.conditions]
        found.append({"kind": type(one).__name__, **config})
    return found


def at(space: Any, values: Mapping[str, Any]) -> Any:
    """The same space with these values chosen, ready to be handed to the function."""
    chosen = space.copy()
    chosen.values = dict(values)
    return chosen


def build(
    function: Space, space: Any, values: Mapping[str, Any], expected: Sequence[Mapping[str, Any]] | None = None
) -> Any:
    """The classifier of these values, refusing a function that asks for other things than the space declared.

    `expected` is the `description` of the space before it was narrowed; None: nothing was.
    """
    asked = type(space)()
    asked.values = dict(values)
    classifier = function(asked)
    declared_before = {_known(one): one for one in (description(space) if expected is None else expected)}
    now = {_known(one): one for one in description(asked)}
    new = sorted({one["name"] for one in now.values()} - {one["name"] for one in declared_before.values()})
    left_out = sorted(set(values) - {one["name"] for one in now.values()})
    other = sorted(one["name"] for place, one in now.items() if declared_before.get(place, one) != one)
    for names, what in ((new, "asks for {} too"), (left_out, "does not ask for {}"), (other, "allows others for {}")):
        if names:
            raise ChangedError(
                "Expected a space that asks for the same hyper-parameters at each call. With other values it now "
                f"{what.format(', '.join(names))}; what is asked for under a condition belongs into "
                "hp.conditional_scope, randomness into seeds."
            )
    return classifier


def _known(one: Mapping[str, Any]) -> str:
    """What tells a parameter from others: its name, and the conditions that it stands under."""
    return json.dumps([one["name"], one["conditions"]], sort_keys=True, default=str)


class ChangedError(InputError):
    """The space asked for other hyper-parameters than before."""


def narrowed(space: Any, fixed: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]) -> Any:
    """The space with some parameters fixed and some in a narrower range, each within what the space allows.

    Fixed values and the ends of ranges may be text, as on a command line.

    Raises:
        InputError: a name that the space does not have, a value or range outside it, or both for one name.
    """
    names = {one.name for one in space.space}
    for name in [*fixed, *ranges]:
        if name not in names:
            raise unknown("hyper-parameter", name, names)
        if name in fixed and name in ranges:
            raise InputError(f"Expected '{name}' fixed or in a range. Received both.")
    result = type(space)()
    for one in space.space:
        if one.name in fixed:
            one = _fixed(one, fixed[one.name])
        elif one.name in ranges:
            one = _within(one, *ranges[one.name])
        result.merge([one])
    return result


def _explored(space: Space) -> Any:
    """Call the space until every condition that it opens has been met once."""
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    met: list[Any] = []
    for _ in range(MOST_BUILDS):
        _call(space, hp)
        met += [scope for scope in hp.active_scopes if scope not in met]
        open_ = [scope for scope in hp.inactive_scopes if scope not in met]
        if not open_:
            break
        values = dict(hp.values)
        for condition in open_[0]:
            values[condition.name] = condition.values[0]
        hp = hp.copy()
        hp.values = values
        hp.ensure_active_values()
        met.append(open_[0])  # tried now, whether or not the space then opens it
    fresh = HyperParameters()
    fresh.merge(hp)
    return fresh


def _call(space: Space, hp: Any) -> None:
    try:
        classifier = space(hp)
    except InputError:
        raise
    except Exception as error:  # whatever a user's function may raise
        line = " ".join(str(error).split())
        raise InputError(
            f"Expected a space that builds a classifier. It raised {type(error).__name__}: {line}"
        ) from error
    if not isinstance(classifier, Classifier):
        raise InputError(
            "Expected a space that returns a classifier, with fit and predict_proba. "
            f"Received: {type(classifier).__name__}."
        )


def _fixed(parameter: Any, value: Any) -> Any:
    from keras_tuner.engine.hyperparameters import Fixed

    kind = type(parameter).__name__
    if kind in ("Choice", "Boolean"):
        choices = {str(choice): choice for choice in parameter.values}
        chosen = next((choice for choice in parameter.values if _same(choice, value)), None)
        if chosen is None:
            raise unknown(f"value of '{parameter.name}'", str(value), choices)
    elif kind == "Fixed":
        raise InputError(f"Expected a hyper-parameter that varies. The space itself fixes '{parameter.name}'.")
    else:
        chosen = _number(parameter, value, whole=kind == "Int")
        _check_within(parameter, chosen, chosen)
    return Fixed(parameter.name, chosen, conditions=copy.deepcopy(parameter.conditions))


def _same(choice: Any, value: Any) -> bool:
    """Whether text of a command line, or a plain value, means this choice: 0 is 0.0, and true is True."""
    if isinstance(choice, bool):
        return str(choice).lower() == str(value).lower()
    if isinstance(choice, str) or isinstance(value, bool):
        return str(choice) == str(value)
    try:
        return float(choice) == float(value)
    except (TypeError, ValueError):
        return False


def _within(parameter: Any, low: Any, high: Any) -> Any:
    kind = type(parameter).__name__
    if kind == "Choice" and not isinstance(parameter.values[0], str | bool):
        low, high = _ends(parameter, low, high)
        kept = [choice for choice in parameter.values if low <= choice <= high]
        if not kept:
            raise InputError(
                f"Expected a range of '{parameter.name}' that holds one of {_listed(parameter.values)}. "
                f"Received: {low:g}:{high:g}."
            )
        default = parameter.default if parameter.default in kept else kept[0]
        config = {**parameter.get_config(), "values": kept, "default": default}
    elif kind in ("Float", "Int"):
        low, high = _ends(parameter, low, high, whole=kind == "Int")
        _check_within(parameter, low, high)
        default = min(max(parameter.default, low), high)
        config = {**parameter.get_config(), "min_value": low, "max_value": high, "default": default}
    else:
        raise InputError(f"Expected --range for numbers only. '{parameter.name}' is no number; fix it with --set.")
    config["conditions"] = copy.deepcopy(parameter.conditions)
    return type(parameter)(**config)


def _ends(parameter: Any, low: Any, high: Any, whole: bool = False) -> tuple[float, float]:
    """Both ends as numbers, the lower one first."""
    first, last = (_number(parameter, end, whole) for end in (low, high))
    if first > last:
        raise InputError(f"Expected the range of '{parameter.name}' as LOW:HIGH. Received: {first:g}:{last:g}.")
    return first, last


def _number(parameter: Any, value: Any, whole: bool = False) -> float:
    kind = "a whole number" if whole else "a number"
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"Expected '{parameter.name}' as {kind}. Received: {value!r}.") from None
    if whole and not number.is_integer():
        raise InputError(f"Expected '{parameter.name}' as {kind}. Received: {value!r}.")
    return int(number) if whole else number


def _check_within(parameter: Any, low: float, high: float) -> None:
    if not parameter.min_value <= low <= high <= parameter.max_value:
        received = f"{low:g}" if low == high else f"{low:g}:{high:g}"
        raise InputError(
            f"Expected '{parameter.name}' within {parameter.min_value:g}:{parameter.max_value:g}, "
            f"what its space allows. Received: {received}."
        )


def _names(space: Any) -> str:
    return ", ".join(one.name for one in space.space) or "nothing"


def _listed(values: Any) -> str:
    return ", ".join(str(value) for value in values)
