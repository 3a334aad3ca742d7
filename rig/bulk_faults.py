"""What a strict bulk server can be told to do wrong, once, N times or until it is told to stop."""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from rig.processes import RigError

# Kinds that answer in place of the engine: nothing is applied.
REFUSALS = {
    "throttle": (429, "es_rejected_execution_exception", "rejected execution of coordinating op"),
    "unavailable": (503, "cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE/1/state]"),
    "too-large": (413, "", ""),
    "bad-request": (400, "illegal_argument_exception", "Malformed action/metadata line [1]"),
    "unauthorized": (401, "security_exception", "unable to authenticate"),
    "forbidden": (403, "security_exception", "no permissions for [indices:data/write/bulk]"),
    "status": (500, "internal_error", "scripted"),
}
# Kinds that spoil the answer or the connection; `is_applied` says whether documents are stored.
SPOILS = {
    "html": False,  # A page with status 200, as a proxy answers.
    "empty": False,  # Status 200 and no body.
    "empty-applied": True,
    "truncated": True,  # The announced length is not reached; then the end of the connection.
    "truncated-gzip": True,  # The length is right; the gzip stream in it has no end.
    "not-json": True,
    "too-few-items": True,
    "too-many-items": True,
    "shuffled-items": True,
    "claims-no-errors": True,  # "errors":false whatever the items say.
    "apply-then-reset": True,
    "apply-then-stall": True,  # Nothing is answered for `seconds`; then a reset.
    "cut-in-request": False,  # A reset when half of the body has come.
    "cut-in-answer": True,  # A reset when half of the answer has gone.
    "slow": True,  # The answer comes after `seconds`.
    "trickle": True,  # The answer takes `seconds` to come.
    "rollover": True,  # Data streams roll over before the request is applied.
    "apply-late": True,  # A reset at once; what was asked is done after `seconds`.
}
# Kinds that refuse items: status, type, reason, cause.
ITEM_REFUSALS = {
    "item-throttle": (429, "es_rejected_execution_exception", "rejected execution", ""),
    "item-circuit-breaker": (429, "circuit_breaking_exception", "[parent] Data too large", ""),
    "item-unavailable": (503, "unavailable_shards_exception", "primary shard is not active", ""),
    "item-mapping": (
        400,
        "mapper_parsing_exception",
        "failed to parse field [status] of type [long]",
        "illegal_argument_exception",
    ),
    "item-field-limit": (
        400,
        "illegal_argument_exception",
        "Limit of total fields [1000] has been exceeded",
        "",
    ),
    "item-conflict": (409, "version_conflict_engine_exception", "document already exists", ""),
    "item-status": (500, "internal_error", "scripted", ""),
    "flood-stage": (
        429,
        "cluster_block_exception",
        "blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, "
        "index has read-only-allow-delete block];",
        "",
    ),
    "read-only": (
        403,
        "cluster_block_exception",
        "blocked by: [FORBIDDEN/8/index write (api)];",
        "",
    ),
    "shard-limit": (
        400,
        "validation_exception",
        "Validation Failed: 1: this action would add [2] total shards, but this cluster currently "
        "has [1000]/[1000] maximum shards open;",
        "",
    ),
    "index-closed": (400, "index_closed_exception", "closed", ""),
    "index-missing": (404, "index_not_found_exception", "no such index", ""),
    # Stored, but in the failure store.
    "failure-store": (201, "", "", ""),
}
KINDS = (*REFUSALS, *SPOILS, *ITEM_REFUSALS)


@dataclass
class Fault:
    """One thing to do wrong.

    It acts on the bulk requests that it fits, after letting `skip` of them pass, `times` times
    (None: until it is healed). `ids` and `index` are patterns with * and ?: an item's fault acts on
    the items that fit, and any fault only on requests that hold one. `items_max` bounds the items
    refused per request. The last row lays itself over what the kind says by itself.
    """

    kind: str
    times: int | None = 1
    skip: int = 0
    ids: str = "*"
    index: str = "*"
    items_max: int | None = None
    retry_after: str | None = None
    seconds: float = 1.0
    status: int | None = None
    type: str | None = None
    reason: str | None = None
    caused_by: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RigError(f"no fault {self.kind}; there are {', '.join(KINDS)}")

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Fault:
        """A fault of its fields; unknown ones are refused."""
        unknown = set(document) - {field.name for field in fields(cls)}
        if unknown or "kind" not in document:
            raise RigError(f"not a fault: {sorted(unknown) or 'no kind'}")
        return cls(**document)

    def fits_item(self, index: str, id: str) -> bool:
        return fnmatch.fnmatchcase(id, self.ids) and fnmatch.fnmatchcase(index, self.index)

    def refusal(self) -> tuple[int, str, str]:
        """Status, type and reason of a whole request."""
        status, type, reason = REFUSALS[self.kind]
        return self.status or status, self.type or type, self.reason or reason

    def item_refusal(self) -> tuple[int, str, str, str]:
        """Status, type, reason and the cause's type of an item."""
        status, type, reason, cause = ITEM_REFUSALS[self.kind]
        return (
            self.status or status,
            self.type or type,
            self.reason or reason,
            cause if self.caused_by is None else self.caused_by,
        )


class FaultScript:
    """The faults to come, in the order in which they were added. Thread-safe."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._changed = threading.Condition()
        self._generation = 0

    def add(self, fault: Fault) -> Fault:
        with self._changed:
            self._faults.append(fault)
        return fault

    def heal(self, fault: Fault | None = None) -> None:
        """Takes one fault away, or all; waits that they cause end at once."""
        with self._changed:
            self._faults = [one for one in self._faults if fault is not None and one is not fault]
            self._generation += 1
            self._changed.notify_all()

    def left(self) -> list[Fault]:
        """Faults that have not done all that they should."""
        with self._changed:
            return list(self._faults)

    def take(self, items: list[tuple[str, str]]) -> list[Fault]:
        """The faults of a bulk request of these (index, id): any for items, at most one other."""
        taken: list[Fault] = []
        has_other = False
        with self._changed:
            for fault in list(self._faults):
                if fault.kind == "cut-in-request":
                    continue
                is_other = fault.kind not in ITEM_REFUSALS
                if is_other and has_other:
                    continue
                fits_all = fault.ids == "*" and fault.index == "*"
                if not fits_all and not any(fault.fits_item(*item) for item in items):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                taken.append(fault)
                has_other = has_other or is_other
        return taken

    def take_kind(self, kind: str) -> Fault | None:
        """The next fault of a kind that acts before the items of a request are known."""
        with self._changed:
            for fault in self._faults:
                if fault.kind != kind:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                return fault
        return None

    def pause(self, seconds: float) -> None:
        """Waits for a slow answer; `heal` ends it."""
        with self._changed:
            generation = self._generation
            self._changed.wait_for(lambda: self._generation != generation, seconds)
