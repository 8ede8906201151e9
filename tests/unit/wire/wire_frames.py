"""Frames that Linux 192.168.69.100 (02:..:0a) and 192.168.69.1 (02:..:0b) exchanged, as captured
on a veth pair with tcpdump, transmit checksums computed in software."""

from array import array
from binascii import unhexlify


def frame(text):
    return unhexlify(text.replace(" ", "").replace("\n", ""))


MAC_A = b"\x02\0\0\0\0\x0a"
MAC_B = b"\x02\0\0\0\0\x0b"

ARP_REQUEST = frame("""
    ffff ffff ffff 0200 0000 000a 0806 0001 0800 0604 0001 0200 0000 000a c0a8 4564
    0000 0000 0000 c0a8 4501""")
ARP_REPLY = frame("""
    0200 0000 000a 0200 0000 000b 0806 0001 0800 0604 0002 0200 0000 000b c0a8 4501
    0200 0000 000a c0a8 4564""")
PING = frame("""
    0200 0000 000b 0200 0000 000a 0800 4500 002c bcb1 4000 4001 7269 c0a8 4564 c0a8
    4501 0800 c68a 2480 0001 befe 026b 0000 0000 438a 0800 0000 0000""")
PONG = frame("""
    0200 0000 000a 0200 0000 000b 0800 4500 002c 5a8c 0000 4001 148f c0a8 4501 c0a8
    4564 0000 ce8a 2480 0001 befe 026b 0000 0000 438a 0800 0000 0000""")
UDP_HELLO = frame("""
    0200 0000 000b 0200 0000 000a 0800 4500 0022 589f 4000 4011 d675 c0a8 4564 c0a8
    4501 a1c1 1b39 000e f344 6865 6c6c 6f0a""")
UDP_ODD = frame("""
    0200 0000 000b 0200 0000 000a 0800 4500 001d c61a 4000 4011 68ff c0a8 4564 c0a8
    4501 955d 1e61 0009 c866 78""")
PORT_UNREACHABLE = frame("""
    0200 0000 000a 0200 0000 000b 0800 45c0 0039 5b23 0000 4001 132b c0a8 4501 c0a8
    4564 0303 08ce 0000 0000 4500 001d c61a 4000 4011 68ff c0a8 4564 c0a8 4501 955d
    1e61 0009 c866 78""")
TCP_SYN = frame("""
    0200 0000 000b 0200 0000 000a 0800 4500 003c 7a7c 4000 4006 b489 c0a8 4564 c0a8
    4501 cabe 1b3a c0a8 e32f 0000 0000 a002 faf0 d26c 0000 0204 05b4 0402 080a 544a
    90cd 0000 0000 0103 030a""")
TCP_SYN_ACK = frame("""
    0200 0000 000a 0200 0000 000b 0800 4500 003c 0000 4000 4006 2f06 c0a8 4501 c0a8
    4564 1b3a cabe 7e75 9fdf c0a8 e330 a012 fe88 0b0f 0000 0204 05b4 0402 080a 06c2
    9e9d 544a 90cd 0103 030a""")
TCP_DATA = frame("""
    0200 0000 000b 0200 0000 000a 0800 4500 0039 7a7e 4000 4006 b48a c0a8 4564 c0a8
    4501 cabe 1b3a c0a8 e330 7e75 9fe0 8018 003f 5a95 0000 0101 080a 544a 90cd 06c2
    9e9d 6f64 6421 0a""")
TCP_FIN = frame("""
    0200 0000 000b 0200 0000 000a 0800 4500 0034 7a7f 4000 4006 b48e c0a8 4564 c0a8
    4501 cabe 1b3a c0a8 e335 7e75 9fe0 8011 003f 3822 0000 0101 080a 544a 90cd 06c2
    9e9d""")
TCP_RST = frame("""
    0200 0000 000a 0200 0000 000b 0800 4500 0028 0000 4000 4006 2f1a c0a8 4501 c0a8
    4564 1e61 e7c8 0000 0000 e23f e380 5014 0000 d82f 0000""")
RECORD_ROUTE = frame("""
    0200 0000 000b 0200 0000 000a 0800 4f00
    0044 bdf3 4000 4001 38f3 c0a8 4564 c0a8
    4501 0107 2708 c0a8 4564 0000 0000 0000
    0000 0000 0000 0000 0000 0000 0000 0000
    0000 0000 0000 0000 0000 0800 d36b 2493
    0001""")
IP_FRAMES = (PING, PONG, UDP_HELLO, UDP_ODD, PORT_UNREACHABLE, TCP_SYN, TCP_SYN_ACK, TCP_DATA)
IP_FRAMES += (TCP_FIN, TCP_RST, RECORD_ROUTE)


def record():
    """56 words that no parser has touched yet."""
    rec = array("i", bytes(4 * 56))
    for i in range(56):
        rec[i] = -0x5A5A
    return rec


def u32(rec, at):
    """The word as an unsigned number (a bignum on 32 bits: tests only)."""
    return rec[at] & 0xFFFFFFFF


class Random:
    """Marsaglia's xorshift on 16 bits: small ints on every target, the same on all of them."""

    def __init__(self, seed=1):
        self.x = seed

    def bits16(self):
        x = self.x
        x ^= x << 7 & 0xFFFF
        x ^= x >> 9
        x ^= x << 8 & 0xFFFF
        self.x = x
        return x

    def below(self, n):
        return self.bits16() % n

    def fill(self, data, off, end):
        for i in range(off, end):
            data[i] = self.bits16() >> 5 & 0xFF


def oracle_sum(data):
    """RFC 1071 in plain Python: the folded sum, not inverted."""
    total = 0
    for i, byte in enumerate(data):
        total += byte if i & 1 else byte << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
