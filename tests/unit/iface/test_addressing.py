"""Whose a packet is and whom we speak as: RFC 1122 3.2.1.3, 3.3.4.3, 3.3.6.

After smoltcp's iface/interface/tests/{mod,ipv4}.rs.
"""

from array import array

from support import (
    BROADCAST,
    BROADCAST_MAC,
    ETHERNET,
    GATEWAY_IP,
    IP,
    OTHER_IP,
    OTHER_MAC,
    OUR_IP,
    PEER_IP,
    SUBNET_BROADCAST,
    Net,
    echo,
    frame,
    icmp,
    ipv4,
    payload,
)

from smolmp.iface import Interface
from smolmp.phy.fault import FaultInjector
from smolmp.phy.loopback import Loopback
from smolmp.socket import tcp
from smolmp.socket.protocols import HANDLERS
from smolmp.socket.set import SocketSet
from smolmp.wire import address as addresses

PROTOCOL = 253  # for experiments: RFC 3692
OURS, TO_ALL, GROUP = 0, 1, 2


class Seen:
    """A protocol that notes what it is given: the scopes."""

    def __init__(self):
        self.scopes = []
        HANDLERS[PROTOCOL] = self

    def __call__(self, iface, sockets):
        self.scopes.append(iface.rec[22])


def arrives(net, src=PEER_IP, dst=OUR_IP, link=None, fragment=0x4000):
    """The scope that the protocol sees, None if the packet does not come so far."""
    seen = Seen()
    packet = ipv4(PROTOCOL, b"1234567812345678", src, dst, fragment=fragment)
    if net.iface.medium == ETHERNET:
        packet = frame(packet, dst=link) if link else frame(packet)
    out = net.rx(packet)
    del HANDLERS[PROTOCOL]
    assert out == []
    assert len(seen.scopes) <= 1
    return seen.scopes[0] if seen.scopes else None


def source_for(net, remote):
    flow = array("i", bytes(56))
    flow[0] = 4
    addresses.to_words(addresses.parse_address(remote), flow, 8)
    if not net.iface.select_source(flow):
        return None
    return addresses.format_address(addresses.from_words(4, flow, 4))


# Destinations.


def test_ours():
    net = Net(ip_addrs=(OUR_IP + "/24", "203.0.113.9/28"))
    assert arrives(net) == OURS
    assert arrives(net, dst="203.0.113.9") == OURS
    assert arrives(net, dst=OTHER_IP) is None
    assert net.count("ip_not_ours") == 1


def test_handle_ipv4_broadcast():
    net = Net()
    assert arrives(net, dst=BROADCAST, link=BROADCAST_MAC) == TO_ALL
    assert arrives(net, dst=BROADCAST) == TO_ALL


def test_local_subnet_broadcasts():
    net = Net(ip_addrs=("192.168.1.23/24",))
    for dst, scope in (
        ("255.255.255.255", TO_ALL),
        ("255.255.255.254", None),
        ("192.168.1.255", TO_ALL),
        ("192.168.1.254", None),
        ("192.168.255.255", None),
        ("192.168.2.255", None),
    ):
        assert arrives(net, "192.168.1.9", dst, BROADCAST_MAC) == scope, dst
    net = Net(ip_addrs=("192.168.23.24/16",))
    for dst, scope in (
        ("192.168.23.255", None),
        ("192.168.23.254", None),
        ("192.168.255.254", None),
        ("192.168.255.255", TO_ALL),
    ):
        assert arrives(net, "192.168.1.9", dst, BROADCAST_MAC) == scope, dst
    net = Net(ip_addrs=("192.168.23.24/8",))
    for dst, scope in (
        ("192.23.1.255", None),
        ("192.255.255.254", None),
        ("192.255.255.255", TO_ALL),
    ):
        assert arrives(net, "192.168.1.9", dst, BROADCAST_MAC) == scope, dst


def test_no_broadcast_in_point_to_point_subnets():
    """RFC 3021: both addresses of a /31 are hosts."""
    net = Net(ip_addrs=("10.0.0.0/31",))
    assert arrives(net, "10.0.0.1", "10.0.0.0") == OURS
    assert arrives(net, "10.0.0.0", "10.0.0.1") is None
    net = Net(ip_addrs=("10.0.0.7/32",))
    assert arrives(net, "10.0.0.1", "10.0.0.7") == OURS


def test_groups():
    net = Net()
    link = b"\x01\0\x5e\0\0\xfb"
    assert arrives(net, dst="224.0.0.251", link=link) is None
    assert net.iface.join_multicast_group("224.0.0.251")
    assert not net.iface.join_multicast_group("224.0.0.251")
    assert arrives(net, dst="224.0.0.251", link=link) == GROUP
    assert arrives(net, dst="224.0.0.252", link=link) is None
    assert net.iface.leave_multicast_group("224.0.0.251")
    assert not net.iface.leave_multicast_group("224.0.0.251")
    assert arrives(net, dst="224.0.0.251", link=link) is None
    assert arrives(net, dst="224.0.0.1", link=b"\x01\0\x5e\0\0\x01") == GROUP  # RFC 1112 4


def test_too_many_groups():
    net = Net(groups=1)
    net.iface.join_multicast_group("224.1.1.1")
    for group, error in (("224.1.1.2", OverflowError), ("10.0.0.1", ValueError)):
        try:
            net.iface.join_multicast_group(group)
            raise AssertionError(group)
        except error:
            pass


def test_any_ip():
    net = Net(medium=IP)
    assert arrives(net, dst="8.8.8.8") is None
    net.iface.any_ip = True
    assert arrives(net, dst="8.8.8.8") == OURS
    assert arrives(net, dst=OUR_IP) == OURS
    assert arrives(net, dst=BROADCAST) == TO_ALL
    assert net.iface.has_ip_addr("8.8.8.8")
    for dst in ("0.0.0.0", "127.0.0.1", "0.0.0.1"):
        assert arrives(net, dst=dst) is None, dst


def test_proxy_without_a_real_address():
    """smoltcp's usage notes: 0.0.0.1/0 and any_ip."""
    net = Net(medium=IP, ip_addrs=("0.0.0.1/0",), any_ip=True, gateway="0.0.0.1")
    assert arrives(net, "10.0.0.2", "93.184.216.34") == OURS
    out = net.rx(icmp(8, 0, echo(1, 1), "10.0.0.2", "93.184.216.34"))
    assert payload(out[0])[:3] == (1, "93.184.216.34", "10.0.0.2")


def test_unicast_in_a_link_broadcast_is_dropped():
    """RFC 1122 3.3.6: else one frame makes every host answer."""
    net = Net()
    assert arrives(net, link=BROADCAST_MAC) is None
    assert arrives(net, link=b"\x01\0\x5e\0\0\x01") is None
    assert net.count("ip_link_broadcast") == 2


def test_other_link_address():
    net = Net()
    assert arrives(net, link=OTHER_MAC) is None
    assert net.count("rx_not_us") == 1


# Sources.


def test_martian_sources():
    net = Net()
    for src in ("127.0.0.1", "0.1.2.3", "0.0.0.0", SUBNET_BROADCAST):
        assert arrives(net, src) is None, src
    assert net.count("ip_martian") == 4
    for src in ("224.0.0.1", "239.1.1.1", BROADCAST):
        assert arrives(net, src) is None, src
    assert net.count("rx_malformed") == 3
    assert arrives(net, "240.0.0.1") == OURS  # reserved, but some networks use it


def test_unspecified_source_may_ask_everybody():
    net = Net()
    assert arrives(net, "0.0.0.0", BROADCAST, BROADCAST_MAC) == TO_ALL  # DHCP
    assert arrives(net, "0.0.0.0", "224.0.0.1", b"\x01\0\x5e\0\0\x01") == GROUP  # IGMP


def test_own_address_as_source():
    net = Net()
    assert arrives(net, OUR_IP) is None
    assert net.count("ip_own_source") == 1


def test_loopback_interface():
    device = Loopback(ETHERNET, 1500)
    iface = Interface(device, ip_addrs=("127.0.0.1/8",), announce=False)
    sockets = SocketSet()
    flow = array("i", bytes(56))
    flow[0] = 4
    flow[1] = PROTOCOL
    flow[12] = 64
    addresses.to_words(addresses.parse_address("127.0.0.1"), flow, 4)
    addresses.to_words(addresses.parse_address("127.0.0.1"), flow, 8)
    seen = Seen()
    assert iface.send(flow, 72) == 1
    for _ in range(6):  # asks itself for its own link address first
        iface.poll(0, sockets)
    del HANDLERS[PROTOCOL]
    assert seen.scopes == [OURS]


def test_loopback_device_with_any_address():
    iface = Interface(Loopback(IP, 1500), ip_addrs=(OUR_IP + "/24",), loopback=True)
    sockets = SocketSet()
    seen = Seen()
    flow = array("i", bytes(56))
    flow[0] = 4
    flow[1] = PROTOCOL
    flow[12] = 64
    for at in (4, 8):
        addresses.to_words(addresses.parse_address(OUR_IP), flow, at)
    assert iface.send(flow, 72) == 1
    iface.poll(0, sockets)
    del HANDLERS[PROTOCOL]
    assert seen.scopes == [OURS]


def test_two_sockets_of_one_host_over_loopback():
    """Whatever address the host has, and with middleware in between."""
    for device in (Loopback(IP), Loopback(ETHERNET), FaultInjector(Loopback(ETHERNET))):
        for address in ("127.0.0.1", OUR_IP):
            iface = Interface(device, ip_addrs=(address + "/24",))
            sockets = SocketSet()
            server = sockets.add(tcp.Socket(rx=64, tx=64))
            client = sockets.add(tcp.Socket(rx=64, tx=64))
            server.listen(6970)
            client.connect(iface, (address, 6970))
            for now in range(20):
                iface.poll(now, sockets)
            assert client.send(b"to myself") == 9
            for now in range(20, 40):
                iface.poll(now, sockets)
            assert server.recv(64) == b"to myself", (device, address, iface)
            assert server.remote == (address, client.local[1])


def test_get_source_address():
    net = Net(ip_addrs=("172.18.1.2/24", "172.24.24.14/24"))
    for remote, local in (
        ("172.18.1.254", "172.18.1.2"),
        ("172.24.24.12", "172.24.24.14"),
        ("172.24.23.254", "172.18.1.2"),
        ("8.8.8.8", "172.18.1.2"),
        (BROADCAST, "172.18.1.2"),
        ("224.0.0.251", "172.18.1.2"),
    ):
        assert source_for(net, remote) == local, remote
    net.iface.routes.add_default("172.24.24.1")  # then the address in its subnet
    assert source_for(net, "8.8.8.8") == "172.24.24.14"


def test_source_of_the_longest_prefix():
    net = Net(ip_addrs=("10.0.0.1/8", "10.1.0.1/16"))
    assert source_for(net, "10.1.2.3") == "10.1.0.1"
    assert source_for(net, "10.2.2.3") == "10.0.0.1"


def test_loopback_is_no_source_for_others():
    net = Net(ip_addrs=("127.0.0.1/8", OUR_IP + "/24"))
    assert source_for(net, "8.8.8.8") == OUR_IP
    assert source_for(net, "127.0.0.5") == "127.0.0.1"


def test_get_source_address_empty_interface():
    net = Net(ip_addrs=())
    for remote in (PEER_IP, "8.8.8.8", BROADCAST):
        assert source_for(net, remote) is None


# Packets.


def test_fragments_are_counted_drops():
    net = Net()
    for fragment in (0x2000, 0x2001, 0x0001):
        assert arrives(net, fragment=fragment) is None
    assert net.count("ip_fragments") == 3


def test_reassembly_plugs_in():
    from smolmp.iface import ipv4 as module

    net = Net()
    got = []

    def reassemble(iface, sockets):
        got.append(iface.rec[20])
        if len(got) == 2:
            module.deliver(iface, sockets)  # as if it were whole

    net.iface.reassemble = reassemble
    assert arrives(net, fragment=0x2000) is None
    assert arrives(net, fragment=0x0002) == OURS
    assert got == [3, 1 | 16 << 2]


def test_stranger_hook():
    net = Net(ip_addrs=())
    got = []
    net.iface.stranger = lambda iface, sockets: got.append(iface.rec[1])
    assert arrives(net) is None
    assert got == [PROTOCOL] and net.count("ip_not_ours") == 0


def test_packet_len():
    """Neither less nor more than the MTU allows; one byte above is refused and counted."""
    net = Net(medium=IP, mtu=576)
    net.iface.rec[0] = 4
    flow = array("i", bytes(56))
    flow[0] = 4
    flow[12] = 64
    flow[1] = PROTOCOL
    addresses.to_words(addresses.parse_address(PEER_IP), flow, 8)
    assert net.iface.send(flow, 64 + 556) == 1
    assert len(net.sent()[0]) == 576
    assert net.iface.send(flow, 64 + 557) == -4
    assert net.sent() == [] and net.count("ip_too_big") == 1
    net.iface.fragment = lambda iface, words, end: end
    assert net.iface.send(flow, 64 + 557) == 621


def test_padding_and_options():
    net = Net()
    seen = []
    HANDLERS[PROTOCOL] = lambda iface, sockets: seen.append(
        bytes(iface.rx[iface.rec[18] : iface.rec[19]])
    )
    net.rx(frame(ipv4(PROTOCOL, b"abc") + bytes(30)))
    del HANDLERS[PROTOCOL]
    assert seen == [b"abc"]


def test_damaged_headers_are_counted():
    net = Net()
    good = ipv4(PROTOCOL, b"abcd")
    assert net.rx(frame(good[:8] + b"\x01" + good[9:])) == []  # TTL changed: checksum
    assert net.rx(frame(b"\x55" + good[1:])) == []
    assert net.rx(frame(good[:22])) == []
    assert net.rx(frame(good[:10])) == []
    assert net.rx(frame(b"")) == []
    assert (net.count("rx_bad_checksum"), net.count("rx_malformed")) == (1, 1)
    assert net.count("rx_truncated") == 3


def test_device_that_checks_is_believed():
    from smolmp.phy.queue import PacketQueue

    good = ipv4(1, icmp(8, 0, echo(1, 1))[20:])
    bad = good[:10] + b"\0\0" + good[12:]
    for bits, answers in ((0, 0), (1, 1)):
        device = PacketQueue(IP, 1500, 4, None, bits)
        iface = Interface(device, ip_addrs=(OUR_IP + "/24",))
        device.inject(bad)
        iface.poll(0, SocketSet())
        assert len(device.from_stack) == answers


def test_a_family_that_is_not_imported():
    net = Net()
    flow = array("i", bytes(56))
    flow[0] = 6
    assert net.iface.send(flow, 72) == -3 and not net.iface.select_source(flow)
    assert not net.iface.is_local(flow, 4, 6) and net.count("ip_no_route") == 1


def test_other_ethertypes_and_versions():
    net = Net()
    assert net.rx(frame(b"x" * 40, 0x88CC)) == []
    assert net.rx(frame(b"x" * 40, 0x0020)) == []
    assert net.count("rx_unsupported") == 2
    net = Net(medium=IP)
    assert net.rx(b"\x60" + bytes(50)) == [] and net.rx(b"\x00") == []
    assert net.count("rx_unsupported") == 2


def test_ethertype_plugs_in():
    from smolmp.iface.walk import ETHERTYPES

    net = Net()
    got = []
    ETHERTYPES[0x88CC] = lambda iface, sockets: got.append(
        bytes(iface.rx[iface.rec[17] : iface.rec[19]])
    )
    net.rx(frame(b"lldp", 0x88CC, dst=b"\x01\x80\xc2\0\0\x0e"))
    del ETHERTYPES[0x88CC]
    assert got == [b"lldp"]


# Configuration.


def test_new_panic():
    for options in (
        {"hardware_addr": "01:00:00:00:00:01"},
        {"hardware_addr": "ff:ff:ff:ff:ff:ff"},
        {"hardware_addr": "00:00:00:00:00:00"},
        {"hardware_addr": "02:00:00:00:00"},
        {"ip_addrs": ("224.0.0.1/4",)},
        {"ip_addrs": ("0.0.0.0/0",)},
        {"ip_addrs": ("255.255.255.255/32",)},
        {"ip_addrs": ("10.0.0.1",)},
        {"ip_addrs": ("fe80::1/64",)},  # IPv6 is not imported
        {"gateway": "224.0.0.1"},
    ):
        try:
            Net(**options)
            raise AssertionError(options)
        except ValueError:
            pass
    try:
        Net(medium=3)
        raise AssertionError("no such medium")
    except ValueError:
        pass


def test_address_list():
    net = Net(ip_addrs=(), addrs=2)
    iface = net.iface
    assert iface.ip_addrs == [] and iface.ipv4_addr is None
    iface.add_ip_addr("10.0.0.1/8")
    iface.add_ip_addr("203.0.113.5/28")
    assert iface.ip_addrs == ["10.0.0.1/8", "203.0.113.5/28"]
    assert iface.ipv4_addr == "10.0.0.1"
    iface.add_ip_addr("10.0.0.1/16")  # the same one with another mask
    assert iface.ip_addrs == ["10.0.0.1/16", "203.0.113.5/28"]
    try:
        iface.add_ip_addr("10.0.0.3/8")
        raise AssertionError("a third")
    except OverflowError:
        pass
    assert iface.has_ip_addr("203.0.113.5") and not iface.has_ip_addr("203.0.113.6")
    assert not iface.has_ip_addr("fe80::1")
    assert iface.remove_ip_addr("10.0.0.1") and not iface.remove_ip_addr("10.0.0.1")
    assert iface.ip_addrs == ["203.0.113.5/28"] and iface.ipv4_addr == "203.0.113.5"
    assert GATEWAY_IP not in repr(iface)
