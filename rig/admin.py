"""Administration of one Kafka cluster through a Java process that stays up between the calls."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig import jars
from rig.processes import Child, RigError

_SOURCE = Path(__file__).with_name("java") / "ClusterAdmin.java"
# Records of the largest sizes pass through as base64.
_JVM_OPTIONS = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_ANSWER_SECONDS = 90.0

Replicas = Mapping[int, Sequence[int]]
Bytes = bytes | str | None


class AdminError(RigError):
    """The cluster refused; `name` is the exception of Kafka's client, as TopicExistsException."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


@dataclass(frozen=True)
class PartitionState:
    """Who holds a partition now; `leader` is -1 while there is none."""

    leader: int
    replicas: list[int]
    in_sync: list[int]


@dataclass(frozen=True)
class Record:
    """A record as `read` found it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class ClusterAdmin:
    """One admin process. Its calls may come from any thread, and one that waits holds up no other.

    Refusals of the cluster are raised as AdminError.
    """

    def __init__(
        self, jars_name: str, log: Path, properties: Mapping[str, str] | None = None
    ) -> None:
        """Starts the process; `properties` are a Java client's and may follow by `connect`."""
        self._child = Child.start(
            [
                jars.java(),
                *_JVM_OPTIONS,
                *jars.logging_options(jars_name),
                "-cp",
                jars.class_path(jars_name),
                _SOURCE,
            ],
            name="admin",
            log=log,
            is_piped=True,
        )
        self._ids = itertools.count(1)
        self._guard = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        threading.Thread(target=self._read_answers, name="rig-admin", daemon=True).start()
        if properties is not None:
            self.connect(properties)

    def close(self) -> None:
        """Ends the process; calls under way fail."""
        with self._guard:
            self._child.stdin.close()
        self._child.stop()

    # The cluster

    def connect(self, properties: Mapping[str, str]) -> None:
        """Directs all later calls to the cluster of these Java client properties."""
        self.call("connect", properties=dict(properties))

    def format(self, configuration: Path, cluster_id: str, scram: Iterable[str] = ()) -> None:
        """Formats the storage of a broker that does not run, as StorageTool does."""
        self.call(
            "format", configuration=str(configuration), cluster_id=cluster_id, scram=list(scram)
        )

    def login(self, properties: Mapping[str, str], seconds: float = 10) -> dict[str, Any]:
        """As `describe_cluster`, by a client of its own with these properties: tries a login."""
        milliseconds = str(int(seconds * 1000))
        limits = {"default.api.timeout.ms": milliseconds, "request.timeout.ms": milliseconds}
        return self.call("login", properties={**properties, **limits})

    def describe_cluster(self) -> dict[str, Any]:
        """`{"cluster_id", "controller", "brokers": [{"id", "host", "port"}]}`: the live brokers."""
        return self.call("describe_cluster")

    # Topics

    def list_topics(self) -> list[str]:
        """Names of all topics but the internal ones."""
        return sorted(self.call("list_topics"))

    def create_topic(
        self,
        topic: str,
        partitions: int = 1,
        *,
        replication_factor: int | None = None,
        replicas: Replicas | None = None,
        configs: Mapping[str, object] | None = None,
    ) -> str:
        """Creates a topic, by counts or by the brokers of each partition; returns its id."""
        return self.call(
            "create_topic",
            topic=topic,
            partitions=partitions,
            configs=_texts(configs or {}),
            replication_factor=replication_factor,
            replicas=None if replicas is None else _replicas(replicas),
        )

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic; the name is free again when this returns, the files go later."""
        self.call("delete_topic", topic=topic)

    def topic_id(self, topic: str) -> str:
        """The id by which a re-created topic differs from the first."""
        return self.call("describe_topic", topic=topic)["topic_id"]

    def describe_topic(self, topic: str) -> dict[int, PartitionState]:
        """Leader and replicas of each partition."""
        rows = self.call("describe_topic", topic=topic)["partitions"]
        return {row.pop("partition"): PartitionState(**row) for row in rows}

    def create_partitions(self, topic: str, total: int) -> None:
        """Raises the number of partitions to `total`."""
        self.call("create_partitions", topic=topic, total=total)

    def alter_configs(
        self, name: str, changes: Mapping[str, object], *, resource: str = "topic"
    ) -> None:
        """Sets configs of a topic (or `resource="broker"`); None sets one back to its default."""
        self.call("alter_configs", type=resource, name=str(name), changes=_texts(changes))

    def describe_configs(self, name: str, *, resource: str = "topic") -> dict[str, str | None]:
        """All configs that are in force; None for sensitive ones."""
        return self.call("describe_configs", type=resource, name=str(name))

    def delete_records(self, topic: str, before: Mapping[int, int]) -> dict[int, int]:
        """Deletes records before an offset per partition (-1: all); returns the new log starts."""
        return _by_partition(self.call("delete_records", topic=topic, before=_keyed(before)))

    def list_offsets(self, topic: str, at: str | int = "latest") -> dict[int, int]:
        """Offset per partition at "earliest", "latest", "max_timestamp" or a time in ms.

        -1 where no record is that young.
        """
        return _by_partition(self.call("list_offsets", topic=topic, at=at))

    def elect_leaders(
        self, topic: str, partitions: Iterable[int], *, is_unclean: bool = False
    ) -> dict[int, str]:
        """Elects preferred leaders, or any replica; returns what was refused and why.

        A leader that is already the preferred one is refused with ElectionNotNeededException.
        """
        return _by_partition(
            self.call(
                "elect_leaders", topic=topic, partitions=list(partitions), is_unclean=is_unclean
            )
        )

    def reassign_partitions(self, topic: str, replicas: Replicas) -> None:
        """Moves partitions to other brokers; returns when they have moved."""
        self.call("reassign_partitions", topic=topic, replicas=_replicas(replicas))

    # Who may do what

    def create_acl(
        self,
        principal: str,
        operation: str,
        *,
        resource: str = "topic",
        name: str = "*",
        pattern: str = "literal",
        permission: str = "allow",
    ) -> None:
        """Adds an ACL, as `create_acl("User:CN=client", "read", name="audit")`."""
        self.call(
            "create_acl",
            principal=principal,
            operation=operation,
            resource=resource,
            name=name,
            pattern=pattern,
            permission=permission,
        )

    def delete_acl(
        self,
        principal: str,
        operation: str,
        *,
        resource: str = "topic",
        name: str = "*",
        pattern: str = "literal",
        permission: str = "allow",
    ) -> int:
        """Deletes the ACL that `create_acl` made of these; returns how many there were."""
        return self.call(
            "delete_acl",
            principal=principal,
            operation=operation,
            resource=resource,
            name=name,
            pattern=pattern,
            permission=permission,
        )

    def list_acls(self) -> list[dict[str, str]]:
        """All ACLs, as the arguments of `create_acl`."""
        return self.call("list_acls")

    def alter_scram_user(
        self, user: str, password: str | None, mechanism: str = "SCRAM-SHA-256"
    ) -> None:
        """Sets the password of a SCRAM user, who need not exist; None deletes the user."""
        self.call("alter_scram_user", user=user, password=password, mechanism=mechanism)

    def alter_quotas(
        self, entity: Mapping[str, str | None], changes: Mapping[str, float | None]
    ) -> None:
        """Sets quotas, as `alter_quotas({"client-id": "relay"}, {"producer_byte_rate": 1e5})`.

        Kinds of entity are user, client-id and ip; the name None is the default of all. The value
        None takes a quota away.
        """
        self.call("alter_quotas", entity=dict(entity), changes=dict(changes))

    # A few records: loads and verdicts are the business of rig/records.py

    def produce(
        self, topic: str, records: Iterable[Bytes | Mapping[str, Any]]
    ) -> list[tuple[int, int]]:
        """Writes records and returns (partition, offset) of each, in order.

        A record is a value, or a mapping with any of value, key, partition, timestamp and headers
        (a list of pairs).
        """
        rows = [_row(record) for record in records]
        return [
            (partition, offset)
            for partition, offset in self.call("produce", topic=topic, records=rows)
        ]

    def read(
        self,
        topic: str,
        partition: int = 0,
        *,
        offset: int | None = None,
        limit: int = 10_000,
        isolation: str = "read_uncommitted",
    ) -> list[Record]:
        """Reads a partition from `offset` (else its start) to its present end."""
        rows = self.call(
            "read",
            topic=topic,
            partition=partition,
            offset=offset,
            limit=limit,
            isolation=isolation,
        )
        return [
            Record(
                row["offset"],
                row["timestamp"],
                _bytes(row["key"]),
                _bytes(row["value"]),
                [(name, _bytes(value)) for name, value in row["headers"]],
            )
            for row in rows
        ]

    # The wire

    def call(self, op: str, **arguments: Any) -> Any:
        """Sends one request and returns its result."""
        number = next(self._ids)
        answer: Future[Any] = Future()
        line = json.dumps({"id": number, "op": op, **arguments})
        with self._guard:
            self._waiting[number] = answer
            try:
                self._child.stdin.write(line + "\n")
                self._child.stdin.flush()
            except (OSError, ValueError):
                raise self._gone() from None
        try:
            return answer.result(_ANSWER_SECONDS)
        except FutureTimeout:
            raise RigError(
                f"no answer to {op} in {_ANSWER_SECONDS:g} s; see {self._child.log}"
            ) from None

    def _read_answers(self) -> None:
        for line in self._child.stdout:
            reply = json.loads(line)
            with self._guard:
                answer = self._waiting.pop(reply["id"])
            if "error" in reply:
                answer.set_exception(AdminError(reply["error"], reply["message"]))
            else:
                answer.set_result(reply["result"])
        with self._guard:
            unanswered = list(self._waiting.values())
            self._waiting.clear()
        for answer in unanswered:
            answer.set_exception(self._gone())

    def _gone(self) -> RigError:
        return RigError(f"the admin process has ended:\n{self._child.log_tail()}")


def _texts(changes: Mapping[str, object]) -> dict[str, str | None]:
    """Config values as Kafka writes them: true, not True."""
    return {
        name: (
            None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        )
        for name, value in changes.items()
    }


def _keyed(values: Mapping[int, Any]) -> dict[str, Any]:
    return {str(partition): value for partition, value in values.items()}


def _replicas(replicas: Replicas) -> dict[str, list[int]]:
    return {str(partition): list(brokers) for partition, brokers in replicas.items()}


def _by_partition(values: Mapping[str, Any]) -> dict[int, Any]:
    return {int(partition): values[partition] for partition in sorted(values, key=int)}


def _row(record: Bytes | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        return {"value": _base64(record)}
    row = dict(record)
    for field in ("key", "value"):
        row[field] = _base64(row.get(field))
    row["headers"] = [[name, _base64(value)] for name, value in row.get("headers", ())]
    return row


def _base64(value: Bytes) -> str | None:
    if value is None:
        return None
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)
