"""What smolmp takes of a Pico's heap, and that code outside of it runs."""

import json
import subprocess

import pytest

from boards import emulated
from harness import targets

ROOT = emulated.ROOT
SIZE = [str(emulated.PYTHON), str(ROOT / "tools/rp2/size.py")]


@pytest.fixture
def size(picos):
    """Runs tools/rp2/size.py with arguments."""

    def run(*arguments):
        done = subprocess.run([*SIZE, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_from_mpy_files_it_stays_within_its_heap(size, tmp_path):
    out = tmp_path / "size.json"
    size("--only", "inplace", "--json", str(out))
    found = json.loads(out.read_text())
    # Octets are exact: the bars are a little above what was measured last.
    assert found["tcp_server_heap_mpy"] <= 57 * 1024, found  # 60 KB are promised
    assert found["net_heap_mpy"] <= 30 * 1024, found
    assert found["listener_heap_mpy"] <= 5.25 * 1024, found
    assert found["udp_heap_mpy"] <= 6 * 1024, found
    assert found["free_after_mpy"] >= 168 * 1024, found
    assert found["tcp_socket_bytes"] <= 592, found  # 600 are promised
    assert found["udp_socket_bytes"] <= 1472, found
    assert found["listener_bytes"] <= 4704, found


def test_frozen_it_stays_within_its_heap(size, tmp_path):
    why = targets.Rp2Frozen().missing()
    if why:
        pytest.skip(why)
    out = tmp_path / "size.json"
    size("--only", "frozen", "--json", str(out))
    found = json.loads(out.read_text())
    assert found["tcp_server_heap_frozen_imported"] <= 27.5 * 1024, found
    assert found["net_heap_frozen_imported"] <= 12.5 * 1024, found
    assert found["tcp_socket_bytes"] <= 592, found


def test_functions_run_from_the_flash_and_later_parts_plug_in(size):
    moved = eval(size("--run", str(ROOT / "tests/boards/inplace_echo.py")))
    assert sum(int(name) for name in moved) > 300, moved
