"""What there is to vary of each contestant, as plain values with the contestant's own defaults. It builds nothing.

`catalogue.space` makes contestants of these values; here are only names and ranges, and where each value goes: a field
of the recipe, an option of the network, or a parameter of the pipeline.
"""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

from toolkit.errors import InputError
from toolkit.tuning.declared import Space

Values = dict[str, Any]

AUGMENTS = ("none", "light", "standard", "strong")
# Of the networks: what they let one vary beside the recipe; (low, high, default) or choices, the default first.
DROPOUT, DEPTH, ACTIVATIONS = (0.0, 0.6, 0.0), (0.0, 0.3, 0.0), ("relu", "gelu", "silu")  # DEPTH is stochastic depth
RESIDUAL: dict[str, Any] = {"dropout": DROPOUT, "depth": DEPTH, "activation": ACTIVATIONS}
TRANSFORMER = {"blocks": (6, 12, 12), "dropout": DROPOUT, "depth": DEPTH}
OPTIONS: dict[str, dict[str, Any]] = {
    "cnn": {
        "width": (16, 48, 32), "widest": (64, 384, 256), "convolutions": (1, 3, 2), "dropout": (0.0, 0.6, 0.2),
        "activation": ACTIVATIONS,
    },
    **{
        name: {"width": (8, 24, 16), "blocks": (2, blocks + 1, blocks), **RESIDUAL}
        for name, blocks in {
            "resnet20": 3, "resnet32": 5, "resnet56": 9, "resnet20_se": 3, "resnet20_cbam": 3,
        }.items()
    },
    "resnet18": {"width": (32, 96, 64), **RESIDUAL},
    "resnet34": {"width": (32, 96, 64), **RESIDUAL},
    "wide_resnet_16_4": {"width": (32, 96, 64), "blocks": (1, 3, 2), **RESIDUAL},
    "wide_resnet_28_10": {"width": (64, 192, 160), "blocks": (2, 5, 4), **RESIDUAL},
    "vgg11": {"dropout": (0.0, 0.6, 0.5), "activation": ACTIVATIONS},
    "vgg16": {"dropout": (0.0, 0.6, 0.5), "activation": ACTIVATIONS},
    "googlenet": {"dropout": (0.0, 0.6, 0.4), "activation": ACTIVATIONS},
    "inception": {"dropout": DROPOUT, "activation": ACTIVATIONS},
    "convnext_atto": {"dropout": DROPOUT, "depth": DEPTH},
    "vit_tiny": TRANSFORMER,
    "vit_small": TRANSFORMER,
    "capsnet": {
        "filters": (64, 256, 256), "capsules": (8, 32, 32), "rounds": (1, 5, 3), "reconstruction": (0.0, 0.002, 5e-4),
        "activation": ACTIVATIONS,
    },
}  # fmt: skip
PRETRAINED: dict[str, Any] = {"dropout": (0.0, 0.6, 0.2)}  # of the head on a backbone with weights
UNFREEZE = (0.0, 0.1, 0.3, 0.6, 1.0)  # share of the backbone's layers
# Times `learning_rate`, that of AdamW, or one range of rates could not hold the good ones of all: SGD with momentum
# wants 10 to 100 times as much, Lion, whose steps all have one size, a third to a tenth (Chen et al. 2023).
RATES = {"adamw": 1.0, "adam": 1.0, "sgd": 20.0, "lion": 0.2}


def recipe(hp: Any, pretrained: bool = False) -> Values:
    """Fields of a training recipe, its own defaults first; of `pretrained` networks, how much of them moves.

    The rate is AdamW's, of others as many times as `RATES` says.
    """
    unfreeze = {"unfreeze": hp.Choice("unfreeze", list(UNFREEZE))} if pretrained else {}
    rate = hp.Float("learning_rate", 1e-4, 3e-2, sampling="log", default=2e-3)
    optimizer = hp.Choice("optimizer", list(RATES))
    return {
        **unfreeze,
        "learning_rate": rate * RATES[optimizer],
        "batch_size": hp.Choice("batch_size", [16, 32, 64, 128, 256], default=64),
        "optimizer": optimizer,
        "weight_decay": hp.Float("weight_decay", 1e-4, 0.5, sampling="log", default=0.05),
        "label_smoothing": hp.Float("label_smoothing", 0.0, 0.2, default=0.0),
        "augment": hp.Choice("augment", list(AUGMENTS), default="light"),
    }


def shorter(recipe: Any, rows: int) -> Any:
    """The recipe for trials on so many rows: where it leaves the epochs open, a third of them, but 8 or more.

    What is chosen is trained in full afterwards. Rates and sizes keep their order on a shorter schedule mostly, not
    always; a recipe that names its epochs is left as it is.
    """
    if recipe.epochs is not None:
        return recipe
    return dataclasses.replace(recipe, epochs=max(8, round(recipe.for_rows(rows).epochs / 3)))


def options(hp: Any, network: str, pretrained: bool = False) -> Values:
    """Options of a network: width, blocks or convolutions, dropout, activation, as far as it has them."""
    found: Values = {}
    for name, choice in (PRETRAINED if pretrained else OPTIONS.get(network, {})).items():
        if isinstance(choice[0], str):
            found[name] = hp.Choice(name, list(choice))
        elif isinstance(choice[0], float):
            found[name] = hp.Float(name, choice[0], choice[1], default=choice[2])
        else:
            found[name] = hp.Int(name, choice[0], choice[1], step=max(1, choice[0] // 2), default=choice[2])
    return found


def features(hp: Any, name: str) -> Values:
    """Parameters of the features of a pipeline, or of those that `names.FEATURES` composes, by scikit-learn's paths."""
    found: Values = {}
    for part, path in FEATURES.get(name, ()):
        found |= part(hp, path)
    return found


def head(hp: Any, name: str) -> Values:
    """Arguments of a row of `baselines.heads.HEADS`, behind whatever features; of an svm `machine`."""
    if name == "svm":
        return machine(hp)
    if name in ("linear", "logistic"):
        return {"C": hp.Float("C", 1e-1, 1e4, sampling="log", default=10.0 if name == "linear" else 100.0)}
    if name == "boosting":
        return {
            "learning_rate": hp.Float("learning_rate", 0.02, 0.3, sampling="log", default=0.1),
            "rounds": hp.Int("rounds", 50, 400, step=50, default=100),
        }
    low, high, default = {"forest": (100, 1000, 300), "bagging": (10, 200, 50), "adaboost": (50, 400, 100)}[name]
    found: Values = {"trees": hp.Int("trees", low, high, step=low // 2, default=default)}
    return {**found, "depth": hp.Int("depth", 1, 6, default=3)} if name == "adaboost" else found


def machine(hp: Any) -> Values:
    """`kernel` and `C` of an SVM, `scaling` and `pca` before it, and `gamma_factor` of the kernel that has one.

    `gamma_factor` multiplies scikit-learn's "scale", 1 / (D x variance of the features).
    """
    kernel = hp.Choice("kernel", ["rbf", "linear"])
    found = {
        "kernel": kernel,
        "C": hp.Float("C", 1e-2, 1e3, sampling="log", default=10.0),
        "scaling": hp.Choice("scaling", ["none", "standard"]),
        "pca": hp.Choice("pca", [0.0, 0.8, 0.9, 0.95, 0.99], default=0.0),  # share of the variance kept; 0: no PCA
    }
    with hp.conditional_scope("kernel", ["rbf"]):
        factor = hp.Float("gamma_factor", 0.05, 20.0, sampling="log", default=1.0)
    return {**found, "gamma_factor": factor} if kernel == "rbf" else found


def _levels(hp: Any, path: str) -> Values:
    return {f"{path}__levels": hp.Int("hog_levels", 1, 3, default=2)}


def _picture(hp: Any, path: str) -> Values:
    """How much the picture weighs beside HOG; 0 leaves it out."""
    pixels = hp.Float("pixels", 0.0, 1.0, step=0.2, default=0.4)
    return {f"{path}__scale": pixels} if pixels else {path: "drop"}


def _hog(hp: Any, path: str) -> Values:
    block = hp.Choice("hog_block", [1, 2], default=2)
    return {
        f"{path}__cells_across": hp.Choice("hog_cells", [5, 6, 7, 8, 10, 12], default=8),
        f"{path}__orientations": hp.Int("hog_orientations", 6, 14, default=9),
        f"{path}__cells_per_block": (block, block),
        f"{path}__block_norm": hp.Choice("hog_norm", ["L2-Hys", "L2", "L1-sqrt"]),
        f"{path}__padding": hp.Choice("hog_padding", [0, 2, 4], default=2),
        f"{path}__transform_sqrt": hp.Boolean("hog_square_root", default=True),
    }


def _lbp(hp: Any, path: str) -> Values:
    """8 points on a near ring, 16 on a middle one, 24 on a far one, the near one on the finest grid."""
    near = hp.Choice("lbp_near_grid", [1, 2, 3, 4, 5, 6], default=4)
    middle = hp.Choice("lbp_middle_grid", [1, 2, 3, 4, 5, 6], default=2)
    return {
        f"{path}__near__R": hp.Choice("lbp_near_radius", [1.0, 1.5, 2.0], default=1.0),
        f"{path}__near__method": hp.Choice("lbp_near_method", ["nri_uniform", "uniform", "ror", "default"]),
        f"{path}__near__grid": (near, near),
        f"{path}__middle__P": hp.Choice("lbp_middle_points", [8, 16], default=16),
        f"{path}__middle__R": hp.Choice("lbp_middle_radius", [1.5, 2.0, 2.5], default=2.0),
        f"{path}__middle__method": hp.Choice("lbp_middle_method", ["uniform", "nri_uniform"]),
        f"{path}__middle__grid": (middle, middle),
        f"{path}__far__R": hp.Choice("lbp_far_radius", [3.0, 4.0, 5.0], default=3.0),
    }


Part = Callable[[Any, str], Values]
FEATURES: dict[str, tuple[tuple[Part, str], ...]] = {  # what varies, and where it stands
    "hog_svm": ((_hog, "features__hog"), (_levels, "features__hog"), (_picture, "features__pixels")),
    "hog_svm_best": ((_hog, "features__hog"), (_picture, "features__pixels")),
    "lbp_svm": ((_lbp, "features"),),
    "hog_lbp_svm": ((_hog, "features__hog"), (_lbp, "features__lbp__features")),
    # of those that heads are composed with
    "hog": ((_hog, "features"),),
    "lbp": ((_lbp, "features__features"),),
    "hog_lbp": ((_hog, "features__hog"), (_lbp, "features__lbp__features")),
    "hog_lbp_colour": ((_hog, "features__hog"), (_lbp, "features__lbp__features")),
}


def named(text: str) -> Space:
    """The space of a user, given as `module:function`."""
    module, _, function = text.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"Expected a space as module:function. '{text}' cannot be imported: {error}.") from None
    if not callable(found):
        raise InputError(f"Expected '{text}' to be a function of hp. Received: {type(found).__name__}.")
    return found
