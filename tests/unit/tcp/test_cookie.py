"""SYN cookies (RFC 4987 3.6): what they carry, what forges them not, and a flood."""

import sys
from array import array

from support import locked
from tcp_support import PEER, PEER_PORT, Peer

from smolmp.prng import Random
from smolmp.socket import tcp

WRAP = 0x3FFFFFFF
MASK = 0xFFFFFFFF
MICROPYTHON = sys.implementation.name == "micropython"
COUNT = 65536  # ms


def flooded(peer=None, **options):
    """A listener that answers everything by cookies."""
    p = peer or Peer()
    options["half_open"] = options.get("half_open", 0)
    listener = p.sockets.add(tcp.Listener(options.pop("backlog", 4), **options))
    listener.listen(80)
    return p, listener


def stat(p, name):
    return p.iface.stats()["tcp_" + name]


def cookie(p, port=PEER_PORT, **options):
    """The peer's SYN is answered by a cookie; the SYN+ACK."""
    sent = stat(p, "cookies_sent")
    p.send("S", 0, remote_port=port, **options)
    s = p.expect("SA", 0, 1, destination_port=port)
    assert stat(p, "cookies_sent") == sent + 1
    return s


# The same in plain Python, by the papers.


def halfsiphash(k0, k1, words):
    v0, v1, v2, v3 = k0, k1, k0 ^ 0x6C796765, k1 ^ 0x74656462

    def turn(x, n):
        return (x << n | x >> (32 - n)) & MASK

    for m in words + [4 * len(words) << 24 & MASK, None]:
        if m is None:
            v2 ^= 0xFF
        else:
            v3 ^= m
        for _ in range(4 if m is None else 2):
            v0 = v0 + v1 & MASK
            v1 = turn(v1, 5) ^ v0
            v0 = turn(v0, 16)
            v2 = v2 + v3 & MASK
            v3 = turn(v3, 8) ^ v2
            v0 = v0 + v3 & MASK
            v3 = turn(v3, 7) ^ v0
            v2 = v2 + v1 & MASK
            v1 = turn(v1, 13) ^ v2
            v2 = turn(v2, 16)
        if m is not None:
            v0 ^= m
    return v1 ^ v3


def expected(p, count, entry, port=PEER_PORT):
    """The cookie for the peer's SYN, by cookie.py's first lines."""
    key = [p.iface.secret[i] & MASK for i in (0, 1)]
    ends = [80, port, 0xC0A84501, 0, 0, 0, 0xC0A84564, 0, 0, 0]
    f = halfsiphash(key[0], key[1], ends + [0])
    g = halfsiphash(key[0], key[1], ends + [count, p.isn])
    return (f + p.isn + (count << 24) + (g + entry & 0xFFFFFF)) & MASK


def test_hash_here_is_the_papers():
    assert halfsiphash(0x03020100, 0x07060504, []) == 0x5B9F35A9
    assert halfsiphash(0x03020100, 0x07060504, [0x03020100]) == 0x89466E2A


def test_the_cookie_is_exactly_that():
    """Key, ends, count, IRS and MSS, each as it should be; across the count's first steps."""
    p, _ = flooded(Peer(seed=5))
    p.iface.now = p.now & WRAP  # the slow clock begins here, at 0
    p.iface.secret[8] = p.iface.now
    for step in range(4):
        for entry, mss in ((0, 48), (0, 255), (2, 536), (5, 1439), (6, 1440), (7, 1460)):
            cookie(p, mss=mss)
            assert p.iss == expected(p, step, entry), (step, entry)
        cookie(p, 7777)  # no MSS: 536
        assert p.iss == expected(p, step, 2, 7777)
        p.pass_time(COUNT)


# The handshake.


def test_ack_opens_the_connection():
    p, listener = flooded()
    cookie(p, mss=1460, scale=7, sack=True)
    assert listener.half_open() == 0
    assert p.iface.poll_delay(p.now & WRAP, p.sockets) is None  # nothing is remembered
    p.send("A", 1, 1, b"hello")
    assert p.changed == [listener]
    s = listener.accept()
    assert s.recv() == b"hello" and s.remote == (PEER, PEER_PORT)
    assert s.w[29] == 1460
    assert s.w[30] == 0 and s.w[32] & (2 | 4 | 512) == 0  # nothing but MSS
    assert stat(p, "cookies_accepted") == 1 and stat(p, "cookies_rejected") == 0
    p.pass_time(10)
    p.expect("A", 1, 6)
    s.send(b"world")
    p.poll()
    p.expect("PA", 1, 6, b"world")


# not from .mpy files: two peers and their buffers at a time
def test_syn_ack_offers_only_what_it_can_keep():
    p, _ = flooded()
    assert cookie(p, mss=1460, scale=7, sack=True).options == 1
    p, _ = flooded(timestamps=True)
    assert cookie(p, mss=1460, scale=7, sack=True).options == 1
    s = cookie(p, mss=1460, scale=7, sack=True, tsval=3)
    assert s.options == 1 | 2 | 4 | 16 and s.tsecr == 3


# not from .mpy files: two peers and their buffers at a time
def test_mss_is_kept_about():
    for offered, kept in ((None, 536), (40, 48), (600, 536), (1300, 1220), (1459, 1440)):
        p, listener = flooded()
        options = {} if offered is None else {"mss": offered}
        cookie(p, **options)
        p.send("A", 1, 1)
        assert listener.accept().w[29] == kept
        p = listener = None  # a board has no room for the next one beside it
    p, listener = flooded(Peer(mtu=576))
    cookie(p, mss=1460)
    p.send("A", 1, 1)
    assert listener.accept().w[29] == 536  # our own link's


# not on a board: windows of 200,000 octets are part of it
def test_timestamps_keep_scale_and_sack():
    for scale in (None, 0, 7, 14):
        for sack in (False, True):
            p, listener = flooded(timestamps=True, rx=200000)
            options = {"sack": True} if sack else {}
            if scale is not None:
                options["scale"] = scale
            s = cookie(p, mss=1460, tsval=100, **options)
            p.pass_time(300)
            p.send("A", 1, 1, b"x", window=50, tsval=101, tsecr=s.tsval)
            c = listener.accept()
            w = c.w
            assert w[29] == 1448 and bool(w[32] & 2) == sack and w[32] & 4
            assert bool(w[32] & 512) == (scale is not None)
            assert w[30] == ((scale or 0) | 2 << 4 if scale is not None else 0)
            assert w[19] == 50 << (scale or 0)
            p.pass_time(10)
            ack = p.expect("A", 1, 2, tsecr=101)
            # Our clock does not go back: the cookie's stamp was at most 63 ms early.
            assert 310 <= (ack.tsval - s.tsval) & MASK <= 310 + 64
            p = listener = c = None


def test_fin_and_text_with_the_ack():
    p, listener = flooded()
    cookie(p)
    p.send("FA", 1, 1, b"bye")
    p.expect("A", 1, 5)
    s = listener.accept()
    assert s.state == "CLOSE-WAIT" and s.recv() == b"bye"


def test_records_first_then_cookies():
    p, listener = flooded(half_open=2)
    for port in (1000, 1001):
        p.send("S", 0, remote_port=port)
        p.take()
    assert listener.half_open() == 2 and stat(p, "cookies_sent") == 0
    cookie(p, 1002)
    assert stat(p, "half_open_full") == 1
    p.send("A", 1, 1, remote_port=1002)
    assert listener.accept().remote[1] == 1002


def test_a_record_does_not_stand_in_the_cookies_way():
    """A SYN answered by a cookie is repeated when there is a record: both ACKs will do."""
    p, listener = flooded(half_open=1)
    p.send("S", 0, remote_port=1000)
    p.take()
    cookie(p, 1001)
    first = p.iss
    p.send("R", 1, remote_port=1000)
    p.send("S", 0, remote_port=1001)
    p.take()
    assert listener.half_open() == 1 and p.iss != first
    p.iss = first
    p.send("A", 1, 1, remote_port=1001)
    p.nothing()
    assert listener.half_open() == 0 and listener.accept().remote[1] == 1001


def test_without_cookies_the_syn_is_dropped():
    p, listener = flooded(half_open=1, cookies=False)
    p.send("S", 0, remote_port=1000)
    p.take()
    p.send("S", 0, remote_port=1001)
    p.nothing()
    assert stat(p, "half_open_full") == 1 and stat(p, "cookies_sent") == 0
    p.iss = 0
    p.send("A", 1, 9, remote_port=1001)
    p.expect("R", 9, destination_port=1001)


# Time.


def lives(p, listener, wait):
    """Does a cookie live `wait` ms?"""
    cookie(p)
    p.pass_time(wait)
    p.send("A", 1, 1)
    s = listener.accept()
    if s is not None:
        s.abort()
        listener.release(s)
        p.poll()
    p.drain()
    return s is not None


def test_lives_between_one_and_two_counts():
    p, listener = flooded()
    for start in (0, 1, 20000, COUNT - 1):
        for wait, alive in ((0, True), (COUNT, True), (2 * COUNT, False), (254 * COUNT, False)):
            # The count begins anew at multiples of 2**16 of the interface's clock.
            p.iface.secret[7] = start
            p.iface.secret[8] = p.now & WRAP
            assert lives(p, listener, wait) == alive, (start, wait)
    p.iface.secret[7] = 0
    p.iface.secret[8] = p.now & WRAP
    assert lives(p, listener, 2 * COUNT - 1)


def test_the_clock_wraps():
    """Over 2**32 ms, where the count goes from 65535 to 0; the time itself wraps, too."""
    p, listener = flooded()
    for wait, alive in ((100, True), (COUNT, True), (2 * COUNT + 100, False)):
        p.iface.secret[7] = -50
        p.iface.secret[8] = p.now & WRAP
        assert lives(p, listener, wait) == alive, wait


def test_an_old_flood_leaves_no_door_open():
    """Two counts after the last cookie an ACK of nothing gets an RST again, without a hash."""
    p, listener = flooded()
    cookie(p)
    p.iss = 0
    p.send("A", 1, 5)
    p.nothing()
    assert stat(p, "cookies_rejected") == 1
    p.pass_time(2 * COUNT)
    p.send("A", 1, 5)
    p.expect("R", 5)
    assert listener.cookie_at == -1 and stat(p, "cookies_rejected") == 1


# Forgeries.


def test_no_field_may_differ():
    p, listener = flooded(backlog=1, timestamps=True)
    p.iface.add_ip_addr("192.168.69.2/24")
    s = cookie(p, tsval=1)
    good = {"tsval": 2, "tsecr": s.tsval}
    for seq, ack, options in (
        (1, 1 + 6, {}),  # 1 + 5 is the last entry of the table
        (1, 1 - 3, {}),
        (2, 1, {}),
        (0, 1, {}),
        (1, 1 + (1 << 24), {}),
        (1, 1 - (1 << 24), {}),
        (1, 1 - (2 << 24), {}),
        (1, 1, {"remote_port": PEER_PORT + 1}),
        (1, 1, {"source": "192.168.69.101"}),
        (1, 1, {"destination": "192.168.69.2"}),
        (1, 1, {"tsval": 2, "tsecr": s.tsval + (1 << 18)}),
        (1, 1, {"tsval": 2, "tsecr": s.tsval + 64}),
        (1, 1, {"tsval": 2, "tsecr": 0}),
    ):
        fields = dict(good)
        fields.update(options)
        p.send("A", seq, ack, b"text", **fields)
        p.nothing()
        assert listener.waiting() == 0, (seq, ack, options)
    p.send("SA", 1, 1, **good)
    p.send("R", 1, 1, **good)
    p.nothing()
    assert listener.waiting() == 0
    p.send("A", 1, 1, **good)
    assert listener.waiting() == 1


# not from .mpy files: two peers and their buffers at a time
def test_another_hosts_cookie():
    ours = Peer(seed=1)
    _, listener = flooded(ours)
    other = Peer(seed=2)
    flooded(other)
    cookie(ours, 1000)
    cookie(other)
    ours.iss = other.iss
    ours.send("A", 1, 1)
    ours.nothing()
    assert listener.waiting() == 0 and stat(ours, "cookies_rejected") == 1


# not on a board: minutes
def test_random_acks_make_no_connection():
    """2**-28 each: of so many none gets through, nor does any of those near the right one."""
    p, listener = flooded()
    cookie(p)
    random = Random(1)
    n = 20000 if MICROPYTHON else 500
    words = array("I", (0, 0))
    right = p.iss
    for i in range(n):
        random.fill(words, 0)
        random.fill(words, 1)
        if i & 1:
            p.send("A", words[0], words[1], remote_port=1024 + (i & 0x7FFF))
        else:
            p.send("A", 1, (words[1] & 0xFFFFF8) + 8 + 1)  # the entry's bits are left out
        assert listener.waiting() == 0
    p.nothing()
    assert stat(p, "cookies_rejected") == n and stat(p, "resets_out") == 0
    assert p.iss == right
    p.send("A", 1, 1)
    assert listener.waiting() == 1


# Limits.


def test_full_backlog_drops_the_ack_and_loses_nothing():
    p, listener = flooded(backlog=1, pool=2)
    cookie(p, 1000)
    p.send("A", 1, 1, b"first", remote_port=1000)
    cookie(p, 1001)
    p.send("A", 1, 1, remote_port=1001)
    p.send("A", 1, 1, b"second", remote_port=1001)
    p.send("A", 7, 1, b"third", remote_port=1001)  # an RST would end the connection
    p.nothing()
    assert listener.waiting() == 1 and stat(p, "backlog_full") == 2
    assert listener.accept().recv() == b"first"
    p.send("A", 7, 1, b"third", remote_port=1001)
    p.nothing()
    assert listener.waiting() == 0
    p.send("A", 1, 1, b"second", remote_port=1001)  # the client's RTO
    p.send("A", 7, 1, b"third", remote_port=1001)
    assert listener.accept().recv() == b"secondthird"


def test_full_backlog_resets_if_wanted():
    p, listener = flooded(backlog=1, overflow="reset")
    cookie(p, 1000)
    p.send("A", 1, 1, remote_port=1000)
    cookie(p, 1001)
    p.send("A", 1, 1, remote_port=1001)
    p.expect("R", 1, destination_port=1001)
    p.send("A", 1, 2, remote_port=1002)
    p.expect("R", 2, destination_port=1002)


# The flood.


class Flood:
    """SYNs from ever other ends: one packet in which some octets change, and nothing is added up
    again, since what one field gains another one loses."""

    def __init__(self, p, **options):
        self.p = p
        isn, p.isn = p.isn, 0x7FFFFFFF  # its halves can go down
        self.packet = packet = p.packet("S", 0, source="10.1.0.0", remote_port=1024, **options)
        p.isn = isn
        put(packet, 4, 0xFFFF)  # the identification, too
        put(packet, 10, 0)
        total = sum([packet[i] << 8 | packet[i + 1] for i in range(0, 20, 2)])
        put(packet, 10, 0xFFFF - total % 0xFFFF)
        self.buf = bytearray(100)
        self.inject = p.device.inject
        self.poll = p.iface.poll
        self.take = p.device.take_into
        self.answers = 0
        self.first = 0
        self.n = 64

    def run(self):
        """The next n SYNs; every answer is counted and thrown away."""
        p = self.p
        packet = self.packet
        now = self.now
        for i in range(self.first, self.first + self.n):
            # Of the source's address up; identification and SEQ down.
            low = i & 0xFFFF
            put(packet, 14, low)
            put(packet, 4, 0xFFFF - low)
            put(packet, 26, 0xFFFF - low)
            put(packet, 20, 1024 + (i >> 16))
            put(packet, 24, 0x7FFF - (i >> 16))
            self.inject(packet)
            if i & 7 == 7:
                self.poll(now, p.sockets)
                while self.take(self.buf):
                    self.answers += 1
        self.first += self.n

    def locked(self, n):
        """How many of n SYNs were answered, with the heap locked."""
        self.now = self.p.now & WRAP
        self.n = 64
        self.run()
        self.n = n
        self.answers = 0
        locked(self.run)
        return self.answers


def put(packet, at, value):
    packet[at] = value >> 8
    packet[at + 1] = value & 255


# not on a board: minutes
def test_a_flood_of_100000():
    """Nothing is allocated, all are answered, and a client gets through in the middle of it."""
    n = 50000 if MICROPYTHON else 160
    p, listener = flooded(half_open=16, backlog=2, pool=4)
    flood = Flood(p, mss=1460)
    for part in range(2):
        assert flood.locked(n) == n
        assert listener.half_open() == 16 and listener.waiting() == 0
        cookie(p, 2000 + part, mss=1460)
        p.send("A", 1, 1, b"request", remote_port=2000 + part)
        s = listener.accept()
        assert s.recv() == b"request" and s.state == "ESTABLISHED"
        p.drain()
    assert stat(p, "cookies_sent") >= 2 * n - 16
    # And when it is over, records are used again.
    for _ in range(6):
        p.pass_time(31000)
    p.drain()
    assert listener.half_open() == 0 and stat(p, "half_open_expired") == 16
    p.send("S", 0, remote_port=3000)
    p.take()
    assert listener.half_open() == 1


def test_a_flood_with_timestamps():
    p, listener = flooded(half_open=4, timestamps=True)
    flood = Flood(p, mss=1460, scale=7, sack=True, tsval=1)
    assert flood.locked(800) == 800
    assert stat(p, "cookies_sent") >= 800
