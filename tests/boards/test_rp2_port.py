"""ports/rp2 on the emulated Pico: its kernels against smolmp's own, its W5500 against the model of
the chip, and `make bench-rp2`'s figures, which are the same in every run, against their bars."""

import json
import os
import re
import subprocess

import pytest

from boards import emulated

ROOT = emulated.ROOT
FROZEN = ROOT / "build/rp2/pico.uf2"
missing = emulated.missing() or (None if FROZEN.exists() else f"no {FROZEN}")
pytestmark = pytest.mark.skipif(bool(missing), reason=f"MISSING: {missing}: make setup-rp2")

ON_BOARD = """
from ports.rp2 import kernels as fast
from smolmp.storage.kernels import copy
from smolmp.wire.checksum import checksum, copy_checksum

def pattern(n, x):
    data = bytearray(n)
    for i in range(n):
        x = (x * 1103 + 12345) & 0xFFFFF
        data[i] = x >> 7 & 0xFF
    return data

src = pattern(1600, 7)
ones = bytearray(b"\\xff" * 1600)
blank = bytearray(1600)
a, b, c = bytearray(1600), bytearray(1600), bytearray(1600)
acc = 0
tried = 0
for data in (src, ones, blank):
    for so in range(4):
        for do in range(4):
            for n in list(range(40)) + [63, 64, 65, 127, 255, 536, 1447, 1448, 1460, 1500]:
                acc = (acc * 31 + 17) & 0xFFFF
                for x in (a, b, c):
                    x[:] = blank
                want = copy_checksum(a, do, data, so, n, acc)
                assert fast.copy_checksum(b, do, data, so, n, acc) == want, (so, do, n, acc)
                assert fast.checksum(data, so, so + n, acc) == want, (so, n, acc)
                fast.copy(c, do, data, so, n)
                assert a == b == c, (so, do, n)
                tried += 1
view = memoryview(src)[3:90]
assert fast.checksum(view, 0, 87, 5) == checksum(view, 0, 87, 5)
import smolmp.storage.kernels, smolmp.wire.checksum
fast.install()
assert smolmp.storage.kernels.copy_checksum is fast.copy_checksum
assert smolmp.wire.checksum.checksum is fast.checksum
from ports.rp2 import hot
assert hot.warm() > 1000
assert copy_checksum(a, 1, src, 2, 1000, 3) == fast.copy_checksum(b, 1, src, 2, 1000, 3)
print("agree", tried)
"""

IN_RAM = """
import sys
from ports.rp2 import boards, hot
from smolmp.iface import Interface
from smolmp.socket import tcp

assert hot.warm() > 40000
kinds = [hot._word(id(probe)) for probe in (hot._bytecode, hot._native, hot._viper)]
for module, names in hot.WHAT.items():
    found = dict(hot._functions(sys.modules[module]))
    for name in names:
        code = hot._code(found[name], kinds)
        if not code or hot._in_flash(code):
            print(module, name)
"""

HOST = """
import sys, pico
board = pico.Pico(pico.FROZEN)
board.boot()
printed, error = board.execute(sys.stdin.read())
sys.stdout.write(printed.decode() + error.decode())
"""


def run(*arguments, text=None):
    """What a program of tools/rp2 prints."""
    done = subprocess.run(
        [str(emulated.PYTHON), *map(str, arguments)],
        cwd=ROOT / "tools/rp2",
        env={**os.environ, "PYTHONPATH": str(ROOT / "tools/rp2")},
        input=text,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_thumb_kernels_are_smolmps_own_octet_for_octet():
    """Every alignment of both sides, with faults at unaligned accesses."""
    assert run("-c", HOST, text=ON_BOARD).strip() == f"agree {3 * 4 * 4 * 50}"


def test_all_that_is_called_hot_is_copied_to_ram():
    """Names change, functions grow: then hot.py leaves them in flash without a word."""
    assert run("-c", HOST, text=IN_RAM) == ""


@pytest.mark.parametrize("row", ["frozen-hot", "stock-hot"])
def test_the_figures_of_a_pico_reach_their_bars(tmp_path, row):
    found = tmp_path / "figures.json"
    run("bench.py", "--rows", row, "--json", found)
    figures = json.loads(found.read_text())
    assert figures["receive_mbit"] >= 8
    assert figures["send_mbit"] >= 7
    assert figures["tcp_echo"] > 500
    assert figures["ping_us"] < 1000
    assert figures["segment_us"] < 1200
    table = figures["segment_table"]
    assert abs(sum(table.values()) - figures["segment_us"]) < 20


FAULTS = ROOT / "tests/boards/rp2_faults.py"


@pytest.mark.parametrize("name", re.findall(r"^def test_(\w+)", FAULTS.read_text(), re.MULTILINE))
def test_the_driver(name):
    """Each in a process of its own, with the emulator's Python."""
    run(FAULTS, "test_" + name)
