"""What a list is asked with: once, or once for each of its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sources.posthog.errors import AccessDenied, NotFound, NothingRequested, PaymentRequired
from sources.posthog.listing.canonical import canonical
from sources.posthog.listing.missing import asked_once
from sources.posthog.listing.pages import pages
from sources.posthog.run import Run
from sources.posthog.tables.listed import Contents, Each, EachRow, Listing, Values, Wanted, filled


@dataclass(frozen=True, eq=False)
class Asking:
    """One list to be read: where, with which parameters, and the values that its rows are given."""

    path: str
    others: Mapping[str, Any]
    """Parameters but for the page's size."""
    size: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def params(self) -> Mapping[str, Any]:
        """All parameters of the first page."""
        return {**self.size, **self.others}

    @property
    def name(self) -> str:
        """What tells it from the others of its table."""
        return canonical(dict(self.values)).decode() if self.values else ""


def askings(run: Run, reads: Listing | Contents) -> Iterator[Asking]:
    """Every list that a table is made of.

    Raises NothingRequested where none of what the table needs is wanted, and what `pages` raises for lists on which
    others depend.
    """
    size = {reads.size_param: reads.page_size} if isinstance(reads, Listing) and reads.page_size else {}
    params = reads.params if isinstance(reads, Listing) else {}
    if isinstance(reads, Listing) and reads.unchosen is not None and not _is_chosen(run, reads.each):
        yield Asking(reads.unchosen, params, size, {})
        return
    for values in _values(run, reads.each):
        yield Asking(
            reads.path.format(**values),
            filled(params, values),
            size,
            values,
        )


def _is_chosen(run: Run, every: tuple[Each, ...]) -> bool:
    return any(isinstance(each, Wanted) and getattr(run.requests, each.request) for each in every)


def _values(run: Run, every: tuple[Each, ...]) -> Iterator[Mapping[str, Any]]:
    if not every:
        yield {}
    for each in every:
        if isinstance(each, Values):
            yield from each.values
        elif isinstance(each, EachRow):
            yield from _of_rows(run, each)
        else:
            yield from _wanted(run, each)


def _of_rows(run: Run, each: EachRow) -> Iterator[Mapping[str, Any]]:
    seen = set()
    for row in _rows_at(run, each):
        if not isinstance(row, dict) or (each.only is not None and not row.get(each.only)):
            continue
        values = {name: row.get(field) for name, field in each.values.items()}
        text = canonical(values)
        if text not in seen and None not in values.values():
            seen.add(text)
            yield {**values, **each.also}


def _rows_at(run: Run, each: EachRow) -> Iterator[Any]:
    try:
        with asked_once(run.lacking, each.path):
            rows = [row for page in pages(run.client, each.path) for row in page.rows]
        yield from rows
    except (AccessDenied, NotFound, PaymentRequired):
        if not each.is_extra:
            raise


def _wanted(run: Run, each: Wanted) -> Iterator[Mapping[str, Any]]:
    items = getattr(run.requests, each.request)
    if not items:
        raise NothingRequested(
            f"It is not said which {each.request.replace('_', ' ')} are wanted",
            advice=f"Set {each.request} under [sources.posthog.requests].",
        )
    for item in items:
        parts = str(item).rsplit(":", len(each.names) - 1)
        if len(parts) < len(each.names):
            raise NothingRequested(
                f"{item!r} in {each.request} is not of the form {':'.join(each.names)}",
                advice=f"Mend {each.request} under [sources.posthog.requests].",
            )
        # Some lists show only such properties of persons as their filters speak of.
        filters = [{"key": key, "type": "person"} for key in run.requests.person_properties]
        yield {**dict(zip(each.names, parts, strict=True)), "person_filters": canonical(filters).decode()}
