"""Whole programs over the rig: a deployment per test, between clusters that all tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deployment import Deployment, with_one_relay  # noqa: E402 - the path comes first
from rig.access import ClusterAccess  # noqa: E402
from rig import pytest_plugin  # noqa: E402
from rig.pytest_plugin import *  # noqa: E402, F403
from rig.search_engine import ELASTICSEARCH, OPENSEARCH, SearchEngine  # noqa: E402
from searching import Searching  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """Declares what tests may be marked with."""
    pytest_plugin.pytest_configure(config)
    config.addinivalue_line(
        "markers", "both_engines: runs on Elasticsearch in every check, not only among the slow"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs what needs an engine on both of them."""
    if "engine" not in metafunc.fixturenames:
        return
    runs_always = metafunc.definition.get_closest_marker("both_engines")
    marks = [] if runs_always else [pytest.mark.slow]
    engines = [OPENSEARCH, pytest.param(ELASTICSEARCH, marks=marks)]
    metafunc.parametrize("engine", engines, indirect=True, scope="module")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Adds the ends of the programs' logs to a failed test's report."""
    outcome = yield
    report = outcome.get_result()
    deployments = getattr(item, "deployments", [])
    if report.failed:
        for deployment in deployments:
            report.sections.append(("logs of the programs", deployment.logs()))


@pytest.fixture
def start_deployment(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
) -> Iterator[Callable[..., Deployment]]:
    """Starts a server with its credentials and relays: `start_deployment("one", "two")`."""
    request.node.deployments = []

    def start(*relays: str, server_options: tuple[str, ...] = ()) -> Deployment:
        folder = tmp_path / f"deployment-{len(request.node.deployments)}"
        deployment = Deployment(folder, oci_cluster, aws_cluster, server_options)
        folder.mkdir()
        request.node.deployments.append(deployment)
        deployment.start_server()
        deployment.set_credentials()
        for name in relays:
            deployment.add_relay(name, cloud="oci").start()
        return deployment

    yield start
    for deployment in request.node.deployments:
        deployment.close()


@pytest.fixture
def deployment(start_deployment: Callable[..., Deployment]) -> Deployment:
    """A server and one relay."""
    return start_deployment("one")


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, oci_cluster: ClusterAccess, aws_cluster: ClusterAccess
) -> Iterator[Deployment]:
    """A server and one relay for all tests of a file; each test has names of its own."""
    folder = tmp_path_factory.mktemp("shared")
    with with_one_relay(folder, oci_cluster, aws_cluster) as deployment:
        deployment.apply({"endpoints": deployment.endpoints()})
        yield deployment


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[SearchEngine]:
    """The engine that the test is run on."""
    with SearchEngine(request.param) as engine:
        yield engine


@pytest.fixture(scope="module")
def searching(
    tmp_path_factory: pytest.TempPathFactory,
    oci_cluster: ClusterAccess,
    aws_cluster: ClusterAccess,
    engine: SearchEngine,
) -> Iterator[Searching]:
    """One deployment for all that need none of their own; each test has names of its own."""
    folder = tmp_path_factory.mktemp("search")
    with with_one_relay(folder, oci_cluster, aws_cluster) as deployment:
        yield Searching(deployment, engine)
