"""The documents of a strict bulk server: indexes, data streams, and what becomes of an action."""

from __future__ import annotations

import fnmatch
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

ID_MAX = 512
_INDEX_MAX = 255
_FORBIDDEN_IN_INDEX = re.compile(r'[\\/*?"<>| ,#:A-Z]')


@dataclass
class Action:
    """One action of a bulk request; `source` is None for delete."""

    op: str
    index: str
    id: str | None
    source: bytes | None
    version: int | None = None
    version_type: str | None = None


@dataclass
class Stored:
    """A document as it came, and how often a create of its id was refused since."""

    source: bytes
    version: int = 1
    conflicts: int = 0


@dataclass
class _DataStream:
    generation: int = 1
    indexes: list[str] = field(default_factory=list)


class ItemError(Exception):
    """An item is refused."""

    def __init__(
        self, status: int, type: str, reason: str, cause: str = "", detail: str = ""
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.type = type
        self.reason = reason
        self.cause = cause
        self.detail = detail or reason

    def document(self, index: str) -> dict[str, Any]:
        document: dict[str, Any] = {"type": self.type, "reason": self.reason, "index": index}
        if self.cause:
            document["caused_by"] = {"type": self.cause, "reason": self.detail}
        return document


class BulkStore:
    """Documents by index and id, in memory. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.RLock()
        self._indexes: dict[str, dict[str, Stored]] = {}
        self._streams: dict[str, _DataStream] = {}
        self._stream_patterns: list[str] = []
        self.creates_indexes = True

    # Data streams

    def add_stream_pattern(self, pattern: str) -> None:
        """Names that fit become data streams at the first document, as by a template."""
        with self._guard:
            self._stream_patterns.append(pattern)

    def create_data_stream(self, name: str) -> None:
        with self._guard:
            if name not in self._streams:
                self._streams[name] = _DataStream()
                self._add_backing_index(name)

    def roll_over(self, name: str | None = None) -> list[str]:
        """Starts the next backing index of one data stream, or of all; returns the new names."""
        with self._guard:
            names = [name] if name is not None else list(self._streams)
            for one in names:
                self._streams[one].generation += 1
                self._add_backing_index(one)
            return [self._streams[one].indexes[-1] for one in names]

    def data_stream(self, name: str) -> dict[str, Any] | None:
        """As GET _data_stream answers."""
        with self._guard:
            stream = self._streams.get(name)
            if stream is None:
                return None
            return {
                "name": name,
                "timestamp_field": {"name": "@timestamp"},
                "indices": [{"index_name": one, "index_uuid": one} for one in stream.indexes],
                "generation": stream.generation,
                "status": "GREEN",
            }

    def is_data_stream(self, name: str) -> bool:
        """Whether it is one, or its first document would make it one."""
        with self._guard:
            return name in self._streams or (
                name not in self._indexes
                and any(fnmatch.fnmatchcase(name, one) for one in self._stream_patterns)
            )

    # Documents

    def apply(self, action: Action) -> dict[str, Any]:
        """Does one action and returns its item; raises ItemError when it is refused."""
        with self._guard:
            index = self._write_index(action)
            if action.id == "":
                raise ItemError(
                    400, "illegal_argument_exception", "if _id is specified it must not be empty"
                )
            assert action.source is not None
            id = action.id if action.id is not None else f"auto-{len(self._indexes[index])}"
            documents = self._indexes[index]
            stored = documents.get(id)
            if stored is not None and action.op == "create":
                stored.conflicts += 1
                raise _conflict(id, f"document already exists (current version [{stored.version}])")
            version = 1 if stored is None else stored.version + 1
            if action.version_type == "external":
                assert action.version is not None
                if stored is not None and stored.version >= action.version:
                    raise _conflict(
                        id,
                        f"current version [{stored.version}] is higher or equal to the one "
                        f"provided [{action.version}]",
                    )
                version = action.version
            documents[id] = Stored(action.source, version, stored.conflicts if stored else 0)
            return {
                "_index": index,
                "_id": id,
                "_version": version,
                "result": "created" if stored is None else "updated",
                "status": 201 if stored is None else 200,
            }

    def write_index(self, name: str) -> str:
        """Where a document for `name` would go now."""
        with self._guard:
            stream = self._streams.get(name)
            return stream.indexes[-1] if stream else name

    def indexes(self, name: str) -> list[str]:
        """What stands behind a name: the backing indexes of a data stream, itself, or nothing."""
        with self._guard:
            stream = self._streams.get(name)
            if stream is not None:
                return list(stream.indexes)
            return [name] if name in self._indexes else []

    def create_index(self, name: str) -> None:
        with self._guard:
            self._indexes.setdefault(name, {})

    def put(self, index: str, id: str, source: bytes) -> None:
        """A document from elsewhere."""
        with self._guard:
            self._indexes.setdefault(index, {})[id] = Stored(source)

    def delete(self, index: str, id: str) -> None:
        """Takes a document away behind everybody's back."""
        with self._guard:
            del self._indexes[index][id]

    def get(self, name: str, id: str) -> tuple[str, Stored] | None:
        """A document by id in an index, or in any backing index of a data stream."""
        with self._guard:
            stream = self._streams.get(name)
            for index in stream.indexes if stream else [name]:
                stored = self._indexes.get(index, {}).get(id)
                if stored is not None:
                    return index, stored
            return None

    def documents(self, pattern: str = "*") -> Iterator[tuple[str, str, Stored]]:
        """Index, id and document of all; `pattern` may name a data stream."""
        with self._guard:
            stream = self._streams.get(pattern)
            wanted = set(stream.indexes) if stream else None
            snapshot = [
                (index, list(documents.items()))
                for index, documents in self._indexes.items()
                if (index in wanted if wanted is not None else fnmatch.fnmatchcase(index, pattern))
            ]
        for index, documents in snapshot:
            for id, stored in documents:
                yield index, id, stored

    def clear(self) -> None:
        with self._guard:
            self._indexes.clear()
            self._streams.clear()

    def _add_backing_index(self, name: str) -> None:
        stream = self._streams[name]
        index = f".ds-{name}-{stream.generation:06}"
        stream.indexes.append(index)
        self._indexes[index] = {}

    def _write_index(self, action: Action) -> str:
        name = action.index
        if self.is_data_stream(name):
            if action.op != "create":
                raise ItemError(
                    400,
                    "illegal_argument_exception",
                    "only write ops with an op_type of create are allowed in data streams",
                )
            self.create_data_stream(name)
            _check_source(action, needs_timestamp=True)
            return self._streams[name].indexes[-1]
        if name not in self._indexes:
            _check_name(name)
            if not self.creates_indexes:
                raise ItemError(404, "index_not_found_exception", f"no such index [{name}]")
            self._indexes[name] = {}
        _check_source(action, needs_timestamp=False)
        return name


def _conflict(id: str, reason: str) -> ItemError:
    return ItemError(
        409, "version_conflict_engine_exception", f"[{id}]: version conflict, {reason}"
    )


def _check_name(name: str) -> None:
    if (
        not name
        or name in (".", "..")
        or name[0] in "-_+"
        or len(name.encode()) > _INDEX_MAX
        or _FORBIDDEN_IN_INDEX.search(name)
    ):
        raise ItemError(400, "invalid_index_name_exception", f"Invalid index name [{name}]")


def _check_source(action: Action, needs_timestamp: bool) -> None:
    """A source that is no object is one item's fault, as with the real engines."""
    try:
        source = json.loads(action.source or b"", object_pairs_hook=_no_doubled_names)
        if not isinstance(source, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError) as error:
        raise ItemError(
            400,
            "mapper_parsing_exception",
            "failed to parse",
            "not_x_content_exception",
            str(error),
        ) from None
    if needs_timestamp and "@timestamp" not in source:
        raise ItemError(
            400,
            "mapper_parsing_exception",
            "failed to parse",
            "illegal_argument_exception",
            "data stream timestamp field [@timestamp] is missing",
        )


def _no_doubled_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("Duplicate field")
    return result
