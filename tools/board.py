"""A board with MicroPython on a serial port, through mpremote's transport: what it is, what lies
on its file system, and running code on it. What goes wrong is told together with what to do.
"""

import ast
import errno
import hashlib
import os
from pathlib import Path

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport
from serial.tools import list_ports

# Bits 10 and up of sys.implementation._mpy (MicroPython's docs/reference/mpyfiles.rst).
NATIVE = (
    *("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc"),
)
MPY = (6, 3)  # the format that mpy-cross 1.29 writes; its second number counts for native code
ANSWER = 0.5  # seconds in which a byte comes, or the board is asked whether it still lives

FACTS = """
import sys, os, gc
gc.collect()
i = sys.implementation
try:
    s = os.statvfs('/')
    s = (s[0], s[3])
except Exception:
    s = None
v = tuple(i.version)
try:
    import smolmp
    f = smolmp.__file__
    if not f.startswith('/'):
        try:
            os.stat(f)
            f = '/' + f
        except OSError:
            pass  # frozen
except Exception:
    f = None
print(repr((i.name, v, getattr(i, '_mpy', None), getattr(i, '_machine', sys.platform),
    sys.platform, list(sys.path), s, gc.mem_free(), f)))
"""
# {path: SHA-256 in hexadecimal, None: no such file} of many files in one go.
HASHES = """
import hashlib, binascii
b = bytearray(256)
def hash_of(path):
    try:
        with open(path, 'rb') as f:
            h = hashlib.sha256()
            while True:
                n = f.readinto(b)
                if not n:
                    return binascii.hexlify(h.digest()).decode()
                h.update(memoryview(b)[:n])
    except OSError:
        return None
for p in %r:
    print(repr((p, hash_of(p))))
"""
THERE = """
import os
def there(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False
print([p for p in %r if there(p)])
"""


def digest(data):
    return hashlib.sha256(data).hexdigest()


class BoardError(Exception):
    """Something is wrong with the board or the way to it. str() says what, `advice` what to do."""

    def __init__(self, what, advice=""):
        super().__init__(what)
        self.advice = advice


class Failed(BoardError):
    """Code on the board raised; `output` is what it printed before, `trace` its traceback."""

    def __init__(self, output, trace):
        last = trace.strip().splitlines()[-1] if trace.strip() else "no traceback"
        super().__init__(last)
        self.output = output
        self.trace = trace


def ports():
    """[(device, description)] of the serial ports that a USB device has made."""
    return [(p.device, p.description) for p in list_ports.comports() if p.vid is not None]


def find():
    """The one board that is there."""
    found = ports()
    if not found:
        raise BoardError(
            "no board found: no USB serial port is there",
            "Is the cable one that carries data? Does the board run MicroPython? A Pico that shows"
            " itself as a disk RPI-RP2 waits for a firmware: copy MicroPython's .uf2 onto it."
            " In a virtual machine, hand the USB device to it.",
        )
    if len(found) > 1:
        lines = "".join(f"\n  {device}  {words}" for device, words in found)
        raise BoardError(f"several serial ports are there:{lines}", "Name one of them.")
    return found[0][0]


class Facts:
    """What a board says about itself."""

    def __init__(self, words):
        name, version, mpy, machine, platform, path, flash, heap, smolmp = words
        self.name = name
        self.version = tuple(version[:3])
        self.machine = machine
        self.platform = platform
        self.path = path
        self.flash_block, self.flash_free = flash or (4096, 0)  # octets, blocks
        self.heap = heap  # octets that are free
        self.smolmp = smolmp  # smolmp's file if it can be imported, else None
        self.mpy = None if mpy is None else (mpy & 0xFF, mpy >> 8 & 3)
        native = 0 if mpy is None else mpy >> 10 & 0xF
        self.architecture = NATIVE[native] if native < len(NATIVE) else f"number {native}"

    @property
    def free(self):
        return self.flash_block * self.flash_free

    @property
    def release(self):
        return ".".join(str(n) for n in self.version)

    @property
    def frozen(self):
        """Is smolmp part of the firmware? Then it hides what is on the file system."""
        return self.smolmp is not None and not self.smolmp.startswith("/")

    def library(self):
        """The folder from which the board imports what was installed."""
        for folder in self.path:
            if folder.endswith("/lib") and not folder.startswith("/rom"):
                return folder
        return "/lib"

    def room(self, octets):
        """What a file of so many octets takes on the flash, blocks being whole."""
        return -(-octets // self.flash_block) * self.flash_block

    def __str__(self):
        return (
            f"{self.machine}, MicroPython {self.release}, {self.architecture or 'no native code'},"
            f" {self.heap} octets of heap and {self.free} of flash free"
        )


class Board:
    """port: the name of a serial port. Use it as a context; `with` brings the board's program to
    an end (soft reset; boot.py runs, main.py does not)."""

    def __init__(self, port):
        self.port = port
        self.transport = _opened(port)

    def __enter__(self):
        try:
            self.transport.enter_raw_repl()
        except (TransportError, OSError) as error:
            self.transport.close()
            raise self._silent(error) from None
        return self

    def __exit__(self, *_):
        try:
            self.transport.exit_raw_repl()
        except OSError:
            pass
        self.transport.close()

    def _silent(self, error):
        return BoardError(
            f"{self.port}: MicroPython does not answer ({error})",
            "Is it MicroPython that runs there? A program that catches KeyboardInterrupt, or a"
            " watchdog, can keep its prompt away: press the board's reset button and try again"
            " at once. A Pico whose main.py cannot be ended: hold BOOTSEL while plugging it in,"
            " copy flash_nuke.uf2 and then MicroPython onto it (this wipes its files).",
        )

    def run(self, code, consumer=None):
        """Run code, return what it prints as text; consumer(octets) gets it while it comes."""
        output = bytearray()

        def take(data):
            data = data.replace(b"\x04", b"").replace(b"\r", b"")
            if consumer:
                consumer(data)
            else:
                output.extend(data)

        try:
            self.transport.exec_raw_no_follow(code)
            _, errors = self.transport.follow(None, take)
        except (TransportError, OSError) as error:
            raise BoardError(
                f"{self.port}: the board is gone ({error})",
                "Unplug it and plug it in again. A board that does so again and again may get"
                " too little current.",
            ) from None
        if errors:
            raise Failed(
                output.decode(errors="replace"), errors.decode(errors="replace").replace("\r", "")
            )
        return output.decode(errors="replace")

    def facts(self):
        return Facts(ast.literal_eval(self.run(FACTS).strip().splitlines()[-1]))

    def hashes(self, paths):
        """{path: SHA-256 in hexadecimal, or None where there is no such file}."""
        lines = self.run(HASHES % (list(paths),)).strip().splitlines()
        return dict(ast.literal_eval(line) for line in lines)

    def write(self, files, tell=lambda path, octets: None):
        """Put files, {path: octets}, on the board; those that it has already are left alone.
        Returns the paths that were written."""
        have = self.hashes(files)
        todo = {p: d for p, d in files.items() if have[p] != digest(d)}
        made = set()
        for path, data in todo.items():
            folders = path.split("/")[:-1]
            for n in range(1, len(folders) + 1):
                folder = "/".join(folders[:n])
                if folder and folder not in made:
                    self.run(_MAKE_FOLDER % (folder,))
                    made.add(folder)
            tell(path, len(data))
            try:
                self.transport.fs_writefile(path, data, chunk_size=1024)
            except (TransportError, TransportExecError, OSError) as error:
                if getattr(error, "errno", 0) == errno.ENOSPC or "ENOSPC" in str(error):
                    raise BoardError(
                        f"the board's flash is full: {path} does not fit",
                        "Remove files from the board (`mpremote fs ls`, `mpremote fs rm`), or"
                        " install a smaller part.",
                    ) from None
                raise BoardError(f"{path} could not be written: {error}") from None
        return list(todo)

    def there(self, paths):
        """Those of `paths` that are there."""
        return ast.literal_eval(self.run(THERE % (list(paths),)).strip())

    def remove(self, paths):
        """Remove those of `paths` that are there; returns them."""
        found = self.there(paths)
        for path in found:
            self.run(f"import os; os.remove({path!r})")
        return found


_MAKE_FOLDER = "import os\ntry:\n    os.mkdir(%r)\nexcept OSError:\n    pass"


def _opened(port):
    if not os.path.exists(port) and os.name == "posix" and "://" not in port:
        others = "".join(f"\n  {device}  {words}" for device, words in ports()) or " none"
        raise BoardError(f"{port} is not there. Ports that are:{others}", "Is it plugged in?")
    if os.name == "posix" and "://" not in port and not os.access(port, os.R_OK | os.W_OK):
        group = Path(port).group()
        raise BoardError(
            f"no permission to use {port}",
            f"The group {group} may: `sudo usermod -aG {group} $USER`, then log in anew.",
        )
    try:
        transport = SerialTransport(port, timeout=ANSWER)
    except (TransportError, serial.SerialException, OSError) as error:
        raise BoardError(
            f"{port} cannot be opened: {error}",
            "Another program may have it open: a terminal, an editor, another mpremote.",
        ) from None
    # read() waits for a byte itself, ANSWER at most: no need to ask and sleep in turns.
    transport.is_pty = True
    return transport
