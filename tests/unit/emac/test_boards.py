# Boards: the pins of each reach the driver, and the driver the chip behind them.
# targets: unix64 unix32 unix64-wheel shim
import sys

from emac_support import frame, settle, take

from smolmp.wire.address import parse_mac
from tests.models.esp32_emac import Chip


class Pin:
    """machine.Pin: an output that tells who listens at its number."""

    IN, OUT, PULL_UP = 1, 3, 2
    made = {}
    listeners = {}

    def __init__(self, number, mode=-1, pull=-1, value=None):
        self.number, self.mode, self.pull = number, mode, pull
        Pin.made[number] = self
        if value is not None:
            self.value(value)

    def value(self, level):
        if self.number in Pin.listeners:
            Pin.listeners[self.number](level)


class Machine:
    """What ports/esp32/boards.py takes from `machine`."""

    Pin = Pin

    @staticmethod
    def unique_id():
        return b"\x24\x0a\xc4\x01\x02\x03"


before = sys.modules.get("machine")
sys.modules["machine"] = Machine
from ports.esp32 import boards  # noqa: E402

if before is None:
    del sys.modules["machine"]
else:
    sys.modules["machine"] = before


def on_chip(chip, board, pins, **more):
    """The board's device, on a chip with these pins {GPIO: what it switches}."""
    Pin.made, Pin.listeners = {}, pins
    return board(bus=chip, **more)


def runs(chip, device):
    chip.plug()
    to = parse_mac("26:0a:c4:01:02:03")
    return settle(chip, device, 3000) and chip.receive(frame(60, to)) and take(device) is not None


def test_its_own_address():
    assert boards.hardware_addr() == "26:0a:c4:01:02:03"


def test_wt32_eth01_switches_its_oscillator_on():
    chip = Chip("lan8720", 1, clock=False)
    device = on_chip(chip, boards.wt32_eth01, {16: chip.power_pin.value})
    assert device.phy.name == "LAN8720" and Pin.made[16].mode == Pin.OUT and list(Pin.made) == [16]
    assert runs(chip, device)


def test_t_eth_lite():
    chip = Chip("rtl8201", 0, clock=False)
    device = on_chip(chip, boards.t_eth_lite, {12: chip.power_pin.value})
    assert device.phy.name == "RTL8201" and runs(chip, device)


def test_wesp32_has_its_management_bus_elsewhere():
    chip = Chip("lan8720", 0, mdc=16, mdio=17)
    assert runs(chip, on_chip(chip, boards.wesp32, {}))


def test_esp32_ethernet_kit_resets_its_phy():
    chip = Chip("ip101", 1)
    levels = []

    def reset(level):
        levels.append(level)
        chip.reset_pin.value(level)

    device = on_chip(chip, boards.esp32_ethernet_kit, {5: reset}, rx=4, tx=2)
    assert device.phy.name == "IP101" and levels == [1, 0, 1] and runs(chip, device)


def test_another_board():
    chip = Chip("other", 7)
    mac = "02:00:00:00:00:01"
    device = on_chip(chip, boards.emac, {}, mac=mac)
    assert device.phy.address == 7 and not Pin.made
    chip.plug()
    assert settle(chip, device, 3000) and chip.receive(frame())
