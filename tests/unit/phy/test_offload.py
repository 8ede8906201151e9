# ports/unix/offload.py: what it makes of a virtio_net_hdr, and which checksums it looks at.
# targets: unix64 unix32 unix64-wheel shim
import random
import struct
from array import array

from ports.unix.offload import describe, verified
from smolmp.wire import ipv4
from smolmp.wire.checksum import checksum

PLAIN = bytes(10)
NEEDS_CSUM = b"\x01" + bytes(9)
DATA_VALID = b"\x02" + bytes(9)
ETHERNET = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0"


def packet(protocol, transport, link=b"", fragment=0x4000, zero=False, udp_length=None):
    """A frame with right checksums, that of the transport header included."""
    rec = array("i", bytes(4 * 56))
    rec[0] = 4
    rec[1] = protocol
    rec[4], rec[8] = 0x0145A8C0, 0x6445A8C0
    rec[12] = 64
    at = 20
    frame = bytearray(at + len(transport))
    frame[at:] = transport
    if protocol == 17:
        struct.pack_into(">H", frame, at + 4, udp_length or len(transport))
    ipv4.emit(frame, 0, rec, len(transport), 7, fragment)
    n = udp_length or len(transport)
    rec[1] = protocol
    where = {6: 16, 17: 6}.get(protocol)
    if where and not zero:
        total = protocol + n
        for i in range(12, 20, 2):
            total += frame[i] << 8 | frame[i + 1]
        total = checksum(frame, at, at + n, total) ^ 0xFFFF
        struct.pack_into(">H", frame, at + where, total or 0xFFFF)
    return bytearray(link) + frame


def tcp(n):
    return bytearray(b"\x10\x00\x20\x00\0\0\0\1\0\0\0\2\x50\x10\x20\0\0\0\0\0") + bytes(range(n))


def udp(n):
    return bytearray(b"\x10\x00\x20\x00\0\0\0\0") + bytes(range(n))


def judge(frame, head=PLAIN, link=0):
    return verified(head, frame, len(frame), link)


def test_right_and_wrong_checksums():
    for link in (b"", ETHERNET):
        for protocol, transport in ((6, tcp(0)), (6, tcp(101)), (17, udp(0)), (17, udp(33))):
            frame = packet(protocol, transport, link)
            assert judge(frame, PLAIN, len(link)) == 1, (link, protocol)
            for at in range(len(link) + 12, len(frame)):
                if protocol == 17 and at - len(link) - 20 in (4, 5):
                    continue  # its length: for the stack to look at
                bad = bytearray(frame)
                bad[at] ^= 0x10
                assert judge(bad, PLAIN, len(link)) == -1, at
                # The kernel has verified it, or nobody could have damaged it.
                assert judge(bad, DATA_VALID, len(link)) == 1
                assert judge(bad, NEEDS_CSUM, len(link)) == 1


def test_frames_that_are_not_judged():
    bad = packet(17, udp(20))
    bad[30] ^= 1
    assert judge(bad) == -1
    for fragment in (0x2000, 0x0001, 0x3FFF):
        frame = packet(17, udp(20), fragment=fragment)
        frame[30] ^= 1
        assert judge(frame) == 1  # RFC 791 3.2: whoever puts them together looks at it
    frame = packet(17, udp(20), zero=True)
    frame[30] ^= 1
    assert judge(frame) == 1  # RFC 768: none was made
    frame = packet(1, udp(20))
    assert judge(frame) == 1  # ICMP: the stack's own
    arp = bytearray(ETHERNET) + bytes(46)
    arp[13] = 6
    assert judge(arp, PLAIN, 14) == 1
    assert judge(bytearray(b"\x60") + bytes(60)) == 1  # IPv6


def test_padding_and_what_udp_leaves_over():
    frame = packet(17, udp(20) + b"left over", udp_length=28)
    assert judge(frame) == 1 and judge(frame + bytes(11)) == 1
    frame[40] ^= 1
    assert judge(frame) == -1


def test_what_nobody_asked_for_is_refused():
    frame = packet(6, tcp(5))
    for kind in range(256):
        head = bytes((1, kind)) + bytes(8)
        assert judge(frame, head) == (1 if kind & 0x7F in (0, 1) else 0)


def test_hostile_frames():
    """Whatever a frame says of itself, nothing beyond it is read: it is not judged."""
    rng = random
    rng.seed(5)
    buffer = bytearray(300)
    for length in range(120):
        for protocol, transport in ((6, tcp(30)), (17, udp(30))):
            for link in (b"", ETHERNET):
                frame = packet(protocol, transport, link)
                whole = len(frame)
                assert verified(PLAIN, frame, min(length, whole), len(link)) == 1
    for _ in range(3000):
        for i in range(60):
            buffer[i] = rng.getrandbits(8)
        buffer[0] = 0x40 | buffer[0] & 15
        assert verified(PLAIN, buffer, rng.getrandbits(6), 0) in (1, -1)


def test_description():
    for link in (b"", ETHERNET):
        for options in (0, 12, 40):
            segment = tcp(0)
            segment[12] = (20 + options) << 2
            frame = bytearray(5) + packet(6, segment + bytes(options + 3000), link)
            head = bytearray(b"\xaa" * 10)
            describe(head, frame, 5, 1448, len(link))
            flags, kind, header, size, start, offset = struct.unpack("BBHHHH", head)
            assert (flags, kind, size) == (1, 1, 1448)
            assert header == len(link) + 40 + options
            assert (start, offset) == (len(link) + 20, 16)
