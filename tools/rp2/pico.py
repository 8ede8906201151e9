"""An RP2040 with MicroPython firmware in an emulator: its flash, its clock, and code on it.

rp2040py has the chip, emulator/fastbatch.pyx executes its instructions and counts cycles. What is
corrected here and there: the USB host is silent while it has nothing to say (the published one
keeps the guest busy with empty packets), unaligned accesses fault as on a real Cortex-M0+, nothing
asks the wall for the time. So a run is exact: the same files give the same microseconds.

    pico = Pico(files={"main.py": b"print('hello')"})
    pico.boot()
    output, error = pico.execute("import os; print(os.uname())")
    pico.run(1_000_000)                     # a simulated millisecond
    pico.at(pico.now + 5_000_000, call)     # something that happens in 5 ms

All times are simulated nanoseconds since power-on.
"""

import os
from pathlib import Path

import fastbatch
import littlefs
import rp2040py.simulator
from rp2040py.boards import BoardSpec, FlashLayout
from rp2040py.device import MicroPythonDevice
from rp2040py.memory_map import FLASH_START_ADDRESS

rp2040py.simulator.execute_batch = fastbatch.execute_batch

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "rp2"
STOCK = BUILD / "stock.uf2"  # MicroPython's own firmware
FROZEN = BUILD / "pico.uf2"  # the same with smolmp frozen in
BLOCK = 4096
BLOCKS = 352  # of the file system, at the flash's end
BLOCKS_FROZEN = 320  # where smolmp is in the firmware: build_firmware.sh
_FLASH = 2 << 20
_RESIDENT = b"SMO1RES1"  # what only that has in it: firmware/resident.c
NAK_NANOS = 20_000  # from a byte of the host's to the answer of the endpoint that waits for it
MS = 1_000_000
SECOND = 1_000_000_000
MOST_HEARD = 1 << 20  # octets that the board printed and nobody took
XIP_MISS = 25  # cycles a miss of the flash cache costs: fits published figures of a real Pico
_BANNER = b"raw REPL; CTRL-B to exit\r\n>"


class Stuck(RuntimeError):
    """The board did not do in time what was waited for."""


def blocks(firmware):
    """How many blocks the file system of `firmware`, a UF2, has."""
    octets = Path(firmware).read_bytes()
    pages = (octets[at + 32 : at + 288] for at in range(0, len(octets), 512))
    return BLOCKS_FROZEN if _RESIDENT in b"".join(pages) else BLOCKS


def image(files, base=None, count=BLOCKS):
    """The octets of a littlefs image of `count` blocks with `files`, {name on the board: octets};
    what else is in the image `base`, stays."""
    system = _system(base, count)
    for name, data in files.items():
        folder = os.path.dirname(name)
        if folder:
            system.makedirs(folder, exist_ok=True)
        with system.open(name, "wb") as file:
            file.write(data)
    return bytes(system.context.buffer)


def content(octets, name):
    """The octets of a file in a littlefs image."""
    system = _system(octets)
    with system.open(name, "rb") as file:
        return file.read()


def _system(octets, count=BLOCKS):
    """A littlefs image mounted; None: a new one of `count` blocks."""
    # Version 2.0 of the disk's format is what all firmware reads; a board that wrote made it 2.1.
    system = littlefs.LittleFS(
        block_size=BLOCK,
        block_count=len(octets) // BLOCK if octets else count,
        disk_version=0x00020001 if octets else 0x00020000,
        mount=False,
    )
    if octets:
        system.context.buffer[:] = octets
    else:
        system.format()
    system.mount()
    return system


def flash(files, path, firmware=STOCK):
    """Write a littlefs image with `files`, {name on the board: octets}, to `path`; how large it is
    depends on the firmware."""
    Path(path).write_bytes(image(files, None, blocks(firmware)))


def device(firmware, filesystem=None, xip_miss=0):
    """rp2040py's device, corrected, for who drives it by asyncio (`await device.astart()`).

    filesystem: the path of a littlefs image. xip_miss: cycles that a miss of the flash's cache is.
    """
    count = blocks(firmware)
    layout = FlashLayout(_FLASH - count * BLOCK, fs_blockcount=count, fs_blocksize=BLOCK)
    board = BoardSpec(image=firmware, layout=layout, extras=())
    it = MicroPythonDevice(board=board, filesystem=filesystem)
    it.simulator.xip_miss = xip_miss
    it.simulator.check_align = True
    _silence_host(it)
    return it


class Pico:
    """A board. firmware: a UF2. files: {name: octets} on its flash. xip_miss: see XIP_MISS; 0 is a
    tenth faster than a real one. output: gets what the board prints, bytes at a time."""

    def __init__(self, firmware=STOCK, files=None, xip_miss=0, output=None):
        self.device = device(str(firmware), xip_miss=xip_miss)
        self.mcu = self.device.mcu
        self.clock = self.device.simulator.clock
        self.output = output
        self._console = self.device.cdc
        self._heard = bytearray()
        self._to_send = b""
        self._size = blocks(firmware) * BLOCK
        self.filesystem = image(files or {}, None, blocks(firmware))

    @property
    def filesystem(self):
        """The littlefs image at its flash's end."""
        return bytes(self.mcu.flash[_FLASH - self._size : _FLASH])

    @filesystem.setter
    def filesystem(self, octets):
        if len(octets) != self._size:
            raise ValueError(f"a file system of {len(octets)} octets, not {self._size}")
        self.mcu.flash[_FLASH - self._size : _FLASH] = octets

    @property
    def firmware(self):
        """The octets of its flash before the file system."""
        return bytes(self.mcu.flash[: _FLASH - self._size])

    @property
    def now(self):
        """Simulated nanoseconds since power-on."""
        return int(self.clock.nanos)

    def at(self, nanos, call):
        """Call `call()` when it is `nanos`; the alarm is answered: alarm.cancel()."""
        alarm = self.clock.create_alarm(call)
        alarm.schedule(max(0, nanos - self.clock.nanos))
        return alarm

    def run(self, nanos):
        """Let `nanos` nanoseconds pass."""
        fastbatch.run(self.device.simulator, self.clock.nanos + nanos)
        if self._to_send:
            self._feed()

    def run_until(self, condition, limit=60 * SECOND, step=MS):
        """Run until condition() is true, asked each `step` ns; Stuck after `limit` ns."""
        end = self.clock.nanos + limit
        while not condition():
            if self.clock.nanos >= end:
                tail = bytes(self._heard[-400:]).decode(errors="replace")
                raise Stuck(f"nothing came in {limit / SECOND:g} simulated s; heard: {tail!r}")
            self.run(step)

    def boot(self, limit=10 * SECOND):
        """Power on; returns when USB is up, which is before main.py runs."""
        connected = []
        self._console.on_device_connected = lambda: connected.append(True)
        self._console.on_serial_data = self._hear
        self.device.simulator.stopped = False
        self.mcu.core.pc = FLASH_START_ADDRESS
        self.run_until(lambda: connected, limit)

    def write(self, data):
        """Type `data` on the board's console."""
        self._to_send += data
        self._feed()

    def is_listening(self):
        """Was all that was typed handed over?"""
        return not self._to_send

    def heard(self, mark):
        """All that was printed up to and with `mark`, taken away; None if `mark` did not come."""
        at = self._heard.find(mark)
        if at < 0:
            return None
        text = bytes(self._heard[: at + len(mark)])
        del self._heard[: at + len(mark)]
        return text

    def wait_for(self, mark, limit=60 * SECOND):
        """Run until the board printed `mark`; what it printed up to there."""
        got = []

        def came():
            text = self.heard(mark)
            if text is not None:
                got.append(text)
            return got

        self.run_until(came, limit)
        return got[0]

    def execute(self, source, limit=3600 * SECOND):
        """Run `source` through the raw REPL, ending what runs there: (printed, traceback)."""
        output, self.output = self.output, None
        self.write(b"\x03\x03\x01")
        self.wait_for(_BANNER, 10 * SECOND)
        self.write(source.encode() + b"\x04")
        self.wait_for(b"OK", 10 * SECOND)
        self.output = self._to_mark(output)
        if output and self._heard:
            self.output(bytes(self._heard))
        try:
            printed = self.wait_for(b"\x04", limit)[:-1]
        finally:
            self.output = output
        error = self.wait_for(b"\x04", 10 * SECOND)[:-1]
        return printed.replace(b"\r", b""), error.replace(b"\r", b"")

    def _to_mark(self, output):
        """What execute() hands to the listener: the program's own words."""
        ended = []

        def hear(data):
            if not ended:
                text, mark, _ = data.partition(b"\x04")
                if mark:
                    ended.append(True)
                output(text.replace(b"\r", b""))

        return hear if output else None

    def _hear(self, data):
        self._heard += data
        del self._heard[:-MOST_HEARD]
        if self.output:
            self.output(bytes(data))

    def _feed(self):
        fifo = self._console.tx_fifo
        room = fifo.size - fifo.item_count
        for octet in self._to_send[:room]:
            self._console.send_serial_byte(octet)
        self._to_send = self._to_send[room:]


def _silence_host(it):
    """Let the USB host answer an armed OUT transfer only when there is something to send."""
    cdc, usb = it.cdc, it.cdc.usb
    answer, send, reset = usb.on_endpoint_read, cdc.send_serial_byte, cdc._on_controller_reset
    parked = []  # (endpoint, size) of the armed OUT transfer
    armed = [False]

    def fire():
        armed[0] = False
        if parked:
            answer(*parked.pop())

    alarm = it.simulator.clock.create_alarm(fire)

    def on_endpoint_read(endpoint, size):
        if endpoint == cdc._out_endpoint and cdc.tx_fifo.item_count == 0:
            parked[:] = [(endpoint, size)]
        else:
            answer(endpoint, size)

    def send_serial_byte(data):
        send(data)
        if parked and not armed[0]:
            armed[0] = True
            alarm.schedule(NAK_NANOS)

    def on_reset():
        parked.clear()
        alarm.cancel()
        armed[0] = False
        reset()

    usb.on_endpoint_read = on_endpoint_read
    cdc.send_serial_byte = send_serial_byte
    usb.on_reset = on_reset
