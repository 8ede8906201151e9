"""A W5500 on the emulated Pico, and the cable that leaves it: 100 Mbit/s, full duplex.

    pico = Pico(files=...)
    port = Ethernet(pico)                  # SPI0 and the pins of a W5500-EVB-Pico
    port.on_frame = lambda frame: ...      # a frame has come through the cable, at pico.now
    port.deliver(frame)                    # one goes the other way, from now on

The chip is tests/models/w5500.py. Each frame takes its time on the cable, in order: preamble, FCS
and gap included (IEEE 802.3 3.1.1, 4.4.2).
"""

import sys
from collections import deque

import pico as emulator
from rp2040py.gpio_pin import GPIOPinState
from spi import NotModelled, Spi

sys.path.insert(0, str(emulator.ROOT / "tests" / "models"))

OCTET_NANOS = 80  # at 100 Mbit/s
AROUND = 24  # octets of preamble, FCS and gap
SHORTEST = 60


def wire_nanos(octets):
    """How long a frame of so many octets (without FCS) occupies the cable."""
    return (max(octets, SHORTEST) + AROUND) * OCTET_NANOS


class Ethernet:
    """spi: 0 or 1. cs, rst, int: GPIO numbers, rst and int may be None: not wired. chip: a model
    made elsewhere, called with a clock: chip(now_us) -> the chip."""

    def __init__(self, pico, spi=0, cs=17, rst=20, int=21, chip=None):
        if chip is None:
            from w5500 import Chip as chip
        self.pico = pico
        self.chip = chip(lambda: round(pico.clock.nanos) // 1000)
        self.chip.on_send = self._sent
        self.chip.on_interrupt = self._interrupt
        self.on_frame = None
        self.spi = Spi(pico, spi, self._exchange)
        self._cs, self._int = cs, int
        self._selected = False
        self._to_chip = _Lane(pico, self.chip.receive)
        self._from_chip = _Lane(pico, self._arrived)
        gpio = pico.mcu.gpio
        gpio[cs].add_listener(self._select)
        if rst is not None:
            gpio[rst].add_listener(self._reset)
        if int is not None:
            gpio[int].set_input_value(True)  # INTn is active low

    def deliver(self, frame):
        """The other end of the cable sends a frame now, or when those before it are through."""
        self._to_chip.put(bytes(frame))

    def waiting(self):
        """How many frames are on their way to the chip."""
        return len(self._to_chip)

    def _exchange(self, mosi):
        if not self._selected:
            return b"\xff" * len(mosi)
        miso = bytearray(len(mosi))
        self.chip.transfer(mosi, miso)
        return bytes(miso)

    def _select(self, state, _):
        low = state == GPIOPinState.LOW
        if low == self._selected:
            return
        if not self.spi.idle():
            raise NotModelled("the W5500's chip select changed while octets were on the wire")
        self._selected = low
        if low:
            self.chip.select()
        else:
            self.chip.deselect()

    def _reset(self, state, _):
        if state == GPIOPinState.LOW:
            self.chip.reset()

    def _interrupt(self, _):
        """The INT pin changed: it is low while the chip asks."""
        if self._int is not None:
            self.pico.mcu.gpio[self._int].set_input_value(not self.chip.interrupt)

    def _sent(self, frame):
        self._from_chip.put(bytes(frame))

    def _arrived(self, frame):
        if self.on_frame:
            self.on_frame(frame)


class _Lane:
    """One direction of the cable."""

    def __init__(self, pico, arrived):
        self.clock = pico.clock
        self.arrived = arrived
        self.frames = deque()  # (when it has arrived, frame)
        self.free = 0.0
        self.alarm = self.clock.create_alarm(self._ring)

    def __len__(self):
        return len(self.frames)

    def put(self, frame):
        self.free = max(self.free, self.clock.nanos) + wire_nanos(len(frame))
        self.frames.append((self.free, frame))
        if len(self.frames) == 1:
            self.alarm.schedule(self.free - self.clock.nanos)

    def _ring(self):
        _, frame = self.frames.popleft()
        if self.frames:
            self.alarm.schedule(self.frames[0][0] - self.clock.nanos)
        self.arrived(frame)
