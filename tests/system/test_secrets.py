"""A canary in every secret is looked for wherever it must not be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from deployment import Deployment, stubs, unique

CANARY = "canary-4f1c77d2-in-the-mine"


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
    deployment.set_credentials(CANARY)
    deployment.cli("pause", "bridge", "secrets")
    deployment.cli("resume", "bridge", "secrets")
    deployment.cli("endpoint", "test", "oci", is_checked=False)
    deployment.wait(
        lambda: "AUTHENTICATION_FAILED" in deployment.reasons("secrets")
        or deployment.cli("endpoint", "test", "oci", is_checked=False).returncode == 1,
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
    token = deployment.context_line("token")
    for secret, allowed in (
        (CANARY, set()),
        (password, set()),
        (key, set()),
        (token, {"server/admin.context"}),
    ):
        found = {name for name, text in places.items() if secret.encode() in text}
        assert found <= allowed, f"a secret is in {sorted(found - allowed)}"
