"""UDP by the socket module: the peer that was heard of or sent to last is known, and only as long
as what is known of it holds."""

import errno

from support import GATEWAY_IP, OTHER_IP, OUR_IP, PEER_IP, SUBNET_BROADCAST, locked

from smolmp.errors import EDESTADDRREQ, ENETUNREACH
from tests.unit.net.net_support import Host, datagram, text_of

SECOND_IP = "192.168.69.7"
AWAY_IP = "10.9.8.7"


def number_of(function, *args):
    """The errno that it raises."""
    try:
        function(*args)
    except OSError as e:
        return e.errno
    return None


def test_the_same_peer_is_the_same_tuple():
    host = Host()
    s = host.socket()
    host.wire.later = [datagram(b"one"), datagram(b"two")]
    data, first = s.recvfrom(100)
    assert (data, first) == (b"one", (PEER_IP, 4000))
    data, second = s.recvfrom(100)
    assert data == b"two" and second is first
    host.close()


def test_another_port_address_or_socket_is_another_peer():
    host = Host()
    s, other = host.socket(), host.socket(7000)
    for data, sport, src in ((b"a", 4000, PEER_IP), (b"b", 4001, PEER_IP), (b"c", 4001, OTHER_IP)):
        host.wire.later = [datagram(data, sport, src)]
        assert s.recvfrom(100) == (data, (src, sport))
        s.sendto(b"re", (src, sport))
        assert host.left() == [(OUR_IP, src, sport, b"re")]
    host.wire.later = [datagram(b"d", 5000, dport=7000)]
    assert other.recvfrom(100) == (b"d", (PEER_IP, 5000))
    host.wire.later = [datagram(b"e", 4001, OTHER_IP)]
    assert s.recvfrom(100) == (b"e", (OTHER_IP, 4001))
    host.close()


def test_an_answer_goes_to_who_asked_whatever_tuple_names_it():
    host = Host()
    s = host.socket()
    host.wire.later = [datagram(b"ask")]
    peer = s.recvfrom(100)[1]
    for address in (peer, (PEER_IP, 4000), [PEER_IP, 4000], (PEER_IP.encode(), 4000)):
        assert s.sendto(b"re", address) == 2
        assert host.left() == [(OUR_IP, PEER_IP, 4000, b"re")]
    # And to somebody else, though he asked.
    s.sendto(b"no", (OTHER_IP, 4000))
    s.sendto(b"yes", peer)
    expected = [(OUR_IP, OTHER_IP, 4000, b"no"), (OUR_IP, PEER_IP, 4000, b"yes")]
    assert host.left() == expected
    host.close()


def test_a_list_may_change_between_two_sends():
    host = Host()
    s = host.socket()
    address = [PEER_IP, 4000]
    s.sendto(b"1", address)
    address[0] = OTHER_IP
    address[1] = 4001
    s.sendto(b"2", address)
    assert host.left() == [(OUR_IP, PEER_IP, 4000, b"1"), (OUR_IP, OTHER_IP, 4001, b"2")]
    host.close()


def test_what_equals_the_known_address_and_is_none_is_refused_as_ever():
    host = Host()
    s = host.socket()
    s.sendto(b"1", (PEER_IP, 1))
    for wrong in ((PEER_IP, 1.0), (PEER_IP, "1"), (PEER_IP,), None, PEER_IP):
        try:
            s.sendto(b"2", wrong)
        except TypeError:
            pass
        else:
            raise AssertionError(wrong)
    assert number_of(s.sendto, b"2", (PEER_IP, 65537)) == errno.EINVAL
    assert host.left() == [(OUR_IP, PEER_IP, 1, b"1")]
    host.close()


def test_a_new_address_is_the_source_and_one_that_is_gone_is_not():
    host = Host()
    s = host.socket()
    s.sendto(b"1", (PEER_IP, 4000))
    net = host.net
    net.iface.remove_ip_addr(OUR_IP)
    assert number_of(s.sendto, b"2", (PEER_IP, 4000)) == ENETUNREACH
    net.iface.add_ip_addr(SECOND_IP + "/24")
    net.iface.neighbors.add(PEER_IP, text_of(b"\2\0\0\0\0\2"))
    s.sendto(b"3", (PEER_IP, 4000))
    assert host.left() == [(OUR_IP, PEER_IP, 4000, b"1"), (SECOND_IP, PEER_IP, 4000, b"3")]
    host.close()


def test_a_new_route_chooses_the_source_anew():
    host = Host()
    net = host.net
    s = host.socket()
    net.iface.add_ip_addr("172.16.0.1/16")
    net.iface.neighbors.add(GATEWAY_IP, text_of(b"\2\0\0\0\0\4"))
    net.iface.neighbors.add("172.16.0.2", text_of(b"\2\0\0\0\0\5"))
    net.iface.routes.add_default(GATEWAY_IP)
    s.sendto(b"1", (AWAY_IP, 9))
    net.iface.routes.add("10.0.0.0/8", "172.16.0.2")
    s.sendto(b"2", (AWAY_IP, 9))
    net.iface.routes.remove("10.0.0.0/8")
    s.sendto(b"3", (AWAY_IP, 9))
    sources = [entry[0] for entry in host.left()]
    assert sources == [OUR_IP, "172.16.0.1", OUR_IP], sources
    host.close()


def test_a_broadcast_needs_the_option_each_time():
    host = Host()
    s = host.socket()
    to = (SUBNET_BROADCAST, 9)
    for _ in range(2):
        assert number_of(s.sendto, b"no", to) == errno.EACCES
    s.setsockopt(1, 6, 1)
    s.sendto(b"yes", to)
    assert host.left() == [(OUR_IP, SUBNET_BROADCAST, 9, b"yes")]
    s.setsockopt(1, 6, 0)
    assert number_of(s.sendto, b"no", to) == errno.EACCES
    # What was a host becomes a broadcast address with an address of ours.
    s.sendto(b"1", ("10.0.0.255", 9))
    host.net.iface.add_ip_addr("10.0.0.1/24")
    assert number_of(s.sendto, b"2", ("10.0.0.255", 9)) == errno.EACCES
    host.close()


def test_a_closed_socket_knows_nobody_and_neither_does_the_next():
    host = Host(udp=1)
    s = host.socket()
    host.wire.later = [datagram(b"ask")]
    peer = s.recvfrom(100)[1]
    s.close()
    assert number_of(s.sendto, b"re", peer) == errno.EBADF
    assert number_of(s.recvfrom, 100) == errno.EBADF
    s = host.socket()
    assert number_of(s.send, b"re") == EDESTADDRREQ
    host.wire.later = [datagram(b"ask", 4001, OTHER_IP)]
    assert s.recvfrom(100) == (b"ask", (OTHER_IP, 4001))
    host.close()


def test_two_nets_know_their_own():
    one, two = Host(), Host(address="192.168.69.9/24")
    s, t = one.socket(), two.socket()
    address = (PEER_IP, 4000)
    s.sendto(b"1", address)
    t.sendto(b"2", address)
    s.sendto(b"3", address)
    assert [entry[0] for entry in one.left()] == [OUR_IP, OUR_IP]
    assert [entry[0] for entry in two.left()] == ["192.168.69.9"]
    # Who waits for one drives both.
    one.wire.later = [datagram(b"ask")]
    two.wire.frames.append(datagram(b"there", dst="192.168.69.9"))
    assert s.recvfrom(100)[0] == b"ask"
    t.setblocking(False)
    assert t.recvfrom(100) == (b"there", address)
    two.close()
    one.close()


def test_a_datagram_larger_than_asked_for_loses_its_tail():
    host = Host()
    s = host.socket()
    buf = bytearray(b"........")
    host.wire.later = [datagram(b"abcdef"), datagram(b"gh"), datagram(b"ijklmnop")]
    assert s.recvfrom_into(buf, 4) == (4, (PEER_IP, 4000))
    assert buf == b"abcd...."
    assert s.recv_into(buf) == 2 and buf == b"ghcd...."
    assert s.recv(3) == b"ijk"
    s.setblocking(False)
    assert number_of(s.recv, 100) == errno.EAGAIN
    host.close()


def test_an_echo_to_the_same_peer_allocates_nothing():
    host = Host()
    s = host.socket()
    s.setblocking(False)
    buf = bytearray(8)
    ask = datagram(b"12345678")

    def echo():
        n, peer = s.recvfrom_into(buf)
        return s.sendto(buf, peer)

    for i in range(4):
        host.wire.frames.append(ask)
        host.net.poll()
        assert (locked(echo) if i > 1 else echo()) == 8
        host.net.poll()
    assert host.left() == 4 * [(OUR_IP, PEER_IP, 4000, b"12345678")]
    host.close()
