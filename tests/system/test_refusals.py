"""What a cluster refuses is named, and flows again by itself once it is allowed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from deployment import Deployment, unique

from rig import presets
from rig.access import ClusterAccess

# From the refusal to its name, on a busy machine.
SECONDS = 15
RECORDS = 60

# Who the preset's user is to an authorizer.
SASL_PRINCIPAL = f"User:{presets.OCI_USER}"


@pytest.fixture(scope="module")
def guarded() -> Iterator[ClusterAccess]:
    """A cluster that wants an ACL for everything."""
    with presets.guarded_cluster() as cluster:
        yield cluster


# A topic


def values(count: int) -> list[str]:
    return [f"record {number}" for number in range(count)]


def allow(cluster: ClusterAccess, principal: str, operations: Iterable[str], topic: str) -> None:
    for operation in operations:
        cluster.admin.create_acl(principal, operation, name=topic)


def wait_until_unauthorized(deployment: Deployment, bridge: str, side: str) -> None:
    found = deployment.wait_until_shown(
        bridge, "AUTHORIZATION_FAILED", side=side, says=[], seconds=SECONDS
    )
    # The bridge's only topic has its name; a producer that may nothing at all is of the endpoint.
    assert bridge in (found["topic"], found["text"].split(":")[0]), found
    assert "grant" in found["text"] or "ACL" in found["text"], found


@pytest.mark.parametrize("allowed", [[], ["describe", "describe_configs"]])
def test_a_source_that_does_not_let_us_read_is_named(
    shared: Deployment, guarded: ClusterAccess, allowed: list[str]
) -> None:
    name = unique("unread")
    apply_from_guarded(shared, guarded, name, allowed)
    wait_until_unauthorized(shared, name, "source")
    allow(guarded, SASL_PRINCIPAL, ["read", "describe", "describe_configs"], name)
    shared.wait_until_carried(name, [name], source=guarded)
    shared.wait_until_well(name)

    # Taken away while records flow.
    guarded.admin.delete_acl(SASL_PRINCIPAL, "read", name=name)
    guarded.admin.produce(name, on_two_partitions(values(RECORDS)))
    wait_until_unauthorized(shared, name, "source")
    allow(guarded, SASL_PRINCIPAL, ["read"], name)
    shared.wait_until_carried(name, [name], source=guarded)
    shared.check([name], source=guarded, duplicates_max=0).assert_clean()
    shared.wait_until_well(name)
    shared.cli("delete", "bridge", name)


def test_a_source_that_only_hides_its_settings_flows(
    shared: Deployment, guarded: ClusterAccess
) -> None:
    name = unique("hidden")
    apply_from_guarded(shared, guarded, name, ["read", "describe"])
    shared.wait_until_carried(name, [name], source=guarded)
    shared.check([name], source=guarded, duplicates_max=0).assert_clean()
    shared.wait_until_well(name)
    shared.cli("delete", "bridge", name)


def test_a_source_that_lets_us_read_again_is_well_also_without_records(
    shared: Deployment, guarded: ClusterAccess
) -> None:
    name = unique("reread")
    apply_from_guarded(shared, guarded, name, ["read", "describe", "describe_configs"])
    shared.wait_until_carried(name, [name], source=guarded)
    guarded.admin.delete_acl(SASL_PRINCIPAL, "read", name=name)
    wait_until_unauthorized(shared, name, "source")
    allow(guarded, SASL_PRINCIPAL, ["read"], name)
    try:
        shared.wait_until_well(name)
    finally:
        shared.cli("delete", "bridge", name)


def apply_from_guarded(
    deployment: Deployment, guarded: ClusterAccess, name: str, allowed: Iterable[str]
) -> None:
    """A bridge of one topic that has records."""
    guarded.admin.create_topic(name, 2)
    guarded.admin.produce(name, on_two_partitions(values(RECORDS)))
    allow(guarded, SASL_PRINCIPAL, allowed, name)
    bridge = {
        "source": {"endpoint": "guarded", "topics": [name]},
        "target": {"endpoint": "aws", "topic": "{topic}"},
    }
    endpoint = deployment.endpoint(guarded, "sasl_ssl", "oci-user")
    deployment.apply({"endpoints": {"guarded": endpoint}, "bridges": {name: bridge}})


@pytest.mark.parametrize(
    ("allowed", "is_there"),
    [
        ([], True),
        (["describe", "describe_configs"], True),
        (["describe", "describe_configs", "write"], False),
    ],
)
def test_a_target_that_does_not_let_us_write_is_named(
    shared: Deployment, guarded: ClusterAccess, allowed: list[str], is_there: bool
) -> None:
    name = unique("unwritten")
    principal = f"User:CN={name}"
    shared.make_topics(name)
    shared.oci.admin.produce(name, values(RECORDS))
    if is_there:
        guarded.admin.create_topic(name, 2)
    allow(guarded, principal, allowed, name)
    apply_to_guarded(shared, guarded, name)
    wait_until_unauthorized(shared, name, "target")

    wanted = ["write", "describe", "describe_configs", "create", "alter"]
    allow(guarded, principal, wanted, name)
    shared.wait_until_carried(name, [name])
    shared.wait_until_well(name)

    # Taken away while records flow.
    guarded.admin.delete_acl(principal, "write", name=name)
    shared.oci.admin.produce(name, values(RECORDS))
    wait_until_unauthorized(shared, name, "target")
    allow(guarded, principal, ["write"], name)
    shared.wait_until_carried(name, [name])
    shared.check([name], target=guarded, duplicates_max=0).assert_clean()
    shared.wait_until_well(name)
    shared.cli("delete", "bridge", name)


def test_a_target_with_too_few_partitions_is_named(
    shared: Deployment, guarded: ClusterAccess
) -> None:
    """And those that are there flow meanwhile."""
    name = unique("narrow")
    shared.make_topics(name, partitions=3)
    rows = [{"value": text, "partition": i % 3} for i, text in enumerate(values(RECORDS))]
    shared.oci.admin.produce(name, rows)
    guarded.admin.create_topic(name, 1)
    allow(guarded, f"User:CN={name}", ["write", "describe", "describe_configs"], name)
    apply_to_guarded(shared, guarded, name)
    found = shared.wait_until_shown(
        name,
        "TARGET_PARTITIONS_MISSING",
        side="target",
        says=[name, "has 1 partitions and needs 3", "ALTER"],
        seconds=SECONDS,
    )
    assert found["topic"] == name, found
    shared.wait(
        lambda: guarded.admin.list_offsets(name) == {0: RECORDS // 3},
        SECONDS,
        "the partition that is there is carried",
        0.5,
    )

    guarded.admin.create_partitions(name, 3)
    shared.wait_until_carried(name, [name])
    shared.check([name], target=guarded, duplicates_max=0).assert_clean()
    shared.wait_until_well(name)
    shared.cli("delete", "bridge", name)


def apply_to_guarded(deployment: Deployment, guarded: ClusterAccess, name: str) -> None:
    """A bridge of one topic to an endpoint whose user has the name for a name."""
    deployment.set_credential(name, "mtls", pair=guarded.certificates.client(name))
    deployment.apply({
        "endpoints": {name: deployment.endpoint(guarded, "ssl", name)},
        "bridges": {
            name: {
                "source": {"endpoint": "oci", "topics": [name]},
                "target": {"endpoint": name, "topic": "{topic}"},
            }
        },
    })


# A record


class Refusal(NamedTuple):
    """A record that the target refuses for good, and the topic's setting that does it."""

    reason: str
    record: Mapping[str, Any]
    setting: str
    strict: object
    mild: object
    advice: str


TOO_LARGE = Refusal(
    "RECORD_TOO_LARGE",
    {"value": random.Random(1).randbytes(50_000)},
    "max.message.bytes",
    20_000,
    1_000_000,
    "raise its max.message.bytes",
)
TOO_OLD = Refusal(
    "TIMESTAMP_REFUSED",
    {"value": b"old", "timestamp": 1_000_000_000_000},
    "message.timestamp.before.max.ms",
    86_400_000,
    2**63 - 1,
    "raise its message.timestamp.before.max.ms and message.timestamp.after.max.ms",
)
TOO_YOUNG = Refusal(
    "TIMESTAMP_REFUSED",
    {"value": b"young", "timestamp": 4_000_000_000_000},
    "message.timestamp.after.max.ms",
    3_600_000,
    2**63 - 1,
    "raise its message.timestamp.before.max.ms and message.timestamp.after.max.ms",
)


def by_pause(deployment: Deployment, bridge: str) -> None:
    deployment.cli("pause", "stream", f"{bridge}/{bridge}")
    deployment.wait(
        lambda: deployment.motions(bridge) == {"PAUSED"}, SECONDS, "it is paused", 0.5
    )
    deployment.cli("resume", "stream", f"{bridge}/{bridge}")


def by_restart(deployment: Deployment, bridge: str) -> None:
    relay = deployment.relays["one"]
    assert relay.terminate() == 0, bridge
    relay.start()


@pytest.mark.parametrize(
    ("refusal", "end_halt"),
    [(TOO_LARGE, by_pause), (TOO_LARGE, by_restart), (TOO_OLD, by_pause), (TOO_YOUNG, by_restart)],
)
def test_a_record_that_the_target_refuses_is_named(
    shared: Deployment, refusal: Refusal, end_halt: Callable[[Deployment, str], None]
) -> None:
    """Its partition halts, the others flow; mended, all of it arrives."""
    name = unique("refused")
    make_refusing_topics(shared, name, refusal)
    shared.oci.admin.produce(name, on_two_partitions(values(20)))
    shared.apply_bridge(name, [name])
    shared.wait_until_carried(name, [name])
    rows = on_two_partitions(values(RECORDS))
    shared.oci.admin.produce(name, [{**refusal.record, "partition": 0}, *rows])

    def wait_until_halted() -> None:
        says = ["offset 10", refusal.advice]
        seen = {"side": "target", "seconds": SECONDS}
        shared.wait_until_shown(name, refusal.reason, says=says, **seen)
        shared.wait(lambda: "HALTED" in shared.motions(name), SECONDS, "it is halted", 0.5)
        says.append("pause and resume")
        found = shared.wait_until_shown(name, refusal.reason, says=says, **seen)
        assert (found["topic"], found["partition"]) == (name, 0), found

    wait_until_halted()
    reached = {(name, 0): 10, (name, 1): 10 + RECORDS // 2}
    shared.wait(
        lambda: shared.checkpoints(name) == reached, SECONDS, "the neighbour is carried", 0.5
    )

    end_halt(shared, name)  # nothing is mended: it must halt again, at the same record
    wait_until_halted()
    assert shared.checkpoints(name) == reached

    shared.aws.admin.alter_configs(name, {refusal.setting: refusal.mild})
    end_halt(shared, name)
    shared.wait_until_carried(name, [name])
    shared.assert_once([name])
    shared.wait_until_well(name)
    shared.cli("delete", "bridge", name)


@pytest.mark.parametrize("refusal", [TOO_LARGE, TOO_OLD])
def test_a_refused_record_is_named_also_within_a_batch(
    shared: Deployment, refusal: Refusal
) -> None:
    """Not a neighbour that nothing is wrong with; and what is before it has arrived."""
    name = unique("batch")
    make_refusing_topics(shared, name, refusal)
    rows = on_two_partitions(values(RECORDS))
    rows.insert(20, {**refusal.record, "partition": 0})
    shared.oci.admin.produce(name, rows)
    shared.apply_bridge(name, [name])
    try:
        shared.wait(
            lambda: any("offset 10:" in row["text"] for row in shared.conditions(name)),
            SECONDS,
            "the culprit is found among its neighbours",
            0.5,
        )
        shared.wait_until_shown(
            name, refusal.reason, side="target", says=["offset 10:"], seconds=SECONDS
        )
        shared.wait(
            lambda: shared.checkpoints(name)[(name, 0)] == 10, SECONDS, "what is before it is kept"
        )
    finally:
        shared.cli("delete", "bridge", name)


def test_records_that_fit_are_not_refused_for_their_batch(shared: Deployment) -> None:
    """A target topic that takes no batch as large as those that are usual."""
    name = unique("small-batches")
    make_refusing_topics(shared, name, TOO_LARGE)
    some = random.Random(2)
    shared.oci.admin.produce(name, [{"value": some.randbytes(1000)} for _ in range(200)])
    shared.apply_bridge(name, [name])
    try:
        shared.wait_until_carried(name, [name], SECONDS)
    finally:
        shared.cli("delete", "bridge", name)
    shared.assert_once([name])


def make_refusing_topics(deployment: Deployment, name: str, refusal: Refusal) -> None:
    young = {"message.timestamp.after.max.ms": 2**63 - 1}
    deployment.oci.admin.create_topic(name, 2, configs=young)
    deployment.aws.admin.create_topic(name, 2, configs={refusal.setting: refusal.strict})


def on_two_partitions(texts: list[str]) -> list[dict[str, Any]]:
    return [{"value": text, "partition": i % 2} for i, text in enumerate(texts)]
