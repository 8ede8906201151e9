"""The neighbour cache and ARP: RFC 826, RFC 1122 2.3.2, RFC 5227.

After smoltcp's iface/neighbor.rs (fill, expire, replace, evict, hush, flush) and its ARP tests.
"""

from array import array

from support import (
    BROADCAST_MAC,
    GATEWAY_IP,
    IP,
    OTHER_IP,
    OTHER_MAC,
    OUR_IP,
    OUR_MAC,
    PEER_IP,
    PEER_MAC,
    Net,
    arp,
    echo,
    frame,
    icmp,
    payload,
)

from smolmp.iface.ipv4 import emit
from smolmp.wire import address as addresses

SENT = 1
BUSY = -1
BLOCKED = -2
UNREACHABLE = -3
PEER_TEXT = "02:00:00:00:00:02"
OTHER_TEXT = "02:00:00:00:00:03"


def flow(remote, local=OUR_IP, protocol=17):
    words = array("i", bytes(56))
    words[0] = 4
    words[1] = protocol
    words[12] = 64
    addresses.to_words(addresses.parse_address(local), words, 4)
    addresses.to_words(addresses.parse_address(remote), words, 8)
    return words


def send(net, remote, data=b"12345678"):
    net.iface.tx[64 : 64 + len(data)] = data
    return net.iface.send(flow(remote), 64 + len(data))


def request(target, sender=OUR_IP):
    return arp(1, sender, OUR_MAC, target)


def answer(sender, mac, op=2):
    return arp(op, sender, mac, OUR_IP, OUR_MAC, OUR_MAC)


# Answering.


def test_handle_valid_arp_request():
    net = Net()
    assert net.rx(arp(1, PEER_IP, PEER_MAC, OUR_IP)) == [
        arp(2, OUR_IP, OUR_MAC, PEER_IP, PEER_MAC, PEER_MAC)
    ]
    assert net.iface.neighbors.get(PEER_IP) == PEER_TEXT


def test_handle_other_arp_request():
    net = Net()
    assert net.rx(arp(1, PEER_IP, PEER_MAC, OTHER_IP)) == []
    assert net.iface.neighbors.get(PEER_IP) is None


def test_any_ip_accept_arp():
    net = Net(any_ip=True)
    assert net.rx(arp(1, PEER_IP, PEER_MAC, "10.1.2.3")) == [
        arp(2, "10.1.2.3", OUR_MAC, PEER_IP, PEER_MAC, PEER_MAC)
    ]
    net.iface.any_ip = False
    assert net.rx(arp(1, PEER_IP, PEER_MAC, "10.1.2.3")) == []


def test_any_ip_leaves_address_detection_alone():
    """Else no host on the link could keep an address."""
    net = Net(any_ip=True)
    assert net.rx(arp(1, "0.0.0.0", PEER_MAC, PEER_IP)) == []  # a probe
    assert net.rx(arp(1, PEER_IP, PEER_MAC, PEER_IP)) == []  # an announcement


def test_a_probe_for_our_address_is_answered_without_learning():
    net = Net()
    assert net.rx(arp(1, "0.0.0.0", PEER_MAC, OUR_IP)) == [
        arp(2, OUR_IP, OUR_MAC, "0.0.0.0", PEER_MAC, PEER_MAC)
    ]
    assert len(net.iface.neighbors) == 0


def test_request_from_another_subnet_is_answered_not_learned():
    net = Net()
    assert len(net.rx(arp(1, "10.0.0.1", PEER_MAC, OUR_IP))) == 1
    assert len(net.iface.neighbors) == 0


def test_request_from_a_group_address_is_dropped():
    net = Net()
    for sender, mac in ((PEER_IP, BROADCAST_MAC), ("224.0.0.5", PEER_MAC)):
        assert net.rx(arp(1, sender, mac, OUR_IP)) == []
    assert len(net.iface.neighbors) == 0 and net.count("rx_malformed") == 2


def test_second_address_is_answered_for():
    net = Net(ip_addrs=(OUR_IP + "/24", "10.0.0.1/8"))
    out = net.rx(arp(1, "10.0.0.9", PEER_MAC, "10.0.0.1"))
    assert out == [arp(2, "10.0.0.1", OUR_MAC, "10.0.0.9", PEER_MAC, PEER_MAC)]


def test_conflict_is_counted_and_not_believed():
    net = Net()
    for op in (1, 2):
        assert net.rx(arp(op, OUR_IP, OTHER_MAC, OUR_IP)) == []
        assert net.rx(arp(op, OUR_IP, OTHER_MAC, PEER_IP)) == []
    assert net.count("neighbor_conflicts") == 4 and len(net.iface.neighbors) == 0


def test_truncated_and_foreign_arp():
    net = Net()
    whole = arp(1, PEER_IP, PEER_MAC, OUR_IP)
    for n in range(14, len(whole)):
        assert net.rx(whole[:n]) == []
    assert net.count("rx_truncated") == 28
    assert net.rx(whole[:15] + b"\x06" + whole[16:]) == []  # IEEE 802
    assert net.count("rx_unsupported") == 1


# Learning.


def test_fill():
    net = Net()
    assert net.iface.neighbors.get(PEER_IP) is None
    net.meet()
    assert net.iface.neighbors.get(PEER_IP) == PEER_TEXT
    assert net.iface.neighbors.get(OTHER_IP) is None


def test_expire():
    net = Net()
    net.meet()
    net.advance(59999)
    assert net.iface.neighbors.get(PEER_IP) == PEER_TEXT
    net.advance(1)
    assert net.iface.neighbors.get(PEER_IP) is None
    net.advance(1000)
    assert net.iface.neighbors.entries() == []


def test_an_expired_neighbor_is_asked_for_at_once():
    net = Net()
    net.meet()
    net.advance(59500)
    net.now = (net.now + 500) & 0x3FFFFFFF
    net.iface.now = net.now  # no second has passed since: the sweep has not seen it
    assert send(net, PEER_IP) == SENT
    assert net.sent() == [request(PEER_IP)]
    assert len(net.rx(answer(PEER_IP, PEER_MAC))) == 1


def test_traffic_refreshes():
    net = Net()
    net.meet()
    net.advance(50000)
    net.rx(frame(icmp(0, 0, echo(1, 1))))
    net.advance(50000)
    assert net.iface.neighbors.get(PEER_IP) == PEER_TEXT
    # a packet in its name from another link address does not
    net.rx(frame(icmp(0, 0, echo(1, 1)), src=OTHER_MAC))
    net.advance(10000)
    assert net.iface.neighbors.get(PEER_IP) is None


def test_packets_do_not_create_neighbors():
    net = Net()
    net.rx(frame(icmp(0, 0, echo(1, 1))))
    assert len(net.iface.neighbors) == 0


def test_replace():
    net = Net()
    net.meet()
    net.rx(arp(1, PEER_IP, OTHER_MAC, OUR_IP))
    assert net.iface.neighbors.get(PEER_IP) == OTHER_TEXT
    assert net.count("neighbor_changed") == 1


def test_evict():
    net = Net(neighbors=3)
    for i, host in enumerate(("192.168.69.11", "192.168.69.12", "192.168.69.13")):
        net.meet(host, PEER_MAC[:5] + bytes([11 + i]))
        net.advance(100)
    # the first is the oldest, but was heard of since
    net.rx(frame(icmp(0, 0, echo(1, 1), src="192.168.69.11"), src=PEER_MAC[:5] + b"\x0b"))
    net.meet("192.168.69.14", PEER_MAC[:5] + b"\x0e")
    assert net.iface.neighbors.get("192.168.69.12") is None
    for host in ("192.168.69.11", "192.168.69.13", "192.168.69.14"):
        assert net.iface.neighbors.get(host) is not None
    assert net.count("neighbor_evicted") == 1


def test_addresses_that_nobody_has_do_not_keep_a_neighbour_out():
    net = Net(neighbors=2)
    for host in ("192.168.69.21", "192.168.69.22"):  # forged senders fill the cache
        net.rx(frame(icmp(8, 0, echo(1, 1), src=host), src=OTHER_MAC))
    assert net.iface.neighbors.incomplete == 2
    net.advance(1000)  # asked again, in vain
    net.rx(arp(1, PEER_IP, PEER_MAC, OUR_IP))
    assert net.iface.neighbors.get(PEER_IP) == PEER_TEXT
    assert net.iface.neighbors.incomplete == 1 and net.count("neighbor_evicted") == 1


def test_flush():
    net = Net()
    net.meet()
    net.iface.neighbors.add(OTHER_IP, OTHER_TEXT)
    net.iface.neighbors.flush()
    assert net.iface.neighbors.get(PEER_IP) is None
    assert net.iface.neighbors.get(OTHER_IP) == OTHER_TEXT  # permanent


def test_arp_flush_after_update_ip():
    net = Net()
    net.meet()
    net.iface.set_ip_addrs(("10.0.0.1/24",))
    assert net.iface.ip_addrs == ["10.0.0.1/24"]
    assert len(net.iface.neighbors) == 0
    assert net.rx(arp(1, PEER_IP, PEER_MAC, OUR_IP)) == []
    assert len(net.rx(arp(1, "10.0.0.2", PEER_MAC, "10.0.0.1"))) == 1


def test_an_address_more_loses_nothing():
    """Neighbours stay, and the frame that waits for one goes."""
    net = Net()
    net.meet()
    assert send(net, OTHER_IP, b"waiting!") == SENT
    assert net.iface.neighbors.incomplete == 1
    net.sent()
    net.iface.add_ip_addr("10.0.0.1/24")
    assert net.iface.neighbors.get(PEER_IP) == PEER_TEXT
    out = [f for f in net.rx(answer(OTHER_IP, OTHER_MAC)) if f[12:14] == b"\x08\x00"]
    assert len(out) == 1 and out[0][34:] == b"waiting!"
    assert (
        send(net, PEER_IP) == SENT and net.sent()[0][12:14] == b"\x08\x00"
    )  # without another request
    net.iface.add_ip_addr(PEER_IP + "/24")  # but a host whose address is ours now is none
    assert net.iface.neighbors.get(PEER_IP) is None


def test_gratuitous_arp_updates_but_never_creates():
    """smoltcp 9.2: it ignored them."""
    for op in (1, 2):
        net = Net()
        assert net.rx(arp(op, PEER_IP, PEER_MAC, PEER_IP)) == []
        assert len(net.iface.neighbors) == 0
        net.meet()
        assert net.rx(arp(op, PEER_IP, OTHER_MAC, PEER_IP)) == []
        assert net.iface.neighbors.get(PEER_IP) == OTHER_TEXT


def test_unsolicited_reply_creates_nothing():
    net = Net()
    net.rx(answer(PEER_IP, PEER_MAC))
    assert len(net.iface.neighbors) == 0


def test_permanent_neighbor():
    net = Net()
    net.iface.neighbors.add(PEER_IP, PEER_TEXT)
    assert send(net, PEER_IP) == SENT
    assert net.sent()[0][:6] == PEER_MAC
    net.rx(answer(PEER_IP, OTHER_MAC))
    net.advance(600000)
    assert send(net, PEER_IP) == SENT
    assert net.sent()[0][:6] == PEER_MAC
    assert net.iface.neighbors.remove(PEER_IP) and not net.iface.neighbors.remove(PEER_IP)
    assert send(net, PEER_IP) == SENT and net.sent() == [request(PEER_IP)]


# Asking.


def test_first_packet_waits_and_is_not_lost():
    """smoltcp #597: it lost the first reply."""
    net = Net()
    assert send(net, PEER_IP) == SENT
    assert net.sent() == [request(PEER_IP)]
    out = net.rx(answer(PEER_IP, PEER_MAC))
    assert len(out) == 1
    assert out[0][:14] == PEER_MAC + OUR_MAC + b"\x08\0"
    assert payload(out[0][14:]) == (17, OUR_IP, PEER_IP, b"12345678")
    assert send(net, PEER_IP) == SENT and net.sent() == out


def test_first_ping_is_answered():
    net = Net()
    assert net.rx(frame(icmp(8, 0, echo(1, 1)))) == [request(PEER_IP)]
    out = net.rx(answer(PEER_IP, PEER_MAC))
    assert payload(out[0][14:])[0] == 1 and net.count("icmp_echos") == 1


def test_second_packet_is_blocked():
    net = Net()
    assert send(net, PEER_IP, b"first") == SENT
    assert send(net, PEER_IP, b"second") == BLOCKED
    assert net.sent() == [request(PEER_IP)]
    out = net.rx(answer(PEER_IP, PEER_MAC))
    assert [payload(f[14:])[3] for f in out] == [b"first"]
    assert net.count("neighbor_blocked") == 1


def test_hush():
    """One request a second, three at most, then the frame is given up."""
    net = Net()
    send(net, PEER_IP)
    assert net.sent() == [request(PEER_IP)]
    for _ in range(2):
        assert net.delay() == 1000
        assert net.advance(999) == []
        assert send(net, PEER_IP) == BLOCKED and net.sent() == []
        assert net.delay() == 1
        assert net.advance(1) == [request(PEER_IP)]
    assert net.advance(1000) == []
    assert net.count("neighbor_failed") == 1 and net.iface.neighbors.entries() == []
    assert net.delay() is None
    # the answer that comes too late finds nobody
    assert net.rx(answer(PEER_IP, PEER_MAC)) == []
    # and the next packet asks again
    assert send(net, PEER_IP) == SENT and net.sent() == [request(PEER_IP)]


def test_neighbors_do_not_wait_for_each_other():
    """smoltcp #1101: one that does not answer starved all others."""
    net = Net()
    send(net, PEER_IP)
    assert net.sent() == [request(PEER_IP)]
    net.advance(10)
    assert send(net, OTHER_IP) == SENT
    assert net.sent() == [request(OTHER_IP)]
    assert len(net.rx(answer(OTHER_IP, OTHER_MAC))) == 1
    assert net.advance(990) == [request(PEER_IP)]


def test_no_waiting_place():
    net = Net(waiting=1)
    assert send(net, PEER_IP) == SENT
    assert send(net, OTHER_IP) == BLOCKED  # but it is asked for
    assert net.sent() == [request(PEER_IP), request(OTHER_IP)]
    assert net.rx(answer(OTHER_IP, OTHER_MAC)) == []
    assert send(net, OTHER_IP) == SENT and len(net.sent()) == 1
    assert len(net.rx(answer(PEER_IP, PEER_MAC))) == 1
    assert send(net, "192.168.69.9") == SENT  # the place is free again


def test_all_entries_being_asked_for():
    net = Net(neighbors=2)
    assert send(net, "192.168.69.11") == SENT
    assert send(net, "192.168.69.12") == SENT
    assert send(net, "192.168.69.13") == BLOCKED
    assert len(net.sent()) == 2
    net.meet("192.168.69.14")  # not taken in, but answered
    assert net.iface.neighbors.get("192.168.69.14") is None
    for _ in range(3):
        net.advance(1000)
    assert send(net, "192.168.69.13") == SENT


def test_next_hop_is_the_gateway():
    net = Net(gateway=GATEWAY_IP)
    assert send(net, "8.8.8.8") == SENT
    assert net.sent() == [request(GATEWAY_IP)]
    out = net.rx(answer(GATEWAY_IP, OTHER_MAC))
    assert out[0][:6] == OTHER_MAC and payload(out[0][14:])[2] == "8.8.8.8"
    # a second destination behind it needs no second answer
    assert send(net, "1.1.1.1") == SENT and len(net.sent()) == 1


def test_hint_follows_changes():
    net = Net(gateway=GATEWAY_IP)
    net.meet(GATEWAY_IP, OTHER_MAC)
    net.meet()
    assert send(net, "8.8.8.8") == SENT and net.sent()[0][:6] == OTHER_MAC
    net.iface.routes.add("8.0.0.0/8", PEER_IP)
    assert send(net, "8.8.8.8") == SENT and net.sent()[0][:6] == PEER_MAC
    net.rx(arp(1, PEER_IP, PEER_MAC[:5] + b"\x77", OUR_IP))
    assert send(net, "8.8.8.8") == SENT and net.sent()[0][:6] == PEER_MAC[:5] + b"\x77"
    net.iface.neighbors.remove(PEER_IP)
    assert send(net, "8.8.8.8") == SENT and net.sent() == [request(PEER_IP)]


def test_groups_and_broadcasts_need_no_neighbor():
    net = Net()
    for to, mac in (
        ("224.0.0.251", b"\x01\0\x5e\0\0\xfb"),
        ("239.255.129.2", b"\x01\0\x5e\x7f\x81\x02"),
        ("255.255.255.255", BROADCAST_MAC),
        ("192.168.69.255", BROADCAST_MAC),
    ):
        assert send(net, to) == SENT
        out = net.sent()
        assert len(out) == 1 and out[0][:6] == mac, to


def test_unreachable():
    net = Net()
    assert send(net, "8.8.8.8") == UNREACHABLE
    assert send(net, "0.0.0.0") == UNREACHABLE
    assert send(net, OUR_IP) == UNREACHABLE
    assert net.count("ip_no_route") == 3 and net.sent() == []


def test_busy_device_when_the_answer_comes():
    net = Net(frames=1)
    assert send(net, PEER_IP) == SENT
    assert net.sent() == [request(PEER_IP)]
    assert net.device.send(b"x" * 60, 0, 60)  # the queue is full now
    net.device.inject(answer(PEER_IP, PEER_MAC))
    net.iface.poll(net.now, net.sockets)
    assert net.delay() == 1
    assert net.sent() == [b"x" * 60]
    out = net.advance(1)
    assert len(out) == 1 and out[0][:6] == PEER_MAC
    assert net.delay() is None


def test_busy_device_when_asking():
    net = Net(frames=1)
    assert net.device.send(b"x" * 60, 0, 60)
    assert send(net, PEER_IP) == SENT  # kept
    assert net.delay() == 1
    assert net.sent() == [b"x" * 60]
    assert net.advance(1) == [request(PEER_IP)]
    assert net.delay() == 1000


def test_largest_frame_waits_whole():
    net = Net()
    data = bytes([i & 255 for i in range(1480)])
    assert send(net, PEER_IP, data) == SENT
    net.sent()
    out = net.rx(answer(PEER_IP, PEER_MAC))
    assert payload(out[0][14:])[3] == data


# Announcing.


def test_addresses_are_announced():
    net = Net(announce=True, ip_addrs=(OUR_IP + "/24", "10.0.0.1/8"))
    assert net.delay() == 0
    assert net.poll() == [request(OUR_IP), request("10.0.0.1", "10.0.0.1")]
    assert net.delay() is None and net.poll() == []
    net.iface.add_ip_addr("172.16.0.1/16")
    assert net.poll() == [request("172.16.0.1", "172.16.0.1")]
    net.iface.add_ip_addr("172.17.0.1/16")
    net.iface.remove_ip_addr("10.0.0.1")  # and who waits for a turn still gets it
    assert request("172.17.0.1", "172.17.0.1") in net.poll()
    net.iface.remove_ip_addr("172.17.0.1")
    assert net.poll() == []


def test_announced_when_the_link_comes_up():
    net = Net(announce=True)
    net.poll()
    net.device.up = False
    assert net.advance(1000) == []
    assert net.advance(1000) == [] and net.delay() is None
    net.device.up = True
    assert net.advance(1000) == [request(OUR_IP)]


def test_no_busy_loop_while_the_link_is_down():
    net = Net(announce=True)
    net.device.up = False
    net.advance(1000)
    net.poll()
    net.iface.add_ip_addr("10.0.0.1/8")
    assert net.poll() == [] and net.delay() is None
    net.device.up = True
    assert len(net.advance(1000)) == 2


def test_announcement_waits_for_a_busy_device():
    net = Net(announce=True, frames=1)
    assert net.device.send(b"x" * 60, 0, 60)
    net.iface.poll(net.now, net.sockets)
    assert net.delay() == 1 and net.sent() == [b"x" * 60]
    assert net.poll() == [request(OUR_IP)]


def test_ip_medium_has_no_neighbors():
    net = Net(medium=IP, announce=True)
    assert send(net, PEER_IP) == SENT  # no link addresses, no routes
    out = net.sent()
    assert len(out) == 1 and payload(out[0])[2] == PEER_IP
    assert send(net, "8.8.8.8") == SENT
    assert net.delay() is None and len(net.iface.neighbors) == 0


def test_emit_is_what_the_wire_says():
    """The fused header kernel against wire.ipv4.emit."""
    from smolmp.wire import ipv4 as wire

    net = Net()
    words = flow("203.0.113.77", "192.168.255.254", 6)
    words[12] = 255
    words[13] = 0xB8
    net.meet()
    index = 0
    emit(net.iface.tx, words, 64 + 1480, net.iface.neighbors.words, index, net.iface.mac, 0)
    header = bytearray(20)
    wire.emit(header, 0, words, 1480, 0, 0x4000)
    assert net.iface.tx[44:64] == header
    assert net.iface.tx[30:44] == PEER_MAC + OUR_MAC + b"\x08\0"
