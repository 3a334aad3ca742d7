"""A canary in every secret is looked for wherever it must not be."""

from __future__ import annotations

import contextlib
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deployment import START_SECONDS, Deployment, Relay, program, stubs, unique

from rig.processes import Child

CANARY = "canary-4f1c77d2-in-the-mine"
# Keys that the programs made for themselves, each at the one place where it may be.
OWN_KEYS = ("one/identity.pem", "server/master.key", "server/relay-ca.key", "server/server-ca.key")


def command_lines() -> Iterator[bytes]:
    """What everybody on the machine can read of every process."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue


def environments(deployment: Deployment) -> Iterator[bytes]:
    """The environments of the programs under test."""
    assert deployment.server is not None
    processes = [deployment.server, *(relay.process for relay in deployment.relays.values())]
    for child in processes:
        yield Path(f"/proc/{child.pid}/environ").read_bytes()


def api_answers(deployment: Deployment) -> Iterator[bytes]:
    """All that the API lists."""
    for service in ("endpoint.Endpoint", "bridge.Bridge", "credential.Credential",
                    "relay_admin.Relay", "stream.Stream"):
        module, _, kind = service.partition(".")
        name = f"List{kind}s"
        assert hasattr(stubs(f"{module}_pb2"), f"{name}Request")
        answer = deployment.call(f"{module}.{kind}Service", name)
        yield answer.SerializeToString() + str(answer).encode()


def use_other_secrets(deployment: Deployment) -> list[str]:
    """Uses one of each other kind, and returns what must be found nowhere."""
    words = {kind: f"canary-{kind}-{unique('x')}" for kind in ("scram", "basic", "passphrase")}
    deployment.set_credential("scram", "sasl-scram-sha-512", password=words["scram"])
    deployment.set_credential("basic", "basic", password=words["basic"])
    pair = deployment.aws.certificates.client("locked")
    locked, passphrase = deployment.folder / "locked.pem", deployment.folder / "locked.password"
    passphrase.touch(mode=0o600)
    passphrase.write_text(words["passphrase"] + "\n")
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", pair.key, "-out", locked,
         "-passout", f"file:{passphrase}"],
        check=True, capture_output=True,
    )
    deployment.cli(
        "credential", "set", "locked", "--kind", "mtls", "--certificate", pair.certificate,
        "--key", locked, "--key-password-file", passphrase,
    )
    endpoints = {
        "scram": deployment.endpoint(deployment.oci, "sasl_ssl", "scram"),
        "locked": deployment.endpoint(deployment.aws, "ssl", "locked"),
        "basic": {"opensearch": {"addresses": ["http://127.0.0.1:1"], "credential": "basic"}},
    }
    deployment.apply({"endpoints": endpoints})
    for name, is_let_in in (("scram", False), ("locked", True), ("basic", False)):
        tested = deployment.cli("endpoint", "test", name, is_checked=False)
        assert (tested.returncode == 0) == is_let_in, tested
    token = deployment.cli_json("relay", "token", "create", "two")
    relay = Relay(deployment, "two", deployment.folder / "two")
    assert relay.enrol(token, deployment.api).returncode == 0
    for path in deployment.folder.glob("*.password"):
        path.unlink()
    return [*words.values(), token["token"]]


def test_no_secret_leaves_its_place(
    start_deployment: Callable[..., Deployment],
) -> None:
    deployment = start_deployment("one")
    topic = unique("secrets")
    deployment.make_topics(topic)
    deployment.write_logs([topic], 100)
    # Used for a log-in that works, and then for one that does not: both must keep silent.
    deployment.apply_bridge("secrets", [topic])
    deployment.wait_until_carried("secrets", [topic])
    key = deployment.aws.certificates.client("drawbridge").key.read_text().splitlines()[1]
    password = next(iter(deployment.oci.users.values()))
    others = use_other_secrets(deployment)
    deployment.set_credentials(CANARY)
    deployment.cli("pause", "bridge", "secrets")
    deployment.cli("resume", "bridge", "secrets")
    deployment.cli("endpoint", "test", "oci", is_checked=False)
    deployment.wait(
        lambda: "AUTHENTICATION_FAILED" in deployment.reasons("secrets")
        or "AUTHENTICATION_FAILED"
        in deployment.cli("endpoint", "test", "oci", is_checked=False).stdout,
        60,
        "the wrong password is refused",
        0.5,
    )
    spoken = [
        deployment.cli("-o", form, verb, *words, is_checked=False)
        for form in ("json", "table")
        for verb, words in (
            ("get", ["credentials"]),
            ("get", ["endpoints"]),
            ("describe", ["endpoint", "oci"]),
            ("describe", ["bridge", "secrets"]),
            ("status", []),
            ("endpoint", ["test", "oci"]),
        )
    ]

    (deployment.folder / "password").unlink()
    files = [path for path in deployment.folder.rglob("*") if path.is_file()]
    places = {str(path.relative_to(deployment.folder)): path.read_bytes() for path in files}
    assert any(name.endswith("control.db") for name in places)
    assert any("one/" in name for name in places)
    places |= {f"process {i}": text for i, text in enumerate(command_lines())}
    places |= {f"environment {i}": text for i, text in enumerate(environments(deployment))}
    places |= {f"answer {i}": text for i, text in enumerate(api_answers(deployment))}
    places |= {
        f"output {i}": (answer.stdout + answer.stderr).encode() for i, answer in enumerate(spoken)
    }
    secrets: list[tuple[str, set[str]]] = [
        (CANARY, set()),
        (password, set()),
        (key, set()),
        (deployment.context_line("token"), {"server/admin.context"}),
        *((secret, set()) for secret in others),
    ]
    for name in OWN_KEYS:
        secrets.append((places[name].decode().splitlines()[1], {name}))
    for secret, allowed in secrets:
        found = {name for name, text in places.items() if secret.encode() in text}
        assert found <= allowed, f"a secret is in {sorted(found - allowed)}"


@pytest.fixture
def core_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where programs that start from here on may leave core files, as large as they like."""
    folder = tmp_path / "cores"
    folder.mkdir()
    monkeypatch.chdir(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield folder
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def abort_another_program(core_folder: Path) -> None:
    """Leaves the core file of a program that takes no care, or skips where no such files are."""
    subprocess.run(
        [sys.executable, "-c", "import os, sys; secret = sys.stdin.read(); os.abort()"],
        input=CANARY,
        text=True,
    )
    cores = list(core_folder.iterdir())
    if not cores:
        pytest.skip("this machine leaves no core files in the working folder")
    for core in cores:
        assert CANARY.encode() in core.read_bytes(), core
        core.unlink()


def start_cli_with_a_secret(deployment: Deployment) -> Child:
    """The CLI as it waits for a server that does not answer."""
    secret = deployment.folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text(CANARY + "\n")
    assert deployment.server is not None
    deployment.server.pause()
    cli = Child.start(
        [
            program("drawbridge"), "--context", deployment.context, "credential", "set", "canary",
            "--kind", "sasl-plain", "--username", "somebody", "--password-file", secret,
        ],
        name="cli",
        log=deployment.folder / "cli.log",
    )

    def has_connected() -> bool:
        with contextlib.suppress(OSError):
            files = Path(f"/proc/{cli.pid}/fd").iterdir()
            return any(str(file.readlink()).startswith("socket:") for file in files)
        return False

    deployment.wait(has_connected, START_SECONDS, "the CLI talks to the server")
    for what in ("cmdline", "environ"):
        assert CANARY.encode() not in Path(f"/proc/{cli.pid}/{what}").read_bytes(), what
    return cli


def test_no_secret_is_in_a_core_file(
    start_deployment: Callable[..., Deployment], core_folder: Path
) -> None:
    """Programs that have secrets in their memory crash, and leave no core file at all."""
    abort_another_program(core_folder)
    deployment = start_deployment("one")
    topic = unique("cores")
    deployment.make_topics(topic)
    deployment.oci.admin.produce(topic, ["record"])
    deployment.apply_bridge("cores", [topic])
    deployment.wait_until_carried("cores", [topic])
    cli = start_cli_with_a_secret(deployment)

    assert deployment.server is not None
    for child in (cli, deployment.relays["one"].process, deployment.server):
        child.signal(signal.SIGABRT)
        child.resume()
        assert child.wait(START_SECONDS) == -signal.SIGABRT, child.name
        assert not list(core_folder.iterdir()), child.name
