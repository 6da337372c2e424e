"""What can be wrong with a destination, each with what to do about it.

DestinationError
├── DestinationHeld        another process has it open
├── DestinationUnready     a package or a setting that it needs is missing, or it cannot do what the tables need
├── DestinationUnusable    it cannot be opened, read or written
│   └── ColumnsInUse       columns cannot be made anew, for something of somebody else's shows them
├── DestinationForeign     it holds something that is not ours
│   └── DatasetTaken       the dataset that was chosen, or the one beside it for staging, is somebody else's
└── TableUnusable          one of its tables cannot be loaded as it is; the others can
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

_Error = TypeVar("_Error", bound=BaseException)


class DestinationError(Exception):
    """A destination cannot be used: what failed, and what to do next."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(f"{message} {advice}")
        self.message = message
        self.advice = advice


class DestinationHeld(DestinationError):
    """Another process has the destination open."""


class DestinationUnready(DestinationError):
    """A package or a setting that it needs is missing, or it cannot do what the tables need."""


class DestinationUnusable(DestinationError):
    """It cannot be opened, read or written."""


class ColumnsInUse(DestinationUnusable):
    """Columns cannot be made anew: a view that is not ours shows them."""


class DestinationForeign(DestinationError):
    """It holds something that is not ours."""


class DatasetTaken(DestinationForeign):
    """The dataset that was chosen, or the one beside it that rows would be staged in, is somebody else's."""


class TableUnusable(DestinationError):
    """One of its tables cannot be loaded as it is; the others can."""

    def __init__(self, table: str, message: str, advice: str, *, lost: Collection[str] | None = ()) -> None:
        """`lost`: UTC days (YYYY-MM-DD) of which rows may be gone; None: any rows may be."""
        super().__init__(message, advice)
        self.table = table
        self.lost = lost


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """`error` and what led to it."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        yield each
        seen.add(id(each))
        each = each.__cause__ or each.__context__


def cause_in(error: BaseException, *kinds: type[_Error]) -> _Error | None:
    """The first error of one of these kinds among `error` and what led to it."""
    return next((each for each in chain_of(error) if isinstance(each, kinds)), None)


def first_line(error: BaseException) -> str:
    """What an error says, in one line that is not too long."""
    line = str(error).strip().partition("\n")[0]
    return line if len(line) <= 300 else line[:299] + "…"


@contextmanager
def telling(explain: Callable[[BaseException], DestinationError | None]) -> Iterator[None]:
    """Within, what comes out of a driver, a store or dlt is raised as what `explain` says it means, if anything."""
    try:
        yield
    except DestinationError:
        raise
    except Exception as error:
        if (meant := explain(error)) is not None:
            raise meant from error
        raise
