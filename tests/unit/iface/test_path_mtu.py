"""The cache of path MTUs, and what datagrams, pings and raw packets do with it (RFC 1191)."""

from array import array

from support import (
    GATEWAY_IP,
    IP,
    OTHER_IP,
    OUR_IP,
    PEER_IP,
    Net,
    echo,
    icmp,
    ip_bytes,
    locked,
    payload,
    u16,
    udp,
)

from smolmp.socket import icmp as icmp_sockets
from smolmp.socket import raw
from smolmp.socket import udp as udp_sockets
from smolmp.wire.address import parse_address, to_words

EMSGSIZE = 90
MINUTES_10 = 600000


def net(**options):
    return Net(medium=IP, frames=16, **options)


def needed(packet, mtu, quote=28):
    """A router says that `packet` of ours is too large."""
    return icmp(3, 4, bytes(2) + u16(mtu) + packet[:quote], GATEWAY_IP)


def bound(n, remote=None, **options):
    s = n.sockets.add(udp_sockets.Socket(8192, 8192, **options))
    s.bind(6969)
    if remote:
        s.connect((remote, 4000))
    return s


def raises(errno, function, *args):
    try:
        function(*args)
    except OSError as e:
        assert e.errno == errno, e
        return
    raise AssertionError("no error")


def flow(address):
    words = array("i", bytes(4 * 14))
    words[0] = to_words(parse_address(address), words, 8)
    return words


# UDP


def test_connected_socket():
    n = net()
    s = bound(n, PEER_IP)
    s.send(bytes(1472))
    (packet,) = n.poll()
    assert len(packet) == 1500 and packet[6] & 0x40
    n.rx(needed(packet, 1280))
    assert s in n.changed and n.iface.path_mtu(PEER_IP) == 1280
    raises(EMSGSIZE, s.recv)
    assert s.recv() is None
    raises(EMSGSIZE, s.send, bytes(1253))
    s.send(bytes(1252))
    assert [len(packet) for packet in n.poll()] == [1280]
    assert n.iface.path_mtu(OTHER_IP) == 1500
    # Ten minutes later larger ones are tried again.
    n.advance(MINUTES_10)
    assert n.iface.path_mtu(PEER_IP) == 1500 and n.iface.tasks == []
    s.send(bytes(1472))
    assert [len(packet) for packet in n.poll()] == [1500]


def test_connecting_to_another_forgets_the_limit():
    n = net()
    s = bound(n, PEER_IP)
    s.send(bytes(1472))
    n.rx(needed(n.poll()[0], 1280))
    raises(EMSGSIZE, s.recv)
    s.connect((OTHER_IP, 4000))
    s.send(bytes(1472))
    assert [len(packet) for packet in n.poll()] == [1500]
    # And the first one learns it from the cache, without asking the path.
    s.connect((PEER_IP, 4000))
    s.send(bytes(1472))
    assert n.poll() == [] and s in n.changed and s.tx_dropped == 1
    raises(EMSGSIZE, s.recv)
    raises(EMSGSIZE, s.send, bytes(1253))


def test_socket_that_is_not_connected():
    """It hears nothing of an error that anybody can forge, but of what it can't send."""
    n = net()
    s = bound(n)
    s.send_to(bytes(1472), (PEER_IP, 4000))
    n.rx(needed(n.poll()[0], 1280))
    assert s.recv() is None and n.iface.path_mtu(PEER_IP) == 1280
    s.send_to(bytes(1253), (PEER_IP, 4000))
    s.send_to(bytes(1252), (PEER_IP, 4000))
    s.send_to(bytes(1472), (OTHER_IP, 4000))
    assert [len(packet) for packet in n.poll()] == [1280, 1500]
    assert s.tx_dropped == 1 and n.count("ip_too_big") == 1
    raises(EMSGSIZE, s.recv)
    assert s.recv() is None


def test_believed_only_from_a_socket_of_ours():
    n = net()
    s = bound(n, PEER_IP)
    ours = udp(b"x" * 1400, 6969, 4000, OUR_IP, PEER_IP)
    for packet in (
        udp(b"x", 6970, 4000, OUR_IP, PEER_IP),  # not our port
        udp(b"x", 6969, 4001, OUR_IP, PEER_IP),  # not whom we speak to
        udp(b"x", 6969, 4000, OUR_IP, OTHER_IP),
        udp(b"x", 6969, 4000, OTHER_IP, PEER_IP),  # not our address
        ours[:19],
        ours[:23],
        b"\x65" + ours[1:],
        ours[:6] + b"\0\1" + ours[8:],  # an inner fragment
    ):
        n.rx(needed(packet, 1280))
    n.rx(icmp(3, 4, bytes(2) + u16(1280) + ours[:28], GATEWAY_IP, "192.168.69.255"))
    n.rx(needed(ours, 1500))
    n.rx(needed(ours, 9000))
    n.rx(needed(udp(b"x" * 1252, 6969, 4000, OUR_IP, PEER_IP), 1280))  # it had room
    n.rx(needed(udp(b"x" * 524, 6969, 4000, OUR_IP, PEER_IP), 100))  # and below the floor
    n.rx(needed(udp(b"x" * 524, 6969, 4000, OUR_IP, PEER_IP), 0))
    assert n.iface.path_mtu(PEER_IP) == 1500 and s.recv() is None
    n.rx(needed(ours, 1280))
    assert n.iface.path_mtu(PEER_IP) == 1280


def test_floor_can_be_lowered():
    n = net()
    bound(n, PEER_IP)
    ours = udp(b"x" * 1400, 6969, 4000, OUR_IP, PEER_IP)
    n.rx(needed(ours, 100))
    assert n.iface.path_mtu(PEER_IP) == 552
    n.iface.paths.minimum = 68
    n.rx(needed(ours, 100))
    assert n.iface.path_mtu(PEER_IP) == 100
    n.rx(needed(ours, 1))
    assert n.iface.path_mtu(PEER_IP) == 68


def test_shorter_ones_are_not_looked_at():
    """Who sends small datagrams pays nothing for another's narrow path."""
    n = net()
    s = bound(n)
    n.iface.paths.note(flow(PEER_IP), 600)
    calls = []
    large = n.iface._large
    n.iface._large = lambda *given: calls.append(given) or large(*given)
    s.send_to(bytes(572), (PEER_IP, 4000))
    assert len(n.poll()) == 1 and calls == []
    s.send_to(bytes(573), (PEER_IP, 4000))
    assert n.poll() == [] and len(calls) == 1


# ICMP, raw


def test_ping_too_large_for_its_path():
    n = net()
    s = n.sockets.add(icmp_sockets.Socket(4096, 4096))
    s.bind(icmp_sockets.Endpoint.ident(7))
    s.send_echo(PEER_IP, 1, bytes(1472))
    (packet,) = n.poll()
    n.rx(needed(packet[:20] + b"\x08\0\0\0\0\x08\0\1", 1280))  # somebody else's ident
    assert n.iface.path_mtu(PEER_IP) == 1500
    n.rx(needed(packet, 1280))
    assert n.iface.path_mtu(PEER_IP) == 1280
    assert s.recv()[0][:2] == b"\3\4"  # the error itself
    s.send_echo(PEER_IP, 2, bytes(1253))
    assert n.poll() == []
    raises(EMSGSIZE, s.recv)
    s.send_echo(PEER_IP, 2, bytes(1252))
    assert len(n.poll()) == 1


def test_raw_packet_too_large_for_its_path():
    n = net()
    s = n.sockets.add(raw.Socket(4, 47, 4096, 4096))
    whole = b"\x45\0\x05\xdc" + bytes(4) + b"\x40\x2f\0\0" + ip_bytes(OUR_IP) + ip_bytes(PEER_IP)
    whole += bytes(1480)
    s.send(whole)
    (packet,) = n.poll()
    assert payload(packet)[0] == 47
    n.rx(needed(packet, 1280, 20))
    assert n.iface.path_mtu(PEER_IP) == 1280
    s.send(whole)
    assert n.poll() == [] and s.tx_dropped == 1
    raises(EMSGSIZE, s.recv)


def test_a_raw_socket_does_not_vouch_for_tcp():
    n = net()
    n.sockets.add(raw.Socket())
    segment = (
        b"\x45\0\x05\xdc\0\0\x40\0\x40\6\0\0" + ip_bytes(OUR_IP) + ip_bytes(PEER_IP) + bytes(8)
    )
    n.rx(needed(segment + bytes(8), 1280))
    assert n.iface.path_mtu(PEER_IP) == 1500


def test_answers_to_pings_keep_within_the_path():
    n = net()
    n.iface.paths.note(flow(PEER_IP), 1280)
    assert n.rx(icmp(8, 0, echo(1, 1, bytes(1472)))) == []
    assert len(n.rx(icmp(8, 0, echo(1, 1, bytes(1252))))) == 1


# The cache


def test_the_oldest_gives_way():
    n = net(paths=3)
    for i in range(5):
        n.iface.paths.note(flow("10.0.0.%d" % i), 1000 + i)
        n.advance(1000)
    known = dict(iter(n.iface.paths))
    assert known == {"10.0.0.2": 1002, "10.0.0.3": 1003, "10.0.0.4": 1004}
    assert "10.0.0.3 mtu 1003" in repr(n.iface)
    assert n.iface.clear_end == 44 + 1002
    n.iface.paths.note(flow("10.0.0.2"), 900)  # renewed: 3 is the oldest
    n.iface.paths.note(flow("10.0.0.9"), 1400)
    assert sorted(mtu for _, mtu in n.iface.paths) == [900, 1004, 1400]


def test_each_expires_on_its_own():
    """The clock wraps on the way."""
    n = net()
    n.iface.paths.lifetime = 10
    for i in range(4):
        n.iface.paths.note(flow("10.0.0.%d" % i), 1000 + i)
        n.advance(3000)
    for i in range(4):
        assert n.iface.path_mtu("10.0.0.%d" % i) == (1500 if i == 0 else 1000 + i)
    assert n.delay() == 1000
    n.advance(1000)
    n.advance(3000)
    assert [mtu for _, mtu in n.iface.paths] == [1003]
    assert n.iface.clear_end == 44 + 1003
    n.advance(3000)
    assert len(n.iface.paths) == 0 and n.iface.clear_end == n.iface.tx_end
    assert n.iface.tasks == [] and n.delay() is None
    assert n.count("path_mtu_forgotten") == 4


def test_families_are_apart():
    n = net()
    words = flow(PEER_IP)
    words[0] = 6
    n.iface.paths.note(words, 1280)
    assert n.iface.path_mtu(PEER_IP) == 1500 and n.iface.clear_end == n.iface.tx_end
    assert n.iface.paths.mtu(words) == 1280


def test_clear():
    n = net()
    n.iface.paths.clear()
    n.iface.paths.note(flow(PEER_IP), 1000)
    n.iface.paths.doubt()
    n.iface.paths.doubt()
    assert len(n.iface.paths) == 2 and list(n.iface.paths) == [(PEER_IP, 1000)]
    n.iface.paths.clear()
    assert n.iface.path_mtu(PEER_IP) == 1500 and n.iface.tasks == []


class Flood:
    """Errors about datagrams to a dozen hosts, datagrams to some of them, then time passes."""

    def __init__(self):
        self.net = net(paths=4)
        self.socket = bound(self.net)
        self.errors = []
        for i in range(12):
            packet = udp(b"x" * 1400, 6969, 4000, OUR_IP, "10.0.0.%d" % i)
            self.errors.append(needed(packet, 600 + 50 * i))
            self.errors.append(needed(packet, 0))
        self.data = bytes(1100)
        self.to = [udp_sockets.UdpMetadata(), udp_sockets.UdpMetadata()]
        self.to[0].set((PEER_IP, 4000))
        self.to[1].set(("10.0.0.11", 4000))
        self.buf = bytearray(1600)
        self.out = 0

    def run(self):
        n = self.net
        for packet in self.errors:
            n.device.inject(packet)
            for to in self.to:
                self.socket.send(self.data, None, to)
            n.iface.poll(n.now, n.sockets)
            while n.device.take_into(self.buf):
                self.out += 1
        for _ in range(30):
            n.now = (n.now + 100000) & 0x3FFFFFFF
            n.iface.poll(n.now, n.sockets)


def test_flood_of_errors_allocates_nothing():
    flood = Flood()
    flood.run()
    flood.out = 0
    locked(flood.run)
    n = flood.net
    assert n.count("path_mtu_lowered") == 48 and n.count("path_mtu_forgotten") == 8
    assert len(n.iface.paths) == 0
    assert flood.out == 2 * 24 - 1, flood.out  # 1006 at last: the second to the last host
