"""What may be told to a network: the options it takes, their ranges and choices. It builds none, and needs no Keras."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from numbers import Integral, Real
from typing import Any

from toolkit.errors import InputError, unknown
from toolkit.models.attention import ATTENTION
from toolkit.models.backbones import POOLINGS
from toolkit.models.blocks import ACTIVATIONS, INITIALISERS, NORMALISATIONS, Style

Build = Callable[..., Any]
WHOLE: dict[str, tuple[int, int]] = {  # an option's own default is always allowed besides
    "width": (1, 4096),
    "widest": (1, 65536),
    "convolutions": (1, 16),
    "blocks": (1, 200),
    "patch": (1, 256),
    "filters": (1, 4096),
    "capsules": (1, 1024),
    "rounds": (1, 100),
    "size": (1, 4096),
    "hidden": (0, 65536),
}
REAL: dict[str, tuple[float, float]] = {"dropout": (0, 0.99), "depth": (0, 0.99), "reconstruction": (0, 1000)}
CHOICES: dict[str, tuple[str, ...]] = {
    "activation": ACTIVATIONS,
    "normalisation": NORMALISATIONS,
    "initialiser": tuple(INITIALISERS),
    "attention": ("", *ATTENTION),
    "pooling": POOLINGS,
}
SWITCHES = ("mirror",)


def taken(build: Build) -> dict[str, Any]:
    """The options of a network and their defaults: keyword arguments, and with `**style` the fields of `Style`."""
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(build).parameters.items():
        if name == "style" and parameter.kind is parameter.VAR_KEYWORD:
            found |= {field.name: field.default for field in fields(Style)}
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is not parameter.empty:
            found[name] = parameter.default
    return found


def check_options(name: str, build: Build, options: Mapping[str, Any]) -> None:
    """Refuse options that the network `name` does not take, numbers out of range and unknown choices.

    Raises:
        InputError: with the nearest name, or the range.
    """
    defaults = taken(build)
    for option, value in options.items():
        if option == "weights":
            continue
        if option not in defaults:
            close = difflib.get_close_matches(option, defaults, n=1, cutoff=0.5)
            remedy = f"did you mean '{close[0]}'?" if close else "leave it away."
            if option == "depth":
                remedy = "leave it away, or stochastic_depth where a recipe told it."
            raise InputError(
                f"Expected options that '{name}' takes ({', '.join(key for key in defaults if key != 'weights')}). "
                f"Received: {option}={value!r}, which it does not; {remedy}"
            )
        if type(value) is not type(defaults[option]) or value != defaults[option]:
            _check_value(option, value)


def _check_value(option: str, value: Any) -> None:
    if option in CHOICES and value not in CHOICES[option]:
        raise unknown(option, str(value), CHOICES[option])
    if option in SWITCHES and not isinstance(value, bool):
        raise InputError(f"Expected {option} as true or false. Received: {value!r}.")
    if option in WHOLE or option in REAL:
        low, high = WHOLE[option] if option in WHOLE else REAL[option]
        kind: Any = Integral if option in WHOLE else Real
        if not isinstance(value, kind) or isinstance(value, bool) or not low <= value <= high:
            words = "a whole number" if option in WHOLE else "a number"
            raise InputError(f"Expected {option} as {words} from {low:g} to {high:g}. Received: {value!r}.")


def checked(source: Build | None = None) -> Callable[[Build], Build]:
    """A network's function that looks at its options before it builds; they are its own, or those of `source`."""

    def around(build: Build) -> Build:
        @wraps(build)
        def call(*arguments: Any, **options: Any) -> Any:
            named = {key: value for key, value in options.items() if key not in ("backbone", "image_shape", "classes")}
            name = arguments[0] if arguments and isinstance(arguments[0], str) else build.__name__
            if source is None or options.get("weights") is None:  # with weights, `transfer` looks at its own
                check_options(name, source or build, named)
            return build(*arguments, **options)

        call.__wrapped__ = source or build  # whose signature tells the options
        return call

    return around
