"""What a classifier consists of: objects of ours and of scikit-learn, however deep inside one another."""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

OWN = ("baselines.", "toolkit.", "sklearn.")  # modules whose objects are looked into


def parts(value: Any, seen: dict[int, Any] | None = None) -> Iterator[Any]:
    """The value and everything of ours or of scikit-learn inside it, each once, what is inside first."""
    seen = {} if seen is None else seen
    if id(value) in seen:
        return
    seen[id(value)] = value  # kept, so that its id is not given to another
    for inner in _inside(value).values():
        yield from parts(inner, seen)
    if _looked_into(value):
        yield value


def swapped(value: Any, kind: type, swap: Callable[[Any], Any], done: dict[int, Any] | None = None) -> Any:
    """A copy in which `swap` has replaced each object of `kind`, however deep; what holds none is not copied."""
    done = {} if done is None else done
    if id(value) in done:
        return done[id(value)][1]
    if isinstance(value, kind):
        result = swap(value)
    else:
        before = _inside(value)
        after = {key: swapped(inner, kind, swap, done) for key, inner in before.items()}
        changed = {key: inner for key, inner in after.items() if inner is not before[key]}
        result = _with(value, after, changed) if changed else value
    done[id(value)] = value, result  # the value is kept, so that its id is not given to another
    return result


def usurped(part: Any) -> list[str]:
    """Attributes that stand in the place of a method of the object's class, as no `fit` leaves them."""
    found = {name: inspect.getattr_static(type(part), name, None) for name in vars(part)}
    return [name for name, own in found.items() if hasattr(own, "__get__") and not isinstance(own, cached_property)]


def filled(part: Any) -> None:
    """Give an estimator of ours that an older version saved what its __init__ takes by now, by its defaults."""
    if not isinstance(part, BaseEstimator) or not type(part).__module__.startswith(("baselines.", "toolkit.")):
        return
    for name, parameter in inspect.signature(type(part).__init__).parameters.items():
        if parameter.default is not parameter.empty and name not in vars(part):
            vars(part)[name] = parameter.default


def learned_shape(classifier: Any) -> tuple[int, ...] | None:
    """The image shape (H, W, C) that a part of a fitted classifier has learned, if one has."""
    shapes = (vars(part).get("image_shape_") for part in parts(classifier))
    return next((tuple(int(side) for side in shape) for shape in shapes if shape is not None), None)


def _looked_into(value: Any) -> bool:
    return type(value).__module__.startswith(OWN) and not isinstance(value, type) and hasattr(value, "__dict__")


def _inside(value: Any) -> dict[Any, Any]:
    if isinstance(value, np.ndarray):
        return dict(enumerate(value.flat)) if value.dtype.hasobject else {}
    if isinstance(value, list | tuple | set | frozenset):
        return dict(enumerate(value))
    if isinstance(value, Mapping):
        return dict(value)
    return dict(vars(value)) if _looked_into(value) else {}


def _with(value: Any, after: dict[Any, Any], changed: dict[Any, Any]) -> Any:
    if isinstance(value, np.ndarray):
        array = value.copy()
        for place, inner in changed.items():
            array.flat[place] = inner
        return array
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(after.values())
    result: Any = copy.copy(value)
    (result if isinstance(value, Mapping) else vars(result)).update(changed)
    return result
