"""Emulated Picos behind serial ports (tools/rp2/console.py), for tests of what talks to boards."""

import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "build/rp2/emulator/bin/python"
FIRMWARE = ROOT / "build/rp2/stock.uf2"
MAKE_FLASH = """
import sys, pico
path, files, firmware = sys.argv[1:]
pico.flash({name: open(path, "rb").read() for name, path in eval(files)}, path, firmware)
"""


def missing():
    """None if there are emulated Picos here, else what is missing."""
    for needed in (PYTHON, FIRMWARE):
        if not needed.exists():
            return f"no {needed}: run `make setup-rp2`"
    return None


class Pico:
    """A board that runs MicroPython's stock firmware. port: the name of its serial port.
    files: {name on its flash: path of the file}; options: more of console.py's."""

    def __init__(self, folder, files=None, options=()):
        self.port = str(folder / "port")
        self.image = folder / "flash"
        pairs = [(name, str(path)) for name, path in (files or {}).items()]
        chosen = dict(zip(options, options[1:])).get("--firmware", FIRMWARE)
        make = [str(PYTHON), "-c", MAKE_FLASH, str(self.image), repr(pairs), str(chosen)]
        subprocess.run(make, check=True, cwd=ROOT / "tools/rp2")
        self.log = folder / "log"
        command = [str(PYTHON), str(ROOT / "tools/rp2/console.py"), "--flash", str(self.image)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--save", *options, self.port],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 60
        while not Path(self.port).is_symlink():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the emulated Pico did not boot"
            time.sleep(0.05)

    def end(self):
        """Switch it off; its flash is in `image` then."""
        if self.process.poll() is None:
            self.process.terminate()
        assert self.process.wait(timeout=20) == 0, self.log.read_text()


@pytest.fixture
def picos(tmp_path):
    """picos(files, options): a fresh board each time, all switched off in the end."""
    if missing():
        pytest.skip(f"MISSING: emulated Pico: {missing()}")
    made = []

    def make(files=None, options=()):
        folder = tmp_path / f"pico{len(made)}"
        folder.mkdir()
        made.append(Pico(folder, files, options))
        return made[-1]

    yield make
    for pico in made:
        pico.end()
