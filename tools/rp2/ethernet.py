"""A W5500 on the emulated Pico, and the cable that leaves it: 100 Mbit/s, full duplex.

    pico = Pico(files=...)
    port = Ethernet(pico)                  # SPI0 and the pins of a W5500-EVB-Pico
    port.on_frame = lambda frame: ...      # a frame has come through the cable, at pico.now
    port.deliver(frame)                    # one goes the other way, from now on
    port.lossy(2, seed=1)                  # two frames in a hundred get lost, each way
    port.fault(random)                     # something happens to the chip; its name is returned

The chip is tests/models/w5500.py. Each frame takes its time on the cable, in order: preamble, FCS
and gap included (IEEE 802.3 3.1.1, 4.4.2).
"""

import random
import sys
from collections import deque

from rp2040py.gpio_pin import GPIOPinState
from spi import NotModelled, Spi

import pico as emulator

sys.path.insert(0, str(emulator.ROOT / "tests" / "models"))

from w5500 import Chip, Undefined  # noqa: E402

IRQ_EDGE_LOW = 4  # in GPIO's INTR (RP2040 datasheet 2.19.6.1)
EXCUSED = emulator.SECOND  # after a fault: what a driver that cannot know of it may do wrong
OCTET_NANOS = 80  # at 100 Mbit/s
AROUND = 24  # octets of preamble, FCS and gap
SHORTEST = 60


def wire_nanos(octets):
    """How long a frame of so many octets (without FCS) occupies the cable."""
    return (max(octets, SHORTEST) + AROUND) * OCTET_NANOS


class Ethernet:
    """spi: 0 or 1. cs, rst, int: GPIO numbers, rst and int may be None: not wired. chip: the
    model's class, or one like it."""

    def __init__(self, pico, spi=0, cs=17, rst=20, int=21, chip=Chip):
        self.pico = pico
        self.chip = chip(lambda: round(pico.clock.nanos) // 1000)
        self.chip.on_send = self._sent
        self.chip.on_interrupt = self._interrupt
        self.on_frame = None
        self.spi = Spi(pico, spi, self._exchange)
        self._cs, self._int = cs, int
        self._selected = False
        self.lost = self.to_chip = self.from_chip = 0  # frames
        self.excused = 0  # accesses to a chip that is not as the driver left it
        self._chance = None
        self._fault_at = -EXCUSED
        self._edges_to_lose = 0
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
        self.to_chip += 1
        if not self._loses():
            self._to_chip.put(bytes(frame))

    def lossy(self, percent, seed=1):
        """From now on each frame is lost with this chance; the same ones for the same seed."""
        self._limit, self._chance = percent / 100, random.Random(seed).random

    def _loses(self):
        if self._chance is None or self._chance() >= self._limit:
            return False
        self.lost += 1
        return True

    def waiting(self):
        """How many frames are on their way to the chip."""
        return len(self._to_chip)

    def _exchange(self, mosi):
        if not self._selected:
            return b"\xff" * len(mosi)
        miso = bytearray(len(mosi))
        try:
            self.chip.transfer(mosi, miso)
        except Undefined:
            if self.pico.now - self._fault_at > EXCUSED:
                raise
            self.excused += 1
        return bytes(miso)

    def excuse(self, nanos=0):
        """From now until a second after `nanos` the chip is not as the driver left it, and what
        the driver does wrong with it is only counted."""
        self._fault_at = self.pico.now + nanos

    def lose_edge(self):
        """INT will fall, and the processor is not told."""
        self._edges_to_lose += 1

    def fault(self, random):
        """One of the faults that the chip's model knows; it passes by itself."""
        chip, ms = self.chip, random.randrange(1, 100)
        name = random.choice(("length", "edge", "reset", "link", "dead", "stuck", "mute", "flip"))
        self.excuse(ms * emulator.MS)
        if name == "length":
            chip.corrupt = random.choice((0, 1, 2, 61, 1517, 1600, 0x8000, 0xFFFF))
        elif name == "edge":
            self.lose_edge()
        elif name == "reset":
            chip.reset()
        elif name == "flip":
            chip.flip(1, random.choice((0x24, 0x25, 0x28, 0x29)), 1 << random.randrange(8))
        else:
            value, rest = {
                "link": (False, True),
                "dead": (random.choice((0, 0xFF)), None),
                "stuck": (True, False),
                "mute": (True, False),
            }[name]
            setattr(chip, name, value)
            self.pico.at(self.pico.now + ms * emulator.MS, lambda: setattr(chip, name, rest))
        return name

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
        if self._int is None:
            return
        pin, low = self.pico.mcu.gpio[self._int], self.chip.interrupt
        if low and self._edges_to_lose:
            # The pin is low, but the processor was not told.
            self._edges_to_lose -= 1
            enabled, pin.irq_enable_mask = pin.irq_enable_mask, 0
            pin.set_input_value(False)
            pin.irq_status &= ~IRQ_EDGE_LOW
            pin.irq_enable_mask = enabled
        else:
            pin.set_input_value(not low)

    def _sent(self, frame):
        self.from_chip += 1
        if not self._loses():
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
