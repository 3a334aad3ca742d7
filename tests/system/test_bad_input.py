"""What is wrong is named: a reason that never changes, and a sentence that says what to do."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from deployment import Deployment, Relay, stubs, unique

from rig.access import ClusterAccess

# From the mistake to its name, on a busy machine.
SECONDS = 15

Definitions = dict[str, Any]


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, oci_cluster: ClusterAccess, aws_cluster: ClusterAccess
) -> Iterator[Deployment]:
    """One deployment for all mistakes; each test has names of its own."""
    deployment = Deployment(tmp_path_factory.mktemp("bad-input"), oci_cluster, aws_cluster)
    try:
        deployment.start_server()
        deployment.set_credentials()
        deployment.add_relay("one", cloud="oci").start()
        deployment.apply({"endpoints": deployment.endpoints()})
        yield deployment
    finally:
        deployment.close()


def errors_of(deployment: Deployment, definitions: Definitions | str) -> list[dict[str, Any]]:
    """What `drawbridge -o json apply` refuses."""
    answer = deployment.apply(definitions, is_checked=False)
    assert answer.returncode in (1, 2), (answer.returncode, answer.stdout, answer.stderr)
    return json.loads(answer.stderr)["errors"]


def assert_named(errors: list[dict[str, Any]], reason: str, field: str) -> None:
    found = [row for row in errors if row["reason"] == reason and field in (row["field"] or "")]
    assert found, f"no {reason} with {field} in {errors}"
    assert all(len(row["message"]) > 15 for row in found), found


def pair(deployment: Deployment, **bridge: Any) -> Definitions:
    """Good endpoints and one bridge between them, with changes."""
    name = unique("bad")
    return {
        "endpoints": deployment.endpoints(),
        "bridges": {name: {**deployment.bridge([name]), **bridge}},
    }


# Refused when it is applied


def unknown_credential(deployment: Deployment) -> Definitions:
    endpoint = deployment.endpoint(deployment.aws, "ssl", "nobody")
    return {"endpoints": {unique("bad"): endpoint}}


def unknown_endpoint(deployment: Deployment) -> Definitions:
    return pair(deployment, source={"endpoint": "nowhere", "topics": ["audit"]})


def bad_pattern(deployment: Deployment) -> Definitions:
    return pair(deployment, source={"endpoint": "oci", "topics": ["/vcn-(/"]})


def onto_itself(deployment: Deployment) -> Definitions:
    return pair(deployment, target={"endpoint": "oci", "topic": "{topic}"})


def feed_each_other(deployment: Deployment) -> Definitions:
    there, back = unique("there"), unique("back")
    bare = {"topic": "{topic}", "provenance": False}
    return {
        "endpoints": deployment.endpoints(),
        "bridges": {
            there: {
                "source": {"endpoint": "oci", "topics": ["circle"]},
                "target": {"endpoint": "aws", **bare},
            },
            back: {
                "source": {"endpoint": "aws", "topics": ["circle"]},
                "target": {"endpoint": "oci", **bare},
            },
        },
    }


def impossible_guarantee(deployment: Deployment) -> Definitions:
    return pair(
        deployment,
        source={"endpoint": "aws", "topics": ["audit"]},
        target={"endpoint": "oci", "topic": "{topic}", "require_idempotence": True},
    )


@pytest.mark.parametrize(
    ("mistake", "reason", "field"),
    [
        (unknown_credential, "CREDENTIAL_NOT_FOUND", "credential"),
        (unknown_endpoint, "ENDPOINT_NOT_FOUND", "source"),
        (bad_pattern, "PATTERN_INVALID", "topics"),
        (onto_itself, "BRIDGE_ONTO_ITSELF", ""),
        (feed_each_other, "BRIDGES_FEED_EACH_OTHER", ""),
        (impossible_guarantee, "GUARANTEE_UNSUPPORTED", "require_idempotence"),
    ],
)
def test_apply_refuses(
    shared: Deployment, mistake: Callable[[Deployment], Definitions], reason: str, field: str
) -> None:
    before = shared.cli_json("get", "bridges")
    assert_named(errors_of(shared, mistake(shared)), reason, field)
    assert shared.cli_json("get", "bridges") == before


def test_an_unknown_key_is_named_with_its_line(shared: Deployment) -> None:
    text = "bridges:\n  x:\n    source: { endpoint: oci, topics: [a] }\n    lances: 2\n"
    errors = errors_of(shared, text)
    assert_named(errors, "FIELD_UNKNOWN", "lances")
    assert errors[0]["line"] == 4


def test_a_name_twice_is_named(shared: Deployment) -> None:
    text = "bridges:\n  x: { lanes: 1 }\n  x: { lanes: 2 }\n"
    assert_named(errors_of(shared, text), "NAME_TAKEN", "x")


def test_the_api_names_the_reason_and_the_field(shared: Deployment) -> None:
    bridge = stubs("bridge_pb2")
    spec = bridge.BridgeSpec(
        source=bridge.BridgeSource(endpoint="oci", topics=["/vcn-(/"]),
        target=bridge.BridgeTarget(endpoint="aws"),
    )
    with pytest.raises(grpc.RpcError) as refused:
        shared.call(
            "bridge.BridgeService",
            "CreateBridge",
            bridge=bridge.Bridge(name=unique("bad"), spec=spec),
            request_id=unique("request"),
        )
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    assert b"PATTERN_INVALID" in details and b"topics" in details


# Seen when a relay connects


def unreachable(deployment: Deployment) -> dict[str, Any]:
    return deployment.endpoint(
        deployment.aws, "ssl", "aws-client", bootstrap=["127.0.0.1:1"]
    )


def wrong_password(deployment: Deployment) -> dict[str, Any]:
    path = deployment.folder / "wrong"
    path.write_text("wrong\n")
    deployment.cli(
        "credential", "set", "wrong-user", "--kind", "sasl-plain",
        "--username", "somebody", "--password-file", path,
    )
    return deployment.endpoint(deployment.oci, "sasl_ssl", "wrong-user")


def untrusted_ca(deployment: Deployment) -> dict[str, Any]:
    foreign = str(deployment.aws.certificates.foreign_root)
    return deployment.endpoint(deployment.aws, "ssl", "aws-client", ca=foreign)


def no_client_certificate(deployment: Deployment) -> dict[str, Any]:
    return deployment.endpoint(deployment.aws, "ssl", None)


def expired_certificate(deployment: Deployment) -> dict[str, Any]:
    files = deployment.aws.certificates.expired_client("late")
    deployment.cli(
        "credential", "set", "expired", "--kind", "mtls",
        "--certificate", files.certificate, "--key", files.key,
    )
    return deployment.endpoint(deployment.aws, "ssl", "expired")


@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        (unreachable, "UNREACHABLE"),
        (wrong_password, "AUTHENTICATION_FAILED"),
        (untrusted_ca, "TLS_UNTRUSTED"),
        (no_client_certificate, "TLS_CLIENT_CERTIFICATE_REQUIRED"),
        (expired_certificate, "TLS_CERTIFICATE_EXPIRED"),
    ],
)
def test_a_cluster_that_does_not_let_us_in_is_named(
    shared: Deployment, mistake: Callable[[Deployment], dict[str, Any]], reason: str
) -> None:
    """By `endpoint test`, and by the conditions of a bridge."""
    name = unique("bad")
    bridge = {
        "source": {"endpoint": "oci", "topics": [name]},
        "target": {"endpoint": name, "topic": "copy.{topic}"},
    }
    shared.oci.admin.create_topic(name)
    shared.apply({"endpoints": {name: mistake(shared)}, "bridges": {name: bridge}})
    applied_at = time.monotonic()
    shared.wait(lambda: reason in shared.reasons(name), SECONDS, f"{name} shows {reason}", 0.5)
    found = [row for row in shared.conditions(name) if row["reason"] == reason]
    assert all(row["side"] == "target" and len(row["text"]) > 15 for row in found), found
    print(f"{reason} after {time.monotonic() - applied_at:.1f} s: {found[0]['text']}")

    tested = shared.cli("-o", "json", "endpoint", "test", name, is_checked=False)
    assert tested.returncode == 1, tested
    failed = [row for row in json.loads(tested.stdout)["checks"] if not row["ok"]]
    assert reason in {row["reason"] for row in failed}, failed
    assert all(row["detail"] for row in failed), failed
    shared.cli("delete", "bridge", name)


def test_an_unknown_topic_is_named(shared: Deployment) -> None:
    name = unique("missing")
    shared.apply_bridge(name, [name])
    shared.wait(
        lambda: "TOPIC_NOT_FOUND" in shared.reasons(name), SECONDS, "the topic is missed", 0.5
    )
    shared.cli("delete", "bridge", name)


# Relays


def test_a_used_token_is_refused(shared: Deployment) -> None:
    name = unique("relay")
    token = shared.cli_json("relay", "token", "create", name)
    first = Relay(shared, name, shared.folder / f"{name}-first")
    assert first.enrol(token, shared.api).returncode == 0
    second = Relay(shared, name, shared.folder / f"{name}-second").enrol(token, shared.api)
    assert second.returncode == 1
    assert "TOKEN_USED" in second.stderr, second.stderr


def test_an_expired_token_is_refused(shared: Deployment) -> None:
    name = unique("relay")
    token = shared.cli_json("relay", "token", "create", name, "--ttl", "1s")
    relay = Relay(shared, name, shared.folder / name)
    created_at = time.monotonic()
    shared.wait(lambda: time.monotonic() - created_at > 1.5, 5, "the token is past its time")
    late = relay.enrol(token, shared.api)
    assert late.returncode == 1
    assert "TOKEN_EXPIRED" in late.stderr, late.stderr


def test_two_relays_with_one_identity_are_told(
    start_deployment: Callable[..., Deployment],
) -> None:
    deployment = start_deployment("one")
    first = deployment.relays["one"]
    twin = Relay(deployment, "one", deployment.folder / "twin")
    shutil.copytree(first.state, twin.state)
    twin.log = Path(deployment.folder / "twin.log")
    deployment.relays["twin"] = twin
    twin.start(failpoints="none=sleep:0")

    def is_told() -> bool:
        logs = first.log.read_text() + twin.log.read_text() + deployment.server_log.read_text()
        return "DUPLICATE_IDENTITY" in logs

    deployment.wait(is_told, SECONDS, "the second relay of one identity is named")
