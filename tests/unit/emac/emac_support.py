"""An Emac on the model of its chip, with the cable plugged in."""

from ports.esp32.emac import Emac
from tests.models.esp32_emac import EVERYTHING, Chip

MAC = "02:00:00:00:00:01"
OURS = b"\x02\0\0\0\0\x01"
OTHER = b"\x02\0\0\0\0\x02"


def emac(kind="lan8720", partner=EVERYTHING, mac=MAC, **options):
    """(chip, driver), the link up. The driver's ring has 4 frames each way."""
    chip = Chip(kind)
    options["rx"] = options.get("rx", 4)
    options["tx"] = options.get("tx", 4)
    driver = Emac(mac, bus=chip, **options)
    chip.frames = []
    chip.on_send = chip.frames.append
    chip.plug(partner)
    chip.advance(chip.negotiation_ms + 500)
    assert driver.link() is True
    return chip, driver


def frame(n=60, to=OURS, first=0):
    """A frame of n octets with a type of nobody's."""
    return (to + OTHER + b"\x88\xb5" + bytes([(first + i) & 255 for i in range(n - 14)]))[:n]


def take(driver, size=1518):
    buf = bytearray(size)
    n = driver.recv(buf)
    return bytes(buf[:n]) if n else None


def settle(chip, driver, ms=500):
    """Time passes, and the driver looks after the hardware; is the link up?"""
    chip.advance(ms)
    return driver.link()
