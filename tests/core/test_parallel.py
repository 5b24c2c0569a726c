"""Calls side by side."""

import os

import pytest
from joblib import delayed

from har.core.parallel import forked


@pytest.mark.parametrize("jobs", [1, 2, -1])  # -1: all cores
def test_results_come_in_the_order_of_the_calls(jobs):
    assert list(forked(jobs, (delayed(divmod)(number, 3) for number in range(7)))) == [divmod(n, 3) for n in range(7)]
    assert (os.getpid() in forked(jobs, [delayed(os.getpid)()])) == (jobs == 1 or os.cpu_count() == 1)
