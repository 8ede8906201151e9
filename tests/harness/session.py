"""Runs one test file on one target and turns what run_on_board.py prints into results.

A process runs all wanted functions of a file. When it crashes or hangs, the function that was
running takes the blame, and a fresh process runs those that were still to come.
"""

import errno
import os
import re
import select
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

MARK = b"@@smolmp@@ "
MOST_OUTPUT = 1 << 20  # bytes of a function's output that are kept
LEAVING = 15  # seconds an interpreter may take to leave after its last test


@dataclass
class Job:
    """Some functions of one file on one target."""

    target: object
    root: Path  # sys.path's first entry; holds tests/unit
    file: Path
    functions: list
    heap: int  # bytes
    timeout: float  # seconds that one function may take

    @property
    def relative(self):
        return self.file.relative_to(self.root).as_posix()


@dataclass
class Result:
    outcome: str  # pass, fail, skip
    message: str = ""  # one line
    trace: str = ""  # MicroPython's traceback
    output: str = ""  # what the function printed
    seconds: float = 0.0


@dataclass
class _Run:
    """What one process said."""

    results: dict = field(default_factory=dict)
    running: str = ""
    import_failure: Result | None = None
    done: bool = False


class Stopped(Exception):
    """The session is over: what still runs is killed."""


class Processes:
    """The processes of a session, so that all can be ended with it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running = set()
        self._stopped = False

    def start(self, command, environment, cwd):
        with self._lock:
            if self._stopped:
                raise Stopped
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=cwd,
                start_new_session=True,
            )
            self._running.add(process)
            return process

    def end(self, process):
        kill(process)
        process.stdout.close()
        with self._lock:
            self._running.discard(process)

    def stop(self):
        with self._lock:
            self._stopped = True
            for process in self._running:
                kill(process)


def kill(process):
    """End a process and what it started (it leads its own process group)."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def run_job(job, processes):
    """{function: Result} for every function of the job."""
    results = {}
    todo = list(job.functions)
    while todo:
        run, how = _one_process(replace(job, functions=todo), processes)
        results.update(run.results)
        rest = [name for name in todo if name not in run.results]
        if run.import_failure is not None:
            failure = run.import_failure
            results.update(_blame_all(rest, failure))
            break
        if run.done:
            for name in rest:
                results[name] = Result("fail", "the runner did not report this function")
            break
        # It crashed or hung. `how` says in what way, run.running where.
        if run.running not in rest:
            importing = run.running == "import"
            where = "while importing the file" if importing else "outside of any test"
            lost = Result("fail", f"{how} {where}", output=run.output)
            results.update(_blame_all(rest, lost))
            break
        results[run.running] = Result(
            "fail", f"{how} in {run.running}", run.trace, run.output, run.seconds
        )
        todo = [name for name in rest if name != run.running]
    return results


def _blame_all(names, failure):
    blamed = {}
    for name in names:
        blamed[name] = failure
        failure = Result("fail", f"not run: {failure.message.removeprefix('not run: ')}")
    return blamed


def _start(job, processes):
    """Start a job's process. A machine short of memory refuses now and then."""
    for pause in (0.5, 2, 0):
        try:
            return processes.start(job.target.command(job), job.target.environment(), job.root)
        except OSError as error:
            if not pause or error.errno not in (errno.EAGAIN, errno.EFAULT, errno.ENOMEM):
                raise
            time.sleep(pause)


def _one_process(job, processes):
    """Run a job in one process: (what it said, how it ended if not well)."""
    run = _Run()
    reader = _Reader(run)
    try:
        process = _start(job, processes)
    except OSError as error:
        run.import_failure = Result("fail", f"{job.target.label} did not start: {error}")
        return run, ""
    how = ""
    try:
        deadline = time.monotonic() + job.timeout
        stdout = process.stdout.fileno()
        while True:
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([stdout], [], [], left)[0]
            if not ready:
                limit = LEAVING if run.done else job.timeout
                how = f"no end after {limit:g} s (time-out)"
                break
            data = os.read(stdout, 65536)
            if not data:
                break
            if reader.feed(data):  # a test began or ended: the clock starts anew
                deadline = time.monotonic() + (LEAVING if run.done else job.timeout)
        if not how:
            try:
                status = process.wait(timeout=LEAVING)
            except subprocess.TimeoutExpired:
                how = "closed its output but did not end"
            else:
                how = _describe(status, run.done)
    finally:
        processes.end(process)
    reader.close()
    if run.done and how and run.results:
        # All were run, but the interpreter did not leave in good order.
        last = list(run.results)[-1]
        if run.results[last].outcome == "pass":
            run.results[last] = Result("fail", f"{how} when leaving, after {last}", "", run.output)
    return run, how


def _describe(status, done):
    code = status - 128 if status > 128 else -status
    if status < 0 or status > 128:
        try:
            return f"the interpreter crashed ({signal.Signals(code).name})"
        except ValueError:
            pass
    if status == 0 and done:
        return ""
    return f"the interpreter ended with exit status {status}"


class _Reader:
    """Splits the output of a process at the marks. See run_on_board.py for the language."""

    def __init__(self, run):
        self.run = run
        self.line = b""
        self.output = bytearray()
        self.trace = None
        self.began = time.monotonic()
        run.output, run.trace, run.seconds = "", "", 0.0

    def feed(self, data):
        """Take what was read; True if a test began or ended in it."""
        moved = False
        *lines, self.line = (self.line + data).split(b"\n")
        for line in lines:
            if line.startswith(MARK):
                self.mark(line[len(MARK) :].decode().split())
                moved = True
            else:
                self.keep(line + b"\n")
        if len(self.line) > 65536:
            self.keep(self.line)
            self.line = b""
        return moved

    def keep(self, data):
        room = self.output if self.trace is None else self.trace
        if len(room) < MOST_OUTPUT:
            room += data

    def mark(self, words):
        run = self.run
        if words[0] == "begin":
            run.running = words[1]
            self.output, self.trace, self.began = bytearray(), None, time.monotonic()
        elif words[0] == "trace":
            self.trace = bytearray()
        elif words[0] == "done":
            run.done, run.running = True, ""
        elif words[0] in ("pass", "fail", "skip"):
            outcome, name, milliseconds = words
            trace = _text(self.trace or b"")
            message = trace.strip().splitlines()[-1] if trace.strip() else ""
            result = Result(outcome, message, trace, _text(self.output), int(milliseconds) / 1000)
            run.running = ""
            self.output, self.trace = bytearray(), None
            if name != "import":
                run.results[name] = result
            elif outcome != "pass":
                result.message = f"import failed: {result.message}"
                run.import_failure = result

    def close(self):
        if self.line:
            self.keep(self.line)
        run = self.run
        run.output = _text(self.output)
        run.trace = _text(self.trace or b"")
        run.seconds = time.monotonic() - self.began


def _text(data):
    # The runner begins each mark on a new line of its own: that newline is not the test's.
    text = bytes(data).decode("utf-8", "replace")
    return text.removesuffix("\n")


_FRAME = re.compile(r'\s*File "([^"]+)", line (\d+)')


def explain(trace, folder):
    """A traceback as (lines, last source line): without the runner's own frames, and with the
    source lines, which MicroPython does not print (CPython's, of target shim, are replaced)."""
    lines, last, in_frame = [], "", False
    for line in trace.splitlines():
        frame = _FRAME.match(line)
        if not frame:
            if not (in_frame and line.startswith("    ")):
                lines.append(line)
                in_frame = False
            continue
        in_frame = True
        if frame[1].endswith(("run_on_board.py", "run_on_board")):
            continue
        lines.append(line)
        path = Path(folder) / frame[1]
        if not frame[1].endswith(".py"):  # compiled for a board: the module's name (tools/pack.py)
            path = Path(folder) / (frame[1].replace(".", "/") + ".py")
        try:
            source = path.read_text().splitlines()
            last = source[int(frame[2]) - 1].strip()
            lines.append("    " + last)
        except (OSError, IndexError, UnicodeDecodeError):
            last = ""
    return lines, last
