"""Runs the test functions of one file inside MicroPython and tells each result between markers.

Plain MicroPython, any target:

    micropython run_on_board.py ROOT FILE FUNCTION...       on the unix port
    import run_on_board; run_on_board.run(ROOT, FILE, [..]) on a board, with ROOT mounted there

sys.path is then ROOT, ROOT/tests/unit and the file's own folder. What the tests print goes through
untouched; a line that begins with the mark belongs to the harness (tests/harness/session.py
reads it):

    @@smolmp@@ begin NAME      what follows belongs to NAME ("import": the file being imported)
    @@smolmp@@ trace           the MicroPython traceback follows, until the next mark
    @@smolmp@@ pass|fail|skip NAME MILLISECONDS
    @@smolmp@@ done
"""

import gc
import sys
import time

_MARK = "\n@@smolmp@@"


def _unlock_heap():
    """Undo a heap_lock() that a failing test left behind, however deep."""
    import micropython

    micropython.heap_lock()
    while (micropython.heap_unlock() or 0) > 0:
        pass


def _attempt(name, function):
    print(_MARK, "begin", name)
    gc.collect()
    start = time.ticks_ms()
    result = "pass"
    try:
        function()
        _unlock_heap()
    except BaseException as error:  # SystemExit too: one test must not end all
        _unlock_heap()
        result = "skip" if type(error).__name__ == "SkipTest" else "fail"
        print(_MARK, "trace")
        sys.print_exception(error)
    print(_MARK, result, name, time.ticks_diff(time.ticks_ms(), start))
    return result == "pass"


def _shelter_builtins(folder):
    """A folder tests/unit/socket would hide the module `socket` from `import socket`: extensible
    built-in modules come after sys.path. Import those before sys.path has the folder."""
    import os

    try:
        names = os.listdir(folder)
    except (OSError, AttributeError):
        return
    path = sys.path[:]
    sys.path[:] = [".frozen"]
    for name in names:
        if "." not in name and "__" not in name:
            try:
                sys.modules[name] = __import__(name)
            except ImportError:
                pass
    sys.path[:] = path


_loaded = []


def load(root, file, path=(".frozen",)):
    """Import the file; False, and said so, when that failed."""
    folder, _, module = file.rpartition("/")
    _shelter_builtins(root + "/tests/unit")
    sys.path[:] = [root, root + "/tests/unit", folder]
    sys.path.extend(path)
    return _attempt("import", lambda: _loaded.append(__import__(module[:-3])))


def attempt(name):
    """Run a function of the file that was loaded."""
    # Looked up inside the attempt: a name that vanished fails alone.
    _attempt(name, lambda: getattr(_loaded[0], name)())


def done():
    print(_MARK, "done")


def run(root, file, names, path=(".frozen",)):
    if load(root, file, path):
        for name in names:
            attempt(name)
    done()


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], sys.argv[3:])
