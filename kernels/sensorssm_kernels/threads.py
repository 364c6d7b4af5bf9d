"""Compiled loops over several cores: ranges of jobs in a pool that follows torch's thread count.

A pool of our own and not numba's `prange`: its default layer aborts the process when two Python
threads call it at once, which a server does, and functions without it compile in half the time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import torch


def share(work: Callable[[int, int], None], jobs: int, *, least: int = 1) -> None:
    """Call `work(first, last)` over [0, jobs), at least `least` jobs to a thread.

    `work` must release the GIL. Which thread gets which range never changes a result.
    """
    workers = max(1, min(torch.get_num_threads(), jobs // max(least, 1)))
    edges = [jobs * i // workers for i in range(workers + 1)]
    if workers == 1:
        work(0, jobs)
        return
    pool = _pool(os.getpid(), workers)
    waiting = [pool.submit(work, *edge) for edge in pairwise(edges[1:])]
    work(*edges[:2])
    for one in waiting:
        one.result()


@cache
def _pool(process: int, workers: int) -> ThreadPoolExecutor:
    """Return the pool of this process: threads do not survive a fork, so its number is a key."""
    return ThreadPoolExecutor(workers, thread_name_prefix="sensorssm-kernels")
