"""HalfSipHash, initial sequence numbers (RFC 6528), ephemeral ports (RFC 6056)."""

from array import array

from tcp_support import PEER, PEER_PORT, Peer, raises

from smolmp.siphash import halfsiphash
from smolmp.socket import tcp
from smolmp.socket.tcp import numbers
from smolmp.socket.tcp.active import port_offset

EADDRINUSE = 98


def words(octets):
    return array("i", octets)


def test_vectors():
    """The reference implementation's, for messages of whole words: octets 0, 1, 2, ..."""
    for n, expected in ((0, "a9359f5b"), (4, "2a6e4689"), (8, "d0b8848f")):
        secret = words(bytes(range(8)) + bytes(28))
        halfsiphash(secret, words(bytes(range(n))), 0, n // 4)
        value = secret[6] & 0xFFFFFFFF
        got = "".join(["%02x" % (value >> 8 * i & 255) for i in range(4)])
        assert got == expected, (n, got)


def first_numbers(p, port=PEER_PORT, ours=80):
    """(ISS, timestamp clock) of a connection from our port `ours` to the peer's `port`."""
    s = p.socket(timestamps=True)
    s.connect(p.iface, (PEER, port), ours)
    numbers = s.w[15] & 0xFFFFFFFF, s.w[34] & 0xFFFFFFFF
    p.sockets.remove(s)
    return numbers


def test_the_same_ends_move_on_with_the_clock():
    """250 ticks a ms (RFC 9293 3.4.1), and across the wrap of the interface's time."""
    p = Peer()
    p.poll()
    iss, stamp = first_numbers(p)
    ms = 0
    for step in (1, 999, 40000):
        p.pass_time(step)
        ms += step
        later, stamp_later = first_numbers(p)
        assert (later - iss) & 0xFFFFFFFF == 250 * ms
        assert (stamp_later - stamp) & 0xFFFFFFFF == ms


def test_other_ends_and_keys_have_nothing_in_common():
    seen = set()
    for seed, port, ours in ((1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1), (3, 1, 1)):
        seen.add(first_numbers(Peer(seed=seed), port, ours))
    assert len(seen) == 5
    assert len({iss for iss, _ in seen}) == 5 and len({stamp for _, stamp in seen}) == 5


def test_numbers_do_not_tell_each_other():
    """ISS - TS clock is no constant, or who sees one knows the other."""
    differences = set()
    p = Peer()
    for port in range(1, 9):
        iss, stamp = first_numbers(p, port)
        differences.add((iss - stamp) & 0xFFFFFFFF)
    assert len(differences) == 8


def test_ports_are_unpredictable_and_differ():
    p = Peer()
    ports = []
    for i in range(20):
        s = p.socket(64, 64)
        s.connect(p.iface, (PEER, 1000 + i))
        ports.append(s.local[1])
    assert min(ports) >= 49152 and len(set(ports)) == 20
    steps = {b - a for a, b in zip(ports, ports[1:])}
    assert len(steps) > 10  # not one after another: each destination has its own beginning


def test_ports_to_one_destination_do_not_repeat():
    """RFC 6056 3.3.3: each next one is the next free port, so it comes back last."""
    p = Peer()
    ports = []
    for _ in range(50):
        s = p.socket(64, 64)
        s.connect(p.iface, (PEER, 80))
        ports.append(s.local[1])
        p.sockets.remove(s)
    assert len(set(ports)) == 50


def test_a_port_in_use_is_passed_over():
    p = Peer()
    first = p.socket(64, 64)
    first.connect(p.iface, (PEER, 80))
    p.iface.ports = (p.iface.ports - 1) % 16384
    second = p.socket(64, 64)
    second.connect(p.iface, (PEER, 80))
    assert second.local[1] != first.local[1]


def test_a_chosen_port_in_use_is_an_error():
    p = Peer()
    p.socket(64, 64).connect(p.iface, (PEER, 80), 5000)
    raises(EADDRINUSE, p.socket(64, 64).connect, p.iface, (PEER, 80), 5000)


def test_all_ports_taken():
    p = Peer()
    taken = p.socket(64, 64)
    taken.connect(p.iface, (PEER, 80))
    s = p.socket(64, 64)
    find = p.sockets.find
    asked = [0]

    def always(flow):
        asked[0] += 1
        return taken.slot

    p.sockets.find = always
    raises(EADDRINUSE, s.connect, p.iface, (PEER, 80))
    p.sockets.find = find
    assert asked[0] == 16384
    s.connect(p.iface, (PEER, 80))


def test_choosing_allocates_nothing():
    import micropython

    p = Peer()
    s = tcp.Socket(64, 64)
    s.w[2] = 80
    numbers.choose(p.iface, s.w)
    micropython.heap_lock()
    try:
        numbers.choose(p.iface, s.w)
        port_offset(p.iface, s.w)
    finally:
        micropython.heap_unlock()
