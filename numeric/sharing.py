"""Work that is shared between threads. What is computed does not depend on their number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

Task = TypeVar("Task")


def allowed_threads() -> int:
    """Return how many threads may be used: one for each CPU, or fewer if the environment's OMP_NUM_THREADS says so."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(int(said), available) if said.isdecimal() and int(said) else available


def shared(function: Callable[[Task], None], tasks: Iterable[Task]) -> None:
    """Call a function that leaves its results where no other call looks, with each task, on all threads allowed.

    It helps where time is spent inside of NumPy, on arrays of some ten thousand numbers or more.
    """
    todo, count = list(tasks), allowed_threads()
    if count == 1 or len(todo) < 2:
        for task in todo:
            function(task)
        return
    with ThreadPoolExecutor(count) as threads:
        # a context each, since that of this thread says how NumPy treats overflows
        for future in [threads.submit(copy_context().run, function, task) for task in todo]:
            future.result()
