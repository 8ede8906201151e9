# Boards: the pins of each reach the driver, and the driver the chip behind them.
# targets: unix64 unix32 unix64-wheel shim
import sys

from emac_support import frame, settle, take

from smolmp.wire.address import parse_mac
from tests.models import w5500
from tests.models.esp32_emac import Chip
from tests.models.spi import Pin as Plain
from tests.models.spi import Spi


class Pin(Plain):
    """machine.Pin: who is at the other end of its wire (`wires`) is told what is written."""

    IN, OUT, PULL_UP = 1, 3, 2
    made = {}
    wires = {}

    def __init__(self, number, mode=-1, pull=-1, value=None):
        Plain.__init__(self, 1 if value is None else 1 - value, Pin.wires.get(number))
        self.number, self.mode, self.pull = number, mode, pull
        Pin.made[number] = self
        if value is not None:
            self(value)


class Bus(Spi):
    """machine.SPI and a W5500 that is soldered to the pins `soldered`."""

    soldered = None

    def __init__(self, number, baudrate, polarity, phase, sck, mosi, miso):
        Bus.made = (number, baudrate, polarity, phase)
        self.chip = Bus.chip
        self.right = (sck.number, mosi.number, miso.number) == Bus.soldered
        self.octets = 0

    def write(self, data):
        if self.right:
            Spi.write(self, data)

    def readinto(self, buf, write=0):
        if self.right:
            Spi.readinto(self, buf, write)
        else:
            buf[:] = b"\xff" * len(buf)


class Machine:
    """What ports/esp32/boards.py takes from `machine`."""

    Pin = Pin
    SPI = Bus

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


W5500_BOARDS = (  # function, SPI, (SCK, MOSI, MISO), CS, RST, INT
    ("esp32", 2, (18, 23, 19), 5, None, None),
    ("esp32_s2_s3", 1, (12, 11, 13), 10, None, None),
    ("esp32_c3", 1, (6, 7, 2), 10, None, None),
    ("t_eth_lite_s3", 1, (10, 12, 11), 9, 14, 13),
    ("t_lite_w5500", 1, (18, 19, 23), 5, 4, None),
    ("esp32_s3_eth", 1, (13, 11, 12), 14, 9, 10),
    ("m5_atom_poe", 1, (22, 33, 23), 19, None, None),
    ("m5_atoms3_poe", 1, (5, 8, 7), 6, None, None),
)


def on_w5500(function, soldered, cs, rst, int, more):
    """(model, device) of a board whose W5500 is soldered to these pins."""
    chip = w5500.Chip(lambda: 0)
    spi = Spi(chip)
    Bus.chip, Bus.soldered = chip, soldered
    Pin.made = {}
    Pin.wires = {cs: spi.cs, rst: spi.rst}
    device = getattr(boards, function)(**more)

    def interrupt(high):
        Pin.made[int].level = 1 if high else 0

    if int is not None:
        chip.on_interrupt = interrupt
    return chip, device


def test_w5500_boards():
    to = parse_mac("26:0a:c4:01:02:03")
    for name, number, soldered, cs, rst, int in W5500_BOARDS:
        chip, device = on_w5500(name, soldered, cs, rst, int, {})
        assert Bus.made == (number, 20000000, 0, 0), name
        assert device.link() and chip.receive(frame(100, to)), name
        assert take(device) == frame(100, to) and take(device) is None, name
        pins = [pin for pin in soldered + (cs, rst, int) if pin is not None]
        assert sorted(Pin.made) == sorted(pins) and Pin.made[cs].mode == Pin.OUT, name


def test_any_w5500_module():
    mac = "02:00:00:00:00:07"
    for int in (4, 34):
        more = dict(mac=mac, sck=14, mosi=13, miso=12, cs=15, int=int, baudrate=8000000)
        chip, device = on_w5500("w5500", (14, 13, 12), 15, None, int, more)
        assert Bus.made == (1, 8000000, 0, 0) and bytes(chip.common[9:15]) == parse_mac(mac)
        assert Pin.made[int].pull == (Pin.PULL_UP if int == 4 else -1)  # 34 has none
        assert chip.receive(frame(60, parse_mac(mac))) and take(device)


def test_wrong_pins_are_told():
    try:
        on_w5500("esp32", (14, 13, 12), 5, None, None, {})
    except OSError as e:
        assert "0xff" in str(e)
        return
    raise AssertionError("taken")


def on_chip(chip, board, pins, **more):
    """The board's device, on a chip with these pins {GPIO: what it switches}."""
    Pin.made, Pin.wires = {}, pins
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
