"""What goes wrong with a W5500, and what its driver makes of it: counted, and over."""

from w5500_support import OTHER, Rig, frame


def works(rig):
    """A frame comes and one goes, as if nothing had been."""
    del rig.frames[:]
    rig.take_all()
    assert rig.chip.receive(frame(700, first=9))
    assert rig.take() == frame(700, first=9)
    tries = 0
    while not rig.send(frame(600, OTHER, 9)):
        rig.pass_ms(1)
        tries += 1
        assert tries < 50
    assert rig.frames == [frame(600, OTHER, 9)]
    rig.pass_ms(1)


def test_a_length_that_cannot_be():
    for length in (0, 1, 2, 15, 61, 1521, 0x7FFF, 0xFFFE, 0xFFFF):
        rig = Rig()
        rig.chip.receive(frame(100))
        rig.chip.corrupt = length
        rig.chip.receive(frame(100, first=1))
        rig.chip.receive(frame(100, first=2))
        assert rig.take() == frame(100)  # in front of it all is well
        assert rig.take() is None  # the rest is lost
        assert rig.device.corrupt == 1 and rig.device.reopened == 0
        works(rig)
        # Again, before link() was asked: now the socket is opened anew.
        rig.chip.corrupt = length
        rig.chip.receive(frame(100))
        assert rig.take() is None
        assert rig.device.corrupt == 2 and rig.device.reopened == 1
        works(rig)
        rig.device.link()
        rig.chip.corrupt = length
        rig.chip.receive(frame(100))
        assert rig.take() is None
        assert rig.device.corrupt == 3 and rig.device.reopened == 1
        works(rig)


def test_a_length_that_is_too_long_by_little():
    """The chain of lengths goes astray within what is there, or ends in the middle."""
    rig = Rig()
    rig.chip.corrupt = 120
    rig.chip.receive(frame(100))
    rig.take_all()
    assert rig.device.corrupt == 1
    works(rig)


def test_sendok_never_comes():
    rig = Rig()
    rig.chip.mute = True
    assert rig.send(frame(100, OTHER))
    for _ in range(20):
        rig.pass_ms(1)
        assert not rig.send(frame(101, OTHER))
    rig.pass_ms(1)
    assert rig.send(frame(101, OTHER))  # the socket is new
    assert rig.device.late == 1 and rig.device.reopened == 1
    rig.chip.mute = False
    rig.pass_ms(1)
    works(rig)


def test_the_chip_is_reset():
    rig = Rig()
    assert rig.device.link()
    rig.chip.receive(frame(100))
    rig.chip.reset()
    assert rig.take() is None
    assert rig.device.link()
    assert rig.device.restarted == 1
    works(rig)
    # Noticed by a frame that does not leave, too.
    rig.pass_ms(1000)
    rig.chip.reset()
    rig.send(frame(100, OTHER))
    rig.pass_ms(30)
    assert rig.send(frame(100, OTHER))
    assert rig.device.late == 1 and rig.device.restarted == 2
    rig.pass_ms(1)
    works(rig)


def test_registers_that_turn_over():
    for block, at, mask in ((0, 0x09, 0x10), (0, 0x0E, 0x80), (1, 0x03, 0x42)):
        rig = Rig()
        rig.chip.flip(block, at, mask)
        assert rig.device.link()
        assert rig.device.restarted + rig.device.reopened == 1
        works(rig)


def test_the_bus_dies_and_comes_back():
    for dead in (0x00, 0xFF):
        rig = Rig()
        assert rig.device.link()
        rig.chip.dead = dead
        rig.chip.receive(frame(100))
        for _ in range(3):
            assert rig.take() is None
            rig.pass_ms(20)
        rig.send(frame(100, OTHER))
        rig.pass_ms(30)
        rig.send(frame(100, OTHER))
        assert not rig.device.link()
        assert "link down" in str(rig.device)
        assert rig.device.restarted > 0
        rig.chip.dead = None
        rig.chip.reset()
        rig.pass_ms(1000)
        assert rig.device.link()
        assert rig.device.link_changes == 3
        works(rig)


def test_commands_are_not_taken():
    rig = Rig()
    rig.chip.stuck = True
    rig.send(frame(100, OTHER))
    rig.pass_ms(30)
    rig.send(frame(100, OTHER))
    assert rig.device.late == 1
    assert not rig.frames
    rig.chip.stuck = False
    rig.pass_ms(1000)
    rig.device.link()
    rig.send(frame(100, OTHER))
    rig.pass_ms(30)
    works(rig)


def test_an_edge_of_int_gets_lost():
    rig = Rig()
    rig.chip.lost_edges = 1
    rig.spi.int.level = 1
    rig.chip.receive(frame(100))
    assert rig.take() == frame(100)  # the first look is free
    assert rig.take() is None
    rig.chip.lost_edges = 1
    rig.chip.receive(frame(100, first=1))
    assert rig.spi.int.level == 1
    assert rig.take() is None and rig.device.missed == 1
    rig.pass_ms(11)
    assert rig.take() == frame(100, first=1)
    assert rig.device.missed == 2
    works(rig)
    assert rig.device.missed == 2 and "2 missed" in str(rig.device)


def test_int_stays_low_for_nothing():
    rig = Rig()
    rig.chip.receive(frame(100))
    rig.take_all()
    rig.chip.sockets[0][0x02] |= 0x04
    rig.chip._level()
    assert rig.chip.interrupt
    assert rig.take() is None
    assert not rig.chip.interrupt
    works(rig)


def test_pointers_that_contradict_each_other():
    rig = Rig()
    rig.chip.receive(frame(100))
    refresh = rig.chip._refresh

    def torn():
        refresh()
        rig.chip.sockets[0][0x27] ^= 1

    rig.chip._refresh = torn
    assert rig.take() is None
    assert rig.device.stuck == 1
    rig.chip._refresh = refresh
    works(rig)


# not from .mpy files: hundreds of frames in lists
def test_faults_at_random():
    """Thousands of frames each way with everything of the above in between."""
    from smolmp.prng import Random

    rig = Rig()
    random = Random(5)
    came = sent = 0
    for i in range(800):
        what = random.bits(7)
        chip = rig.chip
        if what == 0:
            chip.corrupt = random.bits(16)
        elif what == 1:
            chip.mute = True
        elif what == 2:
            chip.reset()
        elif what == 3:
            chip.lost_edges = 1
        elif what == 4:
            chip.flip(0, 9 + random.bits(2), 1 << random.bits(3))
        elif what == 5:
            chip.stuck = True
        elif what == 6:
            chip.dead = 0xFF if random.bits(1) else 0
        n = 60 + random.bits(10)
        if chip.receive(frame(n, first=i)):
            found = rig.take_all()
            came += len(found)
            if chip.corrupt is None and what > 6 and len(found) == 1:
                assert len(found[0]) == n or rig.device.corrupt
        sent += rig.send(frame(n, OTHER, i))
        del rig.frames[:]
        rig.pass_ms(2)
        if i % 20 == 19:
            chip.mute = chip.stuck = False
            chip.dead = chip.corrupt = None
            rig.pass_ms(1000)
            rig.device.link()
            rig.take_all()
    assert came > 300 and sent > 300, (came, sent)
    counters = rig.counters()
    assert all(counters[1:]), counters
    works(rig)
