"""A peer in simulated time for the emulated Pico: smolmp itself, under CPython and tests/shim.

    port = Ethernet(pico)
    peer = Peer(port, "192.168.1.1/24")
    server = peer.sockets.add(tcp.Socket(rx=bytearray(65536), tx=bytearray(65536)))
    server.listen(5001)
    peer.serve = lambda socket: ...        # called with each socket that changed
    pico.run(1_000_000_000)

The peer takes no time at all: a frame that arrives is answered in the same nanosecond, and its own
timers ring by the board's clock. So every figure belongs to the Pico and its chip, and comes out
the same on every machine. Import Peer before anything of smolmp.
"""

import sys
from collections import deque

import pico as emulator

sys.path[:0] = [str(emulator.ROOT / "tests" / "shim"), str(emulator.ROOT)]

import micropython  # noqa: E402,F401  the shim, before smolmp wants viper's names
import run_on_cpython  # noqa: E402

run_on_cpython.Loader.root = str(emulator.ROOT) + "/"
run_on_cpython.SourceFileLoader.exec_module = run_on_cpython.Loader.exec_module

from smolmp.iface import Interface  # noqa: E402
from smolmp.phy.device import ETHERNET, Device  # noqa: E402
from smolmp.socket.set import SocketSet  # noqa: E402

WRAP = (1 << 30) - 1
FARTHEST = 1 << 28  # ms


class Cable(Device):
    """The peer's end of the W5500's cable. Up to `room` frames wait before they are sent."""

    def __init__(self, port, room=64):
        super().__init__(ETHERNET, 1500)
        self.port = port
        self.room = room
        self.arrived = deque()

    def recv(self, buf):
        if not self.arrived:
            return 0
        frame = self.arrived.popleft()
        buf[: len(frame)] = frame
        return len(frame)

    def send(self, buf, start, end):
        if self.port.waiting() >= self.room:
            return False
        self.port.deliver(buf[start:end])
        return True


class Peer:
    """address: as Interface takes it. More keywords go to the Interface."""

    def __init__(self, port, address, hardware_addr="02:00:00:00:00:64", **keywords):
        self.pico = port.pico
        self.cable = Cable(port)
        self.iface = Interface(
            self.cable, hardware_addr=hardware_addr, ip_addrs=(address,), **keywords
        )
        self.sockets = SocketSet()
        self.serve = None
        self._alarm = self.pico.clock.create_alarm(self.poll)
        port.on_frame = self._arrived
        self.poll()

    @property
    def now(self):
        """The peer's milliseconds: the board's clock, modulo 2**30."""
        return int(self.pico.clock.nanos) // emulator.MS & WRAP

    def _arrived(self, frame):
        self.cable.arrived.append(frame)
        self.poll()

    def poll(self):
        """Do all there is to do now, and come back when the stack wants to. Call it after a socket
        was used from outside of serve()."""
        while True:
            changed = list(self.iface.poll(self.now, self.sockets))
            if self.serve:
                for socket in changed:
                    self.serve(socket)
            delay = self.iface.poll_delay(self.now, self.sockets)
            if delay != 0:
                break
            if self.cable.port.waiting() >= self.cable.room:
                delay = 1
                break
        delay = FARTHEST if delay is None else min(delay, FARTHEST)
        # To the beginning of that millisecond, not for that many.
        at = (int(self.pico.clock.nanos) // emulator.MS + delay) * emulator.MS
        self._alarm.schedule(at - self.pico.clock.nanos)
