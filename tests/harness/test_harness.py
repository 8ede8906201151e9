"""The harness tells the truth: each way in which a MicroPython test can fail is seen to fail.

Each test makes a small project in tmp_path and runs pytest there with the harness as its plugin.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import targets

TESTS = Path(__file__).resolve().parents[1]
CONFTEST = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from harness.plugin import *
"""
CRASH = """
@micropython.viper
def poke(address: int):
    p = ptr32(address)
    p[0] = 1
"""


@pytest.fixture
def project(tmp_path):
    """project(text, *options, **environment): pytest's output for one unit test file."""
    return Project(tmp_path)


class Project:
    def __init__(self, folder):
        self.folder = folder
        self.conftest = CONFTEST
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")

    def file(self, name, text):
        path = self.folder / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *options, **environment):
        (self.folder / "tests" / "conftest.py").write_text(self.conftest)
        clean = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_ADDOPTS")}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *options],
            cwd=self.folder,
            env={**clean, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.status = done.returncode
        return done.stdout + done.stderr

    def __call__(self, text, *options, name="unit/room/test_it.py", **environment):
        self.file(name, text)
        if not any(option.startswith("--target") for option in options):
            options = ("--target", one_target(), *options)
        return self.run(*options, **environment)


def one_target():
    for name in ("unix32", "unix64", "unix64-wheel"):
        target = targets.choose([name])[0]
        if not target.missing():
            return name
    pytest.skip("no MicroPython here: run `make setup`")


def outcome(output, function):
    """PASSED, FAILED, ... of a function in pytest's short summary."""
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if f"::{function}[" in rest and word in ("PASSED", "FAILED", "ERROR", "SKIPPED"):
            return word
    return None


def test_pass_and_fail(project):
    output = project(
        "def test_good():\n    assert True\n\n\n"
        "def helper(x):\n    assert x == 1\n\n\n"
        "def test_bad():\n    print('what it printed')\n    helper(2)\n\n\n"
        "def test_value():\n    {}['key']\n"
    )
    assert project.status == 1
    assert outcome(output, "test_good") == "PASSED"
    assert outcome(output, "test_bad") == outcome(output, "test_value") == "FAILED"
    assert "what it printed" in output
    assert 'test_it.py", line 6, in helper' in output
    assert 'test_it.py", line 11, in test_bad' in output
    assert "AssertionError: assert x == 1" in output  # the source line, for a bare assert
    assert "KeyError: key" in output
    assert "run_on_board" not in output
    assert "2 failed, 1 passed" in output


def test_every_target_has_its_own_item(project):
    here = [t.name for t in targets.choose([]) if not t.missing()]
    text = "import sys\ndef test_size():\n    print('maxsize', sys.maxsize)\n    assert False\n"
    output = project(text, "--target", ",".join(here))
    for name in here:
        assert f"tests/unit/room/test_it.py::test_size[{name}]" in output
        assert f"target {name}: 1 functions in 1 files" in output
    if "unix32" in here:
        assert "maxsize 2147483647" in output


def test_selection_by_node_and_keyword(project):
    text = "def test_a():\n    pass\n\n\ndef test_b():\n    assert False\n"
    output = project(text, "tests/unit/room/test_it.py::test_a")
    assert project.status == 0 and outcome(output, "test_b") is None
    output = project(text, "-k", "test_a")
    assert project.status == 0 and "1 passed, 1 deselected" in output


def test_a_crash_takes_the_blame_and_the_rest_runs(project):
    output = project(
        CRASH + "def test_before():\n    pass\n\n\n"
        "def test_crash():\n    print('last words', end='')\n    poke(0)\n\n\n"
        "def test_after():\n    pass\n"
    )
    assert outcome(output, "test_crash") == "FAILED"
    assert "the interpreter crashed (SIGSEGV) in test_crash" in output
    assert "last words" in output
    assert outcome(output, "test_before") == outcome(output, "test_after") == "PASSED"


def test_a_hang_takes_the_blame_and_the_rest_runs(project):
    output = project(
        "def test_hang():\n    print('round and round')\n    while True:\n        pass\n\n\n"
        "def test_after():\n    pass\n",
        "--unit-timeout=1",
    )
    assert outcome(output, "test_hang") == "FAILED"
    assert "no end after 1 s (time-out) in test_hang" in output
    assert "round and round" in output
    assert outcome(output, "test_after") == "PASSED"


def test_a_file_may_ask_for_more_time(project):
    output = project(
        "# timeout: 30\nimport time\n\n\ndef test_slow():\n    time.sleep(1)\n",
        "--unit-timeout=0.5",
    )
    assert outcome(output, "test_slow") == "PASSED"


def test_leaving_early_is_a_failure(project):
    output = project(
        "import sys\n\n\ndef test_exit():\n    sys.exit(0)\n\n\ndef test_after():\n    pass\n"
    )
    assert outcome(output, "test_exit") == "FAILED"
    assert "SystemExit" in output
    assert outcome(output, "test_after") == "PASSED"


def test_import_failures(project):
    output = project("import nothing_of_this_name\n\n\ndef test_a():\n    pass\n")
    assert outcome(output, "test_a") == "FAILED"
    assert "import failed: ImportError: no module named 'nothing_of_this_name'" in output
    output = project(CRASH + "poke(0)\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    pass\n")
    assert outcome(output, "test_a") == outcome(output, "test_b") == "FAILED"
    assert "crashed (SIGSEGV) while importing the file" in output


def test_a_locked_heap_is_unlocked(project):
    output = project(
        "import micropython\n\n\n"
        "def test_locked():\n"
        "    micropython.heap_lock()\n    micropython.heap_lock()\n    [1, 2, 3]\n\n\n"
        "def test_after():\n    [1, 2, 3]\n"
    )
    assert outcome(output, "test_locked") == "FAILED"
    assert "heap is locked" in output
    assert outcome(output, "test_after") == "PASSED"


def test_heap_size(project):
    text = "import gc\n\n\ndef test_heap():\n    assert %s\n"
    size = "gc.mem_free() + gc.mem_alloc()"
    project(text % f"4 << 20 < {size} < 6 << 20")
    assert project.status == 0
    project("# heap: 16m\n" + text % f"15 << 20 < {size} < 17 << 20")
    assert project.status == 0


def test_paths(project):
    project.file("unit/support.py", "WHO = 'tests/unit'\n")
    project.file("unit/room/near.py", "WHO = 'own folder'\n")
    (project.folder / "top.py").write_text("WHO = 'root'\n")
    output = project(
        "import near\nimport support\nimport top\n\n\n"
        "def test_paths():\n"
        "    assert (near.WHO, support.WHO, top.WHO) == ('own folder', 'tests/unit', 'root')\n"
    )
    assert project.status == 0, output


def test_a_folder_named_like_a_builtin_module_does_not_hide_it(project):
    output = project(
        "import socket\n\n\ndef test_it():\n    assert socket.AF_INET\n",
        name="unit/socket/test_it.py",
    )
    assert project.status == 0, output


def test_output_that_looks_odd(project):
    output = project(
        "import sys\n\n\n"
        "def test_it():\n"
        "    sys.stdout.buffer.write(b'\\xff\\xfe no newline')\n\n\n"
        "def test_much():\n    for i in range(20000):\n        print('x' * 100)\n"
    )
    assert outcome(output, "test_it") == outcome(output, "test_much") == "PASSED"


@pytest.mark.parametrize(
    "text, message",
    [
        ("def test_a(x):\n    pass\n", "test_it.py:1: test_a takes arguments"),
        ("def test_a():\n    pass\ndef test_a():\n    pass\n", ":3: test_a is defined twice"),
        ("class TestA:\n    pass\n", ":1: class TestA: only functions"),
        ("def test_a(:\n", "test_it.py:1:"),
        ("# heap: much\ndef test_a():\n    pass\n", "`# heap: much`: write it as"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error(project, text, message):
    output = project(text)
    assert project.status != 0
    assert message in output


def test_skips(project):
    text = (
        "class SkipTest(Exception):\n    pass\n\n\n"
        "def test_skip():\n    raise SkipTest('not today')\n"
    )
    output = project(text)
    assert project.status == 0 and "1 skipped" in output and "not today" in output
    for options, environment in ((("--no-skips",), {}), ((), {"CI": "true"})):
        output = project(text, *options, **environment)
        assert project.status == 1
        assert "1 failed" in output and "not today" in output


def test_no_skips_is_for_all_tests(project):
    project.file("test_plain.py", "import pytest\n\n\ndef test_a():\n    pytest.skip('why')\n")
    project.file("test_module.py", "import pytest\npytest.importorskip('no_such_module_at_all')\n")
    project.run("tests/test_plain.py", "tests/test_module.py")
    assert project.status == 0
    output = project.run("tests/test_plain.py", "--no-skips")
    assert project.status == 1 and "1 failed" in output and "why" in output
    output = project.run("tests/test_module.py", "--no-skips")
    assert project.status != 0 and "no_such_module_at_all" in output


def test_a_missing_target(project):
    text = "def test_a():\n    pass\n"
    gone = {"SMOLMP_UNIX64": "/nonexistent/micropython"}
    output = project(text, "--target=unix64", **gone)
    assert project.status == 0
    assert "TARGET MISSING: unix64: no /nonexistent/micropython: run `make setup`" in output
    assert "1 skipped" in output
    for options, environment in ((("--no-skips",), {}), ((), {"CI": "true"})):
        output = project(text, "--target=unix64", *options, **gone, **environment)
        assert project.status == 1
        assert "1 failed" in output and "TARGET MISSING: unix64" in output
    output = project(text, "--target=moon")
    assert project.status != 0
    assert "no target 'moon'; known targets: unix64, unix32, unix64-wheel" in output


def test_a_file_names_its_targets(project):
    here = [t.name for t in targets.choose([]) if not t.missing()]
    text = f"# targets: {here[0]}\ndef test_a():\n    pass\n"
    output = project(text, "--target", ",".join(here), "--no-skips")
    assert project.status == 0
    assert "1 passed" in output


def test_another_target_is_one_small_class(project):
    """A board that is reached by a command: here a shell script that plays one."""
    interpreter = targets.choose([one_target()])[0].program()
    project.conftest += f"""
from harness import targets

class Board(targets.Target):
    name = "board"
    default = False
    exclusive = True

    def command(self, job):
        code = "import run_on_board; run_on_board.run(%r, %r, %r)" % (
            str(job.root), str(job.file), job.functions)
        return ["sh", "-c", 'echo board on "$0"; cd "$1"; exec "$2" -c "$3"', self.argument,
                {str(TESTS / "harness")!r}, {interpreter!r}, code]

targets.TARGETS.append(Board)
"""
    output = project(
        "def test_a():\n    pass\n\n\ndef test_b():\n    assert 1 == 2\n",
        "--target=board:/dev/ttyACM0",
    )
    assert "tests/unit/room/test_it.py::test_a[board:/dev/ttyACM0]" in output
    assert outcome(output, "test_a") == "PASSED"
    assert outcome(output, "test_b") == "FAILED"
    assert "assert 1 == 2" in output


def test_the_shim_is_a_target_by_name(project):
    output = project(
        "from smolmp_like import get\n\n\n"
        "def test_good():\n    assert get(b'\\x07', 0) == 7\n\n\n"
        "def test_errno():\n"
        "    try:\n        raise OSError(11)\n"
        "    except OSError as error:\n        assert error.errno == error.args[0] == 11\n\n\n"
        "def test_bounds():\n    get(b'\\x07', 1)\n",
        "--target=shim",
    )
    assert outcome(output, "test_good") == "FAILED"  # no such module yet
    project.file(
        "unit/smolmp_like.py",
        "@micropython.viper\ndef get(p: ptr8, i: int) -> int:\n    return p[i]\n",
    )
    output = project.run("--target=shim")
    assert outcome(output, "test_good") == outcome(output, "test_errno") == "PASSED"
    assert outcome(output, "test_bounds") == "FAILED"
    assert "get (smolmp_like.py:3): ptr8[1] load out of range" in output
    assert output.count("    return p[i]") == 1
