"""Runs ports/esp32/main.py as it stands, under MicroPython's unix port, for test_esp32.py.

esp32_board.py tap0 BOARD ADDRESS GATEWAY WIRING [RESET_MS]

Below it stand the models of tests/models: a W5500 behind machine.SPI, or the ESP32's own MAC and
its PHY behind the bus. Their cable is the TAP. Pins are wires: a board that takes the wrong ones
meets nobody. `machine` has what an ESP32 has, and no more. ADDRESS "dhcp": ask for one. RESET_MS:
the W5500 forgets everything that often.
"""

import sys
import time

ROOT = (sys.path[0] or ".") + "/../.."
sys.path.insert(1, ROOT)

from ports.unix.tuntap import Tap  # noqa: E402
from tests.models import esp32_emac, spi, w5500  # noqa: E402

# BOARD: (SCK, MOSI, MISO), CS, RST, INT of its W5500; or the PHY, its address, MDC, MDIO and what
# its pins switch.
W5500 = {
    "esp32": ((18, 23, 19), 5, None, None),
    "t_eth_lite_s3": ((10, 12, 11), 9, 14, 13),
    "esp32_s3_eth": ((13, 11, 12), 14, 9, 10),
    "w5500": ((4, 5, 6), 7, 8, 34),
}
EMAC = {
    "wt32_eth01": ("lan8720", 1, 23, 18, {16: "power_pin"}),
    "t_eth_lite": ("rtl8201", 0, 23, 18, {12: "power_pin"}),
    "esp32_ethernet_kit": ("ip101", 1, 23, 18, {5: "reset_pin"}),
}

_, device, board, address, gateway, wiring, *reset_ms = sys.argv
tap = Tap(device)
frame = bytearray(1600)
view = memoryview(frame)


class Pin(spi.Pin):
    """machine.Pin, and what is soldered to it: wires[GPIO] is told of every level."""

    IN, OUT, PULL_UP = 1, 3, 2
    wires = {}
    made = {}

    def __init__(self, number, mode=-1, pull=-1, value=None):
        assert mode != self.OUT or number < 34, "an input only"
        assert pull == -1 or not 34 <= number <= 39, "no pull-up there"
        spi.Pin.__init__(self, 1 if value is None else 1 - value, self.wires.get(number))
        self.made[number] = self
        self.number = number
        if value is not None:
            self(value)


class Timer:
    """machine.Timer: an ESP32 has no virtual ones. Nobody sleeps here but by the device."""

    PERIODIC = 1

    def __init__(self, number, **how):
        assert number == (3 if sys.platform == "esp32" else -1)

    def deinit(self):
        pass


class Spi:
    """machine.SPI, with the chip at the pins SOLDERED."""

    def __init__(self, number, baudrate, polarity, phase, sck, mosi, miso):
        assert number in (1, 2) and baudrate <= 26_700_000 and not polarity and not phase
        self.right = (sck.number, mosi.number, miso.number) == SOLDERED

    def write(self, data):
        if self.right:
            chip.transfer(data)

    def readinto(self, buf, write=0):
        if self.right:
            chip.transfer(bytes(len(buf)), buf)
        else:
            buf[:] = b"\xff" * len(buf)


def bring():
    """The TAP's frames go to the chip. A W5500 that has no room lets them wait, as a cable does
    not: Linux is to be slowed down, not judged."""
    n = tap.recv(frame)
    while n:
        chip.receive(bytes(view[:n]))
        n = tap.recv(frame)


def idle():
    tap.wait(1)
    bring()


class Machine:
    """The module `machine`."""

    Pin, SPI, Timer = Pin, Spi, Timer
    idle = staticmethod(idle)

    @staticmethod
    def unique_id():
        return b"\x24\x0a\xc4\x01\x02\x03"


def send(data):
    tap.send(data, 0, len(data))


class Host:
    """/host.py."""

    BOARD = board
    WIRING = eval(wiring)
    MAC = "02:00:00:00:00:01"
    ADDRESSES = None if address == "dhcp" else (address,)
    GATEWAY = None if gateway == "none" else gateway


class Wired(w5500.Chip):
    """A W5500 whose pins are an ESP32's."""

    def __init__(self):
        w5500.Chip.__init__(self, time.ticks_us)
        _, cs, rst, self.int = W5500[board]
        self.lives = time.ticks_ms()
        Pin.wires.update({cs: self.chip_select, rst: self.reset_pin})
        self.on_interrupt = self.fall
        self.on_send = send

    def chip_select(self, level):
        if level:
            self.deselect()
            if reset_ms and time.ticks_diff(time.ticks_ms(), self.lives) > int(reset_ms[0]):
                self.lives = time.ticks_ms()
                self.reset()
        else:
            bring()
            self.select()

    def reset_pin(self, level):
        if not level:
            self.reset()

    def fall(self, high):
        pin = Pin.made.get(self.int)
        if pin is not None:
            pin.level = 1 if high else 0
            if not high:
                pin.fall()


class Bus(esp32_emac.Chip):
    """The ESP32's bus with its MAC; time is the wall's."""

    def __init__(self, kind, phy, mdc, mdio, pins):
        esp32_emac.Chip.__init__(self, kind, phy, clock="power_pin" not in pins.values())
        self.mdc, self.mdio = mdc, mdio
        self.began = time.ticks_us()
        self.on_send = send
        for number, name in pins.items():
            Pin.wires[number] = getattr(self, name).value
        self.plug()

    def ticks_ms(self):
        self.us = max(self.us, time.ticks_diff(time.ticks_us(), self.began))
        if self.memory is not None:
            bring()
        return esp32_emac.Chip.ticks_ms(self)

    def sleep_us(self, us):
        time.sleep_us(us)
        self.us += us

    def write(self, address, value):
        esp32_emac.Chip.write(self, address, value)
        if address == esp32_emac.DMA + esp32_emac.RX_POLL:
            bring()


sys.modules["machine"] = Machine
sys.modules["host"] = Host
if board in W5500:
    SOLDERED = W5500[board][0]
    chip = Wired()
else:
    from ports.esp32 import registers

    chip = Bus(*EMAC[board])
    registers.Bus = lambda: chip

with open(ROOT + "/ports/esp32/main.py") as file:
    program = file.read()
exec(program, {"__name__": "__main__"})
