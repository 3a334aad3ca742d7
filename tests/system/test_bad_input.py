"""What is wrong is named: a reason that never changes, and a sentence that says what to do."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from deployment import Deployment, Relay, program, stubs, unique
from google.protobuf import json_format

from rig.access import ClusterAccess
from rig.certificates import Certificates
from rig.kafka import KafkaCluster

# From the mistake to its name, on a busy machine.
SECONDS = 15
RECORDS = 60

Definitions = dict[str, Any]


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


def values(count: int) -> list[str]:
    return [f"record {number}" for number in range(count)]


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


def apply_by_api(deployment: Deployment, definitions: Definitions) -> None:
    """Applies the same definitions as automation does that has no YAML."""
    bridge, endpoint = stubs("bridge_pb2"), stubs("endpoint_pb2")
    request: dict[str, list[Any]] = {"endpoints": [], "bridges": []}
    for name, wanted in definitions["endpoints"].items():
        kafka = dict(wanted["kafka"])
        kafka["ca_pem"] = Path(kafka.pop("ca")).read_text()
        kafka["profile"] = "PROFILE_" + kafka["profile"].upper().replace("-", "_")
        document = {"name": name, "kafka": kafka}
        request["endpoints"].append(json_format.ParseDict(document, endpoint.Endpoint()))
    for name, wanted in definitions.get("bridges", {}).items():
        source, target = dict(wanted["source"]), dict(wanted["target"])
        source.pop("start", None)  # earliest, as by default
        target["omit_provenance"] = not target.pop("provenance", True)
        document = {"name": name, "spec": {"source": source, "target": target}}
        request["bridges"].append(json_format.ParseDict(document, bridge.Bridge()))
    deployment.call(
        "bridge.DefinitionService", "Apply", request_id=unique("request"), **request
    )


@pytest.mark.parametrize(
    ("mistake", "reason", "field"),
    [
        (unknown_credential, "CREDENTIAL_NOT_FOUND", "credential"),
        (unknown_endpoint, "ENDPOINT_NOT_FOUND", "source"),
        (bad_pattern, "PATTERN_INVALID", "topics"),
        (onto_itself, "BRIDGE_ONTO_ITSELF", "target"),
        (feed_each_other, "BRIDGES_FEED_EACH_OTHER", "bridges"),
        (impossible_guarantee, "GUARANTEE_UNSUPPORTED", "require_idempotence"),
    ],
)
def test_apply_refuses(
    shared: Deployment, mistake: Callable[[Deployment], Definitions], reason: str, field: str
) -> None:
    """By the CLI and by the API, and nothing of it is done."""
    before = shared.cli_json("get", "bridges"), shared.cli_json("get", "endpoints")
    definitions = mistake(shared)
    errors = errors_of(shared, definitions)
    assert_named(errors, reason, field)
    with pytest.raises(grpc.RpcError) as refused:
        apply_by_api(shared, definitions)
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    for word in (reason, field, errors[0]["message"]):
        assert word.encode() in details, (word, details)
    assert before == (shared.cli_json("get", "bridges"), shared.cli_json("get", "endpoints"))


def test_people_are_told_what_scripts_are(shared: Deployment) -> None:
    definitions = bad_pattern(shared)
    errors = errors_of(shared, definitions)
    answer = shared.cli("apply", "-f", "-", text=json.dumps(definitions), is_checked=False)
    assert answer.returncode == 1 and not answer.stdout, answer
    for row in errors:
        assert row["message"] in answer.stderr and row["field"].split(".", 1)[1] in answer.stderr


def test_an_unknown_key_is_named_with_its_line(shared: Deployment) -> None:
    text = "bridges:\n  x:\n    source: { endpoint: oci, topics: [a] }\n    lances: 2\n"
    errors = errors_of(shared, text)
    assert_named(errors, "FIELD_UNKNOWN", "lances")
    assert errors[0]["line"] == 4


def test_a_name_twice_is_named(shared: Deployment) -> None:
    text = "bridges:\n  x: { lanes: 1 }\n  x: { lanes: 2 }\n"
    assert_named(errors_of(shared, text), "NAME_TAKEN", "x")


# Seen when a relay connects


class Mistake(NamedTuple):
    """An endpoint as somebody gave it, and what mends it."""

    cluster: ClusterAccess
    endpoint: dict[str, Any]
    mend: Callable[[], None]


def applied_again(
    deployment: Deployment, name: str, endpoint: dict[str, Any]
) -> Callable[[], None]:
    return lambda: deployment.apply({"endpoints": {name: endpoint}})


def unreachable(deployment: Deployment, name: str) -> Mistake:
    good = deployment.endpoint(deployment.aws, "ssl", "aws-client")
    bad = deployment.endpoint(deployment.aws, "ssl", "aws-client", bootstrap=["127.0.0.1:1"])
    return Mistake(deployment.aws, bad, applied_again(deployment, name, good))


def wrong_password(deployment: Deployment, name: str) -> Mistake:
    deployment.set_credential(name, "sasl-plain", password="wrong")
    endpoint = deployment.endpoint(deployment.oci, "sasl_ssl", name)
    return Mistake(
        deployment.oci, endpoint, lambda: deployment.set_credential(name, "sasl-plain")
    )


def untrusted_ca(deployment: Deployment, name: str) -> Mistake:
    good = deployment.endpoint(deployment.aws, "ssl", "aws-client")
    foreign = str(deployment.aws.certificates.foreign_root)
    bad = deployment.endpoint(deployment.aws, "ssl", "aws-client", ca=foreign)
    return Mistake(deployment.aws, bad, applied_again(deployment, name, good))


def no_client_certificate(deployment: Deployment, name: str) -> Mistake:
    good = deployment.endpoint(deployment.aws, "ssl", "aws-client")
    bad = deployment.endpoint(deployment.aws, "ssl", None)
    return Mistake(deployment.aws, bad, applied_again(deployment, name, good))


def expired_certificate(deployment: Deployment, name: str) -> Mistake:
    certificates = deployment.aws.certificates
    deployment.set_credential(name, "mtls", pair=certificates.expired_client("late"))
    endpoint = deployment.endpoint(deployment.aws, "ssl", name)
    return Mistake(
        deployment.aws,
        endpoint,
        lambda: deployment.set_credential(name, "mtls", pair=certificates.client("late")),
    )


@pytest.mark.parametrize(
    ("mistake", "reason", "advice"),
    [
        (unreachable, "UNREACHABLE", "127.0.0.1:1"),
        (wrong_password, "AUTHENTICATION_FAILED", "set the credential again"),
        (untrusted_ca, "TLS_UNTRUSTED", "check `ca`"),
        (no_client_certificate, "TLS_CLIENT_CERTIFICATE_REQUIRED", "credential of kind mtls"),
        (expired_certificate, "TLS_CERTIFICATE_EXPIRED", "set a new version of the credential"),
    ],
)
def test_a_cluster_that_does_not_let_us_in_is_named(
    shared: Deployment, mistake: Callable[[Deployment, str], Mistake], reason: str, advice: str
) -> None:
    name = unique("bad")
    run_mistake(shared, name, mistake(shared, name), reason, advice)


def test_a_cluster_whose_certificate_has_expired_is_named(
    shared: Deployment, start_cluster: Callable[..., KafkaCluster], tmp_path: Path
) -> None:
    """Theirs, not ours; its operator renews it while it runs."""
    name = unique("bad")
    certificates = Certificates(tmp_path / "certificates")
    keystore = "listener.name.ssl.ssl.keystore.location"
    cluster = start_cluster(
        "outdated",
        listeners=("ssl", "plaintext"),
        state=tmp_path,
        properties={
            "listener.name.ssl.ssl.keystore.type": "PEM",
            keystore: certificates.expired_server().bundle,
        },
    )
    shared.set_credential(name, "mtls", pair=cluster.certificates.client(name))
    mistake = Mistake(
        cluster,
        shared.endpoint(cluster, "ssl", name),
        lambda: cluster.admin.alter_configs(
            "1", {keystore: certificates.server().bundle}, resource="broker"
        ),
    )
    run_mistake(
        shared, name, mistake, "TLS_CERTIFICATE_EXPIRED", "the other end's certificate has expired"
    )


def run_mistake(
    shared: Deployment, name: str, wrong: Mistake, reason: str, advice: str
) -> None:
    """It is named by `endpoint test` and by a bridge's conditions; mended, the records flow."""
    bridge = {
        "source": {"endpoint": "oci", "topics": [name]},
        "target": {"endpoint": name, "topic": "copy.{topic}"},
    }
    shared.make_topics(name)
    shared.oci.admin.produce(name, values(RECORDS))
    shared.apply({"endpoints": {name: wrong.endpoint}, "bridges": {name: bridge}})
    shared.wait_until_shown(name, reason, side="target", says=[name, advice], seconds=SECONDS)

    tested = shared.cli("-o", "json", "endpoint", "test", name, is_checked=False)
    assert tested.returncode == 1, tested
    failed = [row for row in json.loads(tested.stdout)["checks"] if not row["ok"]]
    assert [row["reason"] for row in failed] == [reason], failed
    assert advice in failed[0]["detail"], failed
    by_api = shared.call("endpoint.EndpointService", "TestEndpoint", name=name)
    assert [check.detail for check in by_api.checks if not check.ok] and not by_api.ok

    wrong.mend()
    shared.wait_until_carried(name, [name])
    shared.check(
        [name], mapping="copy.{topic}", target=wrong.cluster, duplicates_max=0
    ).assert_clean()
    shared.wait_until_well(name)
    shared.cli("delete", "bridge", name)


def test_an_unknown_topic_is_named(shared: Deployment) -> None:
    name = unique("missing")
    shared.apply_bridge(name, [name])
    shared.wait_until_shown(
        name, "TOPIC_NOT_FOUND", side="source", says=[name, "create it"], seconds=SECONDS
    )
    shared.make_topics(name)
    shared.oci.admin.produce(name, values(RECORDS))
    shared.wait_until_carried(name, [name])
    shared.assert_once([name])
    shared.wait_until_well(name)
    shared.cli("delete", "bridge", name)


def test_an_unknown_topic_beside_one_that_flows_is_named(shared: Deployment) -> None:
    there, name = unique("there"), unique("missing")
    shared.make_topics(there)
    shared.oci.admin.produce(there, values(RECORDS))
    shared.apply_bridge(name, [there, name])
    shared.wait_until_carried(name, [there])
    try:
        shared.wait_until_shown(
            name, "TOPIC_NOT_FOUND", side="source", says=[name, "create it"], seconds=SECONDS
        )
    finally:
        shared.cli("delete", "bridge", name)


def test_a_target_topic_that_replaces_times_is_named(shared: Deployment) -> None:
    """Records flow all the same; mended, they keep their times."""
    name = unique("rewritten")
    shared.make_topics(name)
    shared.oci.admin.produce(name, values(RECORDS))
    setting = "message.timestamp.type"
    shared.aws.admin.create_topic(name, 2, configs={setting: "LogAppendTime"})
    shared.apply_bridge(name, [name])
    shared.wait_until_shown(
        name, "TIMESTAMP_REWRITTEN", side="target", says=[name, setting], seconds=SECONDS
    )
    shared.wait_until_carried(name, [name])
    shared.assert_once([name], timestamps="ignore", timestamp_type="ignore")
    # Otherwise there was nothing to tell.
    assert shared.check([name]).verdict == "findings"

    shared.aws.admin.alter_configs(name, {setting: "CreateTime"})
    before = shared.source_ends([name])
    shared.oci.admin.produce(name, values(RECORDS))
    shared.wait_until_carried(name, [name])
    starts = {name: {partition: end for (_, partition), end in before.items()}}
    shared.assert_once([name], start=starts, target_start=starts)
    shared.cli("delete", "bridge", name)


# The server's own


def test_a_secret_that_the_server_cannot_open_is_named(
    start_deployment: Callable[..., Deployment],
) -> None:
    deployment = start_deployment("one")
    key = deployment.state / "master.key"
    right = key.read_text()
    deployment.stop_server()
    key.write_text(f"{secrets.token_hex(32)}\n")
    deployment.start_server()
    name = unique("sealed")
    deployment.make_topics(name)
    deployment.oci.admin.produce(name, values(RECORDS))
    deployment.apply_bridge(name, [name])  # it has no stream before its first survey
    deployment.wait_until_shown(
        name, "SECRET_UNAVAILABLE", side="relay", says=["master key"], seconds=SECONDS
    )

    deployment.stop_server()
    key.write_text(right)
    deployment.start_server()
    deployment.wait_until_carried(name, [name])
    deployment.assert_once([name])
    deployment.wait_until_well(name)


@pytest.mark.parametrize("words", [["drawbridge-relay", "run"], ["drawbridge-server", "--port"]])
def test_a_program_that_does_not_understand_says_so(words: list[str]) -> None:
    ended = subprocess.run(
        [program(words[0]), *words[1:]], capture_output=True, text=True, check=False, timeout=20
    )
    assert ended.returncode == 2, ended
    assert "--" in ended.stderr, ended


def test_gaps_of_a_bridge_that_never_was_are_not_known(shared: Deployment) -> None:
    asked = shared.cli("gaps", "no-such-bridge", is_checked=False)
    assert asked.returncode == 1, asked
    assert "NOT_FOUND" in asked.stderr, asked


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

    def problems() -> list[str]:
        rows = deployment.cli_json("relay", "list")["relays"]
        return [row["reason"] for row in rows[0].get("conditions", [])]

    deployment.wait(
        lambda: problems() == ["DUPLICATE_IDENTITY"], SECONDS, "the second process is shown"
    )
    assert "has problems" in deployment.cli("relay", "list").stdout
    assert "turned away" in deployment.cli("describe", "relay", "one").stdout
    assert "DUPLICATE_IDENTITY" in twin.log.read_text()
    shown = deployment.call("relay_admin.RelayService", "GetRelay", name="one")
    assert "stop one of the two" in shown.conditions[0].text


@pytest.fixture
def late(start_deployment: Callable[..., Deployment]) -> Deployment:
    """One bridge, and a relay that was off for longer than its certificate lived."""
    seconds = 10  # the least
    deployment = start_deployment(server_options=("--relay-certificate-ttl", str(seconds)))
    relay = deployment.add_relay("late", cloud="oci")
    enrolled_at = time.monotonic()
    deployment.wait(
        lambda: time.monotonic() - enrolled_at > seconds + 1, 20, "its certificate is past its time"
    )
    relay.start(failpoints="none=sleep:0")
    name = unique("late")
    deployment.make_topics(name)
    deployment.oci.admin.produce(name, values(RECORDS))
    deployment.apply_bridge(name, [name])
    deployment.wait_until_shown(
        name, "NO_RELAY", side="server", says=["start one"], seconds=SECONDS
    )
    assert deployment.relay_state("late") == "DISCONNECTED"
    return deployment


def test_a_relay_whose_certificate_has_expired_is_enrolled_anew(late: Deployment) -> None:
    (name,) = (row["name"] for row in late.cli_json("get", "bridges")["bridges"])
    late.add_relay("anew", cloud="oci").start()
    late.wait_until_carried(name, [name])
    late.assert_once([name])


def test_a_relay_whose_certificate_has_expired_says_so(late: Deployment) -> None:
    log = late.relays["late"].log
    late.wait(
        lambda: "TLS_CERTIFICATE_EXPIRED" in log.read_text(), SECONDS, "the relay's log says it"
    )
