"""ICMP errors about TCP (RFC 1122 4.2.3.9, RFC 5461) and those that nobody sent (RFC 5927)."""

from slow import BOARD
from support import icmp, locked
from tcp_support import OURS, PEER, ROUTER, Peer, raises, short_segments

ECONNREFUSED = 111
EHOSTUNREACH = 113
ENETUNREACH = 101
EPROTO = 71
ETIMEDOUT = 110
PORT = 3
KINDS = (
    (3, 0, ENETUNREACH),
    (3, 1, EHOSTUNREACH),
    (3, 2, ECONNREFUSED),
    (3, 3, ECONNREFUSED),
    (3, 5, EHOSTUNREACH),
    (3, 6, ENETUNREACH),
    (3, 9, ENETUNREACH),
    (3, 10, EHOSTUNREACH),
    (3, 13, EHOSTUNREACH),
    (11, 0, EHOSTUNREACH),
    (11, 1, EHOSTUNREACH),
    (12, 0, EPROTO),
)


def count(p, name):
    return p.iface.stats()[name]


# Opening


def test_attempt_to_connect_is_ended():
    for kind, code, errno in KINDS:
        p = Peer()
        s = p.connect()
        syn = p.expect("S", 0)
        p.error(kind, code, syn.packet)
        p.nothing()
        assert s.state == "CLOSED" and s in p.changed
        raises(errno, s.send, b"x")
        raises(errno, s.recv, 1)
        assert count(p, "tcp_icmp_errors") == 1


def test_simultaneous_open_is_ended():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("S", 0)
    syn = p.expect("SA", 0, 1)
    p.error(3, PORT, syn.packet)
    assert s.state == "CLOSED"
    raises(ECONNREFUSED, s.send, b"x")


def test_listener_listens_on():
    p = Peer()
    s = p.listen()
    p.send("S", 0)
    answer = p.expect("SA", 0, 1)
    p.error(3, 1, answer.packet)
    p.nothing()
    assert s.state == "LISTEN"
    p.send("S", 0)
    p.expect("SA", 0, 1)


def test_a_listener_itself_has_sent_nothing():
    p = Peer()
    s = p.listen()
    segment = p.packet("S", 0, source=OURS, destination=PEER, port=49500, remote_port=80)
    p.error(3, PORT, bytes(segment))
    assert s.state == "LISTEN" and count(p, "tcp_icmp_rejected") == 1


def test_source_quench_is_none():
    """RFC 6633."""
    p = Peer()
    s = p.connect()
    syn = p.expect("S", 0)
    p.error(4, 0, syn.packet)
    assert s.state == "SYN-SENT"
    p, s = short_segments("reno")
    s.send(bytes(100))
    p.poll()
    cwnd = s.w[60]
    p.error(4, 0, p.take().packet)
    assert s.state == "ESTABLISHED" and s.soft_error == 0 and s.w[60] == cwnd


# Open: soft


def test_open_connection_goes_on():
    """RFC 5927 5.2: even what used to be a hard error."""
    for kind, code, errno in KINDS:
        p, s = short_segments()
        s.send(b"abc")
        p.poll()
        data = p.expect("PA", 1, 1, b"abc")
        p.error(kind, code, data.packet)
        p.nothing()
        assert s.state == "ESTABLISHED" and s.soft_error == errno
        p.send("A", 1, 4)
        p.pass_time(1, poll=False)
        s.send(b"d")
        p.poll()
        p.expect("PA", 4, 1, b"d")


def test_progress_clears_it():
    p, s = short_segments()
    s.send(b"abc")
    p.poll()
    data = p.expect("PA", 1, 1, b"abc")
    p.error(3, 1, data.packet)
    assert s.soft_error == EHOSTUNREACH
    p.pass_time(1, poll=False)
    p.send("A", 1, 4)
    assert s.soft_error == 0
    s.timeout = 1000
    s.send(b"d")
    p.poll()
    p.pass_time(1000)
    assert s.state == "CLOSED"
    raises(ETIMEDOUT, s.send, b"x")


def test_it_is_the_reason_of_a_timeout():
    """RFC 1122 4.2.3.9."""
    p, s = short_segments()
    s.timeout = 5000
    s.send(b"abc")
    p.poll()
    data = p.expect("PA", 1, 1, b"abc")
    p.pass_time(1000)
    p.error(3, 0, data.packet)
    p.pass_time(4000)
    assert s.state == "CLOSED"
    raises(ENETUNREACH, s.send, b"x")
    raises(ENETUNREACH, s.recv, 1)


def test_next_connection_does_not_inherit_it():
    p, s = short_segments()
    s.send(b"abc")
    p.poll()
    p.error(3, 1, p.take().packet)
    s.abort()
    p.poll()
    p.drain()
    s.listen(80)
    p.isn += 1000
    p.send("S", 0)
    p.expect("SA", 0, 1)
    assert s.soft_error == 0


# Forged


def quoted(p, seq, **ends):
    """A segment as if it were ours, SEQ counted from our ISN."""
    iss, isn = p.iss, p.isn
    p.isn = iss
    try:
        return bytes(
            p.packet(
                *("A", seq, 0, b""),
                source=ends.get("source", OURS),
                destination=ends.get("destination", PEER),
                port=ends.get("rport", 49500),
                remote_port=ends.get("lport", p.port),
            )
        )
    finally:
        p.iss, p.isn = iss, isn


def test_only_what_is_in_flight():
    """RFC 5927 4.1: SND.UNA =< SEG.SEQ < SND.NXT."""
    for iss in (0x7FFFFF00, 0xFFFFFF80, 0, None):
        p = Peer(iss=iss)
        s = p.established(mss=100)
        s.send(bytes(400))
        p.poll()
        assert len(p.drain()) == 4
        p.send("A", 1, 101)
        p.drain()
        for seq in (0, 100, 401, 402, 1000, 1 << 29, 1 << 30, 1 << 31, 3 << 30, (1 << 32) - 1):
            p.error(3, PORT, quoted(p, seq))
            assert s.soft_error == 0, seq
        assert count(p, "tcp_icmp_rejected") == 10
        for seq in (101, 102, 400):
            s.w[31] = 0
            p.error(3, PORT, quoted(p, seq))
            assert s.soft_error == ECONNREFUSED, seq


def test_nothing_in_flight_nothing_to_complain_about():
    for state in ("LISTEN", "ESTABLISHED", "FIN-WAIT-2", "CLOSE-WAIT", "TIME-WAIT"):
        p = Peer()
        s = p.reach(state)
        p.iss = p.iss or 0
        for seq in (-1, 0, 1, 2, 3):
            for code in range(14):
                p.error(3, code, quoted(p, seq), mtu=600)
        assert s.state == state and s.soft_error == 0
        assert p.iface.path_mtu(PEER) == 1500


def test_other_ends_are_others():
    p, s = short_segments()
    s.send(b"abc")
    p.poll()
    p.drain()
    p.error(3, PORT, quoted(p, 1, lport=81))
    p.error(3, PORT, quoted(p, 1, rport=49501))
    p.error(3, PORT, quoted(p, 1, destination="192.168.69.101"))
    p.error(3, PORT, quoted(p, 1, source="192.168.69.2"))  # not an address of ours
    assert s.soft_error == 0
    p.error(3, PORT, quoted(p, 1))
    assert s.soft_error == ECONNREFUSED


def test_cut_and_broken_quotes():
    p, s = short_segments()
    s.send(b"abc")
    p.poll()
    packet = p.take().packet
    for n in range(28):
        p.error(3, PORT, packet[:n])
    fragment = bytearray(packet)
    fragment[6:8] = b"\x20\x00"  # we send no fragments
    p.error(3, PORT, bytes(fragment))
    fragment[6:8] = b"\x00\x01"
    p.error(3, PORT, bytes(fragment))
    version = b"\x65" + packet[1:]
    p.error(3, PORT, version)
    # The error itself: a bad checksum, a broadcast, a truncated message.
    whole = bytearray(icmp(3, PORT, bytes(4) + packet[:28], ROUTER))
    whole[-1] ^= 1
    assert p.device.inject(whole)
    p.poll()
    assert p.device.inject(icmp(3, PORT, bytes(4) + packet[:28], ROUTER, "192.168.69.255"))
    p.poll()
    assert s.soft_error == 0 and s.state == "ESTABLISHED"
    p.error(3, PORT, packet)
    assert s.soft_error == ECONNREFUSED


# not from .mpy files: two hundred packets ready made
def test_flood_allocates_nothing():
    p = Peer()
    s = p.established(mss=100)
    s.send(bytes(400))
    p.poll()
    p.drain()
    rest = [
        bytes([0, 0, mtu >> 8, mtu & 255, 0x45, 0, 5, 0xDC]) + quoted(p, seq)[4:28]
        for seq in (1, 400, 1 << 31) + (() if BOARD else (0, 150, 401))
        for mtu in (0, 1, 67, 600, 1400, 1500, 65535)
    ]
    kinds = ((3, 4), (3, 1), (11, 0), (12, 0))
    packets = [icmp(kind, code, r) for r in rest for kind, code in kinds]
    buf = bytearray(1600)

    def flood():
        for packet in packets:
            p.device.inject(packet)
            p.iface.poll(p.now & 0x3FFFFFFF, p.sockets)
            while p.device.take_into(buf):
                pass

    flood()
    p.iface.paths.clear()
    locked(flood)
    assert s.state == "ESTABLISHED" and s.mss == 100  # as agreed: less than any path
    assert p.iface.path_mtu(PEER) == 552
