"""The other end of the wire that costs/parts.py measures with: a Device in memory whose frames are
always the same but for what must differ, and a server behind it. Runs inside MicroPython.
"""

from array import array

import micropython

from smolmp.iface.interface import Interface
from smolmp.phy.device import ETHERNET, Device
from smolmp.socket.set import SocketSet

OUR_MAC = b"\x02\0\0\0\0\x01"
PEER_MAC = b"\x02\0\0\0\0\x02"
OURS = b"\xc0\xa8\x45\x01"
PEER = b"\xc0\xa8\x45\x64"
PORT = 5001
START = 0x3FFFFFFF - 20000


@micropython.viper
def next_segment(frame: ptr8, words: ptr32):
    """The Ethernet frame becomes the peer's next segment: SEQ = words[0], ACK = words[1], and
    words[0] moves on by words[2], its text; words[3]: the sum of all that never differs."""
    seq = words[0]
    ack = words[1]
    s = (
        words[3]
        + (seq & 0xFFFF)
        + ((seq >> 16) & 0xFFFF)
        + (ack & 0xFFFF)
        + ((ack >> 16) & 0xFFFF)
    )
    s = (s & 0xFFFF) + (s >> 16)
    s = ((s & 0xFFFF) + (s >> 16)) ^ 0xFFFF
    frame[38] = seq >> 24
    frame[39] = seq >> 16
    frame[40] = seq >> 8
    frame[41] = seq
    frame[42] = ack >> 24
    frame[43] = ack >> 16
    frame[44] = ack >> 8
    frame[45] = ack
    frame[50] = s >> 8
    frame[51] = s
    words[0] = seq + words[2]


@micropython.viper
def note_sent(words: ptr32, frame: ptr8, start: int, end: int):
    """words[1]: what acknowledges the segment in frame[start:end] (and all before it)."""
    p = ptr8(int(frame) + start)
    n = (p[16] << 8 | p[17]) - 20 - ((p[46] >> 4) << 2)
    if p[47] & 3:  # SYN, FIN
        n += 1
    words[1] = (p[38] << 24 | p[39] << 16 | p[40] << 8 | p[41]) + n


@micropython.viper
def copy(to: ptr8, frame: ptr8, n: int):
    i = 0
    while i < n:
        to[i] = frame[i]
        i += 1


class Wire(Device):
    """`waiting` frames are still to be received; `sent` were sent. kind: 6 TCP, else as it is."""

    def __init__(self):
        super().__init__(ETHERNET, 1500)
        self.words = array("i", bytes(16))
        self.frame = b""
        self.n = 0
        self.kind = 0
        self.waiting = 0
        self.sent = 0
        self.fresh = True

    def set(self, packet, kind=0):
        """What comes from now on."""
        self.frame = OUR_MAC + PEER_MAC + b"\x08\0" + packet
        self.n = len(self.frame)
        self.kind = kind
        self.fresh = True

    @micropython.native
    def recv(self, buf) -> int:
        if not self.waiting:
            return 0
        self.waiting -= 1
        if self.fresh:  # nobody else writes into the buffer: once is enough
            self.fresh = False
            copy(buf, self.frame, self.n)
        if self.kind == 6:
            next_segment(buf, self.words)
        return self.n

    @micropython.native
    def fetch(self, buf, ms=None) -> int:
        return self.recv(buf)

    @micropython.native
    def send(self, buf, start: int, end: int) -> bool:
        self.sent += 1
        if self.kind == 6:
            note_sent(self.words, buf, start, end)
        return True


def u16(n):
    return bytes([n >> 8 & 255, n & 255])


def total(data):
    s = 0
    for i in range(0, len(data) & ~1, 2):
        s += data[i] << 8 | data[i + 1]
    if len(data) & 1:
        s += data[-1] << 8
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s


def ipv4(protocol, payload):
    head = b"\x45\0" + u16(20 + len(payload)) + b"\0\0\x40\0\x40" + bytes([protocol])
    return head + u16(total(head + PEER + OURS) ^ 0xFFFF) + PEER + OURS + payload


def udp(text):
    head = u16(40000) + u16(PORT) + u16(8 + len(text))
    s = total(PEER + OURS + u16(17) + u16(8 + len(text)) + head + text)
    return ipv4(17, head + u16(s ^ 0xFFFF) + text)


def ping(text):
    rest = b"\0\1\0\1" + text
    return ipv4(1, b"\x08\0" + u16(total(b"\x08\0" + rest) ^ 0xFFFF) + rest)


def tcp(wire, flags, text, options=b"", window=0xFFFF):
    """Let `wire` give the peer's segments with this text. flags: 2 SYN, 16 ACK, 24 PSH too."""
    size = 20 + len(options)
    head = u16(40000) + u16(PORT) + bytes(8) + bytes([size << 2, flags]) + u16(window)
    head += bytes(4) + options
    wire.words[2] = len(text) + (flags >> 1 & 1)
    wire.words[3] = total(PEER + OURS + u16(6) + u16(size + len(text)) + head + text)
    wire.set(ipv4(6, head + text), 6)


class Server:
    """An Interface on a Wire, its set, and the clock."""

    def __init__(self):
        self.wire = Wire()
        self.now = START
        self.iface = Interface(
            self.wire, ip_addrs=("192.168.69.1/24",), seed=1, now=START, announce=False
        )
        self.iface.neighbors.add("192.168.69.100", "02:00:00:00:00:02")
        self.sockets = SocketSet()

    def tick(self):
        self.now = self.now + 1 if self.now < 0x3FFFFFFF else 0

    def poll(self):
        return self.iface.poll(self.now, self.sockets)

    def open(self, socket):
        """The peer connects to `socket`, which listens: MSS 1460, window scale 7."""
        wire = self.wire
        tcp(wire, 2, b"", b"\2\4\5\xb4\1\3\3\7\1\1\4\2")
        wire.waiting = 1
        self.poll()
        tcp(wire, 16, b"")
        wire.waiting = 1
        self.poll()
        if socket.state != "ESTABLISHED":
            raise AssertionError(socket.state)
