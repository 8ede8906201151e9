"""The W5500's driver against a model of the chip: frames, filters, transactions, the cable."""

from w5500_support import MAC, OTHER, OURS, Rig, frame

from smolmp.phy.w5500 import W5500, SpiBus
from tests.models.spi import Spi
from tests.models.w5500 import Chip


def test_set_up():
    rig = Rig()
    chip = rig.chip
    assert chip.sockets[0][0x03] == 0x42  # MACRAW
    assert chip.sockets[0][0x1E] == chip.sockets[0][0x1F] == 16
    assert all(s[0x1E] == s[0x1F] == 0 for s in chip.sockets[1:])
    assert bytes(chip.common[9:15]) == OURS
    assert chip.common[0] == 0x10  # it answers no ping of its own
    assert chip.sockets[0][0x00] == 0x84 | 0x20 | 0x10  # our own and broadcasts pass
    assert rig.counters() == (0, 0, 0, 0, 0, 0)
    assert "link down" in str(rig.device)
    assert rig.device.link() is True and "link up" in str(rig.device)
    assert rig.device.speed() == (100, True)


def test_without_reset_and_interrupt():
    rig = Rig(int=False, rst=False)
    assert rig.chip.resets == 1  # by software
    assert rig.chip.receive(frame(100))
    assert rig.take() == frame(100)
    assert rig.take() is None


def test_frames_of_all_sizes_come_whole():
    rig = Rig()
    for n in (60, 61, 62, 63, 64, 65, 127, 128, 590, 1500, 1513, 1514):
        assert rig.chip.receive(frame(n, first=n))
        assert rig.take() == frame(n, first=n), n
        assert rig.take() is None
    assert not rig.chip.interrupt


def test_short_frames_are_padded_by_the_wire():
    rig = Rig()
    rig.chip.receive(frame(42))
    assert rig.take() == frame(42) + bytes(18)


def test_frames_of_all_sizes_leave_whole():
    rig = Rig()
    for n in (14, 42, 60, 63, 64, 65, 128, 1000, 1513, 1514):
        assert rig.send(frame(n, OTHER, n))
        rig.pass_us()
        assert rig.frames == [frame(n, OTHER, n) + bytes(max(0, 60 - n))], n
        del rig.frames[:]


def test_the_stacks_own_frame_is_sent_in_place():
    rig = Rig()
    tx = bytearray(1564)
    rig.device.prepare(tx, 30)
    for n in (42, 64, 65, 999, 1514):
        tx[30 : 30 + n] = frame(n, OTHER, n)
        rig.spi.transactions = rig.spi.octets = 0
        assert rig.device.send(tx, 30, 30 + n)
        assert rig.spi.octets < n + 64 + 25
        rig.pass_us()
        assert rig.frames.pop() == frame(n, OTHER, n) + bytes(max(0, 60 - n))


def test_pointers_wrap():
    """16 KiB of buffer four times round, and over 65536: each frame at another place."""
    rig = Rig()
    for i in range(120):
        n = 60 + (i * 211) % 1455
        assert rig.chip.receive(frame(n, first=i))
        assert rig.take() == frame(n, first=i), i
        assert rig.send(frame(n, OTHER, i))
        rig.pass_us()
        assert rig.frames.pop() == frame(n, OTHER, i), i
    assert rig.counters() == (0, 0, 0, 0, 0, 0)


def test_transactions_to_receive():
    rig = Rig()
    rig.chip.receive(frame(1514))
    rig.spi.transactions = 0
    assert rig.take() is not None
    assert rig.spi.transactions == 4  # pointers, frame, pointer, command
    assert rig.take() is None
    assert rig.spi.transactions == 5  # that there is no other
    assert rig.take() is None
    assert rig.spi.transactions == 5  # INT is high: nothing is asked
    for i in range(10):
        rig.chip.receive(frame(100, first=i))
    rig.spi.transactions = 0
    assert rig.take_all() == [frame(100, first=i) for i in range(10)]
    assert rig.spi.transactions == 5  # they came together


def test_transactions_to_send():
    rig = Rig()
    rig.send(frame(1000, OTHER))
    rig.pass_us()
    rig.spi.transactions = 0
    rig.send(frame(1000, OTHER))
    assert rig.spi.transactions == 5  # SENDOK read and cleared, frame, pointer, command


def test_busy_until_the_frame_has_left():
    rig = Rig()
    assert rig.send(frame(1514, OTHER))
    assert not rig.send(frame(60, OTHER))
    assert len(rig.frames) == 1
    rig.pass_us(130)  # 123 us at 100 Mbit/s
    assert rig.send(frame(60, OTHER))
    assert rig.frames == [frame(1514, OTHER), frame(60, OTHER)]


def test_too_long_to_send():
    rig = Rig()
    assert rig.send(frame(1519, OTHER)) and not rig.frames
    assert rig.device.dropped == 1


def test_too_long_for_the_stack():
    rig = Rig()
    rig.chip.receive(frame(1514))
    rig.chip.receive(frame(100))
    assert rig.take(600) == frame(100)  # the long one is dropped on the way
    assert rig.device.dropped == 1


def test_filters():
    ethernet = Rig()
    passes = ethernet.chip.receive
    assert passes(frame(60)) and passes(frame(60, b"\xff" * 6))
    assert not passes(frame(60, OTHER))
    assert not passes(frame(60, b"\x01\x00\x5e\0\0\x01"))
    assert not passes(frame(60, b"\x33\x33\0\0\0\x01"))
    ethernet.device.join(b"\x01\x00\x5e\0\0\x01")
    assert passes(frame(60, b"\x01\x00\x5e\0\0\x01"))
    assert not passes(frame(60, b"\x33\x33\0\0\0\x01"))
    ethernet.device.join(b"\x33\x33\0\0\0\x01")
    ethernet.device.join(b"\x33\x33\0\0\0\x02")
    assert passes(frame(60, b"\x33\x33\0\0\0\x01"))
    ethernet.device.leave(b"\x33\x33\0\0\0\x01")
    assert passes(frame(60, b"\x33\x33\0\0\0\x02"))
    ethernet.device.leave(b"\x33\x33\0\0\0\x02")
    assert not passes(frame(60, b"\x33\x33\0\0\0\x02"))
    assert ethernet.device.speed() == (100, True)
    everything = Rig(promiscuous=True)
    for to in (OTHER, b"\x01\x80\xc2\0\0\x0e", b"\x33\x33\0\0\0\x01"):
        assert everything.chip.receive(frame(60, to))
    assert len(everything.take_all()) == 3
    everything.device.set_promiscuous(False)
    assert not everything.chip.receive(frame(60, OTHER)) and everything.chip.receive(frame(60))
    assert everything.take_all() == [frame(60)]
    everything.device.set_promiscuous(True)
    assert everything.chip.receive(frame(60, OTHER)) and everything.take() == frame(60, OTHER)


def test_a_full_chip_drops():
    rig = Rig()
    n = 0
    while rig.chip.receive(frame(1514, first=n)):
        n += 1
    assert n == 10
    assert rig.take_all() == [frame(1514, first=i) for i in range(n)]
    assert rig.chip.receive(frame(1514)) and rig.take() == frame(1514)


def test_cable():
    rig = Rig()
    assert rig.device.link()
    rig.chip.link = False
    assert not rig.device.link() and rig.device.speed() is None
    assert rig.send(frame(60, OTHER))  # taken, and lost
    rig.pass_us()
    rig.chip.link = True
    assert rig.device.link()
    assert rig.send(frame(61, OTHER)) and rig.frames == [frame(61, OTHER)]
    assert rig.counters() == (0, 0, 0, 0, 0, 0)


def test_wait():
    rig = Rig()
    assert rig.device.wait(0) is False
    rig.chip.receive(frame(60))
    assert rig.device.wait(1000) is True
    assert rig.device.wait(1000, 50) is True
    assert rig.take() == frame(60) and rig.take() is None
    assert rig.device.wait(3) is False
    assert rig.device.wait() is True  # recv() looks by itself from time to time
    rig.chip.receive(frame(60))
    rig.chip.receive(frame(60))
    rig.take()
    assert rig.device.wait(1000) is True  # one more is here already
    assert Rig(int=False).device.wait(1000) is True


def test_no_allocation():
    """Frames come and go with the heap locked; the model itself needs some."""
    import micropython

    rig = Rig(int=False)
    device = rig.device
    buf = bytearray(1518)
    tx = bytearray(1564)
    device.prepare(tx, 30)
    calls = _Dumb(rig.chip)
    device._bus = SpiBus(calls, calls.select)
    for i in range(3):
        calls.frame(frame(700, first=i))
        micropython.heap_lock()
        n = device.recv(buf)
        done = device.recv(buf)
        sent = device.send(tx, 30, 800)
        other = device.send(buf, 0, 700)
        micropython.heap_unlock()
        assert (n, done, sent, other) == (700, 0, True, True), i
        assert buf[:700] == frame(700, first=i)


class _Dumb:
    """An SPI with just so much of a chip behind it that allocates nothing: one frame to be read,
    each SENDOK at once."""

    def __init__(self, chip):
        self.rx = bytearray(2048)
        self.pointers = bytearray(6)
        self.header = None
        self.control = self.address = 0

    def frame(self, data):
        n = len(data) + 2
        self.rx[0] = n >> 8
        self.rx[1] = n & 255
        self.rx[2:n] = data
        at = self.pointers[2] << 8 | self.pointers[3]
        self.pointers[0], self.pointers[1] = n >> 8, n & 255
        self.pointers[4], self.pointers[5] = (at + n) >> 8 & 255, (at + n) & 255

    def select(self, level):
        self.header = True

    def write(self, buf):
        if self.header:
            self.header = False
            self.address = buf[0] << 8 | buf[1]
            self.control = buf[2]
        elif self.control == 0x0C and self.address == 0x28:  # all was read
            self.pointers[2] = buf[0]
            self.pointers[3] = buf[1]
            self.pointers[0] = self.pointers[1] = 0

    def readinto(self, buf):
        if self.control == 0x18:
            for i in range(len(buf)):
                buf[i] = self.rx[i]
        elif self.address == 0x26:
            for i in range(6):
                buf[i] = self.pointers[i]
        else:
            buf[0] = 0x10


def test_nothing_answers():
    for dead in (0x00, 0xFF, 0x51):
        chip = Chip(lambda: 0)
        chip.dead = dead
        spi = Spi(chip)
        try:
            W5500(SpiBus(spi, spi.cs), MAC, rst=spi.rst)
        except OSError as e:
            text = str(e)
        assert "reads 0x%02x, not 0x04" % dead in text, text
        assert ("MISO" in text) == (dead != 0x51), text
