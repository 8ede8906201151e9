# Emac's PHYs: auto-negotiation, speed and duplex into the MAC, links that come, go and flap.
# targets: unix64 unix32 unix64-wheel shim
from emac_support import MAC, OTHER, emac, frame, settle, take

from ports.esp32.emac import Emac
from tests.models.esp32_emac import EVERYTHING, FULL_10, FULL_100, HALF_10, HALF_100, Chip

KINDS = ("lan8720", "ip101", "rtl8201", "other")
MODES = (
    (EVERYTHING, 100, True),
    (FULL_100, 100, True),
    (HALF_100, 100, False),
    (FULL_10, 10, True),
    (HALF_10, 10, False),
    (HALF_100 | FULL_10 | HALF_10, 100, False),
    (FULL_10 | HALF_10, 10, True),
)


def passes(chip, driver):
    """Do frames pass both ways?"""
    heard = chip.receive(frame())
    sent = len(chip.frames)
    return (
        heard
        and take(driver) == frame()
        and driver.send(frame(60, OTHER), 0, 60)
        and (len(chip.frames) == sent + 1)
    )


def test_every_phy_in_every_mode():
    for kind in KINDS:
        for partner, speed, duplex in MODES:
            chip, driver = emac(kind, partner)
            assert driver.phy.name == {"other": "PHY"}.get(kind, kind.upper())
            assert (driver.phy.speed, driver.phy.full_duplex) == (speed, duplex), (kind, partner)
            assert passes(chip, driver), (kind, partner)
            assert ("%d Mbit/s, %s" % (speed, "full" if duplex else "half")) in repr(driver)


def test_it_advertises_everything_whatever_the_straps_say():
    chip = Chip("lan8720")
    assert chip.phy.anar == 0x61
    Emac(MAC, bus=chip)
    assert chip.phy.anar == 0x1E1


def test_no_cable_then_one():
    chip = Chip()
    driver = Emac(MAC, bus=chip)
    chip.frames = []
    chip.on_send = chip.frames.append
    for _ in range(10):
        assert settle(chip, driver) is False
    assert driver.send(frame(60, OTHER), 0, 60) is True and driver.lost == 1
    assert "link  down" in repr(driver)
    chip.plug()
    assert settle(chip, driver) is False  # they negotiate
    assert settle(chip, driver, 1500) is True and driver.link_changes == 1
    assert passes(chip, driver)


def test_unplugged_and_plugged_in_elsewhere():
    for kind in KINDS:
        chip, driver = emac(kind)
        chip.unplug()
        assert settle(chip, driver) is False
        assert driver.send(frame(60, OTHER), 0, 60) is True and driver.lost == 1
        assert not chip.receive(frame())
        chip.plug(HALF_10)
        assert settle(chip, driver, 2000) is True
        assert (driver.phy.speed, driver.phy.full_duplex) == (10, False)
        assert passes(chip, driver) and driver.link_changes == 3


def test_a_flap_between_two_looks_is_seen():
    """Another switch within half a second: BMSR's link bit stays low until it is read."""
    for kind in KINDS:
        chip, driver = emac(kind)
        chip.negotiation_ms = 100
        chip.plug(FULL_10 | HALF_10)
        assert settle(chip, driver) is True
        assert (driver.phy.speed, driver.phy.full_duplex) == (10, True), kind
        assert driver.link_changes == 2 and passes(chip, driver)


def test_a_hundred_flaps():
    chip, driver = emac()
    chip.negotiation_ms = 300
    for i in range(100):
        if i & 1:
            chip.unplug()
            assert not settle(chip, driver)
        else:
            chip.plug(MODES[i // 2 % len(MODES)][0])
            assert settle(chip, driver)
            assert passes(chip, driver)
    assert driver.restarts == 0


def test_nothing_in_common_is_no_link():
    chip = Chip("other")
    driver = Emac(MAC, bus=chip)
    chip.plug(1)
    assert settle(chip, driver, 3000) is False


def test_the_hardware_is_looked_at_twice_a_second_at_most():
    chip, driver = emac()
    before = chip.us
    for _ in range(50):
        assert driver.link() is True
    assert chip.us == before  # no register was touched
    chip.advance(399)
    driver.link()
    assert chip.us == before + 399000
    chip.advance(10)
    assert driver.link() is True and chip.us > before + 409000


def test_time_wraps():
    chip = Chip()
    chip.us = ((1 << 30) - 3000) * 1000
    driver = Emac(MAC, bus=chip)
    chip.plug()
    assert settle(chip, driver, 2000)
    for _ in range(10):
        assert settle(chip, driver)
    assert chip.ticks_ms() < 5000 and driver.restarts == 0
    chip.unplug()
    assert not settle(chip, driver)


def test_a_phy_that_does_not_leave_reset():
    chip = Chip()
    chip.phy.stays_in_reset = True
    try:
        Emac(MAC, bus=chip)
    except OSError as e:
        assert "LAN8720 stays in reset" in str(e)
        return
    raise AssertionError("taken")


def test_its_reset_pin():
    chip = Chip("ip101")
    levels = []

    class Watched:
        def value(self, level):
            levels.append((level, chip.ms))
            chip.reset_pin.value(level)

    Emac(MAC, bus=chip, reset=Watched())
    (low, since), (high, until) = levels
    assert (low, high) == (0, 1) and until - since >= 10


class Slow(Chip):
    """A frame comes at `due` ms."""

    due = 1 << 60

    def sleep_us(self, us):
        Chip.sleep_us(self, us)
        if self.ms >= self.due:
            self.due = 1 << 60
            assert self.receive(frame())


def test_wait():
    chip = Slow()
    driver = Emac(MAC, bus=chip)
    chip.plug()
    assert settle(chip, driver, 3000)
    for ms in (0, 1, 30, 200):
        before = chip.ms
        assert driver.wait(ms) is False
        assert ms <= chip.ms - before <= ms + 1
    before = chip.ms
    chip.due = before + 20
    assert driver.wait(100) is True and chip.ms - before == 20
    assert driver.wait(100) is True and take(driver) == frame()  # it is still there: at once
    before = chip.ms
    assert driver.wait(None) is True and 500 <= chip.ms - before <= 501  # look after the link
    chip.due = chip.ms + 300
    assert driver.wait() is True and take(driver) == frame()
