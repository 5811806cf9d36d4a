"""What the larger networks are made of: convolutions in one style, residuals, the head. It knows no network."""

import math
from dataclasses import dataclass
from typing import Any

from toolkit.errors import unknown

ACTIVATIONS = ("relu", "gelu", "silu", "elu", "leaky_relu", "tanh")
NORMALISATIONS = ("batch", "group", "layer", "none")
INITIALISERS = {"he": "he_normal", "glorot": "glorot_uniform"}


@dataclass(frozen=True)
class Style:
    """How a network's parts are made; what is not in the three tables above is refused with the nearest name.

    `he` is He et al. (ICCV 2015), for rectifiers; `glorot` is Glorot & Bengio (AISTATS 2010), for tanh. Without a
    normalisation every convolution has a bias, as before Ioffe & Szegedy (ICML 2015).
    """

    activation: str = "relu"
    normalisation: str = "batch"
    initialiser: str = "he"

    def __post_init__(self) -> None:
        """Refuse a name that is in no table."""
        for kind, known in (
            ("activation", ACTIVATIONS),
            ("normalisation", NORMALISATIONS),
            ("initialiser", tuple(INITIALISERS)),
        ):
            if getattr(self, kind) not in known:
                raise unknown(kind, str(getattr(self, kind)), known)

    @property
    def kernel(self) -> str:
        """The initialiser's name in Keras."""
        return INITIALISERS[self.initialiser]


def convolution(
    tensor: Any,
    filters: int,
    size: int = 3,
    stride: int = 1,
    *,
    style: Style,
    activate: bool = True,
    bias: bool | None = None,
    name: str | None = None,
) -> Any:
    """Convolution, normalisation, activation; named NAME_conv, NAME_norm and NAME_out, so that they can be reached.

    A stride pads by size // 2 on every side: "same" in TensorFlow would pad an even image below and right only.
    """
    from keras import layers

    def named(part: str) -> str | None:
        return f"{name}_{part}" if name else None

    padded = stride > 1 and size > 1
    tensor = layers.ZeroPadding2D(size // 2)(tensor) if padded else tensor
    tensor = layers.Conv2D(
        filters,
        size,
        stride,
        "valid" if padded else "same",
        use_bias=style.normalisation == "none" if bias is None else bias,
        kernel_initializer=style.kernel,
        name=named("conv"),
    )(tensor)
    tensor = normalise(tensor, style, named("norm"))
    return layers.Activation(style.activation, name=named("out"))(tensor) if activate else tensor


def normalise(tensor: Any, style: Style, name: str | None = None, epsilon: float = 1e-5) -> Any:
    """Batch (Ioffe & Szegedy 2015), group (Wu & He 2018, at most 32), layer (Ba et al. 2016) or no normalisation.

    `epsilon` is that of batch normalisation.
    """
    from keras import layers

    if style.normalisation == "batch":
        return layers.BatchNormalization(momentum=0.9, epsilon=epsilon, name=name)(tensor)
    if style.normalisation == "group":
        return layers.GroupNormalization(math.gcd(32, tensor.shape[-1]), epsilon=1e-5, name=name)(tensor)
    if style.normalisation == "layer":
        return layers.LayerNormalization(epsilon=1e-6, name=name)(tensor)
    return tensor


def stochastic_depth(residual: Any, rate: float) -> Any:
    """Drop a residual for some images of a batch, in training only, and scale the others (Huang et al., ECCV 2016)."""
    from keras import layers

    shape = (None,) + (1,) * (len(residual.shape) - 1)
    return layers.Dropout(rate, noise_shape=shape)(residual) if rate else residual


def depth_rates(rate: float, blocks: int) -> list[float]:
    """Rates that rise linearly from 0 at the first block to `rate` at the last, as the paper proposes."""
    return [rate * block / max(1, blocks - 1) for block in range(blocks)]


def head(tensor: Any, classes: int, dropout: float = 0.0) -> Any:
    """Global average ("features"), dropout, float32 logits (B, classes)."""
    from keras import layers

    return logits(layers.GlobalAveragePooling2D(name="features")(tensor), classes, dropout)


def logits(features: Any, classes: int, dropout: float = 0.0) -> Any:
    """Dropout and float32 logits (B, classes) of features (B, D)."""
    from keras import layers

    features = layers.Dropout(dropout)(features) if dropout else features
    return layers.Dense(classes, dtype="float32", name="logits")(features)
