"""Sockets that wait until a neighbour answers. After smoltcp's iface/socket_meta.rs."""

from iface_support import BLOCKED, SENT, Sender, senders
from support import (
    OTHER_IP,
    OTHER_MAC,
    OUR_IP,
    OUR_MAC,
    PEER_IP,
    PEER_MAC,
    START,
    Net,
    arp,
    payload,
)

WRAP = 0x3FFFFFFF


def test_poll_at_waiting_before_silent_until():
    """A blocked socket costs nothing until something happens."""
    net = Net()
    (s,) = senders(net, 3)
    assert len(net.poll()) == 1
    assert s.codes == [SENT, BLOCKED]
    assert net.delay() == 1000
    for _ in range(9):
        net.advance(111)
    assert s.codes == [SENT, BLOCKED] and net.delay() == 1


def test_poll_at_waiting_neighbor_found():
    net = Net()
    (s,) = senders(net, 3)
    net.poll()
    out = net.rx(arp(2, PEER_IP, PEER_MAC, OUR_IP, OUR_MAC, OUR_MAC))
    assert s.codes == [SENT, BLOCKED, SENT, SENT]
    assert [payload(f[14:])[3][1] for f in out] == [3, 2, 1]  # in order
    assert net.delay() is None


def test_poll_at_waiting_at_exact_silent_until():
    """On the very millisecond, not one before: the next request, and the socket still waits."""
    net = Net()
    (s,) = senders(net, 3)
    assert len(net.poll()) == 1 and net.delay() == 1000
    assert net.advance(999) == [] and net.delay() == 1
    net.now = (net.now + 1) & WRAP
    assert net.delay() == 0 and net.iface.poll_at(net.now, net.sockets) == net.now
    (request,) = net.poll()
    assert request[12:14] == b"\x08\x06"
    assert s.codes == [SENT, BLOCKED, BLOCKED] and net.delay() == 1000


def test_poll_at_waiting_after_silent_until_returns_socket_poll_at():
    """Nobody answered: the socket is free again, what it wants decides."""
    net = Net()
    (s,) = senders(net, 3)
    net.poll()
    net.sockets.deadline(s.slot, (START + 3500) & WRAP)
    for _ in range(3):
        assert net.delay() == 1000
        net.advance(1000)
    # The third request was the last, and its second is over: the next packet asks anew.
    assert net.count("neighbor_failed") == 1 and s.left == 1
    assert net.delay() == 500
    net.advance(500)
    assert s.timers == [(START + 3500) & WRAP]
    net.sockets.remove(s.handle)
    for _ in range(4):
        net.advance(1000)
    assert net.delay() is None


def test_egress_permitted_consistent_with_poll_at():
    """Whenever a poll is asked for, it does something; when it is not, there is nothing to do."""
    net = Net()
    (s,) = senders(net, 9)
    net.poll()
    for _ in range(4):
        delay = net.delay()
        if delay is None:
            break
        assert delay > 0
        before = len(s.codes)
        net.advance(delay - 1)
        assert len(s.codes) == before
        net.advance(1)
        assert len(s.codes) > before


def test_a_blocked_socket_does_not_stop_others():
    net = Net()
    net.meet(OTHER_IP, OTHER_MAC)
    (blocked,) = senders(net, 3)
    other = net.sockets.add(Sender(OTHER_IP, 3))
    net.sockets.mark(other.slot)
    net.poll()
    assert other.codes == [SENT] * 3 and blocked.codes == [SENT, BLOCKED]
