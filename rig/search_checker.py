"""Judges whether every record of a Kafka source is in a search engine exactly once, unaltered.

The judge reads both sides by itself: the source by a Java program on Apache's own client, the
engine document by document. It keeps 16 bytes per record, not the record. An id is `cluster
key:source epoch:topic:partition:offset`, the cluster key being the first 8 bytes of SHA-256 of the
cluster's id in hex.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rig.access import write_properties
from rig.processes import Child, RigError
from rig.records import Client, command
from rig.search_client import Document, exact_json

_FRAME = struct.Struct(">qqi")
_PLACE = struct.Struct(">i")
_DIGEST_BYTES = 16
_SECONDS_TO_END = 60.0
_ID = re.compile(r"([0-9a-f]{16}):([0-9]+):([A-Za-z0-9._-]+):([0-9]+):([0-9]+)")
_FINDINGS_MAX = 100
_OWN_FIELDS = frozenset(
    ("cluster", "topic", "partition", "offset", "source_epoch", "relay", "ingested_at", "lossy")
)
_OWN_NAMES = frozenset(f"drawbridge.{name}" for name in _OWN_FIELDS)


class Record(NamedTuple):
    """A record of the source."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None

    @property
    def key(self) -> Key:
        return Key(self.topic, self.partition, self.offset)


class Key(NamedTuple):
    """What names a record within its cluster."""

    topic: str
    partition: int
    offset: int


def cluster_key(cluster_id: str) -> str:
    """The first part of every id."""
    return hashlib.sha256(cluster_id.encode()).digest()[:8].hex()


def content_of(record: Record) -> Any:
    """What a document must hold beside the fields that the sink adds.

    A JSON object as it is; of anything else the text, as `message`. What is not UTF-8 is replaced.
    """
    if record.value is None:
        return {"message": None}
    text = record.value.decode(errors="replace")
    try:
        value = exact_json(text)
    except (ValueError, RecursionError):
        return {"message": text}
    is_object = isinstance(value, dict) and not ("\\u" in text and _has_half_characters(value))
    return value if is_object and not _says_whence(value) else {"message": text}


def _says_whence(value: Mapping[str, Any]) -> bool:
    """Whether a record has fields that are the sink's, or something else in their place."""
    own = value.get("drawbridge", {})
    dotted = [name.removeprefix("drawbridge.") for name in value if name.startswith("drawbridge.")]
    names = {name.split(".")[0] for name in [*own, *dotted]} if isinstance(own, dict) else set()
    return not isinstance(own, dict) or not names.isdisjoint(_OWN_FIELDS)


def _has_half_characters(value: Any) -> bool:
    """Whether a string is no text, but half of a surrogate pair: only JSON can write that."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


class Source:
    """The committed records of some topics; iterating reads them all, each time anew."""

    def __init__(self, client: Client, topics: Iterable[str]) -> None:
        self._client = dict(client)
        self._topics = list(topics)
        self.cluster_id = ""

    def __iter__(self) -> Iterator[Record]:
        with tempfile.TemporaryDirectory(prefix="drawbridge-dump-") as folder:
            child = self._start(Path(folder))
            try:
                yield from self._records(child)
                if child.wait(_SECONDS_TO_END) != 0:
                    raise RigError(f"the source could not be read:\n{child.log_tail()}")
            finally:
                if child.is_running:
                    child.kill()
                child.stdout.close()

    def _start(self, folder: Path) -> Child:
        properties = write_properties(folder / "properties", self._client)
        options = ["--bootstrap", self._client["bootstrap.servers"], "--properties", properties]
        options += ["--topics", ",".join(self._topics)]
        return Child.start(
            command("RecordDump", *options), name="RecordDump", log=folder / "log", is_piped=True
        )

    def _records(self, child: Child) -> Iterator[Record]:
        stream = child.stdout.buffer  # type: ignore[attr-defined] - text over a buffer of bytes

        def exactly(size: int) -> bytes:
            data = stream.read(size)
            if len(data) != size:
                child.wait(_SECONDS_TO_END)
                raise RigError(f"the source could not be read:\n{child.log_tail()}")
            return data

        head = stream.readline()
        if not head:
            exactly(1)
        document = json.loads(head)
        self.cluster_id = document["cluster"]
        partitions = [(row["topic"], row["partition"]) for row in document["partitions"]]
        while True:
            [place] = _PLACE.unpack(exactly(_PLACE.size))
            if place < 0:
                return
            offset, timestamp, length = _FRAME.unpack(exactly(_FRAME.size))
            value = None if length < 0 else exactly(length)
            yield Record(*partitions[place], offset, timestamp, value)


@dataclass
class SearchCheckResult:
    """What was found. `counts`: source, documents, delivered, elsewhere, and one per class."""

    counts: Counter[str] = field(default_factory=Counter)
    # At most a hundred, each with its class, id or record, and a word on what is wrong.
    findings: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, name: object, detail: str) -> None:
        self.counts[kind] += 1
        if len(self.findings) < _FINDINGS_MAX:
            self.findings.append({"class": kind, "name": str(name), "detail": detail})

    @property
    def classes(self) -> dict[str, int]:
        """How often each class of finding: missing, altered, doubled, phantom, unexpected."""
        return {kind: self.counts[kind] for kind in _CLASSES if self.counts[kind]}

    def assert_clean(self) -> None:
        """Fails unless there were records, and nothing is wrong."""
        if self.classes or not self.counts["source"]:
            raise AssertionError(self.describe())

    def describe(self) -> str:
        """For a person."""
        lines = [json.dumps(self.counts), *(json.dumps(one) for one in self.findings[:20])]
        more = sum(self.classes.values()) - 20
        return "\n".join([*lines, *([f"… and {more} more"] if more > 0 else [])])


_CLASSES = ("missing", "altered", "doubled", "phantom", "unexpected")


def check(
    source: Source,
    documents: Iterable[Document],
    *,
    epochs: Mapping[str, int] | None = None,
    elsewhere: Collection[Key] = (),
    index_of: Callable[[Record], str] | None = None,
    content_of: Callable[[Record], Any] = content_of,
) -> SearchCheckResult:
    """Compares all records of a source with all documents of an index or pattern.

    Every document must have a `@timestamp`, and may have the fields `drawbridge.*`; whatever else
    it has is compared with its record, numbers by their spelling.

    `documents` come from SearchClient.documents (refresh first) or StrictBulkServer.documents.
    Classes of findings: missing; altered (contents or own fields); doubled (a second document of a
    record, be it in another index or under another epoch); phantom (a document that no record
    of the source stands behind); unexpected (a record of `elsewhere`, as dead letters are, that is
    in the engine too). `epochs` are the source epochs per topic; a topic that is not named has one
    epoch, whichever. `index_of` tells into which index a record must have gone.
    """
    judge = _Judge(source, dict(epochs or {}), set(elsewhere), index_of, content_of)
    for record in source:
        judge.expect(record)
    for document in documents:
        judge.see(document)
    return judge.close()


# What is known of an offset; further bits lie over it.
_IS_RECORD = 1
_HAS_TIMESTAMP = 2
_IS_SEEN = 4


class _Ledger:
    """Digests of one partition's records by offset, and a byte of bits for each."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._digests = bytearray()
        self.bits = bytearray()

    def put(self, offset: int, digest: bytes, has_timestamp: bool) -> None:
        hole = offset - self._first - len(self.bits)
        self._digests += bytes(hole * _DIGEST_BYTES) + digest
        self.bits += bytes(hole)
        self.bits.append(_IS_RECORD | (_HAS_TIMESTAMP if has_timestamp else 0))

    def place(self, offset: int) -> int | None:
        """Where a record is kept; None if the source has none at this offset."""
        place = offset - self._first
        return place if 0 <= place < len(self.bits) and self.bits[place] else None

    def digest(self, place: int) -> bytes:
        return bytes(self._digests[place * _DIGEST_BYTES : (place + 1) * _DIGEST_BYTES])

    def unseen(self) -> Iterator[int]:
        for place, bits in enumerate(self.bits):
            if bits & _IS_RECORD and not bits & _IS_SEEN:
                yield self._first + place


class _Judge:
    def __init__(
        self,
        source: Source,
        epochs: dict[str, int],
        elsewhere: set[Key],
        index_of: Callable[[Record], str] | None,
        content_of: Callable[[Record], Any],
    ) -> None:
        self._source = source
        self._epochs = epochs
        self._elsewhere = elsewhere
        self._index_of = index_of
        self._content_of = content_of
        self._cluster = ""
        self._ledgers: dict[tuple[str, int], _Ledger] = {}
        self._altered: dict[Key, Document] = {}
        self._result = SearchCheckResult()

    def expect(self, record: Record) -> None:
        self._result.counts["source"] += 1
        ledger = self._ledgers.get(record[:2])
        if ledger is None:
            ledger = self._ledgers[record[:2]] = _Ledger(record.offset)
        content = self._content_of(record)
        index = self._index_of(record) if self._index_of else ""
        ledger.put(record.offset, _digest(index, content), "@timestamp" in content)

    def see(self, document: Document) -> None:
        self._result.counts["documents"] += 1
        self._cluster = self._cluster or cluster_key(self._source.cluster_id)
        match = _ID.fullmatch(document.id)
        if match is None:
            self._result.add("phantom", document.id, "an id of another form")
            return
        cluster, epoch, topic, partition, offset = match.groups()
        key = Key(topic, int(partition), int(offset))
        ledger = self._ledgers.get(key[:2])
        place = ledger.place(key.offset) if ledger else None
        if cluster != self._cluster:
            self._result.add("phantom", document.id, "of another cluster")
        elif ledger is None or place is None:
            self._result.add("phantom", document.id, "the source has no such record")
        elif ledger.bits[place] & _IS_SEEN:
            self._result.add("doubled", document.id, f"once more in {document.index}")
        else:
            ledger.bits[place] |= _IS_SEEN
            if key in self._elsewhere:
                self._result.add("unexpected", document.id, f"in {document.index} all the same")
            else:
                self._compare(document, key, int(epoch), ledger, place)

    def close(self) -> SearchCheckResult:
        if self._altered:
            self._explain()
        for (topic, partition), ledger in self._ledgers.items():
            for offset in ledger.unseen():
                key = Key(topic, partition, offset)
                if key in self._elsewhere:
                    self._result.counts["elsewhere"] += 1
                else:
                    self._result.add("missing", ":".join(map(str, key)), "not in the engine")
        return self._result

    def _compare(
        self, document: Document, key: Key, epoch: int, ledger: _Ledger, place: int
    ) -> None:
        wrong = self._wrong_own_fields(document, key, epoch)
        content = _without_own(document.source, bool(ledger.bits[place] & _HAS_TIMESTAMP))
        index = document.index if self._index_of else ""
        if wrong:
            self._result.add("altered", document.id, wrong)
        elif _digest(index, content) == ledger.digest(place):
            self._result.counts["delivered"] += 1
        elif len(self._altered) < _FINDINGS_MAX:
            self._altered[key] = document
        else:
            self._result.counts["altered"] += 1

    def _wrong_own_fields(self, document: Document, key: Key, epoch: int) -> str:
        if epoch != self._epochs.setdefault(key.topic, epoch):
            return f"source epoch {epoch} and not {self._epochs[key.topic]}"
        if "@timestamp" not in document.source:
            return "no @timestamp"
        wanted = {
            "cluster": self._cluster,
            "topic": key.topic,
            "partition": str(key.partition),
            "offset": str(key.offset),
            "source_epoch": str(epoch),
        }
        own = _own(document.source)
        for name, value in wanted.items():
            if name in own and str(own[name]) != value:
                return f"drawbridge.{name} is {own[name]}"
        return ""

    def _explain(self) -> None:
        """Reads the source once more, for the records whose contents differ."""
        for record in self._source:
            document = self._altered.get(record.key)
            if document is None:
                continue
            content = self._content_of(record)
            detail = _difference(content, _without_own(document.source, "@timestamp" in content))
            if self._index_of and self._index_of(record) != document.index:
                detail = f"in {document.index} and not in {self._index_of(record)}; {detail}"
            self._result.add("altered", document.id, detail)


def _own(source: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the sink added, be they written as an object or with dots."""
    nested = source.get("drawbridge")
    dotted = {name: source.get(f"drawbridge.{name}") for name in _OWN_FIELDS}
    found = {name: value for name, value in dotted.items() if value is not None}
    return {**nested, **found} if isinstance(nested, dict) else found


def _without_own(source: Mapping[str, Any], has_timestamp: bool) -> dict[str, Any]:
    """A document as its record was; `has_timestamp` tells whose the @timestamp is."""
    content = {name: value for name, value in source.items() if name not in _OWN_NAMES}
    if not has_timestamp:
        content.pop("@timestamp", None)
    nested = content.get("drawbridge")
    if isinstance(nested, dict):
        left = {name: value for name, value in nested.items() if name not in _OWN_FIELDS}
        content["drawbridge"] = left
        if not left:
            del content["drawbridge"]
    return content


def _digest(index: str, content: Any) -> bytes:
    text = f"{index}\n{_ordered(content)!r}"
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _ordered(value: Any) -> Any:
    """The order of an object's members says nothing."""
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_ordered(one) for one in value]
    return value


def _difference(was: Any, is_now: Any) -> str:
    """The members in which two objects differ."""
    names = [name for name in {**was, **is_now} if _shown(was, name) != _shown(is_now, name)]
    return "; ".join(f"{name}: {_shown(was, name)} became {_shown(is_now, name)}" for name in names)


def _shown(value: Mapping[str, Any], name: str) -> str:
    return repr(_ordered(value[name]))[:200] if name in value else "nothing"
