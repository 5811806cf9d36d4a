"""What a command line tells of its networks: fields of the recipe, options, the engine. It loads no data."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from toolkit.errors import InputError, unknown


def fields_of(texts: Iterable[str], epochs: int | None) -> dict[str, Any]:
    """["batch_size=32"] of --set -> {"batch_size": 32}, with the epochs where they are told."""
    told: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    for text in texts:
        field, equals, value = text.partition("=")
        if not (field and equals and value):
            raise InputError(f"Expected --set FIELD=VALUE. Received: {text!r}.")
        if field in told:
            raise InputError(f"Expected {field} once. Received: {told[field]} and {value}.")
        told[field] = plain(value)
    return told


def options_of(texts: Iterable[str], names: Iterable[str], weights: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """["mirror=true", "cnn.width=16"] of --option -> options by the network's name.

    Without a name the option is that of every network among `names` that takes it. `weights` are those told, as
    `catalogue.weights_of` reads them: a backbone without any has no other options than the same network from scratch.

    Raises:
        InputError: no network, an option that none takes, a value that cannot be; each with what is known.
    """
    from toolkit.models.options import check_options, taken

    builds = {name: _build(name, weights) for name in networks(names)}
    found: dict[str, dict[str, Any]] = {}
    own: dict[tuple[str, str], str] = {}  # what one network was told by its name, or all were
    for text in texts:
        told, equals, value = text.partition("=")
        name, dot, field = told.rpartition(".")
        if not (field and equals and value):
            raise InputError(f"Expected --option FIELD=VALUE or NAME.FIELD=VALUE. Received: {text!r}.")
        if not builds:
            raise InputError(f"Expected a network with --option. Received: {', '.join(names)}.")
        if dot and name not in builds:
            raise unknown("network among the contestants", name, builds)
        asked = [name] if dot else list(builds)
        takers = [one for one in asked if field in taken(builds[one]) and field != "weights"]
        if not takers:
            known = {option for one in asked for option in taken(builds[one])} - {"weights"}
            raise unknown(f"option of {', '.join(asked)}", field, known)
        if own.setdefault((name, field), value) != value:
            raise InputError(f"Expected --option {told} once. Received: {own[name, field]} and {value}.")
        for one in takers:
            if dot or (one, field) not in own:  # what is told of one network goes before what is told of all
                found.setdefault(one, {})[field] = plain(value)
    for name, options in found.items():
        check_options(name, builds[name], options)
    return found


def check_engine(engine: str | None, names: Iterable[str]) -> None:
    """Refuse --engine without a network to run, and an engine that is unknown or not installed; wakes Keras for it."""
    if engine is None:
        return
    if not networks(names):
        raise InputError(f"Expected a network with --engine. Received: {', '.join(names)}.")
    from toolkit.cli.options import wake_keras

    wake_keras()
    from toolkit.training.engine import check_engine as check

    check(engine)


def networks(names: Iterable[str]) -> list[str]:
    """Those of `names` that are networks of ours."""
    from toolkit.names import CATALOGUE

    return [name for name in names if name in CATALOGUE and CATALOGUE[name].side == "deep"]


def _build(name: str, weights: Mapping[str, Any]) -> Any:
    from toolkit.models import MODELS, transfer
    from toolkit.names import CATALOGUE

    pretrained = CATALOGUE[name].backbone and weights.get(name, "imagenet") is not None
    return transfer if pretrained else MODELS[name]


def plain(text: str) -> Any:
    """A value as JSON, else as text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
