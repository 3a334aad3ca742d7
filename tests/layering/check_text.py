"""Fails when the text of the sources breaks a rule that a search can hold: check_text.py ROOT.

Where a rule has an exception, the exception stands here with its reason. docs/style.md tells the
rules to people; check_protos.py holds those of the API.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from tree import PRODUCT, Breach, files, finish, lines

_CODE = (*PRODUCT, "bench", "tests")
_LINE_LENGTH = 100


@dataclass(frozen=True)
class Rule:
    """A pattern that must not occur in C++ outside of comments."""

    pattern: str
    reason: str
    tops: tuple[str, ...] = PRODUCT
    # Paths (as for fnmatch, where * crosses folders) that may, with the reason.
    allowed: dict[str, str] = field(default_factory=dict)


RULES = [
    Rule(
        r"\b(SELECT\s.+\sFROM|SELECT\s*$|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM"
        r"|PRAGMA \w+|BEGIN (IMMEDIATE|EXCLUSIVE|DEFERRED)|SAVEPOINT \w+)\b",
        "SQL text is written in server/store only",
        allowed={"server/store/*": "the store"},
    ),
    Rule(
        r"\bformat\([^\"]*\"[^\"]*\b(SELECT|INSERT|UPDATE|DELETE)\b",
        "a statement is prepared with parameters, never built from strings",
    ),
    Rule(
        r"\b(CREATE (TEMP |UNIQUE |VIRTUAL )?(TABLE|INDEX|TRIGGER|VIEW)|ALTER TABLE|DROP TABLE)\b",
        "the schema is written in migrations/ only",
    ),
    Rule(
        r"\bReveal\(",
        "plain text of a secret is read in few files: add this one to the list, with its reason",
        allowed={
            "base/certificate.*": "reads a private key",
            "base/secret.*": "defines it",
            "cli/connection.*": "sends the API token",
            "cli/context.*": "keeps the API token in its file",
            "cli/credential.*": "sends the secret that a person gives",
            "cli/secret_input.*": "reads it from a file or standard input",
            "model/convert/credential.*": "the only messages that carry a secret",
            "relay/control/control_session.*": "shows the relay's identity to the server",
            "relay/control/enrolment.*": "sends the one-time token, to the pinned server only",
            "relay/control/relay_identity.*": "the relay's own key, made here and kept here",
            "relay/kafka/kafka_config.*": "hands the secret to librdkafka",
            "relay/opensearch/http_client.*": "hands the secret to libcurl",
            "server/api/relay_service.*": "shows an enrolment token, this once",
            "server/server.cc": "writes the first administrator's token into a file, this once",
            "server/security/*": "seals and opens, signs, compares tokens",
        },
    ),
    Rule(
        r"\b(system_clock|steady_clock|high_resolution_clock)::now\b|\bclock_gettime\("
        r"|\btime\(nullptr\)",
        "only base::Clock reads a clock, so that tests can turn it",
        allowed={
            "base/clock.cc": "the clock",
            "relay/kafka/kafka_handle.cc": "how long an exit waits for librdkafka, in no test",
        },
    ),
    Rule(
        r"\bsleep_(for|until)\b|\busleep\(|\bnanosleep\(",
        "nothing sleeps: wait for what you wait for, with a deadline",
        tops=(*PRODUCT, "tests"),
        allowed={
            "base/failpoint.cc": "a failpoint that slows a step down",
            "cli/terminal.cc": "between two frames of the live table; tests give another pause",
        },
    ),
    Rule(r"\bDISABLED_", "a test runs or is not there", ("tests",)),
    Rule(r"\b(src|dst)\b|_(src|dst)\b|\b(src|dst)_", "the words are source and target"),
    Rule(
        r"\b(?:class|struct)\s+(?:\[\[\w+\]\]\s+)?\w*(?:Manager|Helper|Utils?|Common|Data|Info)\b"
        r"\s*(?:final\s*)?[:{]",
        "a name says what the thing is: not Manager, Helper, Util, Common, Data or Info",
    ),
    Rule(
        r"\brd_kafka_subscribe\(|\brd_kafka_(pause|resume)_partitions\(",
        "partitions are assigned by us, and a pause is an unassign (docs/adr)",
    ),
]

_UNFINISHED = re.compile(r"\bTODO\b(?!\(#\d+\))|\bFIXME\b|\bXXX\b|\bHACK\b")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def without_comment(line: str) -> str:
    """The line up to a comment; slashes within a string are none."""
    masked = _STRING.sub(lambda string: "s" * len(string[0]), line)
    return line[: masked.index("//")] if "//" in masked else line


def _cpp(root: Path, tops: tuple[str, ...]) -> Iterator[Path]:
    return files(root, tops, "*.cc", "*.h")


def check_rules(root: Path) -> Iterator[Breach]:
    """The table RULES."""
    for rule in RULES:
        pattern = re.compile(rule.pattern)
        for path in _cpp(root, rule.tops):
            if any(fnmatch(path.as_posix(), allowed) for allowed in rule.allowed):
                continue
            for number, line in lines(root, path):
                found = pattern.search(without_comment(line))
                if found:
                    yield Breach(path.as_posix(), number, f"{found[0].strip()}: {rule.reason}")


def check_unfinished(root: Path) -> Iterator[Breach]:
    """Unfinished work is an issue, not somebody's intention in a comment."""
    for path in _cpp(root, _CODE):
        for number, line in lines(root, path):
            found = _UNFINISHED.search(line)
            if found:
                yield Breach(path.as_posix(), number, f"{found[0]} without its issue: TODO(#123)")


def check_length(root: Path) -> Iterator[Breach]:
    """clang-format leaves long comments and strings alone; this does not."""
    sources = [
        *files(root, (*PRODUCT, "bench"), "*.cc", "*.h"),
        *files(root, ("proto/drawbridge",), "*.proto"),
        *files(root, ("migrations",), "*.sql"),
        *files(root, ("tests",), "*.cc", "*.h", "*.py"),
        *files(root, ("scripts",), "*"),
    ]
    for path in sources:
        for number, line in lines(root, path):
            if len(line) > _LINE_LENGTH and not re.search(r"https?://", line):
                reason = f"{len(line)} characters: a line has {_LINE_LENGTH} at most"
                yield Breach(path.as_posix(), number, reason)


def check_file_names(root: Path) -> Iterator[Breach]:
    """The same words as for classes, and the spelling."""
    for path in _cpp(root, PRODUCT):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
            yield Breach(path.as_posix(), 1, "files are named in lower_case")
        if re.search(r"(^|_)(manager|helpers?|utils?|common|misc)$", path.stem):
            yield Breach(path.as_posix(), 1, "a file's name says what is in it")


def check_headers(root: Path) -> Iterator[Breach]:
    """Every header is guarded in the same way."""
    for path in files(root, (*PRODUCT, "tests"), "*.h"):
        first = next((line for _, line in lines(root, path)), "")
        if first != "#pragma once":
            yield Breach(path.as_posix(), 1, "a header begins with #pragma once")


CHECKS: list[Callable[[Path], Iterator[Breach]]] = [
    check_rules,
    check_unfinished,
    check_length,
    check_file_names,
    check_headers,
]


def check(root: Path) -> Iterator[Breach]:
    """Every place below `root` that breaks a rule."""
    for one in CHECKS:
        yield from one(root)


if __name__ == "__main__":
    sys.exit(finish(check(Path(sys.argv[1]))))
