"""What the checks share: the product's files, and how a breach is told."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PRODUCT = ("base", "model", "server", "relay", "console", "cli")


@dataclass(frozen=True, order=True)
class Breach:
    """One place that breaks a rule."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


def files(root: Path, tops: Iterable[str], *patterns: str) -> Iterator[Path]:
    """Files below the named top-level folders, in a stable order, relative to the root."""
    for top in tops:
        found = {path for pattern in patterns for path in (root / top).rglob(pattern)}
        yield from sorted(path.relative_to(root) for path in found if path.is_file())


def lines(root: Path, path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers, from 1."""
    yield from enumerate((root / path).read_text(encoding="utf-8").splitlines(), 1)


def finish(breaches: Iterable[Breach]) -> int:
    """Prints the breaches; the exit code of the check."""
    found = sorted(set(breaches))
    for breach in found:
        print(breach)
    if found:
        print(f"{len(found)} breach{'es' if len(found) > 1 else ''}", file=sys.stderr)
    return 1 if found else 0
