"""Where a record comes from, as the header says that Drawbridge adds to it."""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from rig.access import ClusterAccess
from rig.admin import Record

# Version, flags, cluster, source epoch, partition, offset, topic: of a record that has passed one.
PROVENANCE = struct.Struct(">BBQHIQQ")


class Origin(NamedTuple):
    """Where a record was first read."""

    cluster: int
    partition: int
    offset: int


def cluster_key(cluster: ClusterAccess) -> int:
    """What stands for a cluster in the header."""
    identity = cluster.admin.describe_cluster()["cluster_id"]
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")


def origin_of(record: Record) -> Origin | None:
    """None for a record that nobody carried."""
    headers = [value for name, value in record.headers if name == "drawbridge"]
    if not headers:
        return None
    assert len(headers) == 1 and headers[0] is not None, record
    assert len(headers[0]) == PROVENANCE.size, f"went through more than one cluster: {record}"
    _, _, cluster, _, partition, offset, _ = PROVENANCE.unpack(headers[0])
    return Origin(cluster, partition, offset)
