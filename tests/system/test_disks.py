"""Full disks and damaged databases: each is named, and once it is mended nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from deployment import Deployment, stubs, unique

from rig.access import ClusterAccess

# From the fault to its name, on a busy machine.
SECONDS = 15

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


class SmallDisk:
    """A file system of its own that can be filled to its last byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leaves no room, not even in blocks that are begun."""
        file = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with contextlib.closing(os.fdopen(file, "ab", buffering=0)) as ballast:
            for size in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(b"\0" * size)
        assert os.statvfs(self.folder).f_bavail == 0

    def make_room(self) -> None:
        """Frees what `fill` took."""
        self._ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[Path, int], SmallDisk]]:
    """Mounts a disk of so many bytes at a folder: `small_disk(folder, 1 << 20)`."""
    mounted: list[Path] = []

    def mount(folder: Path, size: int) -> SmallDisk:
        assert folder.is_relative_to(tmp_path)
        folder.mkdir(mode=0o700, parents=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", folder],
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            pytest.skip(f"this user may not mount a small disk: {done.stderr.strip()}")
        mounted.append(folder)
        return SmallDisk(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def unstarted(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
) -> Iterator[Deployment]:
    """A deployment of which nothing runs yet."""
    deployment = Deployment(tmp_path / "deployment", oci_cluster, aws_cluster)
    deployment.folder.mkdir()
    request.node.deployments = [deployment]
    yield deployment
    deployment.close()


def values(count: int) -> list[str]:
    return [f"record {number}" for number in range(count)]


def health(deployment: Deployment) -> bytes:
    """What the health service answers, as load balancers and probes ask it; nothing if it is away.

    A channel may meet the end of its connection to a killed server only when it is used again.
    """
    check = deployment.channel.unary_unary("/grpc.health.v1.Health/Check")
    try:
        return check(b"", timeout=5)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return b""


# Full disks


def test_a_full_disk_under_the_journal_is_named(
    small_disk: Callable[[Path, int], SmallDisk], unstarted: Deployment
) -> None:
    """A new partition waits for room; what runs goes on, also through a restart."""
    deployment = unstarted
    disk = small_disk(deployment.folder / "one", 512 << 10)
    deployment.start_server()
    deployment.set_credentials()
    deployment.add_relay("one", cloud="oci").start()
    disk.fill()
    topic = unique("journal")
    deployment.make_topics(topic)
    deployment.oci.admin.produce(topic, values(100))
    deployment.apply_bridge("journal", [topic])
    deployment.wait_until_shown(
        "journal", "JOURNAL_UNAVAILABLE", side="relay", says=["make room"], seconds=SECONDS
    )
    assert deployment.arrived([topic]) == 0

    disk.make_room()
    deployment.wait_until_carried("journal", [topic])
    assert not deployment.conditions("journal")

    disk.fill()
    deployment.oci.admin.produce(topic, values(100))
    deployment.wait_until_carried("journal", [topic])
    deployment.relays["one"].kill()
    deployment.oci.admin.produce(topic, values(100))
    deployment.relays["one"].start()
    deployment.wait_until_carried("journal", [topic])
    # Nothing was under way when it was killed.
    deployment.assert_once([topic])


def test_a_full_disk_under_the_database_is_named(
    small_disk: Callable[[Path, int], SmallDisk], unstarted: Deployment
) -> None:
    """Records flow on; when there is room again, all goes on by itself."""
    deployment = unstarted
    disk = small_disk(deployment.state, 16 << 20)
    deployment.start_server()
    deployment.set_credentials()
    deployment.add_relay("one", cloud="oci").start()
    topic = unique("full")
    deployment.make_topics(topic)
    deployment.apply_bridge("full", [topic])
    with deployment.start_logs([topic], rate=500) as logs:
        deployment.wait_until_more([topic], 500)
        assert health(deployment) == SERVING
        disk.fill()
        deployment.wait(
            lambda: health(deployment) == NOT_SERVING, SECONDS, "the server says that it is ill"
        )
        assert_refuses_changes(deployment)
        deployment.wait_until_more([topic], 1000)

        # By somebody who hopes that it helps.
        deployment.kill_server()
        deployment.start_server()
        deployment.wait(
            lambda: health(deployment) == NOT_SERVING, SECONDS, "the server says that it is ill"
        )
        assert_refuses_changes(deployment)
        deployment.wait_until_more([topic], 1000)

        disk.make_room()
        deployment.wait(
            lambda: health(deployment) == SERVING, SECONDS, "the server is well by itself"
        )
        logs.stop()
    deployment.apply_bridge("full", [topic], lanes=2)
    deployment.wait_until_carried("full", [topic])
    deployment.assert_once([topic])


def assert_refuses_changes(deployment: Deployment) -> None:
    """By the CLI and by the API; what is there can be looked at."""
    answer = deployment.apply({"endpoints": deployment.endpoints(), "bridges": {
        "another": deployment.bridge(["audit"])}}, is_checked=False)
    assert answer.returncode == 1, answer
    errors = json.loads(answer.stderr)["errors"]
    assert [row["reason"] for row in errors] == ["STORAGE_DEGRADED"], errors
    assert "make room" in errors[0]["message"], errors

    bridge = stubs("bridge_pb2")
    spec = bridge.BridgeSpec(
        source=bridge.BridgeSource(endpoint="oci", topics=["audit"]),
        target=bridge.BridgeTarget(endpoint="aws"),
    )
    with pytest.raises(grpc.RpcError) as refused:
        deployment.call(
            "bridge.BridgeService",
            "CreateBridge",
            bridge=bridge.Bridge(name="another", spec=spec),
            request_id=unique("request"),
        )
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    assert b"STORAGE_DEGRADED" in details, details
    assert [row["name"] for row in deployment.cli_json("get", "bridges")["bridges"]] == ["full"]


# Databases that the server must not touch


def wait_until_refused(deployment: Deployment, reason: str, advice: str) -> str:
    """Starts the server, which must end, and say why where people look first."""
    log = deployment.server_log
    told_before = len(log.read_text())
    deployment.start_server(failpoints="none=sleep:0")
    deployment.wait(deployment.server_died, SECONDS, f"the server ends with {reason}")
    assert deployment.server is not None and deployment.server.exit_code == 1
    told = log.read_text()[told_before:]
    assert "cannot start" in told and reason in told and advice in told, told
    answer = deployment.cli("get", "bridges", is_checked=False)
    assert answer.returncode not in (0, 1, 2) and answer.stderr, answer
    return told


def database(deployment: Deployment) -> Path:
    return deployment.state / "control.db"


def back_up(deployment: Deployment, copy: Path) -> None:
    """As the handbook says, while the server runs."""
    with contextlib.closing(sqlite3.connect(database(deployment))) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))


def restore(deployment: Deployment, copy: Path) -> None:
    """As the handbook says: the copy, and no log of another file."""
    for name in ("control.db", "control.db-wal", "control.db-shm"):
        (deployment.state / name).unlink(missing_ok=True)
    shutil.copy(copy, database(deployment))


def make_newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def write_garbage(path: Path) -> None:
    """Over the page in which the table of the checkpoints begins."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'checkpoints'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size))


def write_another_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"This is no database.")


def test_a_database_that_is_no_good_is_named_and_left_alone(
    start_deployment: Callable[..., Deployment], tmp_path: Path
) -> None:
    """Then the backup is restored: records repeat since it was made, and none is lost."""
    deployment = start_deployment("one")
    topic = unique("restored")
    deployment.make_topics(topic)
    deployment.oci.admin.produce(topic, values(100))
    deployment.apply_bridge("restored", [topic])
    deployment.wait_until_carried("restored", [topic])
    copy = tmp_path / "copy.db"
    back_up(deployment, copy)
    # Newer than the copy: what was confirmed since is forgotten with the damaged file.
    deployment.oci.admin.produce(topic, values(100))
    deployment.wait_until_carried("restored", [topic])
    deployment.stop_server()
    deployment.oci.admin.produce(topic, values(100))

    whole = shutil.copy(database(deployment), tmp_path / "whole.db")
    for damage, reason, advice in (
        (make_newer, "DATABASE_NEWER", "run the newer server"),
        (make_empty, "DATABASE_CORRUPT", "restore a backup"),
        (cut_short, "DATABASE_CORRUPT", "restore a backup"),
        (write_garbage, "DATABASE_CORRUPT", "restore a backup"),
        (write_another_header, "DATABASE_CORRUPT", "restore a backup"),
    ):
        restore(deployment, whole)
        damage(database(deployment))
        damaged = database(deployment).read_bytes()
        told = wait_until_refused(deployment, reason, advice)
        print(f"{damage.__name__}: {told.splitlines()[-1]}")
        assert database(deployment).read_bytes() == damaged, f"{damage.__name__} was written to"

    restore(deployment, copy)
    deployment.start_server()
    deployment.wait(
        lambda: deployment.relay_state("one") == "CONNECTED", 60, "the relay is back", 0.5
    )
    deployment.oci.admin.produce(topic, values(100))
    deployment.wait_until_carried("restored", [topic])
    deployment.check([topic], duplicates_max=400).assert_clean()
