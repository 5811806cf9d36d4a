"""Newton's method over the rows: its end is the optimum, whatever the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from baselines.newton import products, squared_hinge


@settings(max_examples=60)
@given(
    rows=st.integers(2, 60), features=st.integers(1, 80), seed=st.integers(0, 2**16), apart=st.sampled_from([0, 1, 30]),
    twice=st.booleans(), C=st.sampled_from([1e-3, 1.0, 1e3]),
)  # fmt: skip
def test_no_other_solver_comes_lower(rows, features, seed, apart, twice, C):
    random = np.random.default_rng(seed)
    signs = np.where(np.arange(rows) % 3 == 0, 1.0, -1.0)
    images = random.normal(size=(rows, features)) + apart * signs[:, None]
    if twice:  # the system is singular but for its penalty
        images[rows // 2 :] = images[: rows - rows // 2]
    kernel = products(images)
    weights, bias, _ = squared_hinge(kernel, signs, C, 1e-14, 500)

    def objective(values):  # of w and b, and its gradient
        slack = np.maximum(0, 1 - signs * (images @ values[:-1] + values[-1]))
        pull = -2 * C * signs * slack
        value = values[:-1] @ values[:-1] / 2 + C * slack @ slack
        return value, np.append(values[:-1] + pull @ images, pull.sum())

    start = np.zeros(features + 1)
    told = {"maxiter": 5000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-10}
    lowest = minimize(objective, start, jac=True, method="L-BFGS-B", options=told).fun
    assert objective(np.append(images.T @ weights, bias))[0] <= lowest * (1 + 1e-7) + 1e-12


def test_one_class_alone_and_rows_of_no_features_end():
    kernel = products(np.random.default_rng(0).normal(size=(9, 20)))
    weights, bias, _ = squared_hinge(kernel, np.ones(9), 10.0, 1e-6, 100)
    np.testing.assert_allclose(weights, 0, atol=1e-9)
    assert bias == pytest.approx(1)
    weights, bias, _ = squared_hinge(np.zeros((4, 4)), np.array([1.0, -1, -1, -1]), 1.0, 1e-9, 100)
    assert bias == pytest.approx(-0.5)  # the mean of the signs


def test_features_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="finite features"):
        products(np.array([[1.0, 2.0], [3.0, np.nan]]))


def test_so_large_a_C_that_rows_cannot_be_told_apart_is_refused():
    with pytest.raises(ValueError, match=r"C small enough .* Received: 1e\+30"):
        squared_hinge(products(np.ones((4, 3))), np.array([1.0, -1, 1, -1]), 1e30, 1e-6, 100)
