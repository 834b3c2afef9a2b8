"""Where tasks run: in this process, or in a pool of processes; results never depend on which."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")


class SerialExecutor(Executor):
    """An executor that runs a task when it is submitted."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a finished future of the call."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # a future carries any error of its task to whoever asks for the result
            future.set_exception(error)
        return future


@contextmanager
def executor_of(workers: int) -> Iterator[Executor]:
    """Yield an executor with this many worker processes, or one in this process for 1.

    Raises:
        ValueError: if the number of workers is not positive.
    """
    if workers < 1:
        raise ValueError(f"workers must be a positive integer, got {workers}")
    if workers == 1:
        yield SerialExecutor()
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
