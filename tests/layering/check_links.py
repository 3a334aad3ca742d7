"""Fails when a program is linked to a library it must not need: check_links.py PROGRAM.

Includes do not show everything: a library can come in by way of a target's link list.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

# Program -> libraries it must not need, and why.
FORBIDDEN: dict[str, dict[str, str]] = {
    "drawbridge": {
        "sqlite3": "the CLI speaks to the server's API only",
        "rdkafka": "the CLI speaks to the server's API only",
    },
    "drawbridge-console": {
        "sqlite3": "the console speaks to the server's API only",
        "rdkafka": "the console speaks to the server's API only",
    },
    "drawbridge-relay": {"sqlite3": "a relay keeps a journal; only the server has a database"},
    "drawbridge-server": {"rdkafka": "the server never connects to a cluster"},
}


def needed(program: Path) -> list[str]:
    """The shared libraries that a program names, as `libsqlite3.so.0`."""
    command = ["readelf", "--dynamic", "--wide", str(program)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+)\]", output)


def check(program: Path, forbidden: dict[str, str]) -> Iterable[str]:
    """A sentence for every library that the program must not need."""
    for library in needed(program):
        for name, reason in forbidden.items():
            if re.match(rf"lib{name}[-.]", library):
                yield f"{program.name} is linked to {library}: {reason}"


def main(program: Path) -> int:
    if program.name not in FORBIDDEN:
        print(f"{program.name} has no row in the table FORBIDDEN", file=sys.stderr)
        return 2
    breaches = list(check(program, FORBIDDEN[program.name]))
    print("\n".join(breaches), end="\n" if breaches else "")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
