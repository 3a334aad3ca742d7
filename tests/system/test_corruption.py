"""Bytes are damaged on their way: nobody crashes, the harm has a name, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from deployment import Deployment, unique

from rig import presets
from rig.access import Listener
from rig.kafka import KafkaCluster
from rig.ports import HOST
from rig.processes import process_identity
from rig.proxy import FaultProxy, Way

RATE = 1000
PARTITIONS = 3
# So many bytes are damaged, one in so many that pass: of records, and of a session's messages.
DAMAGES = 4
BYTES_OF_RECORDS = 20_000
BYTES_OF_A_SESSION = 2000
# From the last of them to a line in the log, on a busy machine.
SECONDS = 15


@pytest.fixture(scope="module")
def oci_cluster() -> Iterator[KafkaCluster]:
    """A source behind a proxy."""
    with KafkaCluster(
        "oci-damaged",
        listeners=(Listener("sasl_ssl", is_proxied=True), "plaintext"),
        users={presets.OCI_USER: presets.OCI_TOKEN},
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def aws_cluster() -> Iterator[KafkaCluster]:
    """A target behind a proxy."""
    with KafkaCluster(
        "aws-damaged", listeners=(Listener("ssl", is_proxied=True), "plaintext")
    ) as cluster:
        yield cluster


class Damage:
    """Damages a byte in every so many that go one way; a context manager that ends it."""

    def __init__(self, proxy: FaultProxy, way: Way, every: int) -> None:
        self._proxy = proxy
        self._way = way
        self._every = every
        self._before = proxy.counts().corrupted
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="damage", daemon=True)

    def __enter__(self) -> Damage:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._proxy.heal()

    @property
    def count(self) -> int:
        """Bytes that were damaged so far."""
        return self._proxy.counts().corrupted - self._before

    def _run(self) -> None:
        armed = None
        while not self._is_over.wait(0.02):
            if self.count != armed:
                armed = self.count
                self._proxy.corrupt_after(self._every, self._way)


def identities(deployment: Deployment) -> list[str | None]:
    """What tells the running programs from later ones; None for one that has ended."""
    assert deployment.server is not None
    children = [deployment.server, *(relay.process for relay in deployment.relays.values())]
    return [process_identity(child.pid) for child in children]


def run_damage(
    deployment: Deployment, proxy: FaultProxy, way: Way, every: int, told: Sequence[str]
) -> None:
    """Damages bytes under load; the relay's log must have every part of `told` in one line."""
    topic = unique("damaged")
    deployment.make_topics(topic, partitions=PARTITIONS)
    deployment.apply_bridge("damaged", [topic])
    log = deployment.relays["one"].log
    before = identities(deployment)
    with deployment.start_logs([topic], rate=RATE) as logs:
        deployment.wait_until_more([topic], RATE)
        seen = len(log.read_text())
        with Damage(proxy, way, every) as damage:
            deployment.wait(lambda: damage.count >= DAMAGES, 90, f"{DAMAGES} bytes are damaged")
            deployment.wait(
                lambda: any(all(part in line for part in told)
                            for line in log.read_text()[seen:].splitlines()),
                SECONDS,
                f"the relay's log says {told}",
            )
            print(f"{damage.count} bytes were damaged")
        deployment.wait(
            lambda: deployment.relay_state("one") == "CONNECTED", 30, "the relay is connected", 0.5
        )
        deployment.wait_until_more([topic], RATE)
        logs.stop()
    deployment.wait_until_carried("damaged", [topic])
    deployment.wait(
        lambda: not deployment.conditions("damaged"), 30, "nothing is wrong any more", 0.5
    )
    assert identities(deployment) == before and None not in before
    # What the target had not confirmed is sent again, and it takes it once.
    deployment.assert_once([topic])


@pytest.mark.parametrize("way", Way)
def test_bytes_damaged_on_the_way_from_the_source_harm_nobody(
    deployment: Deployment, oci_cluster: KafkaCluster, way: Way
) -> None:
    run_damage(
        deployment, oci_cluster.proxy("sasl_ssl"), way, BYTES_OF_RECORDS, ["bad record mac"]
    )


@pytest.mark.parametrize("way", Way)
def test_bytes_damaged_on_the_way_to_the_target_harm_nobody(
    deployment: Deployment, aws_cluster: KafkaCluster, way: Way
) -> None:
    run_damage(deployment, aws_cluster.proxy("ssl"), way, BYTES_OF_RECORDS, ["bad record mac"])


@pytest.mark.parametrize("way", Way)
def test_bytes_damaged_between_relay_and_server_harm_nobody(
    start_deployment: Callable[..., Deployment], way: Way
) -> None:
    deployment = start_deployment()
    with FaultProxy((HOST, deployment.relay_port)) as proxy:
        relay = deployment.add_relay("one", cloud="oci")
        relay.options = ["--server", proxy.address]
        relay.start()
        run_damage(deployment, proxy, way, BYTES_OF_A_SESSION, ["session ended", proxy.address])
