"""Old and new Kafka, old and new librdkafka: each pair that is promised carries.

A relay takes the newer librdkafka of the set-up where it is beside it, as all other system tests
do, and the system's else.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deployment import Deployment, Relay, library_of, numbers, program, unique

from rig import presets, records
from rig.access import ClusterAccess

# From the mistake to its name, on a busy machine.
SECONDS = 15
RECORDS = 2000

SCRAM_NEEDS = (2, 6, 1)


@pytest.fixture(scope="module")
def newer() -> str:
    """The version of the library beside the relay's program."""
    version = library_of(program("drawbridge-relay"))
    if numbers(version) < SCRAM_NEEDS:
        pytest.skip(f"no newer librdkafka is beside the relay, which runs on {version}: "
                    "scripts/fetch-librdkafka fetches it")
    return version


@pytest.fixture(scope="module")
def systems_relay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The relay's program where no library is beside it, so that it takes the system's."""
    copied = shutil.copy(program("drawbridge-relay"), tmp_path_factory.mktemp("system") / "bin")
    if numbers(library_of(copied)) >= SCRAM_NEEDS:
        pytest.skip(f"the system's librdkafka is {library_of(copied)}, no old one")
    return copied


@pytest.fixture(scope="module")
def old_oci() -> Iterator[ClusterAccess]:
    """As the preset `oci`, of Kafka 3.9.1."""
    with presets.oci_cluster(version="3.9.1") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def old_aws() -> Iterator[ClusterAccess]:
    """As the preset `aws`, of Kafka 3.9.1."""
    with presets.aws_cluster(version="3.9.1") as cluster:
        yield cluster


@pytest.fixture
def start_between(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., Deployment]]:
    """Starts a server and the relay `one` between two clusters, on a program of choice."""
    request.node.deployments = []

    def start(source: ClusterAccess, target: ClusterAccess, relay: Path) -> Deployment:
        folder = tmp_path / f"deployment-{len(request.node.deployments)}"
        deployment = Deployment(folder, source, target)
        folder.mkdir()
        request.node.deployments.append(deployment)
        deployment.start_server()
        deployment.set_credentials()
        deployment.add_relay("one", cloud="oci").program = relay
        deployment.relays["one"].start()
        return deployment

    yield start
    for deployment in request.node.deployments:
        deployment.close()


def reported_library(deployment: Deployment) -> str:
    """What CLI and API say that the relay `one` runs on."""
    (row,) = deployment.cli_json("get", "relays", "one")["relays"]
    by_api = deployment.call("relay_admin.RelayService", "GetRelay", name="one")
    table = deployment.cli("get", "relays").stdout
    assert row["librdkafka_version"] == by_api.librdkafka_version
    assert by_api.librdkafka_version in table, table
    assert f'"librdkafka":"{by_api.librdkafka_version}"' in deployment.relays["one"].log.read_text()
    return by_api.librdkafka_version


def carry_logs(deployment: Deployment) -> None:
    """From the preset's source to the preset's target: PLAIN there, a client certificate here."""
    topic = unique("versions")
    deployment.make_topics(topic)
    deployment.write_logs([topic], RECORDS)
    deployment.apply_bridge(topic, [topic])
    deployment.wait_until_carried(topic, [topic])
    # The way of a restart: the record below the checkpoint is read again and compared.
    assert deployment.relays["one"].terminate() == 0
    deployment.write_logs([topic], RECORDS)
    deployment.relays["one"].start()
    deployment.wait_until_carried(topic, [topic])
    deployment.assert_once([topic])


def carry_hard_records(deployment: Deployment) -> None:
    topic = unique("hard")
    deployment.make_topics(topic, partitions=4)
    deployment.apply_bridge(topic, [topic])
    client = deployment.oci.java_properties("plaintext")
    records.load(client, topic, records=20_000, transactions=0.3)
    deployment.wait_until_carried(topic, [topic])
    log_folders = [deployment.oci.state / "broker-1" / "data"]
    verdict = deployment.assert_once([topic], log_folders=log_folders)
    assert verdict.totals["aborted"] > 0 and verdict.totals["control"] > 0, verdict.describe()


def carry_by_scram(deployment: Deployment, mechanism: str) -> None:
    """Reads by SCRAM and writes by SCRAM: one cluster is both ends."""
    topic = unique("scram")
    deployment.set_credential("scram", f"sasl-{mechanism}")
    deployment.make_topics(topic)
    deployment.write_logs([topic], RECORDS)
    bridge = {
        "source": {"endpoint": "scram", "topics": [topic]},
        "target": {"endpoint": "scram", "topic": "copy.{topic}"},
    }
    endpoint = deployment.endpoint(deployment.oci, "sasl_ssl", "scram")
    deployment.apply({"endpoints": {"scram": endpoint}, "bridges": {topic: bridge}})
    deployment.wait_until_carried(topic, [topic])
    deployment.check(
        [topic], mapping="copy.{topic}", target=deployment.oci, duplicates_max=0
    ).assert_clean()
    assert deployment.cli("endpoint", "test", "scram", "--topic", topic).returncode == 0


# Kafka 4.1.1, as the rig has it unless told otherwise


@pytest.mark.parametrize("mechanism", ["scram-sha-256", "scram-sha-512"])
def test_scram_to_kafka_4_on_the_newer_library(
    start_between: Callable[..., Deployment],
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
    newer: str,
    mechanism: str,
) -> None:
    deployment = start_between(oci_cluster, aws_cluster, program("drawbridge-relay"))
    assert reported_library(deployment) == newer
    carry_by_scram(deployment, mechanism)


def test_plain_and_certificates_on_the_systems_library(
    start_between: Callable[..., Deployment],
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
    systems_relay: Path,
) -> None:
    deployment = start_between(oci_cluster, aws_cluster, systems_relay)
    assert reported_library(deployment) == library_of(systems_relay)
    carry_logs(deployment)


@pytest.mark.slow
def test_hard_records_on_the_systems_library(
    start_between: Callable[..., Deployment],
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
    systems_relay: Path,
) -> None:
    carry_hard_records(start_between(oci_cluster, aws_cluster, systems_relay))


@pytest.mark.parametrize(
    "mechanism", ["scram-sha-256", pytest.param("scram-sha-512", marks=pytest.mark.slow)]
)
def test_scram_to_kafka_4_on_the_systems_library_is_named(
    start_between: Callable[..., Deployment],
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
    systems_relay: Path,
    newer: str,
    mechanism: str,
) -> None:
    """And goes on when the relay is started on the newer one."""
    deployment = start_between(oci_cluster, aws_cluster, systems_relay)
    topic = unique("scram")
    deployment.set_credential("scram", f"sasl-{mechanism}")
    deployment.make_topics(topic)
    deployment.write_logs([topic], RECORDS)
    bridge = {
        "source": {"endpoint": "scram", "topics": [topic]},
        "target": {"endpoint": "aws", "topic": "{topic}"},
    }
    endpoints = {
        **deployment.endpoints(), "scram": deployment.endpoint(oci_cluster, "sasl_ssl", "scram"),
    }
    deployment.apply({"endpoints": endpoints, "bridges": {topic: bridge}})
    deployment.wait_until_shown(
        topic,
        "SCRAM_UNSUPPORTED",
        side="source",
        says=["scram", library_of(systems_relay), "librdkafka 2.6.1 or newer"],
        seconds=SECONDS,
    )
    tested = deployment.cli("endpoint", "test", "scram", is_checked=False)
    assert tested.returncode == 1 and "SCRAM_UNSUPPORTED" in tested.stdout, tested

    relay: Relay = deployment.relays["one"]
    assert relay.terminate() == 0
    relay.program = program("drawbridge-relay")
    relay.start()
    assert reported_library(deployment) == newer
    deployment.wait_until_carried(topic, [topic])
    deployment.assert_once([topic])
    assert not deployment.conditions(topic)


# Kafka 3.9.1 at both ends


def test_kafka_3_at_both_ends(
    start_between: Callable[..., Deployment], old_oci: ClusterAccess, old_aws: ClusterAccess
) -> None:
    carry_logs(start_between(old_oci, old_aws, program("drawbridge-relay")))


@pytest.mark.slow
def test_hard_records_between_kafka_3(
    start_between: Callable[..., Deployment], old_oci: ClusterAccess, old_aws: ClusterAccess
) -> None:
    carry_hard_records(start_between(old_oci, old_aws, program("drawbridge-relay")))


@pytest.mark.parametrize(
    "mechanism", ["scram-sha-256", pytest.param("scram-sha-512", marks=pytest.mark.slow)]
)
def test_scram_to_kafka_3_on_the_systems_library(
    start_between: Callable[..., Deployment],
    old_oci: ClusterAccess,
    old_aws: ClusterAccess,
    systems_relay: Path,
    mechanism: str,
) -> None:
    carry_by_scram(start_between(old_oci, old_aws, systems_relay), mechanism)


@pytest.mark.slow
def test_kafka_3_at_both_ends_on_the_systems_library(
    start_between: Callable[..., Deployment],
    old_oci: ClusterAccess,
    old_aws: ClusterAccess,
    systems_relay: Path,
) -> None:
    carry_logs(start_between(old_oci, old_aws, systems_relay))


@pytest.mark.slow
@pytest.mark.parametrize("is_source_old", [True, False])
def test_kafka_3_at_one_end(
    start_between: Callable[..., Deployment],
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
    old_oci: ClusterAccess,
    old_aws: ClusterAccess,
    is_source_old: bool,
) -> None:
    ends = (old_oci, aws_cluster) if is_source_old else (oci_cluster, old_aws)
    carry_logs(start_between(*ends, program("drawbridge-relay")))
