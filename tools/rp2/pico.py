"""An RP2040 with stock MicroPython firmware in an emulator: its flash, and running code on it.

rp2040py executes the firmware's instructions and counts cycles. What is corrected here and in
emulator/fastbatch.pyx: the USB host is silent while it has nothing to say (the published one
keeps the guest busy with empty packets), unaligned accesses fault as on a real Cortex-M0+.
"""

import os
import sys

import fastbatch
import littlefs
import rp2040py.simulator
from rp2040py.boards import BoardSpec, FlashLayout
from rp2040py.device import MicroPythonDevice, mp_device
from rp2040py.device.raw_repl import RawReplRunner

rp2040py.simulator.execute_batch = fastbatch.execute_batch

BLOCK = 4096
BLOCKS = 352
LAYOUT = FlashLayout(fs_start=0xA0000, fs_blockcount=BLOCKS, fs_blocksize=BLOCK)
NAK_NANOS = 20_000  # from a byte of the host's to the answer of the endpoint that waits for it


class Streaming(RawReplRunner):
    """A raw REPL whose output is written to standard output while it comes."""

    def feed(self, data):
        had = len(self._stdout)
        super().feed(data)
        if len(self._stdout) > had:
            sys.stdout.buffer.write(bytes(self._stdout[had:]).replace(b"\r", b""))
            sys.stdout.buffer.flush()


mp_device.RawReplRunner = Streaming


def flash(files, path):
    """Write a littlefs image with `files`, {name on the board: octets}, to `path`."""
    system = littlefs.LittleFS(
        block_size=BLOCK, block_count=BLOCKS, disk_version=0x00020000, mount=False
    )
    system.format()
    system.mount()
    for name, data in files.items():
        folder = os.path.dirname(name)
        if folder:
            system.makedirs(folder, exist_ok=True)
        with system.open(name, "wb") as file:
            file.write(data)
    with open(path, "wb") as out:
        out.write(bytes(system.context.buffer))


def device(firmware, filesystem=None, xip_miss=0):
    """A device that is not booted yet (`await device.astart()`).

    xip_miss: cycles that a miss of the flash cache costs; 25 fits published figures of a real one.
    """
    board = BoardSpec(image=firmware, layout=LAYOUT, extras=())
    it = MicroPythonDevice(board=board, filesystem=filesystem)
    it.simulator.xip_miss = xip_miss
    it.simulator.check_align = True
    _silence_host(it)
    return it


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
