"""Every contestant by name, classical and deep. The one library module that knows both sides."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.classifier import Classifier
from toolkit.errors import InputError, unknown
from toolkit.tuning import spaces

if TYPE_CHECKING:
    from toolkit.training import Recipe


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue; `side` is classical or deep."""

    side: str
    summary: str


# Names stand here and not in the packages, so that `touchstone --help` and a misspelt name cost no TensorFlow.
CATALOGUE: dict[str, Entry] = {
    "hog_svm": Entry("classical", "histograms of oriented gradients, SVM (Dalal & Triggs 2005)"),
    "hog_svm_best": Entry("classical", "two scales of HOG and raw pixels, RBF SVM, tuned on Fashion-MNIST"),
    "lbp_svm": Entry("classical", "histograms of local binary patterns, SVM (Ojala et al. 2002)"),
    "hog_lbp_svm": Entry("classical", "HOG and LBP side by side, SVM"),
    "pixels_svm": Entry("classical", "raw pixels, SVM: what features have to beat"),
    "cnn": Entry("deep", "a small convolutional network with batch normalisation"),
    "resnet20": Entry("deep", "residual network of 20 layers, the CIFAR form (He et al. 2016)"),
}
DEFAULTS = ("hog_svm", "lbp_svm", "cnn")  # who fights when nobody is named


def check_names(names: tuple[str, ...] | list[str]) -> None:
    """Refuse a name that is not in the catalogue, and one given twice."""
    for name in names:
        if name not in CATALOGUE and ":" not in name:  # module:function is a space of the user's own
            raise unknown("contestant", name, CATALOGUE, hint="`touchstone list` shows all.")
        if list(names).count(name) > 1:
            raise InputError(f"Expected each contestant once. Received '{name}' {list(names).count(name)} times.")


def contestant(
    name: str, image_shape: tuple[int, int, int], *, seed: int = 0, recipe: "Recipe | None" = None, verbose: bool = True
) -> Classifier:
    """Build the contestant `name` for images of (H, W, C); refuse an unknown name and images that are too small for it.

    `recipe` and `verbose` (a progress bar) reach the deep side only.
    """
    check_names([name])
    if CATALOGUE[name].side == "deep":
        from toolkit.models import check_image_shape
        from toolkit.training import KerasClassifier, Recipe

        check_image_shape(name, image_shape)
        return KerasClassifier(name, recipe or Recipe(), seed=seed, verbose=verbose)
    from sklearn.base import clone

    import baselines

    build: Callable[..., Any] = getattr(baselines, name)
    pipeline = build(seed=seed)
    try:
        clone(pipeline[0]).fit(np.zeros((1, *image_shape), np.uint8))  # features look at the shape only
    except ValueError as error:
        raise InputError(f"Contestant '{name}' refuses these images: {error}") from None
    return pipeline


def space(
    name: str,
    image_shape: tuple[int, int, int],
    *,
    seed: int = 0,
    recipe: "Recipe | None" = None,
    verbose: bool = False,
) -> Callable[[Any], Classifier]:
    """The search space of the contestant `name`: a function of KerasTuner's hp that builds it.

    A fresh hp gives the contestant as `contestant` builds it. `module:function` names a space of your own.
    """
    if ":" in name:
        return spaces.named(name)
    contestant(name, image_shape, seed=seed, recipe=recipe, verbose=verbose)  # refuses names and images early
    build = _network if CATALOGUE[name].side == "deep" else _pipeline
    return partial(build, name=name, image_shape=image_shape, seed=seed, recipe=recipe, verbose=verbose)


def _network(hp: Any, *, name: str, recipe: "Recipe | None", seed: int, verbose: bool, image_shape: Any) -> Classifier:
    from toolkit.training import KerasClassifier, Recipe

    chosen = dataclasses.replace(recipe or Recipe(), **spaces.recipe(hp))
    return KerasClassifier(name, chosen, seed=seed, verbose=verbose, options=spaces.options(hp, name))


def _pipeline(hp: Any, *, name: str, recipe: "Recipe | None", seed: int, verbose: bool, image_shape: Any) -> Classifier:
    from sklearn.decomposition import PCA

    values = spaces.pipeline(hp, name)
    share = values.pop("pca")
    if values["scale"] == "standard":
        del values["scale"]  # as it is built
    else:
        values["scale"] = "passthrough"
    pipeline: Any = contestant(name, image_shape, seed=seed)
    pipeline.set_params(**values)
    if share:
        pipeline.steps.insert(-1, ("pca", PCA(share, svd_solver="full")))
    return pipeline


def contestants(
    names: Iterable[str],
    image_shape: tuple[int, int, int],
    *,
    seed: int = 0,
    recipe: "Recipe | None" = None,
    values: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Classifier]:
    """Every contestant by its name; those that `values` names with these values of their space, as `tune` found them.

    Raises:
        InputError: as `contestant`, and for values that the space does not know or does not allow.
    """
    from toolkit.tuning.declared import declared, narrowed

    found = {}
    for name in names:
        chosen = (values or {}).get(name)
        if chosen is None and ":" not in name:
            found[name] = contestant(name, image_shape, seed=seed, recipe=recipe)
            continue
        function = space(name, image_shape, seed=seed, recipe=recipe, verbose=True)
        parameters = narrowed(declared(function), chosen or {}, {})
        found[name] = function(parameters)
    return found
