"""Losses of logits against shares of classes, one number an image. They know neither network nor training."""

from collections.abc import Callable
from typing import Any

from keras import ops

from toolkit.models.capsule import margin_loss
from toolkit.training.recipe import Recipe

Loss = Callable[[Any, Any], Any]  # targets float32 (B, K), rows sum to 1; logits float32 (B, K) -> (B,)
FOCUS = 2.0  # the exponent that Lin et al. found best


def cross_entropy(targets: Any, logits: Any) -> Any:
    """Minus the targets' log probability (B,), for (B, K) and (B, K)."""
    return ops.categorical_crossentropy(targets, logits, from_logits=True)


def sparse_cross_entropy(targets: Any, logits: Any) -> Any:
    """The same (B,) for targets that are whole classes, looked up in place of multiplied, for many classes."""
    return ops.sparse_categorical_crossentropy(ops.argmax(targets, axis=-1), logits, from_logits=True)


def focal(targets: Any, logits: Any) -> Any:
    """Cross-entropy (B,) where each class's part counts by (1 - p)**2: what is known already hardly counts.

    Lin, Goyal, Girshick, He & Dollar (ICCV 2017, arXiv:1708.02002), with a softmax in place of their sigmoids; their
    weight for each class is the recipe's `class_weight`.
    """
    chances = ops.log_softmax(logits, axis=-1)
    return -ops.sum(targets * (1 - ops.exp(chances)) ** FOCUS * chances, axis=-1)


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "sparse_cross_entropy": sparse_cross_entropy,
    "focal": focal,
    "margin": margin_loss,
}


def loss_of(recipe: Recipe) -> Loss:
    """The recipe's loss, its targets smoothed: a share goes to all classes alike (Szegedy et al., CVPR 2016)."""
    plain, share = LOSSES[recipe.loss], recipe.label_smoothing
    if not share:
        return plain

    def smoothed(targets: Any, logits: Any) -> Any:
        return plain((1 - share) * targets + share / logits.shape[-1], logits)

    return smoothed
