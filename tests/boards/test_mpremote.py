"""mpremote, and what is built on it, with a board behind a serial port: an emulated Pico."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
sys.path.insert(1, str(ROOT / "tools"))

import board  # noqa: E402
import pack  # noqa: E402

CONFTEST = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from harness.plugin import *
"""


def mpremote(port, *words):
    command = [sys.executable, "-m", "mpremote", "connect", port, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_mpremote_finds_a_board_there(picos, tmp_path):
    pico = picos()
    (tmp_path / "there").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "remote.py").write_text("print('from the other side')")
    said = mpremote(
        *(pico.port, "cp", str(tmp_path / "there"), ":here", "+"),
        *("cp", ":here", str(tmp_path / "back"), "+"),
        *("mount", str(tmp_path), "exec", "import remote"),
    )
    assert "from the other side" in said
    assert (tmp_path / "back").read_bytes() == (tmp_path / "there").read_bytes()
    # The file outlives a hard reset.
    mpremote(pico.port, "reset")
    assert mpremote(pico.port, "eval", "__import__('os').stat('here')[6]").strip() == "2560"


def test_mip_installs_a_part_on_a_board(picos, tmp_path):
    pack.pack(pack.repository(), "armv6m", tmp_path / "armv6m")
    pico = picos()
    said = mpremote(
        *(pico.port, "mip", "install", str(tmp_path / "armv6m/queue.json"), "+"),
        *("exec", "from smolmp.phy.loopback import Loopback; print(Loopback().medium)"),
    )
    assert said.splitlines()[-2:] == ["Done", "1"]


def test_what_a_board_says_about_itself(picos, tmp_path):
    pico = picos()
    files = {"/lib/a/b.py": b"x = 1", "/c": bytes(3000)}
    with board.Board(pico.port) as it:
        facts = it.facts()
        assert (facts.platform, facts.architecture, facts.mpy) == ("rp2", "armv6m", (6, 3))
        assert facts.library() == "/lib" and not facts.frozen and facts.smolmp is None
        assert facts.free > 1_300_000 and facts.heap > 200_000
        assert it.write(files) == list(files)
        files["/c"] = bytes(3001)
        assert it.write(files) == ["/c"]
        assert it.facts().free <= facts.free - 2 * facts.flash_block
        assert it.run("import a.b; print(a.b.x)") == "1\n"
        assert it.remove(["/c", "/d"]) == ["/c"]
        with pytest.raises(board.Failed, match="ZeroDivisionError") as raised:
            it.run("print('before'); 1 / 0")
        assert raised.value.output == "before\n" and "line 1" in raised.value.trace


def test_smolmp_on_the_board_is_seen(picos, tmp_path):
    with board.Board(picos({"lib/smolmp/__init__.py": ROOT / "smolmp/__init__.py"}).port) as it:
        assert it.facts().smolmp == "/lib/smolmp/__init__.py" and not it.facts().frozen
    with board.Board(picos({"smolmp/__init__.py": ROOT / "smolmp/__init__.py"}).port) as it:
        assert it.facts().smolmp == "/smolmp/__init__.py" and not it.facts().frozen


def test_full_flash_is_told(picos, tmp_path):
    (tmp_path / "fill").write_bytes(bytes(4096 * 344))
    with board.Board(picos({"fill": tmp_path / "fill"}).port) as it:
        assert 0 < it.facts().free < 30000
        with pytest.raises(board.BoardError, match="flash is full: /lib/big") as raised:
            it.write({"/lib/big": bytes(30000)})
        assert "smaller part" in raised.value.advice


def test_a_port_that_is_not_there():
    with pytest.raises(board.BoardError, match="not there") as raised:
        board.Board("/dev/ttyNone")
    assert "plugged in" in raised.value.advice


def test_a_port_that_is_not_ours(tmp_path, monkeypatch):
    (tmp_path / "port").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may do all
    with pytest.raises(board.BoardError, match="no permission") as raised:
        board.Board(str(tmp_path / "port"))
    assert "usermod" in raised.value.advice


def test_what_is_no_serial_port(tmp_path):
    (tmp_path / "port").touch()
    with pytest.raises(board.BoardError, match="cannot be opened") as raised:
        board.Board(str(tmp_path / "port"))
    assert "Another program" in raised.value.advice


def project(folder, text, port, *options):
    """pytest's output for one unit test file on the board."""
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    file = folder / "tests/unit/room/test_it.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    (folder / "smolmp").mkdir(exist_ok=True)
    (folder / "smolmp/__init__.py").write_text("")
    (folder / "smolmp/thing.py").write_text("def half(n):\n    return n // 2\n")
    (folder / "tests/conftest.py").write_text(CONFTEST)
    clean = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_ADDOPTS")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "--target", f"mpremote:{port}", *options],
        cwd=folder,
        env={**clean, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done.stdout + done.stderr


TEST_FILE = """
from smolmp.thing import half

def test_right():
    print("heard")
    assert half(4) == 2

def test_wrong():
    assert half(4) == 3

def test_stuck():
    while True:
        pass

def test_after():
    assert half(-1) == -1

# not on a board: it would take years
def test_big():
    bytearray(1 << 20)
"""


def test_unit_tests_run_on_a_board(picos, tmp_path):
    pico = picos({"lib/smolmp/thing.py": ROOT / "README.md"})  # which must not hide the new one
    out = project(tmp_path, TEST_FILE, pico.port, "--unit-timeout", "6")
    assert f"PASSED tests/unit/room/test_it.py::test_right[mpremote:{pico.port}]" in out, out
    assert "AssertionError: assert half(4) == 3" in out
    assert "no end after 6 s (time-out) in test_stuck" in out
    assert "2 failed, 2 passed" in out
    assert "test_big" not in out


def test_a_board_that_is_not_there_is_a_missing_target(tmp_path):
    out = project(tmp_path, TEST_FILE, "/dev/ttyNone")
    assert "TARGET MISSING: mpremote:/dev/ttyNone: /dev/ttyNone is not there" in out


def test_the_port_must_be_named(tmp_path):
    out = project(tmp_path, TEST_FILE, "")
    assert "TARGET MISSING: mpremote: name the serial port" in out


def test_smolmps_own_unit_tests_run_on_a_board(picos):
    pico = picos()
    # TCP's code is more than a Pico's heap: it runs from the flash.
    files = ["tests/unit/wire/test_arp.py", "tests/unit/tcp/test_half_close.py"]
    command = [sys.executable, "-m", "pytest", "-q", *files]
    done = subprocess.run(
        [*command, "--no-skips", "--target", f"mpremote:{pico.port}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr
