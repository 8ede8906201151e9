# Emac on the model of the ESP32's MAC: set-up, frames both ways, rings, filters, two interfaces.
# targets: unix64 unix32 unix64-wheel shim
import micropython
from emac_support import MAC, OTHER, OURS, emac, frame, settle, take

from ports.esp32.emac import Emac
from tests.models.esp32_emac import BROADCAST, Chip


def test_set_up_is_what_the_chip_needs():
    chip, driver = emac()
    assert (driver.medium, driver.mtu, driver.checksums) == (1, 1500, 0)
    get = chip.registers.get
    assert get(0x3FF000CC) == 0x7F | 1 << 14  # what others had clocked stays so
    assert get(0x3FF000D0) == 0x100  # and what they held in reset
    assert get(0x3FF6A000) == 1 << 15 | 1 << 14 | 1 << 11 | 1 << 3 | 1 << 2
    assert get(0x3FF6A040) == 0x80000100 and get(0x3FF6A044) == 0x2
    assert get(0x3FF69000) == 1 << 26 | 1 << 25 | 32 << 8 | 1 << 7
    assert get(0x3FF69018) == 1 << 25 | 1 << 13 | 1 << 2 | 1 << 1
    assert get(0x3FF6901C) == 0  # no interrupt: nobody would take it
    assert get(0x3FF6900C) == chip.base and get(0x3FF69010) == chip.base + 4 * 32
    assert driver.phy.name == "LAN8720" and driver.phy.address == 1
    text = repr(driver)
    assert "EXPERIMENTAL: not run on hardware" in text and "100 Mbit/s, full duplex" in text, text


def test_frames_of_every_size_both_ways():
    chip, driver = emac()
    for n in (14, 42, 59, 60, 61, 62, 63, 64, 1000, 1513, 1514):
        sent = frame(n, OTHER, n)
        assert driver.send(b"__" + sent + b"_", 2, 2 + n) is True
        assert chip.frames.pop(0) == sent + bytes(max(0, 60 - n))
        came = frame(n, OURS, n)
        assert chip.receive(came)
        assert take(driver) == came and take(driver) is None
    assert driver.send(bytes(1515), 0, 1515) is True and driver.lost == 1 and not chip.frames
    assert (chip.unheard, driver.rx_errors, driver.tx_errors, driver.dropped) == (0, 0, 0, 0)


def test_at_every_alignment():
    chip, driver = emac()
    for start in range(8):
        for n in (60, 61, 62, 63, 200):
            assert driver.send(bytes(start) + frame(n, OTHER, start), start, start + n)
            assert chip.frames.pop(0) == frame(n, OTHER, start)
            assert chip.receive(frame(n))
            whole = bytearray([0xEE] * 300)
            assert driver.recv(memoryview(whole)[start : start + 220]) == n
            assert whole == bytes([0xEE] * start) + frame(n) + bytes([0xEE] * (300 - start - n))


def test_rings_wrap():
    chip, driver = emac(rx=3, tx=2)
    waiting = []
    for i in range(100):
        item = frame(60 + i, OURS, i)
        assert chip.receive(item)
        waiting.append(item)
        if i % 3 == 2:
            while waiting:
                assert take(driver) == waiting.pop(0)
            assert take(driver) is None
        assert driver.send(item, 0, len(item))
        assert chip.frames.pop(0) == item


def test_a_full_transmit_ring_is_busy():
    chip, driver = emac(tx=3)
    chip.frozen = True
    for i in range(3):
        assert driver.send(frame(60, OTHER, i), 0, 60) is True
    assert driver.send(frame(60, OTHER, 3), 0, 60) is False
    assert driver.send(frame(60, OTHER, 3), 0, 60) is False
    chip.frozen = False
    chip._transmit()
    assert chip.frames == [frame(60, OTHER, i) for i in range(3)]
    assert driver.send(frame(60, OTHER, 3), 0, 60) is True and len(chip.frames) == 4


def test_no_descriptor_left_is_counted_and_it_goes_on():
    chip, driver = emac(rx=4)
    came = [frame(60 + i, OURS, i) for i in range(6)]
    assert [chip.receive(item) for item in came] == [True] * 4 + [False] * 2
    polls = chip.polls
    assert [take(driver) for _ in range(5)] == came[:4] + [None]
    assert chip.polls > polls  # the DMA, which waits, is told to look again
    assert settle(chip, driver)
    assert driver.missed == 2 and driver.starved == 1
    assert chip.receive(came[5]) and take(driver) == came[5]
    chip.overflow(7)
    settle(chip, driver)
    assert driver.overflows == 7 and driver.missed == 2 and driver.restarts == 0


def test_filters():
    group, other = b"\x01\x00\x5e\0\0\xfb", b"\x33\x33\0\0\0\x01"
    chip, driver = emac()
    assert chip.receive(frame(60, BROADCAST)) and take(driver) is not None
    assert not chip.receive(frame(60, OTHER)) and not chip.receive(frame(60, group))
    driver.join(group)
    driver.join(group)
    assert chip.receive(frame(60, group)) and not chip.receive(frame(60, other))
    driver.leave(group)
    assert chip.receive(frame(60, group))
    driver.leave(group)
    driver.leave(group)  # once too often
    assert not chip.receive(frame(60, group)) and not chip.receive(frame(60, other))
    while take(driver):
        pass
    many = [b"\x01\x00\x5e\0\0" + bytes([i]) for i in range(7)]
    for each in many:
        driver.join(each)
    assert not chip.receive(frame(60, group)) and not chip.receive(frame(60, other))
    assert chip.receive(frame(60, many[0])) and chip.receive(frame(60, many[6]))
    driver.join(group)  # more than it has room for: all groups
    assert chip.receive(frame(60, group)) and chip.receive(frame(60, other))
    while take(driver):
        pass
    assert not chip.receive(frame(60, OTHER))
    for each in [group] + many:
        driver.leave(each)
    assert not chip.receive(frame(60, group)) and not chip.receive(frame(60, many[3]))
    driver.set_promiscuous(True)
    assert chip.receive(frame(60, OTHER)) and take(driver) == frame(60, OTHER)
    driver.set_promiscuous(False)
    assert not chip.receive(frame(60, OTHER)) and chip.receive(frame(60))
    chip, driver = emac(promiscuous=True)
    assert chip.receive(frame(60, OTHER))
    try:
        driver.join(OTHER)
    except ValueError:
        return
    raise AssertionError("joined")


def test_filters_survive_a_restart():
    chip, driver = emac()
    driver.join(b"\x01\x00\x5e\0\0\xfb")
    chip.bus_error()
    assert settle(chip, driver) and driver.restarts == 1
    assert chip.receive(frame(60, b"\x01\x00\x5e\0\0\xfb")) and chip.receive(frame())
    assert not chip.receive(frame(60, OTHER))


def test_longer_than_the_callers_buffer_is_dropped():
    chip, driver = emac()
    assert chip.receive(frame(200)) and chip.receive(frame(80))
    buf = bytearray(100)
    assert driver.recv(buf) == 80 and bytes(buf[:80]) == frame(80) and driver.dropped == 1
    # so long that it takes two descriptors: both are dropped, the next frame is whole
    assert chip.receive(frame(1800)) and chip.receive(frame(90))
    assert take(driver) == frame(90) and driver.dropped == 3


def refused(error, what, **options):
    chip = options.pop("chip", None) or Chip()
    try:
        Emac(options.pop("mac", MAC), bus=chip, **options)
    except error as e:
        assert what in str(e), e
        return
    raise AssertionError("taken")


def test_refuses_what_cannot_be():
    refused(ValueError, "2 to 64", rx=1)
    refused(ValueError, "2 to 64", tx=65)
    refused(ValueError, "mdc or mdio", mdc=19)
    refused(ValueError, "mdc or mdio", mdio=34)  # an input only
    refused(ValueError, "unicast", mac="01:00:5e:00:00:01")
    refused(ValueError, "octets are needed", memory=bytearray(1000))


def test_buffers_that_dma_does_not_reach_are_refused():
    refused(OSError, "PSRAM", chip=Chip(base=0x3F800000))
    refused(OSError, "0x3fffc000", chip=Chip(base=0x3FFFC000))  # its end is outside
    refused(OSError, "divisible by 4", chip=Chip(base=0x3FFC0002))
    driver = Emac(MAC, bus=Chip(base=0x40000000 - Emac.octets(2, 2)), rx=2, tx=2)
    assert driver.link() is False


def test_no_clock_says_what_to_look_at():
    refused(OSError, "50 MHz at GPIO0", chip=Chip(clock=False))
    chip = Chip(clock=False)
    Emac(MAC, bus=chip, power=chip.power_pin)  # a board that switches its oscillator
    assert chip.clock and chip.power_pin.level == 1


def test_no_phy_says_what_to_look_at():
    refused(OSError, "mdc, mdio", chip=Chip(mdc=33, mdio=32))
    refused(OSError, "PHYID1 is 0xffff", phy=0)
    assert Emac(MAC, bus=Chip(phy_address=0), phy=0).phy.address == 0
    assert Emac(MAC, bus=Chip(phy_address=31)).phy.address == 31
    assert Emac(MAC, bus=Chip(mdc=16, mdio=17), mdc=16, mdio=17).phy.name == "LAN8720"


def nothing(address, value):
    """The model allocates: what the driver writes reaches it after the heap is unlocked."""


def test_allocates_nothing():
    chip, driver = emac()
    view = memoryview(bytearray(1600))[2:]
    out = bytearray(1600)
    for _ in range(3):
        for i in range(4):
            assert chip.receive(frame((60, 1514)[i & 1]))
        driver._write = nothing
        micropython.heap_lock()
        try:
            for _ in range(4):
                assert driver.send(out, 30, 1544) and driver.recv(view)
            assert not driver.send(out, 30, 1544) and not driver.recv(view)
        finally:
            micropython.heap_unlock()
        driver._write = chip.write
        driver._write(0x3FF69004, 0)
    assert chip.sent == 12 and (driver.rx_errors, driver.tx_errors, driver.dropped) == (0, 0, 0)
