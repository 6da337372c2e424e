"""Jobs on a few threads, a bounded number of results ahead of whoever reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Split(Generic[T]):
    """A job's answer when it was too large for one request: do these instead."""

    jobs: list[Callable[[], T | Split[T]]]


Job = Callable[[], T | Split[T]]


def run_jobs(jobs: Iterable[Job[T]], *, threads: int, ahead: int) -> Iterator[T]:
    """Yields what `jobs` return, in the order in which they finish.

    At most `ahead` jobs are running or finished but not yet read: that bounds memory, and while the reader is busy
    (loading a package, say) the next results are fetched already. `jobs` may be lazy: it is only read here, in the
    reader's thread. The first error ends everything and is raised.
    """
    source = iter(jobs)
    pending: deque[Job[T]] = deque()
    running: set[Future[T | Split[T]]] = set()
    exhausted = False
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="posthog-fetch")
    try:
        while True:
            while len(running) < ahead and not (exhausted and not pending):
                if not pending:
                    following = next(source, None)
                    if following is None:
                        exhausted = True
                        break
                    pending.append(following)
                running.add(pool.submit(pending.popleft()))
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                running.discard(future)
                result = future.result()
                if isinstance(result, Split):
                    pending.extendleft(reversed(result.jobs))
                else:
                    yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
