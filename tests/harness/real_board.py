"""The target mpremote:PORT: test files on a real board, one at a time.

    real_board.py PORT ROOT FILE FUNCTION...      what the harness runs, one file's functions

What the file imports of smolmp/ and tests/unit is compiled for the board's processor and put on
its file system, below /lib and /tests, where it stays: the next file brings only what is missing
or has changed. On an RP2040 smolmp's functions run from the flash (ports/rp2/inplace.py), laid out
anew when something of /lib changed. The board is reset softly before each file. It prints what
run_on_board.py prints.
"""

import ast
import os
import sys
from pathlib import Path

from harness.targets import REPOSITORY, RUNNER, Target

sys.path.insert(1, str(REPOSITORY / "tools"))

import board  # noqa: E402
import flash  # noqa: E402
import pack  # noqa: E402

INPLACE = ("ports.rp2.inplace", "ports.rp2.inplace_file")
INSTALL = "from ports.rp2 import inplace; inplace.install()"
BEGIN = "from ports.rp2 import inplace; inplace.begin();"


class Mpremote(Target):
    """A board on a serial port: `--target mpremote:/dev/ttyACM0`."""

    name = "mpremote"
    board = True
    exclusive = True
    from_files = True
    default = False

    def missing(self):
        if not self.argument:
            return "name the serial port, as in --target mpremote:/dev/ttyACM0"
        try:
            with board.Board(self.argument) as it:
                flash.architecture(it.facts())
        except board.BoardError as error:
            return f"{error}. {error.advice}"
        return None

    def command(self, job):
        script = ["-m", "harness.real_board", self.argument]
        return [sys.executable, *script, str(job.root), str(job.file), *job.functions]

    def environment(self):
        return {**os.environ, "PYTHONPATH": str(REPOSITORY / "tests")}


def files(root, test, processor, extra=()):
    """{path on the board: octets} of what `test` and the modules `extra` may need."""
    tree = pack.Tree(root)
    unit = root / "tests" / "unit"
    beside = {path.stem: path for folder in (unit, test.parent) for path in folder.glob("*.py")}
    models = root / "tests" / "models"
    beside.update({f"tests.models.{path.stem}": path for path in models.glob("*.py")})
    own, modules, todo = set(), {name for word in extra for name in tree.needed(word)}, [test]
    while todo:
        source = todo.pop()
        if source in own:
            continue
        own.add(source)
        name = source.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"), name)):
            for module in pack.imported(node, name):
                if module in beside:
                    todo.append(beside[module])
                modules.update(tree.needed(module))
    found = {"/tests/run_on_board.mpy": RUNNER, **{"/" + _mpy(s, root): s for s in own}}
    found.update({"/lib/" + _mpy(root / n, root): root / n for n in tree.closure(modules)})
    octets = {}
    for path, source in found.items():
        name = source.name if source == RUNNER else source.relative_to(root).as_posix()
        octets[path] = pack.compiled(source.read_text(encoding="utf-8"), name, processor, 0)
    for data in sorted(test.parent.glob("*.txt")):
        octets["/" + data.relative_to(root).as_posix()] = data.read_bytes()
    return octets


def _mpy(source, root):
    return source.relative_to(root).with_suffix(".mpy").as_posix()


def run(port, root, test, functions):
    def say(data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    with board.Board(port) as it:
        facts = it.facts()
        extra = INPLACE if facts.platform == "rp2" else ()
        needed = files(root, test, flash.architecture(facts), extra)
        # MicroPython takes x.py before x.mpy.
        it.remove([path.removesuffix(".mpy") + ".py" for path in needed if path.endswith(".mpy")])
        changed = it.write(needed)
        begin = ""
        if "/lib/ports/rp2/inplace.mpy" in needed:
            if any(path.startswith("/lib/") for path in changed):
                it.run(INSTALL)
            begin = BEGIN
        name = "/" + test.relative_to(root).as_posix()
        code = (
            f"{begin}import sys; sys.path.append('/tests'); import run_on_board as r;"
            f" r.run('', {name!r}, {functions!r}, ('/lib', '.frozen'))"
        )
        it.run(code, say)


if __name__ == "__main__":
    try:
        run(sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve(), sys.argv[4:])
    except board.BoardError as error:
        sys.stdout.flush()
        sys.exit(f"{error}\n{error.advice}")
