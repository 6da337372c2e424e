"""What a run that lost its lease may still put: nothing that a reader, or a later run, finds.

A put cannot be taken back once it is on its way, and a run may be paused right there, for as long as anybody likes:
after its last look at the lease, and before the store has the file. By then another run may have taken the lease over:
its put is *late*. No clock and no look ahead of a put helps against
that. So each put of a table's file is one that its successor can make fail:

1. The writer notes what it is about to put (`writes/<holder>/<name>.json`): the names of new files, and of those that
   it replaces.
2. It asks the store whether the lease is still its own, after it has noted that.
3. It puts each file with a condition: a new name must not be there yet, a file that is replaced must still be the
   version that was there before 2.
4. When all are there, the note goes.

Who takes the lease over reads the notes of others before anything else. The lease was the writer's at 2, so it changed
hands later, so what was noted at 1 is seen: every file that may still come is known. Each of them is *sealed*: a name
that is not there is taken by a file without rows, a file that is there is put once more with the same rows and another
mark, which makes it another version. From then on the condition of a put that is late does not hold; one that was
quicker than the seal is simply there, as after a kill. A late put of anything else changes nothing: a note is read
again by the next run, which finds all of it sealed; an intent (`write_ahead_log`) is ended again; a removal hits a name
that is gone for good, for the files that an intent names are removed by whoever ends it, names are given once, and
sealed names are kept for `_KEPT`. State, loads and schemas of dlt's are new files each, told by their names: such names
that were noted and are not there when the lease changes hands are listed in `sealed.json`, and count for nothing if
they come.

A table with a log (Delta, Iceberg) needs none of that for its files: they count by an entry of the log. There the
writer looks at the table, notes its name, asks for the lease, and puts the entry that follows the last one it saw, on
the condition that no other has come; whoever takes over puts an entry of its own that changes nothing.

Besides, each put and removal asks the lease first (`Lease.check`, by this machine's clock, or `Lease.verify`, by the
store): a run that was paused ends at the first of them. A store without conditions gives no more than that.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DestinationUnusable
from .conditional import ABSENT, ConditionFailed
from .layout import SYSTEM
from .lease import Lease
from .marks import sealed

if TYPE_CHECKING:
    from .store import Store

_WRITES = f"{SYSTEM}/writes"
_SEALED = f"{SYSTEM}/sealed.json"
_KEPT = timedelta(days=30)
"""How long a sealed name is kept: a Parquet file is not compacted away, and a file of dlt's is not read."""
_TAIL_BYTES = 64 * 1024
"""How much of the end of a Parquet file is compared: there its footer is, with a mark that no two files share."""


class Fence:
    """Guards the changes of one store, while this process has the lease of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lease: Lease | None = None
        """None: nothing is guarded; the lake lies on a local disk, or is not held."""
        self._expected: dict[str, str] = {}
        self._names: dict[str, str] | None = None
        self._names_version = ABSENT

    @property
    def _has_conditions(self) -> bool:
        return self.lease is not None and self.lease.has_conditions

    def verify(self) -> None:
        """Asks the store whether this process may change anything. Raises LeaseLost."""
        if self.lease is not None:
            self.lease.verify()

    @contextmanager
    def writing(self, files: Mapping[str, str | None], schema: pa.Schema | None) -> Iterator[None]:
        """Within, these files of tables may be put. Raises LeaseLost.

        Args:
            files: the version that each file has now, by its path; None: to be asked for; ABSENT: the name is new.
            schema: the columns of the new files; None: there are no new ones.
        """
        if not self._has_conditions or not files:
            self.verify()
            yield
            return
        objects = self._store.objects
        expected = {
            path: objects.tag(self._store.path(path)) if version is None else version for path, version in files.items()
        }
        with self._noted({"files": list(expected), "schema": _packed(schema)}):
            self._expected |= expected
            try:
                yield
            finally:
                for path in expected:
                    self._expected.pop(path, None)

    @contextmanager
    def naming(self, path: str) -> Iterator[None]:
        """Within, one file of dlt's own (its state, loads and schemas) may be put. Raises LeaseLost."""
        if not self._has_conditions:
            self.verify()
            yield
            return
        with self._noted({"names": [path]}):
            if path in self.sealed:
                # This run, which has the lease, loads that package after all: a late put has the same content.
                self._change_list(lambda names: {name: at for name, at in names.items() if name != path})
            yield

    @contextmanager
    def committing(self, table: str, schema: pa.Schema | None = None) -> Iterator[None]:
        """Within, one entry may be put into the log of a table, which the caller has looked at before: the entry must
        follow the last one seen then. `schema`: the columns, where this entry makes the table. Raises LeaseLost.
        """
        if not self._has_conditions:
            self.verify()
            yield
            return
        with self._noted({"tables": [table], "schema": _packed(schema)}):
            try:
                yield
            except Exception:
                self.verify()
                raise

    def put(self, local: Path, relative: str) -> str:
        """Puts a file of a table; returns its version. Raises LeaseLost."""
        target = self._store.path(relative)
        if not self._has_conditions:
            self.verify()
            return self._store.objects.put(target, local, None)
        if relative not in self._expected:
            with self.writing({relative: None}, pq.read_schema(local)):
                return self.put(local, relative)
        assert self.lease is not None  # noqa: S101 - it has conditions
        self.lease.check()
        try:
            version = self._store.objects.put(target, local, self._expected[relative])
        except ConditionFailed as failure:
            version = self._after_all(local, relative, failure)
        self._expected[relative] = version
        return version

    def _after_all(self, local: Path, relative: str, failure: ConditionFailed) -> str:
        """The version, if it is this very file that is there: its first put had worked, and the store's client sent it
        again for want of an answer.

        Raises:
            DestinationUnusable: it is another file.
            LeaseLost: another run has the lake.
        """
        objects, target = self._store.objects, self._store.path(relative)
        self.verify()
        version, size = objects.tag(target), local.stat().st_size
        if version != ABSENT and self._store.fs.size(target) == size:
            start = max(0, size - _TAIL_BYTES)
            with local.open("rb") as file:
                file.seek(start)
                if file.read() == bytes(self._store.fs.cat_file(target, start=start, end=size)):
                    return version
        raise DestinationUnusable(
            f"{self._store.url(relative)} was changed by somebody else, while this run was about to replace it.",
            "Run the same command again; let nothing else write into the lake meanwhile.",
        ) from failure

    @contextmanager
    def _noted(self, content: Mapping[str, object]) -> Iterator[None]:
        """Notes what is going to be put, and asks for the lease then. Where a put fails the note stays."""
        assert self.lease is not None  # noqa: S101 - it has conditions
        note = self._store.path(f"{_WRITES}/{self.lease.owner}/{uuid.uuid4().hex}.json")
        self._store.objects.put(note, json.dumps(content).encode(), None)
        self.lease.verify()
        yield
        try:
            self._store.fs.rm_file(note)
        except FileNotFoundError:
            # Who takes the lake over removes the notes of the run before. (S3 has nothing against a second removal.)
            self.lease.verify()

    # -- taking over

    @property
    def sealed(self) -> Mapping[str, str]:
        """Names that a run which lost the lease may still put, and when each was sealed."""
        if self._store.is_local:
            return {}
        if self._names is None:
            found = self._store.objects.read(self._store.path(_SEALED))
            self._names, self._names_version = (
                ({}, ABSENT) if found is None else (json.loads(found.content)["names"], found.tag)
            )
        return self._names

    def settle(self, fence_table: Callable[[str, pa.Schema | None], None], without: Collection[str] = ()) -> None:
        """Seals what others have noted and may still put.

        Args:
            fence_table: called with a table and its columns, where they are noted: makes entries of its log impossible
                that were prepared before, and makes the table where it is not there.
            without: tables that are left for later.
        """
        self._names = None
        if not self._has_conditions or self.lease is None:
            return
        for note in self._store.files(_WRITES, ".json"):
            if note.path.startswith(f"{_WRITES}/{self.lease.owner}/"):
                continue
            content = self._store.read_json(note.path) or {}
            files, names, tables = (content.get(kind, []) for kind in ("files", "names", "tables"))
            if any(path.split("/", 1)[0] in without for path in files):
                continue
            schema = _unpacked(content.get("schema"))
            late = [*files, *(name for name in names if not self._store.exists(name))]
            if late:
                self._list_as_sealed(late)
            for path in files:
                self._seal_file(path, schema)
            for table in tables:
                fence_table(table, schema)
            with suppress(FileNotFoundError):
                self._store.fs.rm_file(self._store.path(note.path))

    def _list_as_sealed(self, late: Collection[str]) -> None:
        now = datetime.now(timezone.utc).isoformat()
        self._change_list(lambda names: {**names, **dict.fromkeys(late, now)})

    def blank(self, relative: str) -> None:
        """Leaves no row in a file whose name is sealed."""
        with self._store.local(relative) as there:
            schema = pq.read_schema(there)
        self._store.put(sealed(self._store.scratch_file(), schema), relative)

    def _seal_file(self, relative: str, schema: pa.Schema | None) -> None:
        """Puts a file without rows in the place of a new one, or a file that is there once more, as another version."""
        objects, target = self._store.objects, self._store.path(relative)
        while (version := objects.tag(target)) != ABSENT or schema is not None:
            made = self._store.scratch_file()
            try:
                if version == ABSENT:
                    sealed(made, schema)
                else:
                    with self._store.local(relative) as there:
                        sealed(made, None, there)
                self.verify()
                objects.put(target, made, version)
            except (ConditionFailed, FileNotFoundError):
                continue  # it came in between, or went: another look
            except pa.ArrowException:
                return  # no Parquet file: it is named as one that is damaged
            finally:
                made.unlink(missing_ok=True)
            return

    def _change_list(self, change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """Puts the list of sealed names anew, without those that were kept long enough."""
        cutoff = (datetime.now(timezone.utc) - _KEPT).isoformat()
        while True:
            names = change(self.sealed)
            for name in [name for name, at in names.items() if at < cutoff and not name.endswith(".parquet")]:
                self._store.delete(name)  # it came late, and nobody has read it
            kept = {name: at for name, at in names.items() if at >= cutoff}
            self.verify()
            body = json.dumps({"names": kept, "put": uuid.uuid4().hex}).encode()
            try:
                version = self._store.objects.put(self._store.path(_SEALED), body, self._names_version)
            except ConditionFailed:
                self._names = None  # one that lost the lease was quicker
                continue
            self._names, self._names_version = kept, version
            return


def _packed(schema: pa.Schema | None) -> str | None:
    return None if schema is None else base64.b64encode(schema.serialize().to_pybytes()).decode()


def _unpacked(packed: str | None) -> pa.Schema | None:
    return None if packed is None else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(packed)))
