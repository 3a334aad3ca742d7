"""Fails when an include goes against the arrows of the architecture: check_includes.py ROOT.

The tables below are the architecture. A change of one is a change of the design: it belongs into
docs/architecture.md as well. Only the product is checked; tests may include what they test.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tree import PRODUCT, Breach, files, finish, lines

# Folder, with all below it -> the project folders that it may include. Its own are always allowed.
ALLOWED: dict[str, set[str]] = {
    "base": set(),
    "model": {"base"},
    "model/convert": {"base", "model"},
    "relay/pipeline": {"base", "model"},
    "relay/kafka": {"base", "model", "relay/pipeline"},
    "relay/letters": {"base", "model", "relay/pipeline"},
    "relay/opensearch": {"base", "model", "relay/letters", "relay/pipeline"},
    "relay/supervisor": {"base", "model", "relay/pipeline"},
    "relay/control": {"base", "model", "model/convert", "relay/supervisor"},
    "server/security": {"base"},
    "server/store": {"base", "model"},
    "server/control": {"base", "model", "server/store"},
    # The stores where nothing is decided: docs/adr/2026-11-21-the-api-reads-and-writes-stores.md
    "server/api": {
        "base",
        "model",
        "model/convert",
        "server/control",
        "server/security",
        "server/store",
    },
    "console/state": {"base", "model"},
    "console/client": {"base", "model", "model/convert", "console/state"},
    "console/models": {"base", "model", "console/state"},
    "console/views": {"base", "model", "console/models", "console/state"},
    "cli": {"base", "model", "model/convert"},
}

# Files that lie directly in these folders wire a program: they may include all of their own side.
WIRING = {"server", "relay", "console"}
_WIRING_BESIDES = {"base", "model", "model/convert"}

# Header -> the only folders that may include it, and why.
OWNERS: list[tuple[str, set[str], str]] = [
    (
        r"^grpc(pp)?/",
        {"server/api", "relay/control", "console/client", "cli", "model/convert", *WIRING},
        "gRPC stays at the edge of a program",
    ),
    (
        r"\.pb\.h$|^google/(protobuf|rpc)/",
        {"server/api", "relay/control", "console/client", "cli", "model/convert"},
        "wire messages become model values in model/convert and go no further",
    ),
    (r"^sqlite3", {"server/store"}, "SQLite stays behind the store's interfaces"),
    (
        r"^server/store/(database|migrator|mutation_log|reader|spec_json|stored_rows|writer)\.h$",
        {"server/store", "server"},
        "others see the store through its interfaces only",
    ),
    (r"^librdkafka/|^rdkafka", {"relay/kafka"}, "librdkafka stays behind Source and Sink"),
    (r"^curl/", {"relay/opensearch"}, "HTTP stays behind the OpenSearch sink"),
    (
        r"^Q[A-Z]|^Qt",
        {"console", "console/client", "console/models", "console/views"},
        "Qt is the console's, and its state is plain C++",
    ),
    (r"^prometheus/", {"server", "relay"}, "metrics are exposed by the wiring"),
    (r"^spdlog/", {"base"}, "base/log.h is how everything here logs"),
    (
        r"^(mutex|shared_mutex|condition_variable)$",
        {"base"},
        "base/mutex.h has the Mutex that clang's thread-safety analysis can check",
    ),
]

# Row of ALLOWED -> headers that it must not include although others may, and why.
REFUSED: dict[str, list[tuple[str, str]]] = {
    "model": [
        (r"^base/(file|failpoint|log|mutex)\.h$", "model is pure: no I/O, no threads, no logging"),
        (r"^(thread|stop_token|atomic|fstream|iostream)$", "model is pure: no I/O, no threads"),
    ],
    "relay/pipeline": [(r"^thread$", "relay/pipeline starts no thread")],
}

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def row_of(folder: PurePosixPath) -> str | None:
    """The row that speaks for a folder: its own, or that of the nearest folder above with one."""
    if str(folder) in WIRING:
        return str(folder)
    for candidate in (folder, *folder.parents):
        if str(candidate) in ALLOWED:
            return str(candidate)
    return None


def may_include(row: str, target: str) -> bool:
    """Whether files of `row` may include headers of the row `target`."""
    if row == target:
        return True
    if row in WIRING:
        return target in _WIRING_BESIDES or target.startswith(row + "/")
    return target in ALLOWED[row]


def _why_not(row: str, header: str, quoted: bool) -> str | None:
    """Why a file of `row` must not include `header`; None if it may."""
    for pattern, owners, reason in OWNERS:
        if re.search(pattern, header) and row not in owners:
            return f"{reason} (may include it: {', '.join(sorted(owners))})"
    for pattern, reason in REFUSED.get(row, []):
        if re.search(pattern, header):
            return reason
    path = PurePosixPath(header)
    if path.parts[0] in PRODUCT:
        target = row_of(path.parent)
        if target is None:
            return f"{path.parent} has no row in the table"
        if not may_include(row, target):
            allowed = sorted(_WIRING_BESIDES | {row + "/*"} if row in WIRING else ALLOWED[row])
            return f"{row} must not include {target} (may: {', '.join(allowed) or 'nothing'})"
    elif quoted and not header.endswith(".pb.h"):
        return "project headers are included by their full path from the root, others with <>"
    return None


def check(root: Path) -> Iterator[Breach]:
    """Every include below `root` that breaks a rule."""
    for path in files(root, PRODUCT, "*.cc", "*.h"):
        row = row_of(PurePosixPath(path.parent.as_posix()))
        if row is None:
            yield Breach(path.as_posix(), 1, f"{path.parent} has no row in the table ALLOWED")
            continue
        for number, line in lines(root, path):
            include = _INCLUDE.match(line)
            if not include:
                continue
            reason = _why_not(row, include[2], include[1] == '"')
            if reason:
                yield Breach(path.as_posix(), number, f"includes {include[2]}: {reason}")


if __name__ == "__main__":
    sys.exit(finish(check(Path(sys.argv[1]))))
