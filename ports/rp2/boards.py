"""Boards with an RP2040 and a W5500, and how they are wired. Each gives the Device.

from ports.rp2 import boards

device = boards.w5500_evb_pico("02:00:00:00:00:01")
device = boards.pico("02:00:00:00:00:01", cs=5, sck=2, mosi=3, miso=4, rst=None, int=6)
"""

import machine

from ports.rp2 import kernels
from ports.rp2.w5500 import W5500

FREQUENCY = 125_000_000


def w5500_evb_pico(mac, **more):
    """WIZnet's W5500-EVB-Pico: SPI0 on GPIO 16-19, reset 20, interrupt 21."""
    return pico(mac, sck=18, mosi=19, miso=16, cs=17, rst=20, int=21, **more)


def pico(mac, frequency=FREQUENCY, **wiring):
    """A Pico and any W5500 module, wired as `wiring` says (w5500.W5500's parameters; the default
    is a W5500-EVB-Pico's). `rst` and `int` may be None; with INT a frame need not be asked for.

    The firmware boots with a peripheral clock of 48 MHz, of which SPI makes 24: it is set to the
    processor's `frequency`, of which it makes 31.25.
    """
    machine.freq(frequency, frequency)
    kernels.install()
    return W5500(mac, **wiring)
