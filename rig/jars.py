"""Jars of pinned versions, fetched once by Maven into a cache that all rigs of a user share.

Each folder `rig/jars/NAME/` holds a pom (what to fetch) and what its programs need beside the jars.
A further system is a further folder.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from rig.locks import locked
from rig.processes import Child, RigError

_RECIPES = Path(__file__).with_name("jars")
_COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_FETCH_SECONDS = 900.0


def names() -> list[str]:
    """What can be fetched."""
    return sorted(pom.parent.name for pom in _RECIPES.glob("*/pom.xml"))


def recipe(name: str) -> Path:
    """The folder in the tree with the pom of `name` and the files that go with these jars."""
    folder = _RECIPES / name
    if not (folder / "pom.xml").is_file():
        raise RigError(f"no jars named {name}; there are: {', '.join(names())}")
    return folder


def cache_folder() -> Path:
    """Where fetched things live: $DRAWBRIDGE_CACHE, else drawbridge/ in the user's cache."""
    chosen = os.environ.get("DRAWBRIDGE_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drawbridge"


def fetch(name: str) -> Path:
    """The folder with the jars of `name`, fetched now if it is not there; safe among processes."""
    pom = recipe(name) / "pom.xml"
    folder = cache_folder() / "jars" / name
    if _is_complete(folder, pom):
        return folder
    # One fetch at a time: Maven's local repository does not like two writers.
    with locked(folder.parent / ".lock"):
        if not _is_complete(folder, pom):
            _fetch_into(folder, pom)
    return folder


def class_path(name: str) -> str:
    """The class path of all jars of `name`; Java itself expands the star."""
    return f"{fetch(name)}/*"


def logging_options(name: str) -> list[str]:
    """JVM options that make the programs of `name` log warnings and worse to their output."""
    folder = recipe(name)
    if (folder / "log4j2.properties").exists():
        return [f"-Dlog4j2.configurationFile={folder}/log4j2.properties"]
    return [f"-Dlog4j.configuration=file:{folder}/log4j.properties"]


def java() -> str:
    """The Java launcher."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home, "bin", "java")) if home else _tool("java", "default-jre-headless")


def _tool(program: str, package: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise RigError(f"{program} is not installed; on Debian: apt-get install {package}")
    return path


def _is_complete(folder: Path, pom: Path) -> bool:
    """Whether `folder` was made from exactly this pom; the folder appears only when it is whole."""
    try:
        return (folder / "pom.xml").read_bytes() == pom.read_bytes()
    except FileNotFoundError:
        return False


def _fetch_into(folder: Path, pom: Path) -> None:
    print(
        f"rig: fetching {folder.name} into {folder} by Maven; once, up to a minute", file=sys.stderr
    )
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        shutil.copy(pom, work / "pom.xml")
        _run_maven(work)
        (work / "maven.log").unlink()
        if folder.exists():  # Made from another pom.
            shutil.rmtree(folder)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"rig: {folder.name}: {len(list(folder.glob('*.jar')))} jars", file=sys.stderr)


def _run_maven(work: Path) -> None:
    maven = Child.start(
        [
            _tool("mvn", "maven"),
            "-B",
            "-f",
            work / "pom.xml",
            _COPY_DEPENDENCIES,
            "-DincludeScope=runtime",
            f"-DoutputDirectory={work}",
        ],
        name="mvn",
        log=work / "maven.log",
        folder=work,
    )
    try:
        code = maven.wait(_FETCH_SECONDS)
    finally:
        maven.stop()
    if code != 0:
        raise RigError(f"mvn ended with {code} for {work / 'pom.xml'}:\n{maven.log_tail()}")
