"""A Pico with a W5500, emulated (tools/rp2), and Linux at the other end of its cable.

Its time is held to the wall's and waits where the machine is busy, so these tests run beside the
others (harness/beside.py). The wires are those of tests/linux.
"""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/linux"))

from harness import targets  # noqa: E402
from linux.conftest import bare_wire, laboratory, name, pytest_configure, third_party  # noqa: E402,F401

PATIENCE = 120  # seconds for what is done at once on a machine that has nothing else to do


class Board:
    """Puts Picos on `wire`. kind: "stock" or "frozen", as in tools/rp2/installed.py."""

    def __init__(self, wire, target):
        self.wire = wire
        self.kind = target.kind
        self.python = target.program()

    def start(self, main, files=(), ready="^ready", options=()):
        """A Pico with main.py and files, {name on its flash: path}, beside smolmp."""
        wire = self.wire
        fd = wire.kernel.open_tap()
        argv = [self.python, "tools/rp2/bridge.py", fd, "--kind", self.kind, "--main", main]
        for place, path in dict(files).items():
            argv += ["--put", f"{place}={path}"]
        board = wire.kernel.program([*argv, *options], wire.name + "-board.log", fds=(fd,))
        wire.programs.append(board)
        os.close(fd)
        board.wait_line(ready, PATIENCE)
        wire.kernel.settle("tap0")
        return board


@pytest.fixture
def pico(bare_wire, request):  # noqa: F811
    """The wire, and pico.board to put a Pico on it: MicroPython's own firmware with smolmp's .mpy
    files on the flash, or as the test's parameter "pico", a target, has it."""
    target = getattr(request, "param", targets.Rp2)()
    why = target.missing()
    if why:
        pytest.skip(f"target {target.name} is missing: {why}")
    bare_wire.tap()
    bare_wire.board = Board(bare_wire, target)
    return bare_wire
