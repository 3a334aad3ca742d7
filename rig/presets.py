"""The two clusters of the main job: one as OCI Streaming shows itself, one as Kafka in AWS does.

Both have a plaintext listener too: it is the judge's way in, never that of the programs under test.
"""

from __future__ import annotations

from pathlib import Path

from rig.kafka import VERSIONS, KafkaCluster

OCI_USER = "tenancy/user/ocid1.streampool.oc1..x"
OCI_TOKEN = "auth;token=="
NAMES = ("oci", "aws")


def oci_cluster(state: Path | None = None, version: str = VERSIONS[0]) -> KafkaCluster:
    """SASL_SSL with PLAIN (and SCRAM) for OCI_USER; not started."""
    return KafkaCluster(
        "oci",
        listeners=("sasl_ssl", "plaintext"),
        users={OCI_USER: OCI_TOKEN},
        version=version,
        state=state,
    )


def aws_cluster(state: Path | None = None, version: str = VERSIONS[0]) -> KafkaCluster:
    """TLS that requires a client certificate; not started."""
    return KafkaCluster("aws", listeners=("ssl", "plaintext"), version=version, state=state)


def guarded_cluster(state: Path | None = None) -> KafkaCluster:
    """Lets nobody but the judge do anything without an ACL, by any of the ways in; not started."""
    return KafkaCluster(
        "guarded",
        listeners=("sasl_ssl", "ssl", "plaintext"),
        users={OCI_USER: OCI_TOKEN},
        super_users=(),
        state=state,
    )


def cluster(name: str, state: Path | None = None) -> KafkaCluster:
    """The preset of that name, not started."""
    return {"oci": oci_cluster, "aws": aws_cluster}[name](state)
