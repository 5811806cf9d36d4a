"""What a pretrained backbone sees in images, as a scikit-learn transformer; frozen, or fine-tuned on the rows of `fit`.

It knows no classifier that may stand behind it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from toolkit.classifier import check_images

if TYPE_CHECKING:
    from toolkit.training import Recipe


class BackboneFeatures(TransformerMixin, BaseEstimator):
    """uint8 (N, H, W, C) -> float32 (N, D), D the width of the backbone's layer "features" (`toolkit.models.transfer`).

    recipe=None leaves the backbone as its weights say. With a recipe that says `unfreeze`, `fit` first trains it as
    `KerasClassifier` does, its own head included, and leaves that head away. After `fit`: `image_shape_`, `weights_`
    (NumPy arrays, so that a pickle needs no file and no optimiser), `outputs_` of that head (2 without a recipe).
    """

    def __init__(
        self,
        backbone: str,
        weights: str | Path | None = "imagenet",
        size: int | None = None,
        recipe: "Recipe | None" = None,
        seed: int = 0,
        verbose: bool = False,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.size = size
        self.recipe = recipe
        self.seed = seed
        self.verbose = verbose

    def fit(self, images: NDArray[np.uint8], labels: Any = None) -> Self:
        """Read the weights, and with a recipe train them on uint8 (N, H, W, C) and int64 (N,).

        Raises:
            InputError: images too small for the backbone, weights that cannot be had, or as `KerasClassifier`.
        """
        from toolkit.models import transfer
        from toolkit.training import KerasClassifier

        shape = check_images(images).shape
        image_shape = (shape[1], shape[2], shape[3])
        if self.recipe is None:
            weights, outputs = transfer(self.backbone, image_shape, 2, **self._options()).get_weights(), 2
        else:
            network = KerasClassifier(
                self.backbone, self.recipe, seed=self.seed, verbose=self.verbose, options=self._options()
            )
            network.fit(images, labels)
            weights, outputs = network.weights_, len(network.classes_)
        self.image_shape_, self.weights_, self.outputs_, self._network = image_shape, weights, outputs, None
        return self

    def check_weights(self, image_shape: tuple[int, int, int]) -> None:
        """Read the weights that `fit` would begin with on images of (H, W, C), and refuse them as it would."""
        from toolkit.models import transfer

        if self.weights is not None:
            transfer(self.backbone, image_shape, 2, **self._options())

    def transform(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the shape seen in `fit` -> float32 (N, D)."""
        check_is_fitted(self, "weights_")
        from toolkit.training.inference import logits

        images = check_images(images, self.image_shape_)
        return logits(self.extractor, images)

    @property
    def extractor(self) -> Any:
        """The keras.Model of a fitted one, (B, H, W, C) 0..255 -> (B, D); built when first asked for."""
        from toolkit.models import feature_extractor, transfer, without_weights

        if self._network is None:
            options = self._options()
            if self.weights is not None:
                options = without_weights(self.backbone, options, self.image_shape_)
            network = transfer(self.backbone, self.image_shape_, self.outputs_, **options)
            network.set_weights(self.weights_)
            self._network = feature_extractor(network)
        return self._network

    def _options(self) -> dict[str, Any]:
        told = {"weights": None if self.weights is None else str(self.weights), "size": self.size}
        return {name: value for name, value in told.items() if value is not None}

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        return {**state, "_network": None} if "_network" in state else state
