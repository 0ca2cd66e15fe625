"""Which of several equal distances comes first in the sort of the original.

The original sorts distances with the default sort of pandas, which is the scalar introsort of
numpy 1 (C. A. R. Hoare's quicksort with the median of three, insertion sort below 17 elements).
That sort is not stable, so which of two equal distances comes first depends on the whole list.
"""

from __future__ import annotations

from collections.abc import Sequence

SMALL = 16  # ranges of at most this many differences are left to the insertion sort


def quicksort_first(values: Sequence[float]) -> int:
    """Index that an argsort by numpy's scalar quicksort puts first. Its fallback to heapsort on
    adversarial input is not repeated."""
    order = list(range(len(values)))
    low, high = 0, len(values) - 1
    while high - low > SMALL:  # the first element can only be in the lowest part
        split = _partition(values, order, low, high)
        high = split - 1
    first = order[low]
    for place in range(low + 1, high + 1):
        if values[order[place]] < values[first]:
            first = order[place]
    return first


def _partition(values: Sequence[float], order: list[int], low: int, high: int) -> int:
    """Moves smaller values before the pivot; returns where the pivot came to rest."""
    middle = low + ((high - low) >> 1)
    for a, b in ((low, middle), (middle, high), (low, middle)):  # median of three to the middle
        if values[order[b]] < values[order[a]]:
            order[a], order[b] = order[b], order[a]
    pivot, left, right = values[order[middle]], low, high - 1
    order[middle], order[right] = order[right], order[middle]
    while True:
        left += 1
        while values[order[left]] < pivot:
            left += 1
        right -= 1
        while pivot < values[order[right]]:
            right -= 1
        if left >= right:
            break
        order[left], order[right] = order[right], order[left]
    order[left], order[high - 1] = order[high - 1], order[left]
    return left
