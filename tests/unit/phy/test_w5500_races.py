# The W5500's driver where two things happen at once, and what it costs when nothing answers.
from w5500_support import OTHER, Rig, frame


def before(rig, address, act):
    """act() once, right before the driver writes to `address` of the socket's registers."""
    bus = rig.device._bus
    forward = bus.write

    class Between:
        read = bus.read
        copy = bus.copy

        @staticmethod
        def write(where, at, view):
            if where == 0x0C and at == address:
                rig.device._bus = bus
                if act() is False:
                    return
            forward(where, at, view)

    rig.device._bus = Between()


def test_a_frame_that_comes_while_the_interrupt_is_cleared():
    """INT was low for nothing; what comes before it is cleared makes no edge any more."""
    rig = Rig()
    rig.chip.receive(frame(100))
    assert rig.take() == frame(100) and rig.take() is None
    rig.chip.sockets[0][0x02] |= 0x04
    rig.chip._level()
    before(rig, 0x02, lambda: rig.chip.receive(frame(200)))
    assert rig.take() == frame(200)  # not after the next look, 10 ms later
    assert rig.take() is None


def test_pointers_torn_right_behind_that():
    """A frame comes while they are read: they are read again, and nothing is reopened."""
    rig = Rig()
    rig.chip.receive(frame(100))
    rig.take_all()
    rig.chip.sockets[0][0x02] |= 0x04
    rig.chip._level()
    refresh = rig.chip._refresh

    def torn():
        rig.chip._refresh = refresh
        refresh()
        rig.chip.sockets[0][0x2B] ^= 1

    def tear():
        rig.chip.receive(frame(200))
        rig.chip._refresh = lambda: setattr(rig.chip, "_refresh", torn)  # the write's own

    before(rig, 0x02, tear)
    assert rig.take() == frame(200)
    assert rig.chip._refresh is refresh
    assert rig.counters() == (0, 0, 0, 0, 0, 0)


def test_a_frame_that_comes_while_the_socket_opens():
    rig = Rig()
    came = []

    def second():
        came.append(rig.chip.receive(frame(200)))

    before(rig, 0x02, lambda: before(rig, 0x02, second))
    rig.device.join(b"\x01\0\x5e\0\0\x01")
    assert came == [True] and rig.spi.int() == 0
    assert rig.take() == frame(200)


def test_a_chip_that_is_gone_does_not_keep_the_program_awake():
    rig = Rig()
    rig.chip.receive(frame(100))
    assert rig.take() == frame(100)
    rig.chip.dead = 0xFF
    assert rig.take() is None and rig.take() is None
    assert not rig.device.ready and rig.device.wait(0) is False


def test_wait_knows_of_frames_that_wait_behind_a_high_int():
    """RECV clears the interrupt of all frames, those that are still in the chip included."""
    rig = Rig()
    for i in range(3):
        rig.chip.receive(frame(1514, first=i))
    for i in range(3):
        assert rig.device.wait(0) is True, i
        assert rig.take() == frame(1514, first=i)
    assert rig.take() is None
    assert rig.device.wait(0) is False
    rig.chip.receive(frame(100))
    before(rig, 0x01, lambda: rig.chip.receive(frame(101)))
    assert rig.take() == frame(100)
    assert rig.device.wait(0) is True
    assert rig.take() == frame(101)


def test_what_was_read_is_not_read_again_when_the_pointer_gets_lost():
    rig = Rig()
    for lost in (0x28, 0x01):
        rig.chip.receive(frame(300))
        before(rig, lost, lambda: False)
        assert rig.take() == frame(300)
        found = rig.take_all()
        assert found == [], [len(f) for f in found]
        assert rig.device.stuck + rig.device.corrupt, lost
        for i in range(5):
            rig.chip.receive(frame(700, first=i))
            assert rig.take_all() == [frame(700, first=i)], (lost, i)


def test_old_frames_do_not_come_again_when_the_pointer_gets_lost():
    """Behind what came stands what came 16 KiB before, whole and with a length that can be."""
    rig = Rig()
    for i in range(40):
        rig.chip.receive(frame(510, first=i))
        if i == 39:
            before(rig, 0x28, lambda: False)
        assert rig.take() == frame(510, first=i)
    assert rig.take_all() == []
    assert rig.device.stuck == rig.device.reopened == 1
    rig.chip.receive(frame(510))
    assert rig.take_all() == [frame(510)]


def test_short_frames_are_filled_up_with_zeros():
    """IEEE 802.3 3.2.8; and nobody gets to see what stood in the buffers before."""
    rig = Rig()
    tx = bytearray([0xEE] * 1564)
    rig.device.prepare(tx, 30)
    for n in (59, 42, 54, 14, 58, 60, 61):
        tx[30 : 30 + n] = frame(n, OTHER, n)
        assert rig.device.send(tx, 30, 30 + n)
        rig.pass_us()
        assert rig.frames.pop() == frame(n, OTHER, n) + bytes(max(0, 60 - n)), n
        assert rig.send(frame(n, OTHER, n))
        rig.pass_us()
        assert rig.frames.pop() == frame(n, OTHER, n) + bytes(max(0, 60 - n)), n
        assert rig.send(frame(300, OTHER, n))
        rig.pass_us()
        rig.frames.pop()


def test_a_dead_bus_does_not_hold_up_the_poll():
    """A W5500 that is gone is looked for once a second, for some milliseconds."""
    for dead in (0x00, 0xFF):
        rig = Rig()
        assert rig.device.link()
        rig.chip.dead = dead
        for _ in range(3):
            rig.pass_ms(1100)
            rig.spi.transactions = 0
            assert not rig.device.link()
            assert rig.spi.transactions < 25, rig.spi.transactions
            rig.spi.transactions = 0
            for _ in range(100):
                assert rig.take() is None
                assert rig.send(frame(100, OTHER))
            assert rig.spi.transactions == 0
        assert rig.device.lost == 300
        rig.chip.dead = None
        rig.pass_ms(1100)
        assert rig.device.link()
        rig.chip.receive(frame(700))
        assert rig.take() == frame(700)
