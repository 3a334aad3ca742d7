"""Makes the rig importable from wherever pytest was started, and takes its fixtures."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rig.pytest_plugin import *  # noqa: E402, F403 - the path comes first
