"""machine.SPI and machine.Pin in front of a model of a chip, for tests of drivers."""


class Pin:
    """A pin, called as MicroPython's are. `driven`(level): who is told what is written."""

    IRQ_FALLING = 4

    def __init__(self, level=1, driven=None):
        self.level = level
        self.driven = driven
        self.handler = None

    def __call__(self, level=None):
        if level is None:
            return self.level
        if level != self.level:
            self.level = level
            if self.driven is not None:
                self.driven(level)

    value = __call__

    def irq(self, handler=None, trigger=0, hard=False):
        self.handler = handler

    def fall(self):
        """An edge that the processor sees."""
        if self.handler is not None:
            self.handler(self)


class Spi:
    """The SPI of `chip`, its CS and its INT and RST pins. `transactions`: how often CS fell."""

    def __init__(self, chip):
        self.chip = chip
        self.transactions = 0
        self.octets = 0
        self.cs = Pin(1, self._select)
        self.rst = Pin(1, self._reset)
        self.int = Pin(1)
        chip.on_interrupt = self._edge

    def _select(self, level):
        if level:
            self.chip.deselect()
        else:
            self.transactions += 1
            self.chip.select()

    def _reset(self, level):
        if not level:
            self.chip.reset()

    def _edge(self, high):
        self.int.level = 1 if high else 0
        if not high:
            self.int.fall()

    def write(self, data):
        self.octets += len(data)
        self.chip.transfer(data)

    def readinto(self, buf, write=0):
        self.octets += len(buf)
        self.chip.transfer(bytes([write]) * len(buf), buf)

    def write_readinto(self, data, buf):
        self.octets += len(buf)
        if len(data) != len(buf):
            raise ValueError("buffers must be the same length")
        self.chip.transfer(bytes(data), buf)

    def read(self, n, write=0):
        buf = bytearray(n)
        self.readinto(buf, write)
        return bytes(buf)
