"""An emulated Pico with a W5500 whose cable ends in a TAP: Linux talks to it.

    bridge.py FD|DEVICE [--kind stock|frozen] [--put NAME=FILE]... [--main FILE] [--loss PERCENT]
              [--seed N] [--faults SECONDS] [--seconds N] [--once] [--get NAME=FILE]...

FD|DEVICE   an inherited descriptor of a TAP, or its name
--kind      how smolmp is on it: see installed.py                                  (stock)
--put       a file (compiled, if NAME ends in .mpy) or a folder of sources for its flash
--main      its main.py
--loss      of the frames that come and of those that go, so many in a hundred are lost
--faults    a fault of the chip (tests/models/w5500.py) every so many simulated seconds
--seconds   end after so many simulated seconds
--once      end when main.py does: exit status 1 when it printed a traceback
--get       when it ends, this file of its flash becomes that one here

What the board prints, comes out; bridge.py's own lines begin with "bridge:".

Simulated time is held to the wall's, or the board's timers would ring before Linux can answer: it
sleeps when it is ahead. When it is behind (a busy board on a busy machine), time that is lost by
more than a few ms is forgotten, the board's clock then goes slower than the wall's; at the end,
and on SIGTERM, it says how much that was.
"""

import argparse
import fcntl
import os
import select
import signal
import struct
import sys
import time

import installed
from ethernet import Ethernet

import pico as emulator
from unit import compiled, sources

SLICE = 200_000  # ns at once
FORGIVEN = 5_000_000  # ns behind that are made up for
MOST = 2048  # octets of a frame
QUEUE = 64  # frames on their way to the chip; what the TAP has more, waits there
_TUNSETIFF = 0x400454CA
_TAP_NO_PI = 0x1002


def open_tap(name):
    """A descriptor of the TAP `name`, or of the number that `name` is."""
    if name.isdigit():
        fd = int(name)
    else:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_NO_PI))
    os.set_blocking(fd, False)
    return fd


class Bridge:
    """Frames between a TAP and a port, and the two clocks."""

    def __init__(self, port, fd):
        self.pico = port.pico
        self.port = port
        self.fd = fd
        self.refused = 0  # frames the TAP did not take: it is down, or its queue full
        self.behind = 0  # ns that were forgotten
        self.ended = False
        port.on_frame = self._send

    def _send(self, frame):
        try:
            os.write(self.fd, frame)
        except OSError:
            self.refused += 1

    def _receive(self):
        while self.port.waiting() < QUEUE:
            try:
                frame = os.read(self.fd, MOST)
            except BlockingIOError:
                return
            self.port.deliver(frame)

    def run(self, nanos=None):
        """Go on for `nanos` simulated nanoseconds, or until `ended`."""
        end = None if nanos is None else self.pico.now + nanos
        origin = time.monotonic_ns() - self.pico.now
        while not self.ended and (end is None or self.pico.now < end):
            late = time.monotonic_ns() - origin - self.pico.now
            if late < 0:
                select.select([self.fd], [], [], -late / 1e9)
                # A frame comes when it comes: the board has slept until then.
                late = time.monotonic_ns() - origin - self.pico.now
            elif late > FORGIVEN:
                self.behind += late - FORGIVEN
                origin += late - FORGIVEN
            self._receive()
            self.pico.run(min(max(late, SLICE // 8), SLICE))

    def report(self):
        return (
            f"bridge: {self.port.to_chip} frames to the board,"
            f" {self.port.from_chip} from it, {self.port.lost} lost, {self.refused} refused;"
            f" {self.pico.now / 1e9:.3f} simulated s,"
            f" {self.behind / 1e9:.3f} s behind the wall's clock"
        )


def files(puts, main):
    found = {}
    for put in puts:
        name, _, path = put.partition("=")
        if os.path.isdir(path):
            found.update(sources(path, name))
        elif name.endswith(".mpy"):
            found[name] = compiled(path, name[:-4] + ".py", ("-O3",))
        else:
            with open(path, "rb") as file:
                found[name] = file.read()
    if main:
        with open(main, "rb") as file:
            found["main.py"] = file.read()
    return found


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("tap")
    p.add_argument("--kind", choices=installed.KINDS, default="stock")
    p.add_argument("--put", action="append", default=[])
    p.add_argument("--main")
    p.add_argument("--loss", type=float, default=0)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--faults", type=float, default=0)
    p.add_argument("--seconds", type=float)
    p.add_argument("--once", action="store_true")
    p.add_argument("--get", action="append", default=[])
    a = p.parse_args()
    said = bytearray()

    def hear(data):
        say(data.decode(errors="replace").replace("\r", ""))
        if a.once and not bridge.ended:
            said.extend(data)
            bridge.ended = b"\n>>> " in said

    board = installed.board(a.kind, files(a.put, a.main), output=hear)
    port = Ethernet(board)
    port.lossy(a.loss, a.seed)
    bridge = Bridge(port, open_tap(a.tap))

    def stop(*_):
        bridge.ended = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    board.boot()
    board.write(b"\r\n")
    say("bridge: the board has booted\n")
    bridge.run(None if a.seconds is None else int(a.seconds * emulator.SECOND))
    say("\n" + bridge.report() + "\n")
    for get in a.get:
        name, _, path = get.partition("=")
        with open(path, "wb") as file:
            file.write(emulator.content(board.filesystem, name))
    return 1 if b"Traceback" in said else 0


if __name__ == "__main__":
    sys.exit(main())
