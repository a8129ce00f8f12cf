"""The assignment compared with all possible ones."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.people.assignment import assign


def total(costs, columns, limit):
    return sum(costs[i, j] if j >= 0 else limit for i, j in enumerate(columns))


def cheapest(costs, limit):
    """The least total over all ways to give each row a column or none."""
    n, m = costs.shape
    choices = itertools.permutations(list(range(m)) + [-1] * n, n)
    return min(total(costs, c, limit) for c in set(choices))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_as_cheap_as_any(n, m, seed, levels):
    """Few levels make many ties; inf forbids pairs."""
    rng = np.random.default_rng(seed)
    costs = rng.integers(-levels, levels + 1, (n, m)).astype(float)
    costs[rng.random((n, m)) < 0.3] = np.inf
    limit = float(rng.integers(-levels, levels + 1))
    columns = assign(costs, limit)
    used = columns[columns >= 0]
    assert len(set(used)) == len(used)
    assert total(costs, columns, limit) == cheapest(costs, limit)


def test_all_forbidden_and_empty():
    assert assign(np.full((3, 2), np.inf), 1.0).tolist() == [-1, -1, -1]
    assert assign(np.zeros((0, 4)), 1.0).tolist() == []
    assert assign(np.zeros((4, 0)), 1.0).tolist() == [-1] * 4


def test_a_chain_of_changes():
    """The cheapest column of every row is 0: the last row moves all other rows."""
    n = 40
    costs = np.abs(np.subtract.outer(np.arange(n), np.arange(n))).astype(float)
    costs[:, 0] -= n
    assert sorted(assign(costs, 1e6)) == list(range(n))
    assert total(costs, assign(costs, 1e6), 1e6) == total(costs, range(n), 1e6)
