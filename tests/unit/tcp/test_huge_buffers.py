"""Buffers up to 1 GiB: scaled windows at their far end (RFC 7323 2).

No board has so much memory, and few tests should: these buffers are small and say that they are
large. Nothing is read or written behind the first octets.
"""

from tcp_support import Peer

from smolmp.socket import tcp

MOST = 65535 << 14  # RFC 7323 2.3
SMALL = 4096


def pretend(s, rx=SMALL, tx=SMALL):
    s.w[23] = rx
    s.w[26] = tx
    while rx >> s.scale > 0xFFFF:
        s.scale += 1
    return s


def established(p, rx, window, scale):
    s = pretend(p.listen(80), rx)
    p.send("S", 0, mss=1460, scale=scale, window=65535)
    g = p.expect("SA", 0, 1, window=65535 if rx > 65535 else rx)
    assert (65535 << g.scale >= rx) and g.scale <= 14
    p.send("A", 1, 1, window=window)
    assert s.state == "ESTABLISHED"
    p.drain()  # the window that the SYN+ACK could not tell
    s.nagle = False
    return s


def test_capacity_limits():
    for n in (0, MOST + 1):
        for buffers in ((Pretender(n), bytearray(64)), (bytearray(64), Pretender(n))):
            try:
                tcp.Socket(*buffers)
                raise AssertionError(n)
            except ValueError:
                pass
    assert tcp.Socket(Pretender(MOST), bytearray(1)).scale == 14
    assert tcp.Socket(Pretender(65535), bytearray(1)).scale == 0
    assert tcp.Socket(Pretender(65536), bytearray(1)).scale == 1


class Pretender:
    """Says that it is long."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n


def test_every_scale():
    for scale in range(15):
        p = Peer()
        rx = 65535 << scale
        s = established(p, rx, 1000, 3)
        assert s.scale == scale
        p.send("A", 1, 1, b"abc", window=1000)
        p.pass_time(10)
        g = p.expect("A", 1, 4)
        # Rounded down to what the field can tell, and never back behind what was told before.
        assert rx - 3 - (1 << scale) < g.window << scale <= rx or scale == 0


def test_the_largest_window_to_receive():
    p = Peer()
    s = established(p, MOST, 1000, 14)
    p.send("A", 1, 1, b"abc", window=1000)
    p.pass_time(10)
    p.expect("A", 1, 4)
    window = s.w[22]
    assert MOST - (1 << 15) < window < MOST
    # The last octet of the window is in it, the next one not. (An empty segment: no ring is that
    # large.)
    p.send("A", 4 + window, 1, window=1000)
    p.nothing()
    p.send("A", 4 + window + 1, 1, window=1000)
    p.expect("A", 1, 4)
    p.pass_time(1000)
    p.send("R", 4 + window - 1)
    p.expect("A", 1, 4)  # RFC 5961: in the window, challenged
    p.pass_time(1000)
    p.send("R", 4 + window + 1)
    p.nothing()
    assert s.state == "ESTABLISHED"


def test_the_largest_window_to_send():
    p = Peer()
    s = established(p, SMALL, 65535, 14)
    assert s.stats()["send_window"] == MOST
    s.congestion = "none"
    s.send(bytes(SMALL))
    p.poll()
    assert sum([len(g.payload) for g in p.drain()]) == SMALL
    p.send("A", 1, 1 + SMALL, window=65535)
    assert s.send_queue() == 0
    s.send(b"more")
    p.poll()
    p.expect("PA", 1 + SMALL, 1, b"more")
    # An old ACK of as much as the window ever was is no challenge (RFC 5961 5.2).
    p.send("A", 1, 1 + SMALL - MOST // 2, b"text", window=65535)
    assert s.recv(10) == b"text"
    assert p.iface.stats()["tcp_challenges"] == 0


def test_a_window_above_cwnd_in_flight():
    """Distances of hundreds of megabytes: the sender's arithmetic stays in small ints."""
    p = Peer()
    s = established(p, SMALL, 65535, 14)
    w = s.w
    s.send(b"abcdef")
    p.poll()
    p.expect("PA", 1, 1, b"abcdef")
    # As if 900 MB were queued, sent and in flight, and cwnd and scoreboard agreed.
    flight = 900 << 20
    w[28] = w[26] = w[17] = w[18] = w[60] = flight
    w[63] = 1
    first = 100 + 2 * w[98]
    w[first], w[first + 1], w[first + 2] = flight, p.now & 0x3FFFFFFF, 0
    p.send("A", 1, 1 + (500 << 20), window=65535)
    assert s.send_queue() == 400 << 20 and s.stats()["flight"] == 400 << 20
    assert s.stats()["sent"] == 500 << 20
    p.send("A", 1, 1 + flight, window=65535)
    assert s.send_queue() == 0 and s.stats()["flight"] == 0
    assert 10 * 1460 <= s.stats()["cwnd"] <= MOST
