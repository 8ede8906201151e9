"""Hostile frames: valid ones of every kind a host meets, then mutated, from any source of choices.

A Generator draws from an entropy: an object with below(limit) -> 0..limit - 1. A seeded one is
smolmp.prng.Random; under hypothesis it is Choices over bytes that hypothesis makes and shrinks,
where 0 is always the simplest choice.

    g = Generator(world, entropy)
    n = g.make(kind)          # a frame of KINDS[kind] in g.frame[:n]
    n = g.mutate(n)           # 0..6 mutations, checksums repaired in half of the cases

Segments are aimed at live connections: the generator reads SND.UNA and RCV.NXT out of the control
blocks, as an attacker who sees the traffic would, so that they get past the window checks.
"""

from smolmp.wire.checksum import checksum

KINDS = (
    "tcp",  # aimed at a connection
    "syn",  # a TCP segment from outside, to a listener or to nobody
    "udp",
    "echo",
    "icmp",  # other messages, and errors that quote
    "arp",
    "fragment",
    "other",  # another IP protocol
    "noise",  # random bytes, with or without a link header
)

OUR_MAC = b"\x02\0\0\0\0\x01"
MACS = (
    b"\x02\0\0\0\0\x02",
    b"\x02\0\0\0\0\x03",
    b"\x02\0\0\0\0\x64",
    OUR_MAC,
    b"\xff\xff\xff\xff\xff\xff",
    b"\x01\0\x5e\0\0\x01",
    bytes(6),
)
OURS = b"\xc0\xa8\x45\x01"  # 192.168.69.1
PEERS = (b"\xc0\xa8\x45\x02", b"\xc0\xa8\x45\x03", b"\xc0\xa8\x45\x64", b"\x08\x08\x08\x08")
GROUP = b"\xe0\x01\x02\x03"
STRANGE = (
    b"\xff\xff\xff\xff",
    b"\xc0\xa8\x45\xff",
    b"\xe0\0\0\x01",
    GROUP,
    bytes(4),
    b"\x7f\0\0\x01",
    b"\xc0\xa8\x45\x00",
    OURS,
    b"\xf0\x01\x02\x03",
    b"\x0a\0\0\x07",
)
BOUNDARY = (0, 1, 0x7F, 0xFF)
BOUNDARY16 = (0, 1, 0x7F, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
LISTENING = (80, 81, 82, 83)
UDP_PORTS = (6969, 7000, 7001, 5353, 9, 0)
PEER_PORTS = (4000, 4001, 4002, 0)
IDENT = 0x22B

FRAME = 1600  # the largest that is made

_STATE, _SND_UNA, _RCV_NXT, _SND_MAX, _RCV_ADV, _TS_CLOCK = 14, 15, 16, 18, 22, 34


class Choices:
    """An entropy made of bytes; when they are used up, only zeros come."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def below(self, limit):
        value = 0
        top = limit - 1
        while top > 0:
            value <<= 8
            if self.at < len(self.data):
                value |= self.data[self.at]
                self.at += 1
            top >>= 8
        return value % limit


class Generator:
    """`world`: see hostile_support.py; what it needs of it: .ether, .mtu, .tcp (sockets),
    .device.last (the last packet that the stack sent) and .device.last_size."""

    def __init__(self, world, entropy):
        self.world = world
        self.below = entropy.below
        self.frame = bytearray(FRAME + 64)
        self.length = 0  # of the last frame that next() made
        self.net = 14 if world.ether else 0
        self.filler = bytes([(i * 7 + 1) & 255 for i in range(FRAME)])
        self.aimed = [0] * 11  # segments sent to connections, by state
        self._makers = (
            self._tcp,
            self._syn,
            self._udp,
            self._echo,
            self._icmp,
            self._arp,
            self._fragment,
            self._other,
            self._noise,
        )

    def make(self, kind):
        """A frame of this kind (an index of KINDS): its length."""
        return self._makers[kind]()

    def next(self):
        """A frame of a random kind, mutated or not: its length."""
        below = self.below
        kind = below(16)
        if kind == 15 and self.length and below(2):
            return self.length  # the last one again
        self.length = self.mutate(self.make(kind if kind < 9 else 0))
        return self.length

    # Layers.

    def _link(self, ethertype_low=0):
        """The Ethernet header: nearly always from a host we know, to us."""
        if not self.world.ether:
            return
        below = self.below
        f = self.frame
        odd = below(64)
        f[0:6] = MACS[below(7)] if odd == 63 else OUR_MAC
        f[6:12] = MACS[below(7)] if odd == 62 else MACS[0]
        f[12] = 8
        f[13] = ethertype_low

    def _ip(self, protocol, size, source=None, to=None):
        """The IP header for `size` octets of payload, whose place it returns through self.at;
        answers the frame's length. `size` is cut to the MTU."""
        below = self.below
        f = self.frame
        net = self.net
        self._link()
        header = 20
        odd = below(32)
        if odd >= 29:  # options
            header = 24 + 4 * below(10)
            for i in range(net + 20, net + header):
                f[i] = 1
            if odd == 31:
                f[net + 20] = below(256)
                f[net + 21] = below(256)
        room = self.world.mtu - header
        if size > room:
            size = room
        total = header + size
        f[net] = 0x40 | header >> 2
        f[net + 1] = below(256) if odd == 28 else 0
        f[net + 2] = total >> 8
        f[net + 3] = total & 255
        f[net + 4 : net + 8] = b"\x12\x34\x40\0"
        f[net + 8] = below(256) if odd == 27 else 64
        f[net + 9] = protocol
        if source is None:
            source = PEERS[below(4)] if odd != 26 else STRANGE[below(10)]
        if to is None:
            to = OURS
            if odd == 25 or odd == 24:
                to = STRANGE[below(10)]
                if self.world.ether and below(2):
                    f[0:6] = MACS[4]
        f[net + 12 : net + 16] = source
        f[net + 16 : net + 20] = to
        self.at = net + header
        return net + total

    def _seal(self, end):
        """All checksums right."""
        repair(self.frame, self.net, end)
        return end

    # Kinds.

    def _tcp(self):
        """A segment for a connection, more or less where its windows are."""
        below = self.below
        sockets = self.world.tcp
        w = sockets[below(len(sockets))].w
        if not w[3]:  # no peer: a listener, or it was never open
            return self._syn()
        self.aimed[w[_STATE]] += 1
        choice = below(16)
        seq = w[_RCV_NXT]
        if choice >= 8:
            edge = w[_RCV_ADV]
            seq += (1, below(64), -1, -below(64), edge, edge - 1, edge + 1, self._word())[
                choice - 8
            ]
        choice = below(16)
        ack = w[_SND_UNA] + w[_SND_MAX]
        if choice >= 8:
            sent = w[_SND_MAX]
            ack += (-sent, -below(sent + 1), -sent, 1, -sent - 1, 1 << 31, -1000, self._word())[
                choice - 8
            ]
        choice = below(32)
        if choice < 12:
            flags = 16
        elif choice < 19:
            flags = 24
        elif choice < 22:
            flags = 18 if w[_STATE] < 4 else 17
        else:
            flags = (18, 2, 4, 20, 17, 48, 1, 0, 208, below(256))[choice - 22]
        if w[_STATE] == 2 and choice < 18:
            flags = 18
        elif w[_STATE] == 5 and choice < 7:
            flags = 17  # both sides close at once
            ack = w[_SND_UNA]
        size = 0
        choice = below(8)
        if choice >= 4:
            size = (1, below(64), min(w[_RCV_ADV], 1460) if w[_RCV_ADV] >= 0 else 0, below(1461))[
                choice - 4
            ]
        return self._segment(w, seq, ack, flags, size)

    def _segment(self, w, seq, ack, flags, size):
        below = self.below
        options = self._options(w, flags)
        n = len(options)
        local = w[4]
        remote = w[8]
        end = self._ip(
            6,
            20 + n + size,
            bytes([remote >> 24 & 255, remote >> 16 & 255, remote >> 8 & 255, remote & 255]),
            bytes([local >> 24 & 255, local >> 16 & 255, local >> 8 & 255, local & 255]),
        )
        self._tcp_header(w[3], w[2], seq, ack, flags, options, end)
        if below(16) == 15:
            self.frame[self.at + 18] = below(256)  # urgent pointer
        return self._seal(end)

    def _tcp_header(self, source, to, seq, ack, flags, options, end):
        f = self.frame
        at = self.at
        below = self.below
        window = (8192, 65535, 0, 1, 100, 2920)[below(6)]
        if window == 2920:
            window = below(65536)
        f[at : at + 20] = bytes(
            [
                source >> 8,
                source & 255,
                to >> 8,
                to & 255,
                seq >> 24 & 255,
                seq >> 16 & 255,
                seq >> 8 & 255,
                seq & 255,
                ack >> 24 & 255,
                ack >> 16 & 255,
                ack >> 8 & 255,
                ack & 255,
                (20 + len(options)) << 2 & 255,
                flags,
                window >> 8,
                window & 255,
                0,
                0,
                0,
                0,
            ]
        )
        at += 20
        f[at : at + len(options)] = options
        at += len(options)
        if at < end:
            f[at:end] = self.filler[: end - at]

    def _options(self, w, flags):
        """Options of a segment; w: the control block that it is for, or None."""
        below = self.below
        choice = below(16)
        if choice < (4 if flags & 2 else 10):
            return b""
        out = b""
        if choice & 1 or choice == 10:
            clock = w[_TS_CLOCK] if w is not None else 0
            if below(4) == 3:
                clock += self._word()
            out += b"\x01\x01\x08\x0a" + word_bytes(self._word()) + word_bytes(clock)
        if flags & 2:
            mss = (1460, 536, 0, 1, 48, 65535)[below(6)]
            out += b"\x02\x04" + bytes([mss >> 8, mss & 255])
            if choice & 2:
                out += b"\x01\x03\x03" + bytes([(0, 2, 7, 14, 15, 255)[below(6)]])
            if choice & 4:
                out += b"\x04\x02\x01\x01"
        elif choice & 2 and w is not None:
            blocks = 1 + below(3)
            out += b"\x01\x01\x05" + bytes([2 + 8 * blocks])
            for _ in range(2 * blocks):
                out += word_bytes(w[_SND_UNA] + below(3000))
        if choice == 15:
            out += bytes([below(256), below(12), 0, 0])
        return out[:40]

    def _syn(self):
        """A segment from a stranger: SYNs to listeners, anything to closed ports."""
        below = self.below
        choice = below(8)
        flags = (2, 2, 2, 2, 16, 4, 18, 17)[choice]
        options = self._options(None, flags)
        end = self._ip(6, 20 + len(options) + (below(100) if choice == 7 else 0))
        port = LISTENING[below(4)] if choice < 7 else below(65536)
        source = PEER_PORTS[below(4)] or below(65536)
        seq = self._word()
        self._tcp_header(source, port, seq, self._word(), flags, options, end)
        return self._seal(end)

    def _udp(self):
        below = self.below
        choice = below(8)
        size = (4, 0, 1, 10, below(64), 100, below(1473), 1472)[choice]
        to = GROUP if choice == 5 else None
        end = self._ip(17, 8 + size, None, to)
        f = self.frame
        at = self.at
        port = UDP_PORTS[below(6)] or below(65536)
        source = (4000, 4001, 0, 65535)[below(4)]
        size = end - at
        f[at : at + 8] = bytes(
            [source >> 8, source & 255, port >> 8, port & 255, size >> 8, size & 255, 0, 0]
        )
        f[at + 8 : end] = self.filler[: end - at - 8]
        self._seal(end)
        if choice == 3:
            f[at + 6] = f[at + 7] = 0  # none computed
        return end

    def _echo(self):
        below = self.below
        size = (10, 0, 56, below(64), below(1473), 1472, 1, 2)[below(8)]
        end = self._ip(1, 8 + size)
        f = self.frame
        at = self.at
        kind = 0 if below(4) == 3 else 8
        f[at : at + 8] = bytes([kind, 0, 0, 0, IDENT >> 8, IDENT & 255, 0, below(256)])
        f[at + 8 : end] = self.filler[: end - at - 8]
        return self._seal(end)

    def _icmp(self):
        """An error that quotes what the stack sent last or a connection's segment, or another
        message."""
        below = self.below
        f = self.frame
        choice = below(8)
        device = self.world.device
        if choice < 4 and device.last_size:
            size = device.last_size
            if choice == 3:
                size = below(size + 1)
            if size > FRAME - 80:
                size = FRAME - 80
            end = self._ip(1, 8 + size)
            at = self.at
            f[at + 8 : end] = memoryview(device.last)[: end - at - 8]
        elif choice < 6:
            w = self.world.tcp[below(len(self.world.tcp))].w
            end = self._ip(1, 8 + 28)
            at = self.at
            quote = b"\x45\0\0\x28\0\0\x40\0\x40\x06\0\0"
            quote += word_bytes(w[4]) + word_bytes(w[8])
            quote += bytes([w[2] >> 8, w[2] & 255, w[3] >> 8, w[3] & 255])
            quote += word_bytes(w[_SND_UNA])
            f[at + 8 : end] = quote[: end - at - 8]
        else:
            end = self._ip(1, 8 + below(64))
            at = self.at
            f[at + 8 : end] = self.filler[: end - at - 8]
        kind = (3, 3, 11, 12, 5, 4, 13, 14, 17, below(256))[below(10)]
        f[at : at + 8] = bytes([kind, below(16), 0, 0, below(256), 0, 0, below(256)])
        return self._seal(end)

    def _arp(self):
        below = self.below
        f = self.frame
        if not self.world.ether:
            return self._noise()
        choice = below(8)
        self._link(6)
        if choice < 6:
            f[0:6] = OUR_MAC if choice & 1 else MACS[4]
        who = below(6)
        sender = PEERS[who] if who < 4 else STRANGE[below(10)]
        target = OURS if choice < 5 else STRANGE[below(10)]
        if choice == 5:
            target = sender  # an announcement
        mac = MACS[below(7)] if choice == 7 else MACS[who % 3]
        f[14:42] = (
            b"\0\x01\x08\0\x06\x04\0"
            + bytes([1 + (choice & 1)])
            + mac
            + sender
            + (bytes(6) if choice & 1 == 0 else OUR_MAC)
            + target
        )
        if below(2):
            for i in range(42, 60):
                f[i] = 0
            return 60
        return 42

    def answer(self, host):
        """The ARP reply of 192.168.69.`host`: its length."""
        f = self.frame
        mac = b"\x02\0\0\0\0" + bytes([host])
        f[0:42] = (
            OUR_MAC
            + mac
            + b"\x08\x06\0\x01\x08\0\x06\x04\0\x02"
            + mac
            + OURS[:3]
            + bytes([host])
            + OUR_MAC
            + OURS
        )
        return 42

    def _fragment(self):
        below = self.below
        end = self.make((1, 2, 3, 4)[below(4)])
        f = self.frame
        net = self.net
        value = (0x2000, 0x2001, 1, below(0x2000), 0x1FFF, 0x3FFF, 0xC000, below(65536))[below(8)]
        f[net + 6] = value >> 8
        f[net + 7] = value & 255
        return self._seal(end)

    def _other(self):
        below = self.below
        end = self._ip((2, 253, 41, 0, 255, below(256))[below(6)], below(100))
        self.frame[self.at : end] = self.filler[: end - self.at]
        return self._seal(end)

    def _noise(self):
        below = self.below
        f = self.frame
        n = (below(64), below(1519), 1518, 14, 20, 34, 1)[below(7)]
        limit = self.world.mtu + self.net
        if n > limit:
            n = limit
        value = below(65536)
        for i in range(n):
            value = value * 25173 + 13849 & 0xFFFF
            f[i] = value >> 8
        choice = below(4)
        if choice:
            if self.world.ether:
                self._link(0 if choice < 3 else below(256))
            if choice == 2 and n > self.net:
                f[self.net] = 0x45
        return n

    def _word(self):
        return self.below(65536) << 16 | self.below(65536)

    # Mutations.

    def mutate(self, n):
        """Damage the frame of n octets in 0..6 places; its new length."""
        below = self.below
        count = below(12)
        if count > 6:
            return n
        for _ in range(count):
            n = self._mutation(n)
        if count and below(2):
            repair(self.frame, self.net, n)
        return n

    def _mutation(self, n):
        below = self.below
        f = self.frame
        if n < 2:
            return n + 1
        net = self.net
        kind = below(9)
        # Headers are what is looked at: three of four hits go there.
        top = n if below(4) == 3 or n < 60 else 60
        at = below(top)
        if kind == 0:
            f[at] ^= 1 << below(8)
        elif kind == 1:
            f[at] = BOUNDARY[below(4)]
        elif kind == 2:
            value = BOUNDARY16[below(9)]
            at &= -2
            f[at] = value >> 8
            f[at + 1] = value & 255
        elif kind == 3:  # a length: IP's, its header's, UDP's, TCP's header's, an option's
            at = net + (2, 0, 24, 32, 41, 3, 46, 43)[below(8)]
            if at == net:
                f[at] = 0x40 | below(16)
            elif at == net + 32:
                f[at] = below(16) << 4
            else:
                f[at] = (f[at] + (1, -1, 4, -4, 128, below(256))[below(6)]) & 255
        elif kind == 4:
            n = below(n + 1)
        elif kind == 5:
            n += below(40)
        elif kind == 6:  # fields change places
            other = below(top)
            size = 1 + below(4)
            saved = bytes(f[at : at + size])
            f[at : at + size] = f[other : other + size]
            f[other : other + size] = saved
        elif kind == 7:
            f[at] = below(256)
        else:  # the IP addresses, or the ports
            at = net + (12, 16, 20)[below(3)]
            value = STRANGE[below(10)]
            f[at : at + 4] = value
        return n if n <= FRAME else FRAME


def word_bytes(value):
    return bytes([value >> 24 & 255, value >> 16 & 255, value >> 8 & 255, value & 255])


def repair(f, net, end):
    """Make the checksums of the packet f[net:end] right, as far as its headers stand in it."""
    if end - net < 20:
        return
    header = (f[net] & 15) << 2
    if header < 20 or net + header > end:
        return
    f[net + 10] = f[net + 11] = 0
    s = checksum(f, net, net + header, 0) ^ 0xFFFF
    f[net + 10] = s >> 8
    f[net + 11] = s & 255
    total = f[net + 2] << 8 | f[net + 3]
    at = net + header
    if net + total < end:
        end = net + total
    protocol = f[net + 9]
    place = 16 if protocol == 6 else 6 if protocol == 17 else 2
    if end - at < place + 2:
        return
    acc = 0
    if protocol != 1:
        size = end - at
        if protocol == 17:
            length = f[at + 4] << 8 | f[at + 5]
            if 8 <= length < size:
                size = length
                end = at + length
        acc = checksum(f, net + 12, net + 20, protocol + size)
    at += place
    f[at] = f[at + 1] = 0
    s = checksum(f, at - place, end, acc) ^ 0xFFFF
    if protocol == 17 and not s:
        s = 0xFFFF
    f[at] = s >> 8
    f[at + 1] = s & 255
