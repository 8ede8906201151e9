"""The routing table: RFC 1812 5.2.4.3. After smoltcp's iface/route.rs (fill)."""

from array import array

from support import GATEWAY_IP, IP, OUR_IP, PEER_IP, PEER_MAC, Net, arp

from smolmp.wire import address as addresses

SENT = 1
UNREACHABLE = -3


def hop(net, remote):
    """Who is asked for when something goes to `remote`; None: nobody can be."""
    flow = array("i", bytes(56))
    flow[0] = 4
    flow[1] = 17
    flow[12] = 64
    addresses.to_words(addresses.parse_address(remote), flow, 8)
    net.iface.neighbors.flush()
    code = net.iface.send(flow, 72)
    out = net.sent()
    if code == UNREACHABLE:
        assert out == []
        return None
    assert code == SENT and len(out) == 1 and out[0][12:14] == b"\x08\x06"
    return "%d.%d.%d.%d" % tuple(out[0][-4:])


def test_fill():
    net = Net(ip_addrs=("192.0.2.9/24",))
    routes = net.iface.routes
    assert hop(net, "192.0.2.1") == "192.0.2.1"
    assert hop(net, "198.51.100.1") is None
    routes.add("198.51.100.0/24", "192.0.2.2")
    assert hop(net, "198.51.100.1") == "192.0.2.2"
    assert hop(net, "198.51.101.1") is None
    routes.add_default("192.0.2.1")
    assert routes.default() == "192.0.2.1"
    assert hop(net, "198.51.101.1") == "192.0.2.1"
    assert hop(net, "198.51.100.1") == "192.0.2.2"
    assert len(routes) == 2
    assert routes.remove_default() and not routes.remove_default()
    assert routes.default() is None and hop(net, "198.51.101.1") is None


def test_longest_prefix_wins_in_any_order():
    for order in (0, 1):
        net = Net()
        table = [("10.0.0.0/8", "192.168.69.8"), ("10.1.0.0/16", "192.168.69.16")]
        table.append(("10.1.2.3/32", "192.168.69.32"))
        if order:
            table.reverse()
        for destination, via in table:
            net.iface.routes.add(destination, via)
        assert hop(net, "10.2.0.1") == "192.168.69.8"
        assert hop(net, "10.1.0.1") == "192.168.69.16"
        assert hop(net, "10.1.2.3") == "192.168.69.32"
        assert hop(net, "11.0.0.1") is None


def test_own_subnet_goes_direct():
    net = Net(gateway=GATEWAY_IP)
    assert hop(net, PEER_IP) == PEER_IP
    assert hop(net, "192.168.70.2") == GATEWAY_IP
    net.iface.routes.add("192.168.69.0/25", "192.168.69.200")  # more specific: wins
    assert hop(net, PEER_IP) == "192.168.69.200"
    assert hop(net, "192.168.69.201") == "192.168.69.201"


def test_on_link_route():
    net = Net()
    net.iface.routes.add("10.0.0.0/8", None)
    assert hop(net, "10.9.9.9") == "10.9.9.9"


def test_addresses_with_high_bits():
    net = Net()
    net.iface.routes.add("128.0.0.0/1", GATEWAY_IP)
    assert hop(net, "203.0.113.1") == GATEWAY_IP
    assert hop(net, "127.1.1.1") is None


def test_same_destination_is_replaced():
    net = Net(gateway=GATEWAY_IP)
    net.iface.routes.add_default("192.168.69.7")
    assert len(net.iface.routes) == 1 and hop(net, "8.8.8.8") == "192.168.69.7"


def test_table_full():
    net = Net(routes=2)
    net.iface.routes.add("10.0.0.0/8", PEER_IP)
    net.iface.routes.add("11.0.0.0/8", PEER_IP)
    try:
        net.iface.routes.add("12.0.0.0/8", PEER_IP)
        raise AssertionError("took a third")
    except OverflowError:
        pass
    assert net.iface.routes.remove("10.0.0.0/8")
    net.iface.routes.add("12.0.0.0/8", PEER_IP)
    assert hop(net, "11.0.0.1") == PEER_IP and hop(net, "10.0.0.1") is None


def test_expiry():
    net = Net()
    routes = net.iface.routes
    routes.add("10.0.0.0/8", PEER_IP, net.iface.seconds + 10)
    routes.add("11.0.0.0/8", PEER_IP)
    routes.add("12.0.0.0/8", PEER_IP, net.iface.seconds + 5)
    net.advance(9999)
    assert hop(net, "10.0.0.1") == PEER_IP and hop(net, "12.0.0.1") is None
    net.advance(1)
    assert hop(net, "10.0.0.1") is None and hop(net, "11.0.0.1") == PEER_IP
    assert len(routes) == 1


def test_bad_routes():
    routes = Net().iface.routes
    for destination, via in (
        ("10.0.0.0", PEER_IP),
        ("10.0.0.0/33", PEER_IP),
        ("10.0.0.0/8", "224.0.0.1"),
        ("10.0.0.0/8", "fe80::1"),
        ("10.0.0.0/8", "0.0.0.0"),
    ):
        try:
            routes.add(destination, via)
            raise AssertionError(destination + via)
        except ValueError:
            pass
    assert len(routes) == 0


def test_both_families_in_one_table():
    net = Net()
    net.iface.routes.add_default("fe80::1")
    assert net.iface.routes.default(6) == "fe80::1" and net.iface.routes.default() is None
    assert hop(net, "8.8.8.8") is None
    net.iface.routes.add_default(GATEWAY_IP)
    assert hop(net, "8.8.8.8") == GATEWAY_IP
    assert repr(net.iface.routes) == "[default via fe80::1, default via %s]" % GATEWAY_IP


def test_gateway_outside_the_subnet():
    """As clouds do: a /32 and a gateway that is on link all the same."""
    net = Net(ip_addrs=("10.0.0.5/32",), gateway="10.0.0.1")
    assert hop(net, "8.8.8.8") == "10.0.0.1"
    out = net.rx(arp(1, "10.0.0.1", PEER_MAC, "10.0.0.5"))
    assert len(out) == 2  # the packet that waited, and the answer


def test_ip_medium_needs_no_route():
    net = Net(medium=IP)
    flow = array("i", bytes(56))
    flow[0] = 4
    flow[12] = 64
    addresses.to_words(addresses.parse_address("8.8.8.8"), flow, 8)
    assert net.iface.send(flow, 72) == SENT
    assert OUR_IP and len(net.sent()) == 1
