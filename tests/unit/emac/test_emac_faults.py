# What can go wrong in the MAC and its DMA, and that Emac counts it and recovers.
# targets: unix64 unix32 unix64-wheel shim
from emac_support import OTHER, OURS, emac, frame, settle, take

from smolmp.prng import Random


def works(chip, driver):
    """A full turn of both rings."""
    for i in range(5):
        sent = len(chip.frames)
        if not (driver.send(frame(60 + i, OTHER, i), 0, 60 + i) and len(chip.frames) == sent + 1):
            return False
        if not chip.receive(frame(70 + i, OURS, i)) or take(driver) != frame(70 + i, OURS, i):
            return False
    return take(driver) is None


def test_frames_with_errors():
    chip, driver = emac()
    for status in (0x8002, 0x8800, 0x9000, 0x8010):  # CRC, overflow, length, watchdog
        assert chip.receive(frame(100), status) and chip.receive(frame(80))
        assert take(driver) == frame(80) and take(driver) is None
    assert driver.rx_errors == 4 and driver.dropped == 0
    assert chip.receive(frame(13)) and take(driver) is None and driver.rx_errors == 5
    for _ in range(4):  # nothing but errors: one recv() does not go round for ever
        assert chip.receive(frame(100), 0x8002)
    assert take(driver) is None and driver.rx_errors == 9
    assert works(chip, driver)


def test_frames_that_do_not_go():
    chip, driver = emac()
    chip.tx_failing = 2
    for i in range(8):
        assert driver.send(frame(60, OTHER, i), 0, 60)
    assert driver.tx_errors == 2 and len(chip.frames) == 6
    assert works(chip, driver)


def test_transmit_underflow_suspends_and_goes_on():
    chip, driver = emac()
    chip.underflow = True
    assert driver.send(frame(60, OTHER), 0, 60) and not chip.frames
    assert settle(chip, driver) and driver.underflows == 1
    for i in range(4):
        assert driver.send(frame(60, OTHER, i), 0, 60)
    assert len(chip.frames) == 4 and driver.tx_errors == 1 and driver.restarts == 0


def test_bus_error():
    chip, driver = emac()
    assert chip.receive(frame())
    chip.bus_error()
    assert take(driver) == frame()  # what had come is still good
    assert driver.send(frame(60, OTHER), 0, 60) and not chip.frames and not chip.receive(frame())
    assert settle(chip, driver) is True
    assert (driver.bus_errors, driver.restarts, driver.lost) == (1, 1, 1)
    assert works(chip, driver)


def test_a_descriptor_that_points_nowhere():
    """Something wrote over the ring: a bus error, and a ring built anew."""
    chip, driver = emac()
    for i in range(8, 16):  # addresses of a buffer and of the next descriptor
        driver._pool[32 + i] = 0x55
    assert chip.receive(frame()) and not chip.receive(frame()) and chip.dead
    assert settle(chip, driver) and driver.bus_errors == 1
    while take(driver):
        pass
    assert works(chip, driver)


def test_a_transmitter_that_hangs():
    chip, driver = emac()
    chip.frozen = True
    assert driver.send(frame(60, OTHER), 0, 60)
    assert settle(chip, driver) and settle(chip, driver) and driver.restarts == 0
    chip.frozen = False  # the reset does it
    settle(chip, driver)
    assert settle(chip, driver) and driver.restarts == 1 and driver.lost == 1
    assert works(chip, driver)


def test_a_slow_transmitter_is_no_fault():
    chip, driver = emac()
    chip.frozen = True
    for i in range(40):
        chip.frozen = False
        while chip.frames:
            chip.frames.pop()
        chip._transmit_one()
        chip.frozen = True
        while driver.send(frame(60, OTHER, i), 0, 60):
            pass
        assert settle(chip, driver)
    assert driver.restarts == 0 and driver.lost == 0


def test_a_lost_descriptor():
    """The DMA left one out: we would wait at it while it fills all others."""
    for count in (1, 2, 3):
        chip, driver = emac()
        for _ in range(count):
            chip.skip_rx_descriptor()
        came = []
        for i in range(4 - count):
            assert chip.receive(frame(60, OURS, i))
            came.append(frame(60, OURS, i))
        assert take(driver) is None
        assert settle(chip, driver) and driver.resyncs == 1
        assert [take(driver) for _ in range(5 - count)] == came + [None]
        assert works(chip, driver) and driver.restarts == 0


def test_the_clock_goes_away_and_comes_back():
    chip, driver = emac()
    chip.clock = False
    chip.bus_error()
    assert settle(chip, driver) is False and settle(chip, driver) is False
    assert driver.send(frame(60, OTHER), 0, 60) is True and driver.lost >= 1
    chip.clock = True
    for _ in range(8):
        settle(chip, driver)
    assert driver.link() is True and works(chip, driver)


def test_somebody_else_resets_the_mac():
    """As network.LAN would, or a brown-out: registers and rings are gone."""
    chip, driver = emac()
    chip._cold()
    assert not chip.receive(frame())
    for _ in range(6):
        settle(chip, driver)
    assert driver.restarts == 1 and works(chip, driver)


def test_hostile_descriptors():
    """Whatever the ring says, no octet outside of its buffers and the caller's is touched."""
    random = Random(5)
    chip, driver = emac()
    pool = driver._pool
    lengths = 0
    for _ in range(2000):
        for i in range(4):
            pool[driver._rx_at * 4 + i] = random.bits(8)
        if random.bits(1):
            pool[driver._rx_at * 4 + 1] = 3  # first and last, no error
        pool[driver._rx_at * 4 + 3] &= 0x7F
        buf = bytearray([0xEE] * (1 + random.bits(11)))
        n = driver.recv(buf)
        assert 0 <= n <= len(buf) and n <= 1536
        assert bytes(buf[n:]) == b"\xee" * (len(buf) - n)
        lengths += n > 0
    assert lengths > 20 and driver.rx_errors > 100 and driver.dropped > 100


def test_a_thousand_random_faults():
    random = Random(11)
    chip, driver = emac()
    chip.negotiation_ms = 100
    for i in range(1000):
        chosen = random.bits(4)
        if chosen == 0:
            chip.bus_error()
        elif chosen == 1:
            chip.skip_rx_descriptor()
        elif chosen == 2:
            chip.underflow = True
        elif chosen == 3:
            chip.tx_failing += 1
        elif chosen == 4:
            chip.unplug()
        elif chosen == 5:
            chip.plug()
        elif chosen == 6:
            chip.overflow(1)
        elif chosen == 7:
            chip.receive(frame(100), 0x8002)
        elif chosen == 8:
            chip.receive(frame(1700))
        for j in range(random.bits(3)):
            chip.receive(frame(60 + j, OURS, i))
            driver.send(frame(60 + j, OTHER, i), 0, 60 + j)
        for _ in range(random.bits(3)):
            take(driver)
        chip.advance(random.bits(8))
        driver.link()
        while chip.frames:
            chip.frames.pop()
    chip.plug()
    for _ in range(10):
        settle(chip, driver)
    while take(driver):
        pass
    settle(chip, driver)
    assert driver.link() and works(chip, driver)
    assert driver.restarts > 10 and driver.resyncs > 5 and driver.bus_errors > 10
