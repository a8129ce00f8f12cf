"""The device's own assignment gives what SciPy's gives."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from edge.people.assignment import assign


@pytest.mark.parametrize("forbidden", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("shape", [(1, 1), (7, 30), (30, 7), (60, 60), (100, 100)])
def test_equal_cost(shape, forbidden):
    rng = np.random.default_rng(hash(shape) % 1000)
    for limit in (0.05, 0.5, 2.0):
        costs = rng.random(shape)
        costs[rng.random(shape) < forbidden] = np.inf
        columns = assign(costs, limit)
        ours = sum(costs[i, j] if j >= 0 else limit for i, j in enumerate(columns))
        # The same question for SciPy: a private column for each row stands for "none".
        n, m = shape
        table = np.full((n, m + n), 1e6)
        table[:, :m] = np.where(np.isinf(costs), 1e6, costs)
        table[np.arange(n), m + np.arange(n)] = limit
        rows, chosen = linear_sum_assignment(table)
        assert ours == pytest.approx(table[rows, chosen].sum(), abs=1e-9)
