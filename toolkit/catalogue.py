"""Every contestant by name, classical and deep. The one library module that knows both sides."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.classifier import Classifier
from toolkit.errors import InputError, unknown
from toolkit.models.backbones import BACKBONES
from toolkit.tuning import spaces

if TYPE_CHECKING:
    from toolkit.training import Recipe


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue; `side` is classical or deep, and a `backbone` has pretrained weights unless told."""

    side: str
    summary: str
    backbone: bool = False


Weights = str | Path | None  # "imagenet", a file or folder, or None: from scratch

# Names stand here and not in the packages, so that `touchstone --help` and a misspelt name cost no TensorFlow.
CATALOGUE: dict[str, Entry] = {
    "hog_svm": Entry("classical", "histograms of oriented gradients, SVM (Dalal & Triggs 2005)"),
    "hog_svm_best": Entry("classical", "HOG in cells of an eighth and the picture, as found best for Fashion-MNIST"),
    "lbp_svm": Entry("classical", "histograms of local binary patterns, SVM (Ojala et al. 2002)"),
    "hog_lbp_svm": Entry("classical", "HOG and LBP side by side, SVM"),
    "pixels_svm": Entry("classical", "raw pixels, SVM: what features have to beat"),
    "cnn": Entry("deep", "a small convolutional network with batch normalisation"),
    "resnet20": Entry("deep", "residual network of 20 layers, the CIFAR form (He et al. 2016)"),
    "resnet32": Entry("deep", "the same with 32 layers"),
    "resnet56": Entry("deep", "the same with 56 layers"),
    "resnet20_se": Entry("deep", "resnet20 that weighs its channels: squeeze and excitation (Hu et al. 2018)"),
    "resnet20_cbam": Entry("deep", "resnet20 that weighs channels and places (Woo et al. 2018)"),
    "resnet18": Entry("deep", "residual network of 18 layers, the ImageNet form"),
    "resnet34": Entry("deep", "the same with 34 layers"),
    "wide_resnet_16_4": Entry("deep", "16 layers, four times as wide (Zagoruyko & Komodakis 2016)"),
    "wide_resnet_28_10": Entry("deep", "28 layers, ten times as wide: 36 million parameters"),
    "vgg11": Entry("deep", "a plain stack of 3 x 3 convolutions (Simonyan & Zisserman 2015)"),
    "googlenet": Entry("deep", "convolutions of several sizes side by side (Szegedy et al. 2015)"),
    "inception": Entry("deep", "the same for small images (Zhang et al. 2017)"),
    "convnext_atto": Entry("deep", "a convolutional network in a transformer's proportions (Woo et al. 2023)"),
    "vit_tiny": Entry("deep", "vision transformer (Dosovitskiy et al. 2021, Touvron et al. 2021)"),
    "vit_small": Entry("deep", "the same, twice as wide"),
    "capsnet": Entry("deep", "capsules with dynamic routing (Sabour et al. 2017)"),
    **{
        name: Entry("deep", f"backbone trained on ImageNet at {row.size} pixels", backbone=True)
        for name, row in BACKBONES.items()
    },
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
    name: str,
    image_shape: tuple[int, int, int],
    *,
    seed: int = 0,
    recipe: "Recipe | None" = None,
    verbose: bool = True,
    weights: Weights = "imagenet",
) -> Classifier:
    """Build the contestant `name` for images of (H, W, C); refuse an unknown name and images that are too small for it.

    `recipe` and `verbose` (a progress bar) reach the deep side only; `weights` the backbones: "imagenet" (fetched when
    it is fitted), a path, or None for a training from scratch.
    """
    check_names([name])
    if CATALOGUE[name].side == "deep":
        from toolkit.models import check_image_shape
        from toolkit.training import KerasClassifier, Recipe

        options = network_options(name, weights)
        check_image_shape(name, image_shape, options)
        return KerasClassifier(name, recipe or Recipe(), seed=seed, verbose=verbose, options=options)
    from sklearn.base import clone

    import baselines

    build: Callable[..., Any] = getattr(baselines, name)
    pipeline = build(seed=seed)
    try:
        clone(pipeline[0]).fit(np.zeros((1, *image_shape), np.uint8))  # features look at the shape only
    except ValueError as error:
        raise InputError(f"Contestant '{name}' refuses these images: {error}") from None
    return pipeline


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
    backbones = [name for name in names if name in CATALOGUE and CATALOGUE[name].backbone]
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise InputError(f"Expected --weights as NAME=PATH, NAME=imagenet or NAME=none. Received: '{text}'.")
        if name not in backbones:
            raise unknown("backbone among the contestants", name, backbones)
        found[name] = None if value == "none" else value
    return found


def space(
    name: str,
    image_shape: tuple[int, int, int],
    *,
    seed: int = 0,
    recipe: "Recipe | None" = None,
    verbose: bool = False,
    weights: Weights = "imagenet",
) -> Callable[[Any], Classifier]:
    """The search space of the contestant `name`: a function of KerasTuner's hp that builds it.

    A fresh hp gives the contestant as `contestant` builds it. `module:function` names a space of your own.
    """
    if ":" in name:
        return spaces.named(name)
    contestant(name, image_shape, seed=seed, recipe=recipe, weights=weights)  # refuses names and images early
    if CATALOGUE[name].side == "classical":
        return partial(_pipeline, name=name, image_shape=image_shape, seed=seed)
    begun = network_options(name, weights)
    return partial(_network, name=name, seed=seed, recipe=recipe, verbose=verbose, begun=begun)


def _network(
    hp: Any, *, name: str, recipe: "Recipe | None", seed: int, verbose: bool, begun: Mapping[str, Any]
) -> Classifier:
    from toolkit.training import KerasClassifier, Recipe

    chosen = dataclasses.replace(recipe or Recipe(), **spaces.recipe(hp))
    options = {**spaces.options(hp, name), **begun}
    return KerasClassifier(name, chosen, seed=seed, verbose=verbose, options=options)


def _pipeline(hp: Any, *, name: str, seed: int, image_shape: Any) -> Classifier:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    import baselines

    values = spaces.pipeline(hp, name)
    scaling, share, factor = (values.pop(key, None) for key in ("scaling", "pca", "gamma_factor"))
    pipeline = getattr(baselines, name)(kernel=values.pop("kernel"), C=values.pop("C"), seed=seed)
    if factor not in (None, 1.0):
        values["svm__machine__gamma_factor"] = factor
    pipeline.set_params(**values)
    after = len(pipeline.steps) - 1  # the features, before the machine
    if share:
        pipeline.steps.insert(after, ("pca", PCA(share, svd_solver="full")))
    if scaling == "standard":
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
) -> dict[str, Classifier]:
    """Every contestant by its name; those that `values` names with these values of their space, as `tune` found them,
    and with the weights that `weights` names ("imagenet" for a backbone that it does not).

    Raises:
        InputError: as `contestant`, and for values that the space does not know or does not allow.
    """
    from toolkit.tuning.declared import declared, narrowed

    found = {}
    for name in names:
        chosen, begun = (values or {}).get(name), (weights or {}).get(name, "imagenet")
        if chosen is None and ":" not in name:
            found[name] = contestant(name, image_shape, seed=seed, recipe=recipe, weights=begun)
            continue
        function = space(name, image_shape, seed=seed, recipe=recipe, verbose=True, weights=begun)
        parameters = narrowed(declared(function), chosen or {}, {})
        found[name] = function(parameters)
    return found
