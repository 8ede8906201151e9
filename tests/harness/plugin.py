"""pytest's side of the harness: tests/unit/**/test_*.py run inside MicroPython.

The files are read as text (ast), never imported by CPython. Every `def test_...()` becomes one
item per target, `tests/unit/wire/test_arp.py::test_parse[unix32]`. All chosen functions of a file
run in one process of the target; the processes of a session run two at a time, ahead of the
reports. Those of the emulated boards run two at a time beside everything else, with the lowest
priority: the tests with Linux leave the processor idle half of the time. So do the other rooms of
tests/ (beside.py). `--prepare` runs a command meanwhile, and all but the unit tests of the unix
port wait for its end: `make test` lets the emulated Pico's firmware be built in that time.

Comments in a test file, each on a line of its own:

    # heap: 16m            heap of the interpreter, k or m (5m)
    # timeout: 300         seconds that one function may take (--unit-timeout, 120)
    # targets: unix64 unix32      only there (what the others cannot have, such as ffi)

and above a function, for what a board's memory or speed cannot do:

    # not on a board: 256 KiB of buffers
    # not from .mpy files: on a board only where smolmp is frozen into the firmware

Of the emulated boards, when no target is named, `rp2` runs all that it can and `rp2-frozen` what
is left; named, it runs everything.

A function skips itself by raising an exception whose class is named SkipTest.
"""

import ast
import os
import re
import shlex
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from . import beside, real_board, targets
from . import session as runs

targets.TARGETS.append(real_board.Mpremote)

DEFAULT_HEAP = "5m"
DEFAULT_TIMEOUT = 120.0
PARALLEL = 2
PATIENCE = 10  # times the limit, for who runs with the lowest priority

_STATE = pytest.StashKey()
_DIRECTIVE = re.compile(r"^#\s*(heap|timeout|targets):\s*(.+?)\s*$", re.MULTILINE)
_NOT_ON_A_BOARD = re.compile(r"#\s*not on a board:\s*\S")
_NOT_FROM_FILES = re.compile(r"#\s*not from \.mpy files:\s*\S")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}


class State:
    """What the harness knows about this session."""

    def __init__(self, config):
        given = config.getoption("--target")
        try:
            self.targets = targets.choose([t for text in given for t in text.split(",") if t])
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
        self.preparation = None  # Future of what --prepare's command said if it failed, or ""
        self._missing = {}  # label -> why, or None
        self._asking = threading.Lock()
        self.no_skips = no_skips(config)
        self.timeout = config.getoption("--unit-timeout")
        self.processes = runs.Processes()
        self.pools = {}  # background or not -> ThreadPoolExecutor
        self.futures = {}  # (file, label) -> Future of {function: Result}
        self.ran = {}  # label -> [functions, seconds]
        self.files = {}  # label -> set of files
        self.beside = {}  # file -> Future of what beside.run_file returns

    def missing(self, target):
        """Why this machine lacks the target, or None. Waits for --prepare where it makes it."""
        if target.prepared:
            self.wait()
        with self._asking:  # once each: a serial port is one program's at a time
            if target.label not in self._missing:
                self._missing[target.label] = target.missing()
            return self._missing[target.label]

    def wait(self):
        if self.preparation is not None:
            self.preparation.result()


def no_skips(config):
    return config.getoption("--no-skips") or os.environ.get("CI", "").lower() in ("1", "true")


# --- options and words around the run ----------------------------------------------------------


def pytest_addoption(parser):
    group = parser.getgroup("smolmp", "MicroPython targets")
    known = ", ".join(cls.name for cls in targets.TARGETS)
    group.addoption(
        "--target",
        action="append",
        default=[],
        metavar="NAMES",
        help=f"run tests/unit on these targets, separated by commas (default: {known})",
    )
    group.addoption(
        "--unit-timeout",
        type=float,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help=f"how long one function in tests/unit may take (default: {DEFAULT_TIMEOUT:g})",
    )
    group.addoption(
        "--no-skips",
        action="store_true",
        help="a skip, or a missing target, is a failure (always so when CI=true)",
    )
    group.addoption(
        "--prepare",
        metavar="COMMAND",
        help="run this meanwhile; the tests of the emulated boards wait for it",
    )
    group.addoption("--reports-to", metavar="FILE", help="write every report there, too")


def pytest_configure(config):
    config.stash[_STATE] = State(config)
    path = config.getoption("--reports-to")
    if path:
        config.pluginmanager.register(beside.Writer(config, path))


def pytest_report_header(config):
    state = config.stash[_STATE]
    later = config.getoption("--prepare") is not None
    known = [t for t in state.targets if not (later and t.prepared)]
    here = [t.label for t in known if not state.missing(t)]
    here += [f"{t.label} (being made)" for t in state.targets if t not in known]
    lines = ["targets: " + (", ".join(here) or "none")]
    for target in known:
        if state.missing(target):
            lines.append(f"TARGET MISSING: {target.label}: {state.missing(target)}")
    return lines


def pytest_terminal_summary(terminalreporter, config):
    state = config.stash[_STATE]
    for label, (functions, seconds) in state.ran.items():
        files = len(state.files[label])
        terminalreporter.write_line(
            f"target {label}: {functions} functions in {files} files, {seconds:.1f} s"
        )
    if state.preparation is not None and state.preparation.result():
        terminalreporter.write_line(f"--prepare: {state.preparation.result()}", red=True)
    for target in state.targets:
        if target.label in state.files and state.missing(target):
            line = f"TARGET MISSING: {target.label}: {state.missing(target)}"
            terminalreporter.write_line(line, red=True, bold=True)


# --- collection --------------------------------------------------------------------------------


def pytest_pycollect_makemodule(module_path, parent):
    unit = parent.config.rootpath / "tests" / "unit"
    if unit in module_path.parents:
        return UnitFile.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(config, items):
    """Unit tests first: they are the quickest to tell what is wrong, and their processes must not
    disturb the clocks of the integration tests. Last come those that run beside all others."""
    files = beside.choose(items, config.rootpath / "tests")

    def rank(item):
        if isinstance(item, UnitItem):
            return 3 * item.target.background
        return 2 if item.path in files else 1

    items.sort(key=rank)
    names = [(item.path, item.name) for item in items if isinstance(item, UnitItem)]
    if len(names) != len(set(names)):
        raise pytest.UsageError("the same unit test was named twice on the command line")


class UnitError(Exception):
    """A test file that cannot be used as it stands."""


class UnitFile(pytest.File):
    """One test file for MicroPython."""

    def collect(self):
        source = self.path.read_text(encoding="utf-8")
        try:
            tree = ast.parse(source, str(self.path))
        except SyntaxError as error:
            raise UnitError(f"{self.path}:{error.lineno}: {error.msg}") from None
        self.directives = dict(_DIRECTIVE.findall(source))
        self.heap = self.parse_heap()
        self.timeout = self.parse_timeout()
        only = self.directives.get("targets", "").replace(",", " ").split()
        state = self.config.stash[_STATE]
        functions = self.functions(tree)
        lines = source.splitlines()
        for target in state.targets:
            if only and target.name not in only:
                continue
            for function in functions:
                above = lines[function.lineno - 2]
                if target.board and _NOT_ON_A_BOARD.match(above):
                    continue
                alone = _NOT_FROM_FILES.match(above)  # on rp2-frozen, of the boards
                if target.from_files if alone else target.remainder:
                    continue
                yield UnitItem.from_parent(
                    self, name=f"{function.name}[{target.label}]", target=target, node=function
                )

    def functions(self, tree):
        found = {}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                where = f"{self.path}:{node.lineno}: {node.name}"
                if node.name in found:
                    raise UnitError(f"{where} is defined twice")
                arguments = node.args
                if arguments.args or arguments.kwonlyargs or arguments.posonlyargs:
                    raise UnitError(f"{where} takes arguments; MicroPython tests take none")
                found[node.name] = node
            elif isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_"):
                raise UnitError(f"{self.path}:{node.lineno}: {node.name}: run it by asyncio.run()")
            elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                raise UnitError(
                    f"{self.path}:{node.lineno}: class {node.name}: only functions are run"
                )
        return list(found.values())

    def parse_heap(self):
        text = self.directives.get("heap", DEFAULT_HEAP).lower()
        match = re.fullmatch(r"(\d+)([km]?)", text)
        if not match:
            raise UnitError(f"{self.path}: `# heap: {text}`: write it as 512k or 16m")
        return int(match[1]) * _UNITS[match[2]]

    def parse_timeout(self):
        text = self.directives.get("timeout", "0")
        try:
            return max(float(text), self.config.stash[_STATE].timeout)
        except ValueError:
            raise UnitError(f"{self.path}: `# timeout: {text}`: write seconds") from None

    def repr_failure(self, excinfo):
        if excinfo.errisinstance(UnitError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class UnitFailure(Exception):
    """A function failed on its target."""


class UnitItem(pytest.Item):
    """One test function on one target."""

    def __init__(self, *, target, node, **keywords):
        super().__init__(**keywords)
        self.target = target
        self.function_name = node.name
        self.line = node.lineno - 1
        self.seconds = None

    def runtest(self):
        state = self.config.stash[_STATE]
        why = state.missing(self.target)
        if why:
            pytest.skip(f"target {self.target.label} is missing: {why}")
        result = state.futures[self.path, self.target.label].result()[self.function_name]
        self.seconds = result.seconds
        total = state.ran.setdefault(self.target.label, [0, 0.0])
        total[0] += 1
        total[1] += result.seconds
        if result.output.strip():
            self.add_report_section("call", "MicroPython output", result.output)
        if result.outcome == "skip":
            pytest.skip(result.message)
        if result.outcome == "fail":
            raise UnitFailure(result)

    def repr_failure(self, excinfo, style=None):
        if not excinfo.errisinstance(UnitFailure):
            return super().repr_failure(excinfo)
        result = excinfo.value.args[0]
        trace, last = runs.explain(result.trace, self.config.rootpath)
        message = result.message
        if last and message.endswith("AssertionError:"):  # MicroPython says no more
            message = f"{message} {last}"
        return "\n".join([f"{self.target.label}: {message}", *trace])

    def reportinfo(self):
        return self.path, self.line, self.name


# --- running -----------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session):
    state = session.config.stash[_STATE]
    try:
        if not session.config.option.collectonly:
            start_jobs(session, state)
        return (yield)
    finally:
        state.processes.stop()
        for pool in state.pools.values():
            pool.shutdown(wait=True, cancel_futures=True)


def start_jobs(session, state):
    """Hand all jobs of the session to the pools, in the order in which the items will ask."""
    config = session.config
    workers = 1 if alone(state) else PARALLEL
    for background in (False, True):
        state.pools[background] = ThreadPoolExecutor(workers, "smolmp-target")
    command = config.getoption("--prepare")
    if command:
        pool = state.pools["prepare"] = ThreadPoolExecutor(1, "smolmp-prepare")
        state.preparation = pool.submit(prepare, command, config.rootpath, state)
    shared = ["--target", ",".join(target.label for target in state.targets)]
    shared += ["--unit-timeout", str(state.timeout)] + ["--no-skips"] * state.no_skips
    for file, items in beside.choose(session.items, config.rootpath / "tests").items():
        run = after(state, beside.run_file)
        job = (items, shared, config.rootpath, state.processes)
        state.beside[file] = state.pools[True].submit(run, *job)
    jobs = {}
    for item in session.items:
        if isinstance(item, UnitItem):
            state.files.setdefault(item.target.label, set()).add(item.path)
            jobs.setdefault((item.path, item.target.label), []).append(item)
    for key, items in jobs.items():
        target = items[0].target
        job = runs.Job(
            target=target,
            root=config.rootpath,
            file=items[0].path,
            functions=[item.function_name for item in items],
            heap=items[0].parent.heap,
            timeout=items[0].parent.timeout * (PATIENCE if target.background else 1),
        )
        state.futures[key] = state.pools[target.background].submit(run_unit, job, state)


def prepare(command, root, state):
    """Run --prepare's command: what it said if it failed, else ""."""
    process = state.processes.start(shlex.split(command), None, root)
    try:
        output = process.communicate()[0].decode(errors="replace")
        return f"{output}exit status {process.returncode}" if process.returncode else ""
    finally:
        state.processes.end(process)


def run_unit(job, state):
    """{function: Result}, {} where the target is missing."""
    return {} if state.missing(job.target) else runs.run_job(job, state.processes)


def after(state, function):
    """`function`, once --prepare's command has ended."""

    def wait_and_run(*arguments):
        state.wait()
        return function(*arguments)

    return wait_and_run


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    state = item.config.stash[_STATE]
    if item.path in state.beside:
        beside.pass_on(item, state.beside[item.path])
        return True
    if not isinstance(item, UnitItem):
        state.wait()
    return None


def alone(state):
    return any(target.exclusive for target in state.targets)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if isinstance(item, UnitItem) and call.when == "call" and item.seconds is not None:
        report.duration = item.seconds  # what it took there, not how long pytest waited
    return refuse_skip(item.config, report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return refuse_skip(collector.config, (yield))


def refuse_skip(config, report):
    """With --no-skips a skip is a failure."""
    if report.skipped and not hasattr(report, "wasxfail") and no_skips(config):
        why = report.longrepr
        if isinstance(why, tuple):
            why = why[2]
        report.outcome = "failed"
        report.longrepr = f"skips count as failures here, and this was skipped:\n{why}"
    return report
