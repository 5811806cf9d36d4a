"""What goes on between the steps of a training: progress, hold-out, the best epoch, stopping. It knows no network."""

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from toolkit.cost import stopwatch
from toolkit.errors import InputError
from toolkit.pipeline.batches import Images
from toolkit.progress import Advance, log
from toolkit.training.checkpoint import Checkpoint, State, values
from toolkit.training.ema import averaged
from toolkit.training.inference import log_softmax, logits
from toolkit.training.recipe import Recipe

LINES = 10  # of a training in a log

Unseen = tuple[NDArray[np.int64], NDArray[np.float32]]  # places (R,) among rows learned from, then held back; logits


class Watch(keras.callbacks.Callback):
    """Measures the hold-out after each epoch, keeps the best epoch's weights, stops `patience` epochs after it.

    With a checkpoint that was written in this phase it goes on from there; `saved` is that state.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: Images,
        labels: NDArray[np.int64],
        advance: Advance,
        *,
        phase: int = 0,
        before: "Watch | None" = None,
        checkpoint: Checkpoint | None = None,
        asked: Recipe | None = None,
        verbose: bool = False,
    ) -> None:
        """Hold-out images uint8 (M, H, W, C), or what else the network takes, and labels (M,), M may be 0.

        `advance` is the bar, counting steps. A training in phases has a number for each, and the watch of the phase
        `before`, whose history goes on and whose best epoch stays so until there is a better one. `asked` is what the
        user wrote, where this phase has a rate of its own. `verbose`: where no bar is seen, a line for some epochs.
        """
        super().__init__()
        self.recipe, self.images, self.labels, self.advance = recipe, images, labels, advance
        self.asked, self.verbose, self.phase = asked or recipe, verbose, phase
        self.history: dict[str, list[float]] = before.history if before else {}
        self.network: Any = None  # that answers for the hold-out; None: the model that is fitted
        self.epoch = 0  # the one that is running, in this phase
        self.best_epoch: int = before.best_epoch if before else -1
        self.best_weights: list[NDArray[np.float32]] | None = None
        self.best_answers: NDArray[np.float32] | None = None  # (M, K), the best epoch's logits, if seen by this watch
        self.unseen: Unseen | None = None  # what stands for those where the rows held back were learned from after all
        self._earlier = len(self.history.get("loss", []))
        self.checkpoint = checkpoint or Checkpoint()
        self.saved = self.checkpoint.of(phase)
        if self.saved is not None:
            self.history, self.best_epoch = self.saved.history, self.saved.best_epoch
            self.best_weights = self.saved.best_weights
            self._earlier = len(self.history["loss"]) - self.saved.epochs
        self._step, self._note, self._steps = 0, "", 0
        self._done = self.saved.epochs if self.saved else 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Remember what the phase before has reached."""
        self._read = stopwatch()
        if self.saved is None and self.best_epoch >= 0 and len(self.labels):
            self.best_weights = self.model.get_weights()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start counting steps anew."""
        self.epoch, self._step = epoch, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar on; `batch` is the last of the steps that were executed at once."""
        loss, accuracy = float((logs or {})["loss"]), float((logs or {})["accuracy"])
        if not math.isfinite(loss):
            raise self._not_finite(f"{loss} in epoch {self.epoch + 1}, step {batch + 1}", self._steps == 0)
        self._steps += batch + 1 - self._step
        note = f"epoch {self.epoch + 1}/{self.recipe.epochs} loss {loss:.3f} accuracy {accuracy:.3f}{self._note}"
        self.advance(batch + 1 - self._step, note)
        self._step = batch + 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the epoch into the history and decide whether it was the best, and whether it was the last."""
        seen = {"loss": float((logs or {})["loss"]), "accuracy": float((logs or {})["accuracy"])}
        if len(self.labels):
            with averaged(self.model):
                answers = logits(self.network or self.model, self.images)
            if not np.isfinite(answers).all():
                raise self._not_finite(f"answers on the hold-out that are not, after epoch {epoch + 1}")
            chances = log_softmax(answers)
            seen["holdout_loss"] = -float(chances[np.arange(len(self.labels)), self.labels].mean())
            seen["holdout_accuracy"] = float((chances.argmax(axis=1) == self.labels).mean())
            self._note = f" validation {seen['holdout_accuracy']:.3f}"
        seen["learning_rate"] = _rate_of(self.model.optimizer)
        self._note += f" rate {seen['learning_rate']:.1e}"
        if self.phase:
            seen["phase"] = float(self.phase)
        for name, value in seen.items():
            self.history.setdefault(name, []).append(value)
        self._tell(epoch, seen)
        place = self._earlier + epoch
        if not len(self.labels):
            self.best_epoch = place
        elif self.best_epoch < 0 or seen["holdout_loss"] < self.history["holdout_loss"][self.best_epoch]:
            with averaged(self.model):
                self.best_epoch, self.best_weights, self.best_answers = place, self.model.get_weights(), answers
        elif place - max(self.best_epoch, self._earlier - 1) >= self.recipe.patience:
            self.model.stop_training = True
        if self.checkpoint.keep(lambda: self._state(epoch + 1), self.history):
            self.model.stop_training = True

    def _tell(self, epoch: int, seen: dict[str, float]) -> None:
        """A line for each tenth of the epochs, where the bar does not show."""
        epochs = self.recipe.epochs or 1
        if (epoch + 1) % max(1, epochs // LINES) and epoch + 1 != epochs:
            return
        numbers = " ".join(f"{name} {value:.4g}" for name, value in seen.items() if name != "phase")
        seconds = max(self._read(), 1e-9)
        images, left = self._steps * self.recipe.batch_size / seconds, seconds / (epoch + 1 - self._done)
        log(
            f"epoch {epoch + 1}/{epochs} {numbers}, {images:,.0f} images/s, {left * (epochs - epoch - 1):.0f} s left",
            self.verbose,
        )

    def _state(self, epochs: int) -> State:
        """After so many epochs of this phase, of the network as it trains, not as it was best."""
        return State(
            phase=self.phase,
            epochs=epochs,
            finished=bool(self.model.stop_training) or epochs == self.recipe.epochs,
            history=self.history,
            best_epoch=self.best_epoch,
            variables=values(self.model.variables),
            optimizer=values(self.model.optimizer.variables),
            best_weights=self.best_weights,
        )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Put the best epoch's weights back."""
        self.put_back(self.model)

    def put_back(self, network: Any) -> None:
        """Give a network the weights of the best epoch, where there is one."""
        if self.best_weights is not None:
            network.set_weights(self.best_weights)

    def answered(self, learned: int, network: Any, images: Images) -> Unseen:
        """What the training answers for rows that it has not learned from: those held back, after `learned` others.

        `network`, as it was kept, is asked for their `images` only where the best epoch was not seen by this watch.
        """
        if self.unseen is not None:
            return self.unseen
        answers = logits(network, images) if self.best_answers is None else self.best_answers
        return learned + np.arange(len(self.labels)), answers

    def _not_finite(self, received: str, at_once: bool = False) -> InputError:
        """What is likely to blame; `at_once`: no step was ever finite."""
        remedy = f"Most often the learning rate is too high: try learning_rate={self.asked.learning_rate / 10:.2g}."
        if self.recipe.precision in ("bfloat16", "float16"):
            remedy += f" Or {self.recipe.precision} does not hold the values: try precision=float32."
        if at_once:
            remedy += " If that changes nothing, the weights that it began with are not finite."
        return InputError(f"Expected a finite loss. Received: {received}. {remedy}")


def _rate_of(optimizer: Any) -> float:
    """Of the next step; of a loss that is scaled, the optimiser within."""
    return float(getattr(optimizer, "inner_optimizer", optimizer).learning_rate)
