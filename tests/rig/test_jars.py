"""Fetching jars, with a stand-in for Maven."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rig import jars
from rig.processes import RigError

_FAKE_MAVEN = """\
#!/bin/sh
echo call >> "$CALLS"
for word in "$@"; do case "$word" in -DoutputDirectory=*) folder="${word#*=}";; esac; done
touch "$folder/one.jar"
[ -z "$MAVEN_FAILS" ] || { echo "no such artifact"; exit 1; }
sleep 0.3
touch "$folder/two.jar"
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and a maven whose calls are counted in this file."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "mvn").write_text(_FAKE_MAVEN)
    (programs / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("DRAWBRIDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def jar_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.jar"))


def test_fetches_once(calls: Path) -> None:
    first = jars.fetch("kafka-4.1.1")
    second = jars.fetch("kafka-4.1.1")

    assert first == second == jars.cache_folder() / "jars" / "kafka-4.1.1"
    assert jar_names(first) == ["one.jar", "two.jar"]
    assert calls.read_text() == "call\n"


def test_two_at_once_fetch_once_and_get_the_whole(calls: Path) -> None:
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(jar_names(jars.fetch("kafka-4.1.1"))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [["one.jar", "two.jar"]] * 2
    assert calls.read_text() == "call\n"


def test_a_failed_fetch_says_why_and_leaves_nothing(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAVEN_FAILS", "1")

    with pytest.raises(RigError, match="no such artifact"):
        jars.fetch("kafka-4.1.1")

    assert list((jars.cache_folder() / "jars").rglob("*.jar")) == []


def test_a_changed_pom_is_fetched_anew(calls: Path) -> None:
    folder = jars.fetch("kafka-4.1.1")
    (folder / "pom.xml").write_text("of yesterday")

    jars.fetch("kafka-4.1.1")

    assert calls.read_text() == "call\ncall\n"


def test_names_what_there_is() -> None:
    with pytest.raises(RigError, match="kafka-4.1.1"):
        jars.fetch("kafka-0.8")
