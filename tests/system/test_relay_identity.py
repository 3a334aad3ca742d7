"""A relay's identity renews itself while records flow, and ends when somebody revokes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timezone

from deployment import Deployment, Relay, unique

RATE = 1000
# Of a certificate, in seconds: short, so that two of them end within the test.
LIFE = 20
# From a revocation to the end of the relay's session, as its help says.
REVOKED_SECONDS = 5
# Then the other one has everything; with room for a busy machine.
TAKEN_OVER_SECONDS = 15
# What the revoked relay had on its way, and what it delivered until it heard of it.
REPEATED_MAX = 3 * RATE


def renewals(relay: Relay) -> list[tuple[datetime, datetime]]:
    """When the relay has renewed its certificate, and to what end, by its log."""
    rows = [json.loads(line) for line in relay.log.read_text().splitlines()]
    return [
        (datetime.fromisoformat(row["ts"]), datetime.fromisoformat(row["not_after"]))
        for row in rows
        if row["msg"] == "certificate renewed"
    ]


def test_a_certificate_is_renewed_well_before_its_end(
    start_deployment: Callable[..., Deployment],
) -> None:
    """Twice; the relay goes on beyond the end of the first, and no record is lost or repeated."""
    deployment = start_deployment("one", server_options=("--relay-certificate-ttl", str(LIFE)))
    relay = deployment.relays["one"]
    pid = relay.process.pid
    shown = deployment.call("relay_admin.RelayService", "GetRelay", name="one")
    first = shown.certificate_not_after.ToDatetime(timezone.utc)
    topic = unique("renewed")
    deployment.make_topics(topic)
    deployment.apply_bridge("renewed", [topic])
    with deployment.start_logs([topic], rate=RATE) as logs:
        deployment.wait(lambda: len(renewals(relay)) >= 2, 3 * LIFE, "it is renewed twice", 0.5)
        deployment.wait(
            lambda: datetime.now(timezone.utc) > first, LIFE, "the first certificate has ended"
        )
        # Both ways: records reach the target, and commits the server.
        deployment.wait_until_more([topic], RATE)
        logs.stop()
    deployment.wait_until_carried("renewed", [topic])
    assert deployment.relay_state("one") == "CONNECTED"
    assert relay.process.is_running and relay.process.pid == pid
    deployment.assert_once([topic])

    end = first
    for renewed_at, next_end in renewals(relay):
        left = (end - renewed_at).total_seconds()
        print(f"renewed {left:.1f} s before the end of {LIFE} s")
        # About half of its life: neither in the last moment nor as often as it can.
        assert LIFE / 4 < left < LIFE * 3 / 4
        end = next_end


def test_a_revoked_relay_stops_and_the_other_one_takes_over(
    start_deployment: Callable[..., Deployment],
) -> None:
    """Its session ends, it stops by itself, and its log says what to do."""
    deployment = start_deployment("one", "two")
    revoked = deployment.relays["one"]
    topic = unique("revoked")
    deployment.make_topics(topic, partitions=4)
    deployment.apply_bridge("revoked", [topic])

    def owners() -> set[str | None]:
        rows = deployment.cli_json("checkpoints", "revoked")["checkpoints"]
        return {row["relay"] for row in rows}

    deployment.wait(lambda: owners() == {"one", "two"}, 60, "both relays hold partitions", 0.5)
    with deployment.start_logs([topic], rate=RATE) as logs:
        deployment.wait_until_more([topic], 2 * RATE)
        deployment.cli("relay", "revoke", "one", "--reason", "its machine was lost")
        began = time.monotonic()
        assert deployment.relay_state("one") == "REVOKED"
        deployment.wait(
            lambda: "RELAY_REVOKED" in revoked.log.read_text(), REVOKED_SECONDS, "its session ends"
        )
        deployment.wait(
            lambda: owners() == {"two"}, TAKEN_OVER_SECONDS, "the other one has everything"
        )
        print(f"taken over after {time.monotonic() - began:.1f} s")
        # Enough to break the bound, if the revoked relay went on with its half.
        deployment.wait_until_more([topic], 3 * REPEATED_MAX)
        logs.stop()
    deployment.wait_until_carried("revoked", [topic])
    verdict = deployment.check([topic], duplicates_max=REPEATED_MAX)
    verdict.assert_clean()
    print(f"{verdict.totals.get('duplicate', 0)} of {verdict.totals['delivered']} came twice")
    assert "enrol it under another name" in revoked.log.read_text()

    # Started again it is still refused; and the name is not to be had again.
    assert revoked.terminate() == 0
    told = len(revoked.log.read_text())
    revoked.start(failpoints="none=sleep:0")
    deployment.wait(
        lambda: "RELAY_REVOKED" in revoked.log.read_text()[told:], REVOKED_SECONDS, "it is refused"
    )
    again = deployment.cli("relay", "token", "create", "one", is_checked=False)
    assert again.returncode == 1 and "one" in again.stderr, again
    assert deployment.relay_state("one") == "REVOKED"

    # Its folder is no place for another relay.
    assert revoked.terminate() == 0
    token = deployment.cli_json("relay", "token", "create", "three")
    refused = revoked.enrol(token, deployment.api)
    assert refused.returncode == 1 and "holds a relay's identity" in refused.stderr, refused
