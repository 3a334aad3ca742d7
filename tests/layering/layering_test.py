"""Shows that each check finds the breach it is there for, and nothing in a clean tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import check_includes
import check_links
import check_protos
import check_text
import pytest
from tree import Breach

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of the temporary tree and returns the tree's root."""

    def write_file(path: str, *content: str) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(content) + "\n", encoding="utf-8")
        return tmp_path

    return write_file


def told(breaches: Iterable[Breach]) -> str:
    """All breaches as one text."""
    return "\n".join(map(str, breaches))


# Includes.


@pytest.mark.parametrize(
    ("path", "include", "reason"),
    [
        ("model/lag.h", '"relay/kafka/kafka_source.h"', "model must not include relay/kafka"),
        ("relay/main.cc", '"server/store/bridge_store.h"', "relay must not include server/store"),
        ("server/main.cc", '"cli/table.h"', "server must not include cli"),
        ("cli/table/row.cc", '"server/api/x.h"', "cli must not include server/api"),
        ("relay/kafka/deep/er/x.cc", '"relay/control/x.h"', "must not include relay/control"),
        ("relay/pipeline/lane.cc", "<librdkafka/rdkafka.h>", "behind Source and Sink"),
        ("relay/pipeline/lane.cc", "<thread>", "starts no thread"),
        ("relay/control/x.cc", "<sqlite3.h>", "behind the store's interfaces"),
        ("server/control/x.cc", '"server/store/database.h"', "through its interfaces only"),
        ("server/control/x.cc", '"drawbridge/v1/bridge.pb.h"', "go no further"),
        ("server/store/x.cc", "<grpcpp/grpcpp.h>", "at the edge"),
        ("model/x.cc", '"base/log.h"', "model is pure"),
        ("relay/pipeline/x.cc", "<mutex>", "base/mutex.h"),
        ("base/x.cc", '"clock.h"', "full path from the root"),
        ("base/x.cc", '"tests/fakes/fake_clock.h"', "full path from the root"),
    ],
)
def test_an_include_against_the_arrows_is_found(
    write: Write, path: str, include: str, reason: str
) -> None:
    root = write(path, "// A comment.", f"#include {include}")

    found = told(check_includes.check(root))

    assert found.startswith(f"{path}:2: ")
    assert reason in found


@pytest.mark.parametrize(
    ("path", "include"),
    [
        ("relay/main.cc", '"relay/kafka/kafka_source.h"'),
        ("server/server.cc", '"server/store/database.h"'),
        ("server/server.cc", "<grpcpp/grpcpp.h>"),
        ("relay/kafka/x.cc", "<librdkafka/rdkafka.h>"),
        ("relay/kafka/deep/x.cc", '"relay/kafka/kafka_handle.h"'),
        ("cli/output/x.cc", '"cli/context.h"'),
        ("model/convert/x.cc", '"drawbridge/v1/bridge.pb.h"'),
        ("model/x.h", "<vector>"),
        ("tests/x.cc", "<thread>"),
    ],
)
def test_an_include_along_the_arrows_passes(write: Write, path: str, include: str) -> None:
    root = write(path, f"#include {include}")

    assert told(check_includes.check(root)) == ""


def test_a_new_folder_needs_a_row(write: Write) -> None:
    root = write("relay/telepathy/x.cc", "#include <vector>")

    assert "no row in the table" in told(check_includes.check(root))


# Texts.


@pytest.mark.parametrize(
    ("path", "line", "reason"),
    [
        ("server/api/x.cc", 'Run("SELECT id FROM streams");', "SQL text"),
        ("relay/pipeline/x.cc", "UPDATE streams SET paused = 1", "SQL text"),
        ("server/store/x.cc", 'Run("CREATE TABLE streams (id)");', "schema"),
        ("server/store/x.cc", 'fmt::format("DELETE FROM {}", table)', "prepared"),
        ("server/api/x.cc", "Send(secret.Reveal());", "plain text"),
        ("relay/pipeline/x.cc", "auto t = std::chrono::steady_clock::now();", "base::Clock"),
        ("relay/supervisor/x.cc", "std::this_thread::sleep_for(1s);", "nothing sleeps"),
        ("tests/relay/x_test.cc", "std::this_thread::sleep_for(1s);", "nothing sleeps"),
        ("model/x.h", "// FIXME later", "TODO(#123)"),
        ("base/x.cc", "// TODO: later", "TODO(#123)"),
        ("tests/x_test.cc", "TEST(X, DISABLED_Works) {", "runs or is not there"),
        ("cli/x.cc", "Copy(src, target);", "source and target"),
        ("server/control/x.cc", "class BridgeManager {", "what the thing is"),
        ("relay/kafka/x.cc", "rd_kafka_subscribe(client, topics);", "assigned by us"),
        ("base/x.cc", "x" * 101, "100 at most"),
        ("proto/drawbridge/v1/x.proto", "// " + "x" * 98, "100 at most"),
        ("scripts/x", "# " + "x" * 99, "100 at most"),
    ],
)
def test_a_text_that_breaks_a_rule_is_found(
    write: Write, path: str, line: str, reason: str
) -> None:
    root = write(path, "#pragma once", line)

    found = told(check_text.check(root))

    assert found.startswith(f"{path}:2: ")
    assert reason in found


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("server/store/x.cc", 'Prepare("SELECT id FROM streams WHERE id = ?");'),
        ("server/api/x.cc", "// SELECT id FROM streams is what the store does."),
        ("base/x.cc", "// TODO(#12): say more."),
        ("base/clock.cc", "return std::chrono::system_clock::now();"),
        ("server/security/sealed_box.cc", "Seal(secret.Reveal());"),
        ("base/x.cc", "x" * 100),
        ("base/x.cc", "// see https://example.org/" + "x" * 100),
        ("cli/x.cc", "struct google::rpc::ErrorInfo info;"),
    ],
)
def test_a_text_within_the_rules_passes(write: Write, path: str, line: str) -> None:
    root = write(path, line)

    assert told(check_text.check(root)) == ""


def test_a_name_that_says_nothing_is_found(write: Write) -> None:
    root = write("relay/kafka/kafka_utils.cc", "int x;")

    assert "what is in it" in told(check_text.check(root))


def test_a_header_without_its_guard_is_found(write: Write) -> None:
    root = write("base/x.h", "#ifndef X_H")

    assert "#pragma once" in told(check_text.check(root))


# Protos.

_DOCUMENTED = """\
syntax = "proto3";
package drawbridge.v1;

// Things.
service ThingService {
  // Reads one.
  rpc GetThing(GetThingRequest) returns (Thing);
}

message GetThingRequest {
  string name = 1;
}

// A thing.
message Thing {
  // Bytes. Default: 0.
  int64 size = 1;
  Shape shape = 2;
  map<string, string> labels = 3;  // What people call it.
}

// What it looks like.
enum Shape {
  SHAPE_UNSPECIFIED = 0;
  // Round.
  SHAPE_ROUND = 1;
  // With corners.
  SHAPE_SQUARE = 2;
}

// How much of it there is: an enum whose values speak for themselves.
enum Amount {
  AMOUNT_UNSPECIFIED = 0;
  AMOUNT_NONE = 1;
}
"""
_GLOSSARY = ("# Glossary", "| `size` | no |", "## Fields", "| `name` | yes |", "## More")


def _protos(write: Write, text: str) -> Path:
    write("docs/glossary.md", *_GLOSSARY)
    return write("proto/drawbridge/v1/thing.proto", text)


def test_a_documented_proto_passes(write: Write) -> None:
    assert told(check_protos.check(_protos(write, _DOCUMENTED))) == ""


@pytest.mark.parametrize(
    ("comment", "what"),
    [
        ("// Things.\n", "service ThingService"),
        ("  // Reads one.\n", "method GetThing"),
        ("// A thing.\n", "message Thing"),
        ("  // Bytes. Default: 0.\n", "field Thing.size"),
        ("  // What people call it.", "field Thing.labels"),
        ("// What it looks like.\n", "enum Shape"),
        ("  // Round.\n", "value SHAPE_ROUND"),
    ],
)
def test_a_missing_comment_is_found(write: Write, comment: str, what: str) -> None:
    assert _DOCUMENTED.count(comment) == 1
    root = _protos(write, _DOCUMENTED.replace(comment, ""))

    found = told(check_protos.check(root))

    assert f"{what} has no comment" in found
    assert len(found.splitlines()) == 1


def test_a_name_that_is_a_macro_of_qt_is_found(write: Write) -> None:
    root = _protos(write, _DOCUMENTED.replace("int64 size", "int64 slots"))

    assert "macro of Qt" in told(check_protos.check(root))


# Linked libraries.


def test_a_forbidden_library_is_found() -> None:
    program = Path("/bin/ls")

    assert list(check_links.check(program, {"c": "it shall not"})) == [
        "ls is linked to libc.so.6: it shall not"
    ]
    assert list(check_links.check(program, {"sqlite3": "", "rdkafka": ""})) == []


def test_a_program_without_a_row_is_refused() -> None:
    assert check_links.main(Path("/bin/ls")) == 2
