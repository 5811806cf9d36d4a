"""Every contestant built by its name, classical and deep. The one library module that knows both sides."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.classifier import Classifier
from toolkit.errors import InputError, unknown
from toolkit.names import CATALOGUE, DEFAULTS, Entry
from toolkit.tuning import spaces

if TYPE_CHECKING:
    from toolkit.training import Recipe

__all__ = [
    "CATALOGUE",
    "DEFAULTS",
    "Entry",
    "Weights",
    "check_names",
    "contestant",
    "contestants",
    "network_options",
    "space",
    "weights_of",
]

UNFREEZE = 0.3  # share of a backbone's layers that a contestant NAME_tuned_HEAD moves, where its recipe says none
Weights = str | Path | None  # "imagenet", a file or folder, or None: from scratch


def check_names(names: tuple[str, ...] | list[str]) -> None:
    """Refuse a name that is not in the catalogue, and one given twice."""
    for name in names:
        if name not in CATALOGUE and ":" not in name:  # module:function is a space of the user's own
            raise unknown("contestant", name, CATALOGUE, hint="`touchstone list` shows all.")
        if list(names).count(name) > 1:
            raise InputError(f"Expected each contestant once. Received '{name}' {list(names).count(name)} times.")


def contestant(
    name: str,
    image_shape: tuple[int, int, int],
    *,
    seed: int = 0,
    recipe: "Recipe | None" = None,
    verbose: bool = True,
    weights: Weights = "imagenet",
    options: Mapping[str, Any] | None = None,
) -> Classifier:
    """Build the contestant `name` for images of (H, W, C); refuse an unknown name and images that are too small for it.

    `recipe` and `verbose` (a progress bar) reach the deep side only; `weights` the backbones: "imagenet" (fetched when
    it is fitted), a path, or None for a training from scratch; `options` the networks: {"mirror": True}, {"width": 16}.
    """
    check_names([name])
    if CATALOGUE[name].side == "deep":
        from toolkit.models import check_image_shape
        from toolkit.training import KerasClassifier, Recipe

        told = {**(options or {}), **network_options(name, weights)}
        check_image_shape(name, image_shape, told)
        return KerasClassifier(name, recipe or Recipe(), seed=seed, verbose=verbose, options=told)
    import baselines

    if CATALOGUE[name].side == "both":
        return _composed(name, image_shape, seed, recipe, weights)
    build: Callable[..., Any] = getattr(baselines, name, partial(_composed, name, image_shape))
    pipeline = build(seed=seed)
    try:
        _look_at_shape(pipeline[0], np.zeros((1, *image_shape), np.uint8))
    except ValueError as error:
        raise InputError(f"Contestant '{name}' refuses these images: {error}") from None
    return pipeline


def _look_at_shape(features: Any, blank: Any) -> None:
    """Let every feature refuse one blank image by its shape, which is all that their `fit` looks at; compute none."""
    from sklearn.base import clone
    from sklearn.pipeline import FeatureUnion, Pipeline

    if isinstance(features, FeatureUnion):
        for _, part in features.transformer_list:
            _look_at_shape(part, blank)
    elif isinstance(features, Pipeline):
        _look_at_shape(features[0], blank)  # what follows would want the features
    else:
        clone(features).fit(blank)


def _composed(
    name: str,
    image_shape: tuple[int, int, int],
    seed: int = 0,
    recipe: "Recipe | None" = None,
    weights: Weights = "imagenet",
    values: Mapping[str, Any] | None = None,
) -> Any:
    """Features, then a head with these `values`; a backbone's features are frozen or, by the recipe, fine-tuned."""
    from baselines.heads import composed

    entry = CATALOGUE[name]
    if entry.side == "classical":
        return composed(entry.features, entry.head, seed, **(values or {}))
    from toolkit.deep_features import BackboneFeatures
    from toolkit.models import check_image_shape
    from toolkit.training import Recipe

    options = network_options(name, weights)
    check_image_shape(entry.features, image_shape, options)
    if entry.tuned:
        recipe = recipe or Recipe()
        recipe = dataclasses.replace(recipe, unfreeze=recipe.unfreeze or UNFREEZE)
    seen = BackboneFeatures(entry.features, options.get("weights"), recipe=recipe if entry.tuned else None, seed=seed)
    return composed(seen, entry.head, seed, **(values or {}))


def network_options(name: str, weights: Weights) -> dict[str, Any]:
    """Options of the network `name` that say which weights it begins with; none for one that is always from scratch."""
    if not CATALOGUE[name].backbone or weights is None:
        return {}
    if weights != "imagenet" and not Path(weights).exists():
        raise InputError(f"Expected weights of '{name}' at {weights}. Received: a path where nothing is.")
    return {"weights": str(weights)}


def weights_of(texts: Iterable[str], names: Iterable[str]) -> dict[str, Weights]:
    """`NAME=PATH`, `NAME=imagenet` or `NAME=none` of a command line, each for one of the backbones among `names`.

    Raises:
        InputError: another form, and a name that is not among them or is no backbone.
    """
    found: dict[str, Weights] = {}
    names = list(names)
    backbones = [name for name in names if name in CATALOGUE and CATALOGUE[name].backbone]
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise InputError(f"Expected --weights as NAME=PATH, NAME=imagenet or NAME=none. Received: '{text}'.")
        if not backbones:
            raise InputError(f"Expected no --weights, with no backbone among the contestants: {', '.join(names)}.")
        if name not in backbones:
            raise unknown("backbone among the contestants", name, backbones)
        found[name] = None if value == "none" else value
        network_options(name, found[name])  # refuses a path where nothing is
    return found


def space(
    name: str,
    image_shape: tuple[int, int, int],
    *,
    seed: int = 0,
    recipe: "Recipe | None" = None,
    verbose: bool = False,
    weights: Weights = "imagenet",
    options: Mapping[str, Any] | None = None,
) -> Callable[[Any], Classifier]:
    """The search space of the contestant `name`: a function of KerasTuner's hp that builds it.

    A fresh hp gives the contestant as `contestant` builds it; what `options` tell stays as told. `module:function`
    names a space of your own.
    """
    if ":" in name:
        return spaces.named(name)
    contestant(name, image_shape, recipe=recipe, weights=weights, options=options)  # refuses names and images early
    if CATALOGUE[name].head:
        told = {"seed": seed, "recipe": recipe, "weights": weights}
        return partial(_headed, name=name, image_shape=image_shape, told=told)
    if CATALOGUE[name].side == "classical":
        return partial(_pipeline, name=name, seed=seed)
    begun = {**(options or {}), **network_options(name, weights)}
    return partial(_network, name=name, seed=seed, recipe=recipe, verbose=verbose, begun=begun)


def _headed(hp: Any, *, name: str, image_shape: tuple[int, int, int], told: Mapping[str, Any]) -> Classifier:
    entry = CATALOGUE[name]
    values, seen = spaces.head(hp, entry.head), spaces.features(hp, entry.features)
    machine = values if entry.head == "svm" else {}
    pipeline = _composed(name, image_shape, **told, values={} if machine else values)
    pipeline.set_params(**seen)
    return _with_machine(pipeline, machine, told["seed"]) if machine else pipeline


def _network(
    hp: Any, *, name: str, recipe: "Recipe | None", seed: int, verbose: bool, begun: Mapping[str, Any]
) -> Classifier:
    from toolkit.training import KerasClassifier, Recipe

    pretrained = "weights" in begun
    chosen = dataclasses.replace(recipe or Recipe(), **spaces.recipe(hp, pretrained))
    options = {**spaces.options(hp, name, pretrained), **begun}
    return KerasClassifier(name, chosen, seed=seed, verbose=verbose, options=options)


def _pipeline(hp: Any, *, name: str, seed: int) -> Classifier:
    import baselines

    values, seen = spaces.machine(hp), spaces.features(hp, name)
    pipeline = getattr(baselines, name)(seed=seed)
    pipeline.set_params(**seen)
    return _with_machine(pipeline, values, seed)


def _with_machine(pipeline: Any, values: Mapping[str, Any], seed: int) -> Any:
    """The pipeline, whose last step is an SVM, with one of `spaces.machine` and what that has before it."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    from baselines.svm import svm

    pipeline.set_params(svm=svm(values["kernel"], values["C"], seed=seed))
    if values.get("gamma_factor", 1.0) != 1.0:
        pipeline.set_params(svm__machine__gamma_factor=values["gamma_factor"])
    after = len(pipeline.steps) - 1  # the features, before the machine
    if values["pca"]:
        pipeline.steps.insert(after, ("pca", PCA(values["pca"], svd_solver="full")))
    if values["scaling"] == "standard":
        pipeline.steps.insert(after, ("scale", StandardScaler()))
    return pipeline


def contestants(
    names: Iterable[str],
    image_shape: tuple[int, int, int],
    *,
    seed: int = 0,
    recipe: "Recipe | None" = None,
    values: Mapping[str, Mapping[str, Any]] | None = None,
    weights: Mapping[str, Weights] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    engine: str | None = None,
) -> dict[str, Classifier]:
    """Every contestant by its name; those that `values` names with these values of their space, as `tune` found them,
    with the weights that `weights` names ("imagenet" for a backbone that it does not) and the `options` of networks.
    `engine` is that of every `KerasClassifier` among them; None: their own.

    Raises:
        InputError: as `contestant`, and for values that the space does not know or does not allow.
    """
    from toolkit.tuning.declared import declared, narrowed

    found: dict[str, Any] = {}
    for name in names:
        chosen = (values or {}).get(name)
        told: dict[str, Any] = {"seed": seed, "recipe": recipe, "options": (options or {}).get(name)}
        told["weights"] = (weights or {}).get(name, "imagenet")
        if chosen is None and ":" not in name:
            found[name] = contestant(name, image_shape, **told)
        else:
            function = space(name, image_shape, verbose=True, **told)
            found[name] = function(narrowed(declared(function), chosen or {}, {}))
        if engine is not None and hasattr(found[name], "engine"):
            found[name].engine = engine
    return found
