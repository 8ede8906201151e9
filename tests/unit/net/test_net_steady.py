"""Where a device waits and reads in one, a Net's wait() and push() do what they do elsewhere."""

from support import OTHER_IP, PEER_IP

from tests.unit.net.net_support import Host, datagram


def both():
    """A host without fetch(), then one with it."""
    for fetches in (False, True):
        host = Host(fetches)
        yield host
        host.close()


def test_a_wait_ends_with_the_frame_that_comes():
    for host in both():
        s = host.socket()
        host.net.poll()
        host.wire.later = [datagram(b"ask")]
        host.net.wait(300)
        assert s._end.core.can_recv()
        assert host.wire.slept[-1] == 300


def test_a_wait_takes_as_long_as_it_is_told_and_a_second_at_most():
    for host in both():
        net, wire = host.net, host.wire
        net.poll()
        start = wire.now
        net.wait(40)
        assert wire.now - start & 0x3FFFFFFF == 40
        start = wire.now
        net.wait()
        assert wire.now - start & 0x3FFFFFFF == 1000


def test_a_wait_sends_what_is_queued_before_it_sleeps():
    for host in both():
        s = host.socket()
        s.setblocking(False)
        host.net.poll()
        s.sendto(b"now", (PEER_IP, 9))
        assert host.left() == []
        host.wire.later = [datagram(b"ask")]
        host.net.wait(300)
        assert [entry[3] for entry in host.left()] == [b"now"]


def test_what_waits_is_found_without_a_sleep():
    for host in both():
        s = host.socket()
        host.net.poll()
        for i in range(5):
            host.wire.frames.append(datagram(bytes([i])))
        start = host.wire.now
        found = [s.recv(10) for _ in range(5)]
        assert found == [bytes([i]) for i in range(5)]
        assert host.wire.now == start


def test_a_send_is_gone_when_it_returns():
    for host in both():
        s = host.socket()
        for wait in (0, 1, 0):
            host.tick(wait)
            s.sendto(b"x", (PEER_IP, 9))
            assert len(host.left()) == 1


def test_who_only_sends_hears_arp_within_a_millisecond():
    """The neighbour is asked for; its answer is taken in by the next send but one at the latest"""
    for host in both():
        from support import OUR_IP, OUR_MAC, arp

        s = host.socket()
        host.net.iface.neighbors.remove(OTHER_IP)
        s.sendto(b"1", (OTHER_IP, 9))
        assert host.left() == []
        host.wire.frames.append(arp(2, OTHER_IP, b"\2\0\0\0\0\3", OUR_IP, OUR_MAC, dst=OUR_MAC))
        host.tick()
        s.sendto(b"2", (PEER_IP, 9))
        s.sendto(b"3", (PEER_IP, 9))
        assert sorted(entry[3] for entry in host.left()) == [b"1", b"2", b"3"]


def test_the_cable_is_noticed_and_callbacks_are_called():
    for host in both():
        net, wire = host.net, host.wire
        told = []
        net.on_change = lambda net, told=told: told.append(net.is_up())
        wire.up = False
        for _ in range(3):
            net.wait(600)
        wire.up = True
        for _ in range(3):
            net.wait(600)
        assert told == [False, True]
        s = host.socket()
        called = []
        s.setsockopt(1, 20, called.append)
        wire.later = [datagram(b"ask")]
        net.wait(300)
        assert called == [s]


def test_a_timer_of_the_core_ends_a_sleep():
    """An ARP request is repeated after a second, whatever the program waits for."""
    for host in both():
        net = host.net
        s = host.socket()
        net.iface.neighbors.remove(OTHER_IP)
        s.sendto(b"1", (OTHER_IP, 9))
        asked = []
        for _ in range(12):
            net.wait(250)
            asked += [data for data in host.wire.sent if data[12:14] == b"\x08\x06"]
            del host.wire.sent[:]
        assert len(asked) == 3, asked


def test_frames_in_rows_are_taken_in_rows():
    """One by one, every frame would be a sleep's end; so it is for a talk only."""
    host = Host()
    s = host.socket()
    s.setblocking(False)
    net, wire = host.net, host.wire
    for _ in range(3):  # a talk: one look a frame, and one a millisecond
        wire.later = [datagram(b"1")]
        looks = wire.looks
        net.wait()
        assert s.recv(9) == b"1"
        assert wire.looks - looks <= 2
        host.tick(0)
    wire.frames = [datagram(b"2"), datagram(b"3")]
    host.tick()
    net.wait()
    assert (s.recv(9), s.recv(9)) == (b"2", b"3")
    wire.frames = [datagram(b"4"), datagram(b"5")]
    net.wait()
    assert (s.recv(9), s.recv(9)) == (b"4", b"5")
    host.close()


def test_what_middleware_wraps_is_not_passed_by():
    from smolmp.phy.middleware import Middleware
    from tests.unit.net.net_support import Wire

    assert Wire(True).fetch
    assert Middleware(Wire(True)).fetch is None


def test_a_datagram_for_a_service_sets_no_lane():
    """A query of DNS has a port, and no queue that a lane could fill."""
    from smolmp.socket.dns import Client

    host = Host()
    net = host.net
    client = Client(net.iface, net.sockets)
    client.servers = [PEER_IP]
    query = client.query("example.org", 1)
    net.poll()
    asked = host.left()
    assert [entry[1:3] for entry in asked] == [(PEER_IP, 53)]
    wire = host.wire
    port = query.flow[2]
    wire.frames.append(datagram(asked[0][3][:2] + b"\x81\x83" + asked[0][3][4:], 53, dport=port))
    net.poll()
    assert net.sockets.lane is None
    host.close()
