# Slip: RFC 1055's octets, what a line may do to them, and two interfaces that talk over one.
from array import array

import micropython
from phy_support import receive
from slip_support import Uart, line, pair
from talk_support import Pair

from smolmp.phy.device import IP
from smolmp.phy.slip import Slip, decode, encode
from smolmp.prng import Random

END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD


def slow_encode(packet):
    """As RFC 1055 says it, in plain Python: a second opinion."""
    out = [END]
    for c in packet:
        if c == END:
            out += [ESC, ESC_END]
        elif c == ESC:
            out += [ESC, ESC_ESC]
        else:
            out.append(c)
    return bytes(out + [END])


def slow_decode(octets, mtu):
    """(packets, oversize, damaged)"""
    packets, oversize, damaged = [], 0, 0
    for piece in bytes(octets).split(bytes([END]))[:-1]:
        packet, i, bad = [], 0, ""
        while i < len(piece) and not bad:
            c = piece[i]
            i += 1
            if c == ESC:
                follows = piece[i] if i < len(piece) else -1
                i += 1
                if follows not in (ESC_END, ESC_ESC):
                    bad = "damaged"
                c = END if follows == ESC_END else ESC
            if not bad:
                if len(packet) == mtu:
                    bad = "oversize"
                packet.append(c)
        if bad == "oversize":
            oversize += 1
        elif bad:
            damaged += 1
        elif packet:
            packets.append(bytes(packet))
    return packets, oversize, damaged


def test_exact_octets():
    uart, device = line()
    assert (device.medium, device.mtu, device.checksums) == (IP, 1006, 0)
    assert device.send(b"__\x45\xc0\xdb\xdc\xdd__", 2, 7) is True
    assert uart.outgoing.all() == b"\xc0\x45\xdb\xdc\xdb\xdd\xdc\xdd\xc0"
    uart.incoming.put(b"\xc0\x45\xdb\xdc\xdb\xdd\xdc\xdd\xc0")
    assert receive(device) == b"\x45\xc0\xdb\xdc\xdd" and receive(device) is None
    # without the END in front, and two between: packets all the same, empty ones are none
    uart.incoming.put(b"\x01\xc0\xc0\xc0\x02\xc0\x03\xc0")
    assert [receive(device) for _ in range(4)] == [b"\x01", b"\x02", b"\x03", None]


def test_every_size_and_every_octet_in_pieces_of_every_size():
    for chunk in (1, 2, 3, 7, 64, 5000):
        near, far = pair(300, chunk)
        for n in (1, 2, 3, 20, 63, 64, 65, 299, 300):
            packet = bytes([(END, ESC, ESC_END, ESC_ESC, i & 255)[i % 5] for i in range(n)])
            assert near.send(b"ab" + packet + b"c", 2, 2 + n)
            assert receive(far, 300) == packet, (chunk, n)
        for start in range(0, 256, 16):
            packet = bytes(range(start, start + 16)) + bytes([END] * 200)
            assert near.send(packet, 0, len(packet))
            assert receive(far, 300) == packet
        assert receive(far) is None
        assert (far.oversize, far.damaged, far.dropped, near.lost) == (0, 0, 0, 0)


def test_a_packet_in_pieces_over_many_polls():
    uart, device = line()
    packet = bytes(range(256))
    for octet in slow_encode(packet)[:-1]:
        uart.incoming.put(bytes([octet]))
        assert receive(device, 300) is None
    uart.incoming.put(b"\xc0")
    assert receive(device, 300) == packet


def test_damage_and_length_are_dropped_and_counted_and_the_next_one_comes():
    uart, device = line(68)
    good = bytes(range(40))
    for bad in (b"\xc0ab\xdbcd\xc0", b"ab\xdb\xc0", b"\xdb\xdb\xdc\xc0", b"\xdb\xc0"):
        before = device.damaged
        uart.incoming.put(bad + slow_encode(good))
        assert receive(device) == good and device.damaged == before + 1, bad
    assert device.oversize == 0
    for n in (69, 70, 500):
        before = device.oversize
        uart.incoming.put(slow_encode(bytes(n)) + slow_encode(good))
        got = receive(device) or receive(device)  # one recv() reads what the largest packet takes
        assert got == good and device.oversize == before + 1, n
    uart.incoming.put(slow_encode(bytes([END] * 68)))
    assert receive(device) == bytes([END] * 68)
    # damage behind the end of the room is still one packet, and too long first
    uart.incoming.put(bytes(80) + b"\xdbx\xc0" + slow_encode(good))
    assert receive(device) == good and (device.oversize, device.damaged) == (4, 4)


def test_longer_than_the_callers_buffer_is_dropped():
    uart, device = line()
    uart.incoming.put(slow_encode(bytes(50)) + slow_encode(b"abc"))
    buf = bytearray(b"......")
    assert device.recv(buf) == 3 and buf == b"abc..." and device.dropped == 1


def test_a_slow_line_makes_it_busy():
    uart, device = line(size=100)
    packet = bytes(range(1, 151))
    assert device.send(packet, 0, 150) is True  # 152 octets, of which 100 fit
    assert uart.outgoing.held == 100
    assert device.send(b"abc", 0, 3) is False
    came = uart.outgoing.all()
    assert receive(device) is None  # its poll lets the rest go
    came += uart.outgoing.all()
    assert came == slow_encode(packet)
    assert device.send(b"abc", 0, 3) is True and uart.outgoing.all() == b"\xc0abc\xc0"


def test_too_long_to_send_is_taken_and_counted():
    uart, device = line(100)
    assert device.send(bytes(101), 0, 101) is True and device.lost == 1
    assert uart.outgoing.held == 0
    assert device.send(bytes(101), 1, 101) is True and uart.outgoing.held == 102


def test_a_stream_that_fails_is_a_link_that_is_down():
    uart, device = line()
    assert device.link() is True
    uart.fails = True
    uart.incoming.put(b"\xc0")
    assert receive(device) is None and device.link() is False
    assert device.send(b"abc", 0, 3) is True and device.lost == 1
    uart.fails = False
    assert device.send(b"abc", 0, 3) is True and device.link() is True
    assert uart.outgoing.all() == b"\xc0abc\xc0"


class Endless:
    """A line that never pauses and never ends a packet."""

    def __init__(self):
        self.reads = 0

    def readinto(self, buf, n=-1):
        self.reads += 1
        for i in range(len(buf)):
            buf[i] = 0x55
        return len(buf)

    def write(self, buf, at=0, n=-1):
        return n


def test_a_line_that_never_pauses_does_not_hold_the_stack():
    stream = Endless()
    device = Slip(stream, 296, 64)
    for _ in range(5):
        before = stream.reads
        assert receive(device) is None
        assert 0 < stream.reads - before <= 2 * 296 // 64 + 2
    assert device.oversize == 0  # that packet has not ended yet


def test_refuses_what_cannot_be():
    for options in ((67,), (65536,), (100, 0)):
        try:
            Slip(Uart(), *options)
        except ValueError:
            continue
        raise AssertionError("taken")


# not from .mpy files: two lines at a time, and what was heard
def test_as_the_slow_one_does_on_noise():
    random = Random(7)
    alphabet = bytes([END, END, ESC, ESC_END, ESC_ESC, 1, 2, 3])
    for chunk in (1, 5, 256):
        uart, device = line(70, chunk)
        noise = bytearray()
        for i in range(4000):
            octet = random.bits(8)
            noise.append(alphabet[octet & 7] if i & 1024 else octet)
        noise.append(END)
        want, oversize, damaged = slow_decode(noise, 70)
        assert uart.incoming.put(noise) == len(noise)
        got = []
        nothing = 0
        while uart.incoming.held or not nothing:
            packet = receive(device)
            nothing = packet is None
            if packet is not None:
                got.append(packet)
        assert got == want, chunk
        assert (device.oversize, device.damaged) == (oversize, damaged)
        assert len(want) > 100 and damaged > 20 and oversize > 0


def test_kernels_keep_to_their_bounds():
    guard = bytearray([0xEE] * 40)
    words = array("i", [0, 30, 0, 0])
    assert decode(bytes([7] * 30), guard, words, 16) == 0
    assert guard == bytes([7] * 16) + bytes([0xEE] * 24)
    out = bytearray([0xEE] * 30)
    assert encode(out, bytes([END] * 12), 0, 12) == 26
    assert out[26:] == b"\xee" * 4 and bytes(out[:26]) == slow_encode(bytes([END] * 12))
    assert encode(out, b"", 0, 0) == 2


def test_allocates_nothing():
    near, far = pair(300, 64)
    packet = bytearray([(END, ESC, 5)[i % 3] for i in range(290)])
    view = memoryview(bytearray(400))[2:]

    def cycle():
        near.send(packet, 0, 290)
        near.send(packet, 3, 90)
        near.recv(view)
        far.recv(view)
        far.recv(view)
        far.recv(view)
        far.link()

    cycle()
    micropython.heap_lock()
    try:
        for _ in range(20):
            cycle()
    finally:
        micropython.heap_unlock()


def test_two_interfaces_talk():
    near, far = pair(296, 64, 700)  # a line slower than the stack
    both = Pair(near, far)
    assert both.ping((0, 56, 200)) == 3
    data = bytes([(i * 7 + (i >> 8)) & 255 for i in range(6000)]) + bytes([END, ESC] * 500)
    assert both.echo(data) == data
    assert (far.damaged, far.oversize, near.damaged, near.oversize) == (0, 0, 0, 0)
