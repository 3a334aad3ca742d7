"""Breaks guarantees on purpose and expects a test to notice: `python3 tests/mutants/mutants.py`.

Works on a copy of the last commit in a folder of its own, so that nothing of yours is touched.
Takes minutes, so it is no part of scripts/check: run it when the search sink or its tests change.
Ends with 1 if a mutant survives.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SINK = "relay/opensearch/opensearch_sink.cc"
SENDER = "relay/opensearch/bulk_sender.cc"
PARTITIONS = "relay/opensearch/written_partitions.cc"
TRIAL = "relay/opensearch/storm_trial.cc"


class Mutant(NamedTuple):
    """One guarantee, and the change that breaks it."""

    name: str
    file: str
    what: str
    instead: str


MUTANTS = [
    Mutant(
        "a record that is there already is an error",
        "relay/opensearch/bulk_answer.cc",
        "                 ? ItemOutcome::kThere",
        "                 ? ItemOutcome::kSystemic",
    ),
    Mutant(
        "errors: false is believed",
        "relay/opensearch/bulk_answer.cc",
        "  if (items->size() != count) {",
        '  if (!parsed.value("errors", true)) {\n'
        "    return std::vector<BulkItem>(count, BulkItem{.error = EngineError{.status = 201}});\n"
        "  }\n  if (items->size() != count) {",
    ),
    Mutant(
        "items that were pushed back are dropped",
        SINK,
        "  if (!again.entries.empty()) sender_->Again(std::move(again), now);",
        "  for (Pending& entry : again.entries) Confirm(entry);",
    ),
    Mutant(
        "nobody looks before sending again behind a name that rolls over",
        SENDER,
        "  return !bulk.is_checked && !bulk.is_dead &&",
        "  return false && !bulk.is_checked && !bulk.is_dead &&",
    ),
    Mutant(
        "nobody waits for what the engine still works on",
        "relay/opensearch/presence_check.cc",
        "      step_ = Step::kTasks;",
        "      step_ = Step::kRefresh;",
    ),
    Mutant(
        "a record is confirmed though its dead letter is not in the topic",
        SINK,
        "    if (!posted.failure) {",
        "    if (!posted.failure || posted.failure) {",
    ),
    Mutant(
        "a refusal of all records is written off",
        "relay/opensearch/storm_breaker.cc",
        "  return are_half || (row_ == cause && in_a_row_ >= kInARow);",
        "  return false && are_half;",
    ),
    Mutant(
        "a refusal is looked at in its partition alone",
        PARTITIONS,
        "  partition.is_in_storm = is_storm || is_stream_storm;",
        "  partition.is_in_storm = is_storm;",
    ),
    Mutant(
        "what is found there frees a stream that is held back",
        PARTITIONS,
        "std::exchange(partition.is_held_by_stream, false) && partition.trial.has_written()",
        "std::exchange(partition.is_held_by_stream, false)",
    ),
    Mutant(
        "a partition is free once anything passes that was on its way",
        PARTITIONS,
        "  if (partition.blocked_in && entry.window > *partition.blocked_in) partition",
        "  if (partition.blocked_in) partition",
    ),
    Mutant(
        "bad records side by side block their partition for good",
        TRIAL,
        "  if (tried >= StormBreaker::kLeast &&",
        "  if (false && tried >= StormBreaker::kLeast &&",
    ),
    Mutant(
        "a storm ends with the first record that passes",
        TRIAL,
        "refused * 2 < tried)",
        "refused < tried)",
    ),
    Mutant(
        "a trial is judged by its first request",
        TRIAL,
        "const bool are_all_through = entries <= refused;",
        "const bool are_all_through = entries >= refused;",
    ),
    Mutant(
        "a record joins a request that was asked about before",
        "relay/opensearch/bulk_queue.cc",
        "bulk.check || bulk.is_checked;",
        "false;",
    ),
    Mutant(
        "more records become dead letters than the bridge lets",
        PARTITIONS,
        "if (partition.letters.IsSpent(offset, now))",
        "if (false && partition.letters.IsSpent(offset, now))",
    ),
    Mutant(
        "reasons that quote the record tell causes apart",
        "relay/opensearch/bulk_answer.cc",
        'fmt::format("{} {} {}", error.status, error.type, error.caused_by);',
        'fmt::format("{} {} {}", error.status, error.type, error.reason);',
    ),
    Mutant(
        "a record that fails on and on is never given back",
        SINK,
        "is_pushed_back ? 2 * BulkSender::kThrottledLong : BulkSender::kStuckAfter;",
        "is_pushed_back ? 2 * BulkSender::kThrottledLong : BulkSender::kStuckAfter * 1000;",
    ),
    Mutant(
        "new records wait for one that fails by itself",
        SINK,
        "again.is_probe = again.is_probe || !is_too_much || is_long;",
        "again.is_probe = again.is_probe || is_long;",
    ),
    Mutant(
        "a blocked partition shares requests with the others",
        SINK,
        "    const bool is_probe = partitions_.IsBlocked(batch.slot);",
        "    const bool is_probe = false;",
    ),
    Mutant(
        "what a pipeline throws away counts as delivered",
        "relay/opensearch/bulk_answer.cc",
        "  if (item.is_dropped) return",
        "  if (item.is_dropped && item.is_diverted) return",
    ),
    Mutant(
        "a proxy that answers what is looked for is waited for in silence",
        SENDER,
        "answer.status == 401 || answer.status == 404 || answer.status == 429 ||",
        "answer.status == 401 || answer.status == 429 ||",
    ),
    Mutant(
        "a document that is pushed back for good holds up its lane",
        SINK,
        "again.is_probe = again.is_probe || !is_too_much || is_long;",
        "again.is_probe = again.is_probe || !is_too_much;",
    ),
    Mutant(
        "a dead letter that a pipeline throws away counts as kept",
        SINK,
        "  if (!why.empty() && entry.refusal && !partitions_.IsOld(entry)) {",
        "  if (false && !why.empty() && entry.refusal) {",
    ),
    Mutant(
        "items are told apart by their place alone",
        "relay/opensearch/bulk_answer.cc",
        "    if (!ours.empty() && items[i].id.starts_with(ours)) return false;",
        "    if (!ours.empty() && items[i].id.starts_with(ours)) continue;",
    ),
    Mutant(
        "an answer over a new connection is believed whoever gave it",
        "relay/opensearch/cluster_gate.h",
        "    return !cluster_id_.empty() && answer.is_first && answer.status != 0;",
        "    return false && answer.is_first && answer.status != 0;",
    ),
    Mutant(
        "all wait for an address that hangs",
        SENDER,
        "sent.second.bulk.is_probe == are_probes && !sent.second.is_late;",
        "sent.second.bulk.is_probe == are_probes;",
    ),
    Mutant(
        "the dots of names do not count into the depth",
        "relay/opensearch/document.cc",
        "  if (HasManyDots(value) && IsDeeperThan(kDepthMax, parsed)) return Shape::kTooDeep;",
        "",
    ),
    Mutant(
        "what is found there ends a trial",
        TRIAL,
        "    if (written_ == 0 && !are_all_through) return Verdict::kPending;",
        "",
    ),
    Mutant(
        "a request that fails alone is never halved",
        SENDER,
        "  if (bulk.entries.size() > 1 && AreFew()) {",
        "  if (false && bulk.entries.size() > 1 && AreFew()) {",
    ),
    Mutant(
        "a closed index is passed over",
        "relay/opensearch/presence_check.cc",
        "      if (!is_closed_) continue;",
        "      continue;",
    ),
    Mutant(
        "letters are brought into whatever cluster answers",
        "relay/opensearch/engine_view.cc",
        "  if (gate_.IsKnown(address, kOnce)) return {};",
        "  return {};",
    ),
    Mutant(
        "a dead letter counts as gone though its index keeps it",
        "relay/opensearch/index_letter_store.cc",
        "    if (error.status >= 300 && !is_out) {",
        "    if (error.status >= 900 && !is_out) {",
    ),
]


# A mutant may make tests wait for ever, or take all memory: that is seen as well.
TESTS_SECONDS = 120
TESTS_BYTES = 8 << 30


def must(command: list[str], folder: Path) -> None:
    # ccache finds what the tree has built, wherever the copy is.
    environment = {**os.environ, "CCACHE_BASEDIR": str(folder), "CCACHE_NOHASHDIR": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}")


def passes(program: Path) -> bool:
    try:
        done = subprocess.run(
            [program, "--gtest_fail_fast"],
            capture_output=True,
            timeout=TESTS_SECONDS,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_AS, (TESTS_BYTES, TESTS_BYTES)
            ),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def outdated() -> list[str]:
    """Those whose place in the sources is not there any more, or not the only one."""
    return [
        f"{mutant.file} has changed, and this mutant with it: {mutant.name}"
        for mutant in MUTANTS
        if (ROOT / mutant.file).read_text().count(mutant.what) != 1
    ]


def survives(mutant: Mutant, copy: Path, target: str) -> bool:
    """Whether all tests of `target` pass with the guarantee broken."""
    file = copy / mutant.file
    sound = file.read_text()
    file.write_text(sound.replace(mutant.what, mutant.instead))
    try:
        must(["cmake", "--build", "--preset", "check", "--target", target], copy)
        [program] = (copy / "build/check/tests").rglob(target)
        return passes(program)
    finally:
        file.write_text(sound)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="relay_opensearch_test", help="the tests to run")
    parser.add_argument("--check", action="store_true", help="only whether all have a place")
    arguments = parser.parse_args()
    if found := outdated():
        sys.exit("\n".join(found))
    if arguments.check:
        return 0
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        must(["git", "clone", "--quiet", str(ROOT), str(copy)], ROOT)
        # Warnings about what a mutant leaves unused are no finding.
        must(["cmake", "--preset", "check", "-DDRAWBRIDGE_WERROR=OFF"], copy)
        must(["cmake", "--build", "--preset", "check", "--target", arguments.target], copy)
        for mutant in MUTANTS:
            is_alive = survives(mutant, copy, arguments.target)
            print(f"{'SURVIVES' if is_alive else 'caught  '}  {mutant.name}", flush=True)
            survivors += [mutant.name] if is_alive else []
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
