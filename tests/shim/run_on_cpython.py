"""Runs one file of MicroPython tests under CPython and the shim: harness/run_on_board.py's words.

python run_on_cpython.py ROOT FILE FUNCTION...
"""

import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


class MicroPythonOSError(OSError):
    """OSError(n).errno is n on MicroPython; CPython wants two arguments for that."""

    def __init__(self, *args):
        super().__init__(*args)
        if len(args) == 1:
            self.errno = args[0]


class Loader(SourceFileLoader):
    """Loads modules whose OSError is MicroPython's."""

    root = ""
    exec_unchanged = SourceFileLoader.exec_module

    def exec_module(self, module):
        if self.path.startswith(Loader.root):
            module.__dict__.setdefault("OSError", MicroPythonOSError)
        Loader.exec_unchanged(self, module)


if __name__ == "__main__":
    sys.path[:1] = [str(TESTS / "shim"), str(TESTS / "harness")]
    import micropython  # noqa: F401  before a test needs viper's names
    import run_on_board

    Loader.root = sys.argv[1].rstrip("/") + "/"
    SourceFileLoader.exec_module = Loader.exec_module
    sys.stdout.reconfigure(line_buffering=True)
    run_on_board.run(sys.argv[1], sys.argv[2], sys.argv[3:], path=sys.path[:])
