"""The linear assignment problem: pairs of rows and columns at the least total cost.

The method is shortest augmenting paths with row and column prices (Jonker and Volgenant 1987; for
rectangular problems Crouse 2016). Each step is one NumPy pass over all columns.
"""

from __future__ import annotations

from typing import List, Tuple

import numpy as np


def assign(costs: np.ndarray, limit: float) -> np.ndarray:
    """Assign each row at most one column, and each column at most one row, at the least total cost.

    Args:
        costs: [N,M]; inf = the pair is not allowed. NaN and -inf are not supported.
        limit: finite cost of a row that gets no column.

    Returns:
        [N] i64 column of each row, -1 = none.
    """
    n, m = costs.shape
    if n == 0 or m == 0:
        return np.full(n, -1, np.int64)
    rows = np.arange(n)
    cheapest = costs.argmin(1)
    if len(set(cheapest.tolist())) == n and (costs[rows, cheapest] < limit).all():
        return cheapest  # the usual case: no two rows want the same column
    # An extra column for each row turns "no column" into an ordinary choice of cost `limit`.
    table = np.full((n, m + n), np.inf)
    table[:, :m] = costs
    table[rows, m + rows] = limit
    columns = _solve(table)
    columns[columns >= m] = -1
    return columns


def _solve(table: np.ndarray) -> np.ndarray:
    """Column [N] of each row of a table [N,M], M >= N, in which every row can get a column."""
    row_prices, column_prices = table.min(1), np.zeros(table.shape[1])
    cheapest = table.argmin(1)
    owners = np.full(table.shape[1], -1, np.int64)
    rows = np.arange(len(table))
    owners[cheapest[::-1]] = rows[::-1]  # the first row that wants a column gets it
    columns = np.where(owners[cheapest] == rows, cheapest, -1)
    for row in np.flatnonzero(columns < 0):
        _augment(table, int(row), columns, owners, row_prices, column_prices)
    return columns


def _augment(
    table: np.ndarray,
    start: int,
    columns: np.ndarray,
    owners: np.ndarray,
    row_prices: np.ndarray,
    column_prices: np.ndarray,
) -> None:
    """Find the cheapest chain of reassignments that gives row `start` a column, and apply it."""
    distance, before, tree, end = _cheapest_path(table, start, owners, row_prices, column_prices)
    length = distance[end]
    reached = [start, *(int(owners[c]) for c in tree)]
    row_prices[start] += length
    row_prices[reached[1:]] += length - distance[tree]
    column_prices[tree] -= length - distance[tree]
    column = end
    while column >= 0:
        row = int(before[column])
        owners[column], columns[row], column = row, column, int(columns[row])


def _cheapest_path(
    table: np.ndarray,
    start: int,
    owners: np.ndarray,
    row_prices: np.ndarray,
    column_prices: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray, List[int], int]:
    """Dijkstra's search from a row over the columns to the nearest free column.

    Returns:
        distance: [M] of each column, inf = not reached.
        before: [M] row from which each column was reached, -1 = not reached.
        tree: taken columns that were settled on the way.
        end: the free column.
    """
    distance = np.full(table.shape[1], np.inf)
    before = np.full(table.shape[1], -1, np.int64)
    open_distance = distance.copy()  # like distance, but inf once a column is settled
    tree: List[int] = []
    row, here = start, 0.0
    while True:
        reach = table[row] - column_prices
        reach += here - row_prices[row]
        shorter = (reach < distance) & ((open_distance < np.inf) | (distance == np.inf))
        distance[shorter] = open_distance[shorter] = reach[shorter]
        before[shorter] = row
        column = int(open_distance.argmin())
        if owners[column] < 0:
            return distance, before, tree, column
        here = float(distance[column])
        open_distance[column] = np.inf
        tree.append(column)
        row = int(owners[column])
