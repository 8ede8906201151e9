"""Each check of tools/lint.py is seen to find what it is for, and to let sound files pass."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def load():
    spec = importlib.util.spec_from_file_location("lint", REPOSITORY / "tools" / "lint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lint = load()


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


class Tree:
    def __init__(self, root):
        self.root = root
        (root / "pyproject.toml").write_text((REPOSITORY / "pyproject.toml").read_text())

    def __call__(self, **files):
        """tree(wire__arp="...") writes smolmp/wire/arp.py"""
        for name, text in files.items():
            self.write("smolmp/" + name.replace("__", "/") + ".py", text)
        return self

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return self

    def findings(self, check):
        return list(lint.CHECKS[check](lint.Lint(self.root)))


CONST = "from micropython import const\n\n"


def test_constants(tree):
    tree(
        wire__a=CONST + "_OK = const(0)\n_SIZE = const(1 << 4)\n_END = const(_SIZE + 2)\n",
        wire__b=CONST + "_OK = const(0)\n_SIZE = const(16)\n_END = const(18)\nOTHER = const(1)\n",
    )
    assert tree.findings("constants") == []
    tree(wire__b=CONST + "_SIZE = const(17)\n")
    (finding,) = tree.findings("constants")
    assert finding.startswith("smolmp/wire/b.py:3: _SIZE = 17, but 16 in smolmp/wire/a.py:4")
    tree(wire__b=CONST + "_X = const(len)\n")
    (finding,) = tree.findings("constants")
    assert "cannot work out" in finding
    tree(wire__b=CONST + "_ENOTCONN = const(107)\n_EINVAL = const(22)\n")
    (finding,) = tree.findings("constants")
    assert finding.startswith("smolmp/wire/b.py:3: _ENOTCONN is another number elsewhere")
    tree(wire__b="raise OSError(22)\nraise OSError(-2)\nraise OSError(107)\n")
    (finding,) = tree.findings("constants")
    assert finding.startswith("smolmp/wire/b.py:3: ENOTCONN is another number elsewhere")


def test_length(tree):
    tree(wire__a="\n" * 500).write("ports/x/long.py", "\n" * 501)
    (finding,) = tree.findings("length")
    assert finding.startswith("ports/x/long.py:501: 501 lines, 500 allowed")


@pytest.mark.parametrize(
    "room, statement, wrong",
    [
        ("wire", "from smolmp.wire import arp", None),
        ("wire", "from smolmp.storage.ring import RingBuffer", "wire/ imports storage/"),
        ("wire", "from smolmp.prng import Random", None),
        ("storage", "import smolmp.wire.arp", None),
        ("storage", "from ..phy import device", "storage/ imports phy/"),
        ("storage", "from . import ring", None),
        ("phy", "from smolmp.storage import ring", None),
        ("phy", "from smolmp import socket", "phy/ imports socket/"),
        ("socket", "from smolmp.iface.interface import Interface", "socket/ imports iface/"),
        ("socket", "from smolmp.phy import device", "socket/ imports phy/"),
        ("iface", "from smolmp.socket import set", None),
        ("iface", "def f():\n    from smolmp.net import x", "iface/ imports net/"),
        ("net", "from smolmp.iface import interface", None),
        ("iface", "import ports.unix.tuntap", "nothing in smolmp/ may import a port"),
        ("wire", "import typing", "imports typing, which MicroPython does not have"),
        ("wire", "from dataclasses import dataclass", "imports dataclasses"),
        ("phy", "import ffi", "imports ffi"),
        ("phy", "import machine, os, sys", None),
        ("attic", "import smolmp.wire", "the room attic/ has no floor"),
    ],
)
def test_floors(tree, room, statement, wrong):
    for name in ("wire", "storage", "phy", "socket", "iface", "net"):
        tree.write(f"smolmp/{name}/__init__.py", "")
    tree.write("smolmp/prng.py", "")
    tree.write(f"smolmp/{room}/it.py", statement + "\n")
    findings = tree.findings("floors")
    if wrong is None:
        assert findings == []
    else:
        (finding,) = findings
        assert wrong in finding
        line = statement.count("\n") + 1
        assert finding.startswith(f"smolmp/{room}/it.py:{line}: ")


def test_floors_of_ports(tree):
    tree.write("ports/unix/programs/command.py", "import ffi, sys\nfrom smolmp.wire import arp\n")
    tree.write("ports/unix/programs/ping.py", "import command\n")
    assert tree.findings("floors") == []
    tree.write("ports/unix/programs/ping.py", "import command\nimport subprocess\n")
    (finding,) = tree.findings("floors")
    assert finding.startswith("ports/unix/programs/ping.py:2: imports subprocess")


@pytest.mark.parametrize(
    "text, found",
    [
        ("cat '/" + "root/.profile'", True),
        ('open("/' + 'root")', True),
        ("the /" + "home/someone/x", True),
        ("on a Mac /" + "Users/someone", True),
        ("a workman at home / root of all", False),
        ("build/root-i386 {folder}/root $HOME/x ./root/x", False),
        ("/" + "rooted", False),
    ],
)
def test_names(tree, text, found):
    tree.write("docs/page.md", "first line\n" + text + "\n")
    findings = tree.findings("names")
    assert len(findings) == found
    if found:
        assert findings[0].startswith("docs/page.md:2: ")


def test_names_looks_at_what_git_would_take(tree):
    subprocess.run(["git", "init", "-q"], cwd=tree.root, check=True)
    tree.write(".gitignore", "ignored/\n")
    tree.write("ignored/a", "/" + "home/me\n")
    assert tree.findings("names") == []
    tree.write("untracked", "/" + "home/me\n")
    assert len(tree.findings("names")) == 1


def test_mpy_cross(tree):
    good = "@micropython.viper\ndef f(p: ptr8) -> int:\n    return p[0]\n"
    tree(wire__a=good)
    assert tree.findings("mpy-cross") == []
    for architecture in lint.ARCHITECTURES:
        assert (tree.root / "build/mpy" / architecture / "smolmp/wire/a.mpy").stat().st_size
    # a literal that boards have no small integer for; a syntax MicroPython does not have
    tree(
        wire__a=good,
        wire__b="@micropython.viper\ndef g(x: int) -> int:\n    return x + 0x40000000\n",
    )
    findings = tree.findings("mpy-cross")
    assert len(findings) == len(lint.ARCHITECTURES)
    assert findings[0].startswith("smolmp/wire/b.py:2: x64: Viper")
    tree(wire__b="x = 1\nmatch x:\n    case 1: pass\n")
    assert tree.findings("mpy-cross")[0].startswith("smolmp/wire/b.py:2: x64: SyntaxError")


SOUND = '''
"""A file as they are in smolmp."""

import time
from array import array

from micropython import const

_SIZE = const(4)


class Device:
    owner = None

    def __init__(self, size=None):
        self.words = array("i", bytes(4 * _SIZE))
        self.buffer = bytearray(size or _SIZE)
        self.list = []

    def poll(self, now):
        if self.owner is not None:
            self.owner.changed(now & 0x3FFFFFFF)
        return copy(self.buffer, self.words, 0, time.ticks_ms() & 3)


@micropython.viper
def copy(dst: ptr8, words: ptr32, off: int, n: int) -> int:
    p = ptr8(int(dst) + off)
    total = uint(0)
    i = 0
    while i < n:
        p[i] = words[i]
        total += uint(p[i])
        i += 1
    return int(total)
'''.lstrip()


def test_types_of_sound_files(tree):
    tree(wire__a=SOUND)
    assert tree.findings("types") == []


@pytest.mark.parametrize(
    "before, after, wrong",
    [
        ("self.words, 0, time", "self.words, time", "Missing positional argument"),
        ("self.words, 0, time", 'self.words, "0", time', 'incompatible type "str"'),
        ("self.buffer, self.words", "self.bufer, self.words", 'has no attribute "bufer"'),
        ("time.ticks_ms()", "time.monotonic()", 'has no attribute "monotonic"'),
        ("self.list = []", "self.list = [].push(1)", 'has no attribute "push"'),
        ("        p[i] = words[i]", "        p[i] = word[i]", 'Name "word" is not defined'),
        ("        i += 1", '        i += "1"', "Unsupported operand types"),
        ("    p = ptr8(int(dst) + off)", "    p = ptr8(dst, off)", "Too many arguments"),
        ("return copy(", "return copied(", 'Name "copied" is not defined'),
        ("import time", "import times", '"times"'),
    ],
)
def test_types_find_what_is_wrong(tree, before, after, wrong):
    assert SOUND.count(before) == 1
    tree(wire__a=SOUND.replace(before, after))
    findings = tree.findings("types")
    line = SOUND[: SOUND.index(before)].count("\n") + 1
    assert any(wrong in f and f.startswith(f"smolmp/wire/a.py:{line}: error") for f in findings), (
        findings
    )


def test_ruff_and_format(tree):
    tree(wire__a="import sys\n")
    findings = tree.findings("ruff")
    assert findings[0].startswith("smolmp/wire/a.py:1:8: F401")
    assert tree.findings("format") == []
    tree(wire__a="x = ptr8( 1 )\n")
    assert tree.findings("ruff") == []
    assert tree.findings("format")[0].startswith("smolmp/wire/a.py:1:")


def test_the_command(tree):
    command = [sys.executable, str(REPOSITORY / "tools/lint.py"), "--root", str(tree.root)]
    tree(wire__a="X = 1\n")
    done = subprocess.run([*command, "length", "floors"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "lint length: ok" in done.stdout and "lint floors: ok" in done.stdout
    tree(wire__a="import typing\n")
    done = subprocess.run([*command, "length", "floors"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "  smolmp/wire/a.py:1: imports typing" in done.stdout
    assert done.stdout.endswith("lint: FAILED: floors\n")
    assert subprocess.run([*command, "nonsense"], capture_output=True).returncode == 2
