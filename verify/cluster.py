"""The workers of a Dask cluster as an executor; Dask is an extra, imported only when a cluster is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from typing import Any

from verify.execution import WorkersExecutor, expect, run_in
from verify.runs import UserError

PATIENCE = 10.0
"""Seconds until a cluster that does not answer counts as out of reach (chosen)."""


class ClusterExecutor(WorkersExecutor):
    """The workers of a Dask cluster, all of which must compute the same bits.

    Dask itself runs the tasks of a worker that died on another one.
    """

    def __init__(self, address: str) -> None:
        """Connect to a scheduler.

        Raises:
            UserError: if Dask is not installed, nobody answers, or the workers have other versions than this process.
        """
        try:
            from distributed import Client
        except ImportError:
            raise UserError("--executor needs Dask, which is not installed; pip install 'widelimit[dask]'") from None
        from verify.store import environment

        try:
            asyncio.run(_call_on(address))
        except Exception as error:  # Dask checks neither addresses nor answers, so that any kind may come
            reason = next(iter(str(error).splitlines()), "it says nothing")
            raise UserError(
                f"expected a Dask scheduler at {address!r}, but cannot reach it: {reason}; start it with dask scheduler"
            ) from error
        self._client = Client(address, timeout=PATIENCE, set_as_default=False)
        try:
            self._client.wait_for_workers(1, timeout=PATIENCE)
            self._executor = self._client.get_executor(pure=False)  # the same call may be made twice
            self.environment = self._executor.submit(_run_on_dask, {}, environment).result(PATIENCE)
            # The CPUs of the cluster may be of another kind than this one, which samples nothing.
            expect({k: v for k, v in environment().items() if k not in ("blas", "simd")}, self.environment)
        except BaseException as error:
            self._client.close()
            if isinstance(error, TimeoutError):
                raise UserError(
                    f"expected workers with widelimit installed at {address}, but none answers; start them with dask "
                    f"worker {address} --nthreads 1"
                ) from error
            raise

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of a call; UserError if a worker would compute other bits."""
        future: Future[Any] = self._executor.submit(_run_on_dask, self.environment, partial(fn, *args, **kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which forgets the tasks that are not finished."""
        self._client.close()


async def _call_on(address: str) -> None:
    """Shake hands with whoever is there. A client that cannot do it would end in a traceback much later."""
    from distributed import Security
    from distributed.comm import connect

    async with asyncio.timeout(2 * PATIENCE):  # Dask bounds the time to connect, not to be greeted
        comm = await connect(address, timeout=PATIENCE, **Security().get_connection_args("client"))
    await comm.close()


def _run_on_dask(environment: Mapping[str, str], call: Callable[[], Any]) -> Any:
    from distributed import get_worker

    # The precision of mpmath and flint is that of a whole process, so threads would change it for each other.
    expect({"threads": "1"}, {"threads": str(get_worker().state.nthreads)})
    return run_in(environment, call)


@contextmanager
def cluster_at(scheduler: str) -> Iterator[ClusterExecutor]:
    """Yield the workers of the scheduler at an address.

    Raises:
        UserError: if the cluster cannot be used, or is lost.
    """
    with ClusterExecutor(scheduler) as cluster:
        from distributed import KilledWorker

        advice = "run the same command again: it goes on with what was finished"
        try:
            yield cluster
        except CancelledError as error:
            raise UserError(f"lost the Dask scheduler at {scheduler}; {advice}") from error
        except KilledWorker as error:
            raise UserError(f"Dask workers died again and again, perhaps for want of memory; {advice}") from error
