# PcapWriter: the exact octets of the file.
import io
import struct

import micropython
from phy_support import Counter, Wire, receive

from smolmp.phy.device import ETHERNET, IEEE802154, IP
from smolmp.phy.pcap import PcapWriter


class Microseconds:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now & 0x3FFFFFFF


def test_exact_octets():
    wire = Wire(ETHERNET)
    stream = io.BytesIO()
    clock = Microseconds((1 << 30) - 3)  # wraps between the first and the second frame
    device = PcapWriter(wire, stream, clock, epoch=1000)
    wire.incoming = [b"\x01\x02\x03"]
    clock.now += 2
    assert receive(device) == b"\x01\x02\x03" and receive(device) is None
    clock.now += 2500001
    assert device.send(b"__\xaa\xbb\xcc\xdd__", 2, 6)
    wire.busy = True
    assert not device.send(b"no", 0, 2)  # was not sent: is not in the file
    expected = (
        b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        b"\xff\xff\x00\x00\x01\x00\x00\x00"
        b"\xe8\x03\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x03\x00\x00\x00\x01\x02\x03"
        # 1002 s, 500003 us = 0x7a123
        b"\xea\x03\x00\x00\x23\xa1\x07\x00\x04\x00\x00\x00\x04\x00\x00\x00\xaa\xbb\xcc\xdd"
    )
    assert stream.getvalue() == expected, stream.getvalue()
    assert device.frames == 2 and wire.sent == [b"\xaa\xbb\xcc\xdd"]
    device.flush()


# not on a board: 50 KB in one piece, three times
def test_what_the_device_is_to_cut_is_written_whole():
    class Cutting(Wire):
        segments = 65535

        def cut(self, buf, start, end, size):
            return not self.busy and self.send(buf, start, end)

    wire = Cutting(IP)
    stream = io.BytesIO()
    device = PcapWriter(wire, stream, Microseconds(0))
    assert device.segments == 65535
    big = bytes(range(250)) * 200
    assert device.cut(big, 100, 50000, 1460) is True
    wire.busy = True
    assert device.cut(big, 0, 50000, 1460) is False  # was not sent: is not in the file
    assert device.frames == 1 and wire.sent == [big[100:]]
    assert struct.unpack("<II", stream.getvalue()[32:40]) == (49900, 49900)
    assert stream.getvalue()[40:] == big[100:]


def test_link_types():
    for medium, linktype in ((ETHERNET, 1), (IP, 101), (IEEE802154, 230)):
        stream = io.BytesIO()
        PcapWriter(Wire(medium), stream, Microseconds(0))
        header = stream.getvalue()
        assert len(header) == 24
        assert struct.unpack("<IHHiIII", header) == (0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype)
    try:
        PcapWriter(Wire(9), io.BytesIO(), Microseconds(0))
    except ValueError:
        return
    raise AssertionError("accepted")


def test_one_direction():
    for rx, tx in ((True, False), (False, True), (False, False)):
        wire = Wire()
        wire.incoming = [b"in"]
        stream = io.BytesIO()
        device = PcapWriter(wire, stream, Microseconds(0), rx=rx, tx=tx)
        assert receive(device) == b"in" and device.send(b"out", 0, 3)
        frames = (b"in" if rx else b"") + (b"out" if tx else b"")
        assert stream.getvalue()[40:] == frames and device.frames == rx + tx


def test_snaplen():
    stream = io.BytesIO()
    device = PcapWriter(Wire(), stream, Microseconds(0), snaplen=4)
    assert device.send(b"abcdefgh", 1, 8)
    assert stream.getvalue()[16:20] == b"\x04\x00\x00\x00"
    assert stream.getvalue()[24:] == bytes(8) + b"\x04\x00\x00\x00\x07\x00\x00\x00bcde"


def test_a_stream_that_only_knows_write():
    class Plain:
        def __init__(self):
            self.data = b""

        def write(self, data):
            self.data += bytes(data)

    plain = Plain()
    stream = io.BytesIO()
    for target in (plain, stream):
        device = PcapWriter(Wire(), target, Microseconds(5))
        assert device.send(b"abcdefgh", 1, 7)
    assert plain.data == stream.getvalue() and plain.data[40:] == b"bcdefg"


def test_time_goes_on_through_many_wraps():
    clock = Microseconds(0)
    stream = io.BytesIO()
    device = PcapWriter(Wire(), stream, clock)
    for _ in range(40):
        clock.now += 1000000000
        device.send(b"a", 0, 1)
    seconds, micros = struct.unpack("<II", stream.getvalue()[-17:-9])
    assert (seconds, micros) == (40000, 0)


def test_allocates_nothing():
    class Memory(io.IOBase):
        """Keeps what it is given, without growing."""

        def __init__(self, size):
            self.octets = memoryview(bytearray(size))
            self.n = 0

        def write(self, data, at=0, n=None):
            for i in range(at, len(data) if n is None else at + n):
                self.octets[self.n] = data[i]
                self.n += 1

    class Sink(io.IOBase):
        def write(self, data, at=0, n=0):
            return n

    frame = bytearray(100)
    device = PcapWriter(Counter(), Sink(), Microseconds(1))
    stream = Memory(20000)
    grown = PcapWriter(Counter(), stream, Microseconds(1))
    for i in range(30):
        if i == 1:
            micropython.heap_lock()
        try:
            device.recv(frame)
            device.send(frame, 2, 70)
            grown.recv(frame)
            grown.send(frame, 2, 70)
        except MemoryError:
            micropython.heap_unlock()
            raise
    micropython.heap_unlock()
