"""A deployment that delivers into an engine, and a way to judge what is in it."""

from __future__ import annotations

from typing import Any

from deployment import Deployment

from rig.search_checker import Key, Source, check
from rig.search_client import SearchClient, SearchError
from rig.search_engine import SearchEngine

# From the mistake to its name, on a busy machine.
SECONDS = 15
LETTERS = "drawbridge-dead-letters"


class Searching:
    """A deployment with an engine as a further endpoint, `search`."""

    def __init__(self, deployment: Deployment, engine: SearchEngine) -> None:
        self.deployment = deployment
        self.engine = engine
        self.client: SearchClient = engine.client
        self.set_password(next(iter(engine.credentials.users.values())))

    def set_password(self, password: str) -> None:
        """The one that the relays show to the engine."""
        user = next(iter(self.engine.credentials.users))
        self.deployment.set_credential("search-user", "basic", user=user, password=password)

    def endpoint(self, **changes: Any) -> dict[str, Any]:
        return {
            "opensearch": {
                "addresses": [self.engine.url],
                "ca": str(self.engine.certificates.root),
                "credential": "search-user",
                **changes,
            }
        }

    def bridge(self, topics: list[str], **target: Any) -> dict[str, Any]:
        return {
            "source": {"endpoint": "oci", "topics": topics},
            "target": {"endpoint": "search", "index": "logs-{topic}-{+yyyy.MM}", **target},
        }

    def apply(self, name: str, topics: list[str], **target: Any) -> None:
        self.deployment.apply({
            "endpoints": {**self.deployment.endpoints(), "search": self.endpoint()},
            "bridges": {name: self.bridge(topics, **target)},
        })

    def make_rolling(self, topic: str, **alias: Any) -> str:
        """An alias with one index behind it, which can be rolled over, and `n` for numbers."""
        name = f"logs-{topic}"
        numbers = {"properties": {"n": {"type": "long"}}}
        self.client.put_template(name, [f"{name}-0*"], mappings=numbers)
        self.client.create_index(f"{name}-000001")
        action = {"index": f"{name}-000001", "alias": name, "is_write_index": True, **alias}
        self.client.call("POST", "_aliases", {"actions": [{"add": action}]})
        return name

    def produce(self, topic: str, values: list[str]) -> None:
        """Records into partition 0."""
        self.deployment.oci.admin.produce(
            topic, [{"value": value.encode(), "partition": 0} for value in values]
        )

    def assert_once(
        self,
        topics: list[str],
        elsewhere: frozenset[Key] = frozenset(),
        *,
        pattern: str | None = None,
    ) -> None:
        """All records of the topics are there once, but for those that are dead letters."""
        self.client.refresh()
        pattern = pattern or ",".join(f"logs-{topic}-*" for topic in topics)
        source = Source(self.deployment.oci.java_properties("plaintext"), topics)
        verdict = check(source, self.client.documents(pattern), elsewhere=elsewhere)
        verdict.assert_clean()

    def letters(self, topic: str) -> list[dict[str, Any]]:
        """The dead letters of a topic that are in the index of them."""
        self.client.refresh()
        if not self.client.index_exists(LETTERS):
            return []
        return [
            document.source
            for document in self.client.documents(LETTERS)
            if document.source["drawbridge"]["topic"] == topic
        ]

    def arrived(self, name: str) -> int:
        """How many documents are behind a name or pattern; 0 before the first."""
        try:
            self.client.refresh(name)
            return self.client.count(name)
        except SearchError as error:
            # No index is there yet, or it is just being made.
            if error.status in {404, 503}:
                return 0
            raise

    def wait_until_more(self, name: str, count: int, seconds: float = 60) -> None:
        """Waits until so many documents more are behind a name."""
        before = self.arrived(name)
        self.deployment.wait(
            lambda: self.arrived(name) >= before + count, seconds, f"{count} more arrive"
        )


def keys_of(topic: str, letters: list[dict[str, Any]]) -> frozenset[Key]:
    """The records that dead letters of a topic are of."""
    own = [letter["drawbridge"] for letter in letters]
    return frozenset(Key(topic, int(one["partition"]), int(one["offset"])) for one in own)
