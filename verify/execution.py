"""Where tasks run: in this process, or in a pool of processes; results never depend on which."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


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


class _Shielded(Executor):
    """An executor whose processes are started with interrupts blocked, which they inherit.

    A terminal sends an interrupt to workers too, and each would print a traceback. An interrupt that comes while a task
    is handed over is not lost: it waits until the end of the call.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of a call."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._executor.submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def executor_of(workers: int) -> Iterator[Executor]:
    """Yield an executor with this many worker processes, or one in this process for 1.

    The processes end when the block fails or is interrupted: running tasks are not waited for, since one may take half
    a minute and nobody will read its result.

    Raises:
        ValueError: if the number of workers is not positive.
    """
    if workers < 1:
        raise ValueError(f"workers must be a positive integer, got {workers}")
    if workers == 1:
        yield SerialExecutor()
        return
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            # Where signals have no masks, interrupted workers print what they like.
            yield _Shielded(pool) if hasattr(signal, "pthread_sigmask") else pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
