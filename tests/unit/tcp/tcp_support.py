"""A TCP peer made of packets: this segment goes in, that one must come out.

    peer = Peer()
    s = peer.listen(80)                       # a tcp.Socket in a set, behind a real Interface
    peer.send("S", 0, mss=1460)               # flags, SEQ; sequence numbers count from the ISNs
    peer.expect("SA", 0, 1)                   # flags, SEQ, ACK of the only segment that comes
    peer.send("A", 1, 1, b"hello")
    peer.nothing()
    peer.pass_time(10)                        # the delayed ACK's time
    peer.expect("A", 1, 6)

The clock starts shortly before ticks_ms wraps, the peer's ISN shortly before 2**32; our ISS is
random unless the test sets it. `peer.reach(state)` walks a new socket into any state.
"""

import gc
import sys
from array import array

from smolmp.iface.interface import Interface
from smolmp.phy.device import IP
from smolmp.phy.queue import PacketQueue
from smolmp.socket import tcp
from smolmp.socket.set import SocketSet
from smolmp.socket.tcp import connection
from smolmp.wire import icmpv4, ipv4
from smolmp.wire import tcp as wire
from smolmp.wire.address import parse_address, to_words

FLAGS = "FSRPAUEC"
OURS = "192.168.69.1"
PEER = "192.168.69.100"
ROUTER = "192.168.69.254"
PEER_PORT = 49500
PEER_ISN = 0xFFFFFFF0
MSS = 100  # of short_segments()

_ON_A_BOARD = sys.platform in ("rp2", "esp32")
_QUEUE = (8 if _ON_A_BOARD else 256) * 1024
DEEP = 16 * 1024  # `queue` for ten full segments, which a board's usual one has no room for


class Segment:
    """What came out: flags (letters), seq and ack relative to the ISNs, payload, window, ..."""

    def __repr__(self):
        return "<%s seq %s ack %s len %d win %d>" % (
            self.flags,
            self.seq,
            self.ack,
            len(self.payload),
            self.window,
        )


_choose_numbers = connection.choose_numbers
_fixed = {}


def _choose(iface, w):
    """A connection's ISN: that of tcp/numbers.py, or the one that the test wants."""
    _choose_numbers(iface, w)
    if iface in _fixed:
        _word(w, 15, _fixed[iface])
        _word(w, 34, _fixed[iface])


connection.choose_numbers = _choose


class Peer:
    """queue: octets that wait on the wire, each way. device: the stack's end of the wire, None: a
    PacketQueue."""

    def __init__(
        self,
        seed=1,
        mtu=1500,
        isn=PEER_ISN,
        iss=None,
        medium=IP,
        queue=_QUEUE,
        device=None,
        **interface,
    ):
        if _ON_A_BOARD:
            gc.collect()  # it has room for three: what is left of those before goes now
        self.now = (1 << 30) - 500
        if device is None:
            size = max(queue, _QUEUE)
            device = PacketQueue(medium=medium, mtu=mtu, frames=256, size=size)
        self.device = device
        self.iface = Interface(self.device, ip_addrs=(OURS + "/24",), seed=seed, **interface)
        if iss is not None:
            _fixed.clear()
            _fixed[self.iface] = iss
        self.sockets = SocketSet()
        self.changed = []
        self.isn = isn
        self.iss = None  # ours, learned from the first SYN that comes out
        self.port = 80
        self.stamp = None  # of the peer's SYN: what it sends later carries it if both want to
        self.stamping = False
        self.rec = array("i", bytes(4 * 56))
        self.buf = bytearray(2048)

    # Our side.

    def socket(self, rx=4096, tx=4096, **options):
        """A socket that acknowledges every second segment from the first one on, and sends small
        ones by RFC 9293's rule: scripts about something else are easier to follow so."""
        s = self.sockets.add(tcp.Socket(rx, tx, **options))
        s.quick_acks = 0
        s.nagle = True
        return s

    def listen(self, port=80, rx=4096, tx=4096, **options):
        self.port = port
        s = self.socket(rx, tx, **options)
        s.listen(port)
        return s

    def connect(self, port=80, local=49200, **options):
        """A socket whose SYN to us is out and checked."""
        s = self.socket(**options)
        s.connect(self.iface, (PEER, PEER_PORT), local)
        self.port = local
        self.poll()
        return s

    def established(self, rx=4096, tx=4096, window=8192, **options):
        """A connection that the peer opened: both next sequence numbers are 1."""
        syn = {}
        for name in ("mss", "scale", "sack", "tsval"):
            if name in options:
                syn[name] = options.pop(name)
        s = self.listen(80, rx, tx, **options)
        self.send("S", 0, window=window, **syn)
        self.expect("SA", 0, 1)
        self.send("A", 1, 1, window=window >> syn.get("scale", 0))
        self.nothing()
        assert s.state == "ESTABLISHED", s.state
        return s

    def reach(self, state, **options):
        """A socket in `state`. The peer's next SEQ is 1, 2 when it sent a FIN; so is ours."""
        if state == "CLOSED":
            return self.socket(**options)
        if state == "LISTEN":
            return self.listen(**options)
        if state == "SYN-SENT":
            s = self.connect(**options)
            self.expect("S", 0)
        elif state == "SYN-RECEIVED":
            s = self.listen(**options)
            self.send("S", 0)
            self.expect("SA", 0, 1)
        else:
            s = self.established(**options)
            if state == "CLOSE-WAIT" or state == "LAST-ACK":
                self.send("FA", 1, 1)
                self.expect("A", 1, 2)
            if state != "ESTABLISHED" and state != "CLOSE-WAIT":
                s.close()
                self.poll()
                self.expect("FA", 1, 2 if state == "LAST-ACK" else 1)
            if state == "FIN-WAIT-2":
                self.send("A", 1, 2)
            elif state == "CLOSING" or state == "TIME-WAIT":
                self.send("FA", 1, 1 if state == "CLOSING" else 2)
                self.expect("A", 2, 2)
        assert s.state == state, s.state
        return s

    # The peer's side.

    def send(self, flags, seq, ack=0, payload=b"", window=8192, poll=True, **options):
        """A segment from the peer, see packet(), and a poll."""
        packet = self.packet(flags, seq, ack, payload, window, **options)
        assert self.device.inject(packet), "the queue is full"
        if poll:
            self.poll()

    def packet(self, flags, seq, ack=0, payload=b"", window=8192, **options):
        """An IP packet from the peer; options: mss, scale, sack (True: permitted), tsval (None:
        no timestamp though both agreed on them), tsecr, blocks ((left, right), ...),
        user_timeout (16 bits), source (address), destination (address), port, remote_port,
        tos."""
        if self.iss is None:
            self.iss = 0
        rec = self.rec
        ports = (options.get("remote_port", PEER_PORT), options.get("port", self.port))
        rec[0] = 4
        rec[1] = 6
        # emit() sees it from the sender's side.
        to_words(parse_address(options.get("source", PEER)), rec, 4)
        to_words(parse_address(options.get("destination", OURS)), rec, 8)
        rec[2], rec[3] = ports
        rec[12] = 64
        rec[13] = options.get("tos", 0)
        rec[27] = sum(1 << FLAGS.index(f) for f in flags)
        rec[28] = window
        bits = 0
        if "mss" in options:
            bits |= 1
            rec[30] = options["mss"]
        if "scale" in options:
            bits |= 2
            rec[31] = options["scale"]
        if options.get("sack"):
            bits |= 4
        blocks = options.get("blocks", ())
        rec[34] = len(blocks)
        if blocks:
            bits |= 8
        stamp = options.get("tsval", self.stamp if self.stamping and "S" not in flags else None)
        if "S" in flags:
            self.stamp = stamp
        if stamp is not None:
            bits |= 16
            _word(rec, 32, stamp)
            _word(rec, 33, options.get("tsecr", 0))
        if "user_timeout" in options:
            bits |= 32
            rec[53] = options["user_timeout"]
        for i, edge in enumerate(e for block in blocks for e in block):
            _word(rec, 35 + i, self.iss + edge)
        _word(rec, 25, self.isn + seq)
        _word(rec, 26, self.iss + ack if "A" in flags else 0)
        header = wire.header_len(bits, len(blocks))
        end = 20 + header + len(payload)
        packet = bytearray(end)
        packet[20 + header :] = payload
        wire.emit(packet, 20, rec, bits, end)
        ipv4.emit(packet, 0, rec, end - 20, 0, 0x4000)
        return packet

    def error(self, kind, code, packet, mtu=0, source=ROUTER, poll=True):
        """An ICMP error from a router about `packet` of ours (RFC 792 quotes 8 octets of TCP)."""
        quote = packet[:28]
        end = 28 + len(quote)
        error = bytearray(end)
        error[28:] = quote
        icmpv4.emit(error, 20, kind, code, 0, mtu, end)
        rec = self.rec
        rec[0] = 4
        rec[1] = 1
        to_words(parse_address(source), rec, 4)
        to_words(parse_address(OURS), rec, 8)
        rec[12] = 64
        rec[13] = 0
        ipv4.emit(error, 0, rec, end - 20, 0, 0x4000)
        assert self.device.inject(error)
        if poll:
            self.poll()

    def poll(self):
        """Poll once; the sockets that changed are remembered in .changed."""
        self.changed = list(self.iface.poll(self.now & 0x3FFFFFFF, self.sockets))
        return self.changed

    def pass_time(self, ms, poll=True):
        self.now += ms
        if poll:
            self.poll()

    def take(self):
        """The next segment that comes out, or None."""
        n = self.device.take_into(self.buf)
        if not n:
            return None
        rec = array("i", bytes(4 * 56))
        assert ipv4.parse(self.buf, 0, n, rec, 1) == 0
        code = wire.parse(self.buf, rec[18], rec[19], rec, 1)
        assert code == 0, code
        s = Segment()
        s.flags = "".join(FLAGS[i] for i in range(8) if rec[27] >> i & 1)
        seq = _long(rec, 25)
        if "S" in s.flags:
            self.iss = seq
        # The RST that answers a segment without ACK has SEQ 0, not ours.
        s.seq = 0 if s.flags == "RA" and seq == 0 else _near(seq - (self.iss or 0))
        s.ack = _near(_long(rec, 26) - self.isn) if "A" in s.flags else None
        s.payload = bytes(self.buf[rec[23] : rec[23] + rec[24]])
        s.window = rec[28]
        s.options = rec[29]
        s.mss = rec[30] if rec[29] & 1 else None
        s.scale = rec[31] if rec[29] & 2 else None
        s.sack_permitted = bool(rec[29] & 4)
        s.tsval = _long(rec, 32) if rec[29] & 16 else None
        s.tsecr = _long(rec, 33) if rec[29] & 16 else None
        s.user_timeout = rec[53] if rec[29] & 32 else None
        s.blocks = ()
        if rec[29] & 8:
            edges = [_near(_long(rec, 35 + i) - self.isn) for i in range(2 * rec[34])]
            s.blocks = tuple(zip(edges[::2], edges[1::2]))
        if "S" in s.flags:
            self.stamping = s.tsval is not None
        s.packet = bytes(self.buf[:n])
        s.hops = rec[12]
        s.tos = rec[13]
        s.source_port = rec[3]
        s.destination_port = rec[2]
        return s

    def expect(self, flags, seq, ack=None, payload=b"", alone=True, **fields):
        """The next segment has these flags (in any order), SEQ, ACK, payload and fields."""
        s = self.take()
        assert s is not None, "nothing came out; expected " + flags
        assert set(s.flags) == set(flags), "%r instead of %s" % (s, flags)
        assert s.seq == seq, "%r instead of seq %s" % (s, seq)
        assert s.ack == ack, "%r instead of ack %s" % (s, ack)
        assert s.payload == payload, "%r carries %r" % (s, s.payload)
        for name in fields:
            got = getattr(s, name)
            assert got == fields[name], "%s is %r in %r" % (name, got, s)
        if alone:
            self.nothing()
        return s

    def nothing(self):
        """Nothing (more) comes out."""
        s = self.take()
        assert s is None, "unexpected %r" % s

    def drain(self):
        """All segments that came out."""
        segments = []
        while True:
            s = self.take()
            if s is None:
                return segments
            segments.append(s)


def raises(errno, function, *args):
    """function(*args) raises OSError(errno)."""
    try:
        function(*args)
    except OSError as e:
        assert e.errno == errno, e
        return
    raise AssertionError("no error, not %d" % errno)


def short_segments(congestion="none", **options):
    """A connection with segments of MSS octets and an RTO of 1 s: for tests of loss.

    Without congestion control, so that what is lost goes again at once.
    """
    p = Peer(queue=options.pop("queue", _QUEUE))
    s = p.established(mss=MSS, window=options.pop("window", 8192), **options)
    s.rto_min = 1000
    s.w[44] = 1000
    s.congestion = congestion
    p.poll()
    return p, s


def flight(p, s, segments, ack=1):
    """Send so many full segments."""
    s.nagle = False
    assert s.send(bytes(segments * MSS)) == segments * MSS
    p.poll()
    out = p.drain()
    assert len(out) == segments and out[0].ack == ack
    return out


def seqs(p):
    return [g.seq for g in p.drain()]


def duplicates(p, n, ack=1, **options):
    for _ in range(n):
        p.send("A", 1, ack, **options)


def _word(rec, at, value):
    """Store 32 bits that bytecode can hold as any int."""
    value &= 0xFFFFFFFF
    rec[at] = value - (1 << 32) if value >> 31 else value


def _long(rec, at):
    return rec[at] & 0xFFFFFFFF


def _near(distance):
    """A sequence number's distance as a signed number."""
    distance &= 0xFFFFFFFF
    return distance - (1 << 32) if distance >> 31 else distance


def sacking(segments=10, rtt=100, **options):
    """A connection that measured `rtt`, with so many segments in flight. Its SND.UNA is 101."""
    p, s = short_segments(sack=True, tx=8192, **options)
    flight(p, s, 1)
    p.pass_time(rtt)
    p.send("A", 1, 101)
    s.w[42] = rtt << 3  # as if it had been measured often: no tail loss probe yet
    s.nagle = False
    assert s.send(bytes(segments * MSS)) == segments * MSS
    p.poll()
    assert seqs(p) == [101 + i * MSS for i in range(segments)]
    p.pass_time(rtt)
    p.drain()
    return p, s
