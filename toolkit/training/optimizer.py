"""The recipe's optimiser and learning rate as Keras objects. It knows no images."""

from typing import Any

import keras
from keras import ops

from toolkit.training.recipe import Recipe

SCALES = ("tokens/tokens", "tokens/positions", "_scale/kernel")  # of ViT, ConvNeXt: they shift and scale, as norms do
Rates = dict[str, float]  # a weight's path -> factor of its learning rate


def optimizer(recipe: Recipe, steps: int, rates: Rates | None = None) -> Any:
    """A Keras optimiser for a training of `steps` steps; weight decay is decoupled and spares biases and norms.

    Weights in `rates` move at that factor of the learning rate; their decay goes by the rate itself. With float16 the
    loss is scaled, or small gradients would vanish.
    """
    rate = LearningRate(recipe.schedule, recipe.learning_rate, steps, round(recipe.warmup * steps))
    settings: dict[str, Any] = {"momentum": recipe.momentum, "nesterov": True} if recipe.optimizer == "sgd" else {}
    made = _OPTIMIZERS[recipe.optimizer](
        learning_rate=rate,
        weight_decay=recipe.weight_decay,
        global_clipnorm=recipe.clip or None,
        use_ema=bool(recipe.ema),
        ema_momentum=recipe.ema,
        **settings,
    )
    if recipe.weight_decay:
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", *SCALES])
    if rates:
        _slow_down(made, rates)
    return keras.optimizers.LossScaleOptimizer(made) if recipe.precision == "float16" else made


def penalise(network: Any, l2: float) -> None:
    """Have the loss hold `l2` times the sum of the squared kernels, of those that are trainable; 0 takes it away."""
    penalty = keras.regularizers.L2(l2) if l2 else None
    for weight in network.trainable_weights:
        if weight.name.endswith("kernel"):
            weight.regularizer = penalty


def _slow_down(made: Any, rates: Rates) -> None:
    """Have the optimiser's own step see a learning rate for each weight; a factor on gradients Adam would undo."""
    plain = made.update_step

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        weight = made._trainable_variables[made._get_variable_index(variable)]
        plain(gradient, variable, learning_rate * rates.get(weight.path, 1.0))

    made.update_step = update_step


_OPTIMIZERS: dict[str, Any] = {
    "adamw": keras.optimizers.AdamW,
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "lion": keras.optimizers.Lion,
}


RISE = 0.3  # share of one_cycle's steps


@keras.saving.register_keras_serializable(package="touchstone")
class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A line from zero to `peak` over `warmup` steps, then the schedule over the rest.

    cosine: half a wave to zero (Loshchilov & Hutter, ICLR 2017); constant: the peak; step: a tenth after one half and
    again after three quarters (He et al., CVPR 2016); one_cycle: a line to zero after a
    line up over three tenths of all steps or more (Smith & Topin, 2018, whose momentum moves against the rate; ours
    stays).
    """

    def __init__(self, schedule: str, peak: float, steps: int, warmup: int) -> None:
        super().__init__()
        rise = max(warmup, round(RISE * steps)) if schedule == "one_cycle" else warmup
        self.schedule, self.peak, self.steps, self.warmup = schedule, peak, steps, rise

    def __call__(self, step: Any) -> Any:
        """Learning rate at a step (scalar, counted from 0)."""
        step = ops.cast(step, "float32")
        rising = (step + 1) / max(1, self.warmup)
        passed = ops.clip((step - self.warmup) / max(1, self.steps - self.warmup), 0.0, 1.0)
        falling = {
            "cosine": lambda: 0.5 * (1 + ops.cos(3.141592653589793 * passed)),
            "constant": lambda: ops.ones_like(passed),
            "step": lambda: ops.where(passed < 0.5, 1.0, ops.where(passed < 0.75, 0.1, 0.01)),
            "one_cycle": lambda: 1 - passed,
        }[self.schedule]()
        return self.peak * ops.minimum(rising, falling)

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {"schedule": self.schedule, "peak": self.peak, "steps": self.steps, "warmup": self.warmup}
