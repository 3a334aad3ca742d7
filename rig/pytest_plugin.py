"""Fixtures over the rig. A conftest takes them by `from rig.pytest_plugin import *`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig import presets, session
from rig.access import ClusterAccess
from rig.kafka import KafkaCluster
from rig.search_engine import SearchEngine
from rig.strict_bulk_server import StrictBulkServer

__all__ = [
    "aws_cluster",
    "oci_cluster",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "start_cluster",
    "start_search_engine",
    "start_strict_bulk_server",
]


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marker of tests over 30 s."""
    config.addinivalue_line("markers", "slow: takes longer than 30 s")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is slow, unless -m or $DRAWBRIDGE_SLOW=1 asks for it."""
    if config.getoption("markexpr") or os.environ.get("DRAWBRIDGE_SLOW") == "1":
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session")
def oci_cluster() -> Iterator[ClusterAccess]:
    """The preset `oci`, shared by the run: topics of your own, and no fault that others feel."""
    yield from _shared("oci")


@pytest.fixture(scope="session")
def aws_cluster() -> Iterator[ClusterAccess]:
    """The preset `aws`, shared by the run: topics of your own, and no fault that others feel."""
    yield from _shared("aws")


@pytest.fixture
def start_cluster() -> Iterator[Callable[..., KafkaCluster]]:
    """Starts clusters that end with the test: `start_cluster(brokers=3, ...)`."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(KafkaCluster(*args, **options))


@pytest.fixture
def start_search_engine() -> Iterator[Callable[..., SearchEngine]]:
    """Starts engines that end with the test: `start_search_engine("elasticsearch-7.10.2", ...)`."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(SearchEngine(*args, **options))


@pytest.fixture
def start_strict_bulk_server() -> Iterator[Callable[..., StrictBulkServer]]:
    """Starts strict bulk servers that end with the test."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(StrictBulkServer(*args, **options))


def _shared(name: str) -> Iterator[ClusterAccess]:
    folder = os.environ.get(session.ENVIRONMENT)
    if not folder:
        with presets.cluster(name) as cluster:
            yield cluster
        return
    access = session.clusters(Path(folder))[name]
    yield access
    access.close()
