"""One number that makes probabilities more or less sure of themselves: temperature scaling. It knows no model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from toolkit.errors import InputError
from toolkit.evaluation.calibration import CalibrationError, calibration_error
from toolkit.evaluation.checks import Labels, Probabilities, smallest_normal
from toolkit.evaluation.design import Design, check_design
from toolkit.evaluation.evaluation import mean_interval
from toolkit.evaluation.intervals import Interval
from toolkit.evaluation.precision import blocks, double_precision, to_numpy
from toolkit.evaluation.rows import read_probabilities, read_rows

COLDEST, HOTTEST = 0.02, 50.0


@dataclass(frozen=True)
class TemperatureScaling:
    """A temperature, and what it does to rows it was not fitted on."""

    temperature: float  # above 1: the contestant was too sure of itself
    rows: int  # that it was fitted on
    ece_before: CalibrationError
    ece_after: CalibrationError
    log_loss_before: Interval
    log_loss_after: Interval
    brier_before: Interval
    brier_after: Interval

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: value.to_dict() if hasattr(value, "to_dict") else value for name, value in vars(self).items()}


@double_precision
def fit_temperature(labels: Any, probabilities: Any) -> float:
    """The temperature that makes the log loss of validation rows (N,), (N, K) smallest. Guo et al. (ICML 2017).

    From 0.02, where nothing is wrong, to 50, where nothing is right; 1 where no other is better. Fit on validation
    rows, never on test rows.
    """
    rows, least = read_rows(labels, probabilities), smallest_normal(probabilities)

    def loss(logarithm: float) -> float:
        return _log_loss(rows.labels, rows.probabilities, float(np.exp(logarithm)), least)

    bounds = (float(np.log(COLDEST)), float(np.log(HOTTEST)))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0


@double_precision
def apply_temperature(probabilities: Any, temperature: float) -> NDArray[np.float64]:
    """Probabilities (N, K) as a softmax of their logarithms over the temperature, float64; no prediction changes.

    A probability of 0 counts as the smallest normal number of its dtype, as nobody knows how small the softmax was.
    """
    if not temperature > 0:
        raise InputError(f"Expected a temperature above 0. Received: {temperature}.")
    values, least = read_probabilities(probabilities), smallest_normal(probabilities)
    scaled = (ops.softmax(_logits(values[block], least) / temperature) for block in blocks(*values.shape))
    return np.concatenate([to_numpy(part) for part in scaled])


@double_precision
def temperature_scaling(
    labels: Any,
    probabilities: Any,
    validation_labels: Any,
    validation_probabilities: Any,
    confidence: float = 0.95,
    design: Design | None = None,
) -> TemperatureScaling:
    """Fit the temperature on validation rows and report test rows (N,), (N, K) before and after it.

    design: how the test rows were drawn. Validation rows that have chosen a best epoch before are a little kind to it,
    which is a temperature a little too low; rows that were learned from would make it useless.
    """
    told: dict[str, Any] = {"confidence": confidence, "design": design}
    temperature = fit_temperature(validation_labels, validation_probabilities)
    scaled = apply_temperature(probabilities, temperature).astype(np.asarray(probabilities).dtype)  # clipped alike
    whole = check_design(design, len(np.asarray(labels)))
    before, after = (
        {name: mean_interval(getattr(rows, name), name, whole, confidence) for name in ("log_loss", "brier")}
        for rows in (read_rows(labels, values) for values in (probabilities, scaled))
    )
    return TemperatureScaling(
        temperature=temperature,
        rows=len(np.asarray(validation_labels)),
        ece_before=calibration_error(labels, probabilities, **told),
        ece_after=calibration_error(labels, scaled, **told),
        log_loss_before=before["log_loss"],
        log_loss_after=after["log_loss"],
        brier_before=before["brier"],
        brier_after=after["brier"],
    )


def _log_loss(labels: Labels, probabilities: Probabilities, temperature: float, least: float) -> float:
    """Mean log loss at a temperature, nats."""
    total = 0.0
    for block in blocks(*probabilities.shape):
        scaled = _logits(probabilities[block], least) / temperature
        true = ops.take_along_axis(scaled, ops.convert_to_tensor(labels[block])[:, None], axis=1)
        total += float(ops.sum(ops.logsumexp(scaled, axis=1) - true[:, 0]))
    return total / len(labels)


def _logits(probabilities: Probabilities, least: float) -> Any:
    """Logarithms of a block of probabilities (n, K), none taken for less than `least`, float64 on the device."""
    return ops.log(ops.maximum(ops.convert_to_tensor(probabilities.astype(np.float64)), least))
