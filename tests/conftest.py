"""Hands pytest to the harness (tests/harness/plugin.py) and lets CPython import smolmp.

CPython finds `micropython` in tests/shim, before the wheel's module of the same name. Programs
that tools/setup unpacked, and those in sbin, are found after the system's own.
"""

import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS / "shim"), str(TESTS), str(TESTS.parent)]
os.environ["PATH"] = os.pathsep.join(
    [
        os.environ.get("PATH", os.defpath),
        *("/usr/local/sbin", "/usr/sbin", "/sbin"),
        str(TESTS.parent / "build" / "system" / "bin"),
    ]
)

from harness.plugin import *  # noqa: E402, F403
