"""The poll family: timers, budgets, marks, blocked sockets, a busy device, and what people see.

After smoltcp's iface/interface/tests/mod.rs; sockets that wait for a neighbour: test_waiting.py.
"""

from iface_support import BLOCKED, SENT, UNREACHABLE, Sender, order, senders
from support import (
    BROADCAST,
    BROADCAST_MAC,
    GATEWAY_IP,
    IP,
    OTHER_MAC,
    OUR_IP,
    OUR_MAC,
    PEER_IP,
    PEER_MAC,
    START,
    SUBNET_BROADCAST,
    Net,
    arp,
    echo,
    frame,
    icmp,
    payload,
)
from support import tcp as tcp_packet
from support import udp as udp_packet

from smolmp.socket import icmp as icmp_socket
from smolmp.socket import raw, tcp, udp

SYN, RST, ACK = 2, 4, 16
WRAP = 0x3FFFFFFF


# poll


def test_poll_drains_ingress_and_egress():
    net = Net(medium=IP)
    senders(net, 2, 1)
    out = net.rx(icmp(8, 0, echo(1, 1)), icmp(8, 0, echo(1, 2)))
    assert len(out) == 5
    assert [payload(f)[0] for f in out] == [1, 1, 253, 253, 253]
    assert order(out[2:]) == [(0, 2), (1, 1), (0, 1)]  # round robin
    assert net.delay() is None


def test_poll_budget():
    net = Net(medium=IP, frames=20)
    for i in range(10):
        net.device.inject(icmp(8, 0, echo(1, i)))
    net.iface.poll(net.now, net.sockets, 4)
    assert len(net.sent()) == 4 and net.delay() == 0
    net.iface.poll(net.now, net.sockets, 4)
    net.iface.poll(net.now, net.sockets, 4)
    assert len(net.sent()) == 6 and net.delay() is None
    senders(net, 10)
    net.iface.poll(net.now, net.sockets, 4)
    assert len(net.sent()) == 4 and net.delay() == 0
    assert len(net.poll()) == 6 and net.delay() is None


def test_poll_ingress_single():
    net = Net(medium=IP)
    u = net.sockets.add(udp.Socket())
    u.bind(68)
    poll = net.iface.poll_ingress_single
    assert poll(net.now, net.sockets) == 0
    net.device.inject(icmp(8, 0, echo(1, 1)))
    net.device.inject(udp_packet(b"x", 67, 68))
    net.device.inject(icmp(8, 0, echo(1, 2)))
    assert poll(net.now, net.sockets) == 1 and len(net.sent()) == 1
    assert poll(net.now, net.sockets) == 2 and net.sent() == []
    assert len(net.device.to_stack) == 1
    assert len(net.poll()) == 1 and net.changed == [u]  # reported by the next poll


def test_poll_egress():
    """At most one packet per marked socket and call."""
    net = Net(medium=IP)
    senders(net, 2, 1, 3)
    poll = net.iface.poll_egress
    assert poll(net.now, net.sockets) == 1
    assert order(net.sent()) == [(0, 2), (1, 1), (2, 3)]
    poll(net.now, net.sockets)
    assert order(net.sent()) == [(0, 1), (2, 2)]
    poll(net.now, net.sockets)
    assert order(net.sent()) == [(2, 1)]
    assert poll(net.now, net.sockets) == 0 and net.sent() == []
    net.device.inject(icmp(8, 0, echo(1, 1)))
    assert poll(net.now, net.sockets) == 0  # frames are not its business


def test_poll_returns_one_list():
    net = Net(medium=IP)
    u = net.sockets.add(udp.Socket())
    u.bind(68)
    first = net.iface.poll(net.now, net.sockets)
    assert first == []
    net.rx(udp_packet(b"x", 67, 68))
    assert net.changed is first and first == [u]
    net.poll()
    assert first == []


def test_several_sets_on_one_interface():
    """The proxy polls a set of one."""
    from smolmp.socket.set import SocketSet

    net = Net()
    other = SocketSet(1)
    a = net.sockets.add(Sender(left=2))
    b = other.add(Sender(left=2))
    net.sockets.mark(a.slot)
    other.mark(b.slot)
    net.poll()
    net.iface.poll(net.now, other)
    assert a.codes == [SENT, BLOCKED] and b.codes == [BLOCKED]
    net.rx(arp(2, PEER_IP, PEER_MAC, OUR_IP, OUR_MAC, OUR_MAC))
    assert a.codes == [SENT, BLOCKED, SENT]
    assert net.iface.poll_delay(net.now, other) == 0
    net.iface.poll(net.now, other)
    assert b.codes == [BLOCKED, SENT, SENT]


# Time


def test_uptime_counts_seconds_over_the_wrap():
    net = Net()
    for _ in range(100):
        net.advance(333)
    assert net.iface.seconds == 33
    net.advance(0x1FFFFFFF)
    assert net.iface.seconds == (33300 + 0x1FFFFFFF) // 1000


def test_a_clock_set_back_does_no_harm():
    net = Net()
    net.advance(1000)
    net.advance(-500)
    assert net.iface.seconds == 1
    net.advance(1000)
    assert net.iface.seconds == 2


def test_poll_at_none_when_idle():
    net = Net()
    net.poll()
    assert net.delay() is None
    assert net.iface.poll_at(net.now, net.sockets) is None


def test_poll_at_active_passes_through():
    net = Net()
    (s,) = senders(net, 0)
    net.poll()
    net.sockets.deadline(s.slot, (START + 6000) & WRAP)  # behind the wrap
    assert net.iface.poll_at(net.now, net.sockets) == (START + 6000) & WRAP
    assert net.delay() == 6000
    net.advance(5999)
    assert s.timers == [] and net.delay() == 1
    net.advance(1)
    assert s.timers == [(START + 6000) & WRAP] and net.delay() is None


def test_poll_at_is_the_earliest_of_all():
    """smoltcp 9.2: a None of one part hid the deadlines of the others."""
    net = Net()
    s, quiet = senders(net, 1, 0)
    net.poll()  # asks for the neighbour: a request a second
    assert net.delay() == 1000
    net.sockets.deadline(s.slot, (net.now + 300) & WRAP)
    assert net.delay() == 300

    class Task:
        deadline = (START + 200) & WRAP
        runs = 0

        def run(self, iface, sockets):
            self.runs += 1
            self.deadline = -1

    task = Task()
    net.iface.tasks.append(task)
    assert net.delay() == 200
    net.advance(200)
    assert task.runs == 1 and net.delay() == 100
    net.advance(100)
    assert len(s.timers) == 1 and net.delay() == 700
    net.sockets.mark(quiet.slot)
    assert net.delay() == 0 and net.iface.poll_at(net.now, net.sockets) == net.now


def test_poll_never_asks_for_the_past():
    """smoltcp 9.2: a deadline stayed in the past, and the program spun."""
    net = Net()
    (s,) = senders(net, 1)
    net.sockets.deadline(s.slot, (START - 100) & WRAP)
    polls = 0
    while net.delay() == 0:
        net.poll()
        polls += 1
        assert polls < 5
    net.advance(100000)
    while net.delay() == 0:
        net.poll()
        polls += 1
        assert polls < 9


def test_large_host_time_is_reduced():
    net = Net()
    (s,) = senders(net, 0)
    now = (1 << 34) + 77
    net.iface.poll(now, net.sockets)
    assert net.iface.now == 77
    net.sockets.deadline(s.slot, 100)
    assert net.iface.poll_delay(now, net.sockets) == 23
    assert net.iface.poll_at(now, net.sockets) == 100


# A busy device


def test_busy_device_keeps_the_marks():
    net = Net(medium=IP, frames=2)
    senders(net, 2, 2)
    assert order(net.poll()) == [(0, 2), (1, 2)]
    assert net.delay() == 1 and net.count("tx_busy") == 1
    assert net.iface.poll_at(net.now, net.sockets) == net.now + 1
    assert order(net.advance(1)) == [(0, 1), (1, 1)]  # and whose turn it was
    net.advance(1)
    assert net.delay() is None


def test_busy_device_loses_replies_only():
    net = Net(medium=IP, frames=2)
    for i in range(2):
        net.device.inject(icmp(8, 0, echo(1, i)))
    net.iface.poll(net.now, net.sockets)
    for i in range(2):
        net.device.inject(icmp(8, 0, echo(1, 2 + i)))
    net.iface.poll(net.now, net.sockets)
    assert len(net.sent()) == 2 and net.count("tx_dropped") == 2


def test_unreachable_is_told_and_goes_on():
    net = Net()
    net.meet()
    lost = net.sockets.add(Sender("8.8.8.8", 2))
    net.sockets.mark(lost.slot)
    senders(net, 1)
    assert len(net.poll()) == 1
    assert lost.codes == [UNREACHABLE] * 2 and net.count("ip_no_route") == 2
    assert net.delay() is None


# Real sockets


def test_handle_udp_broadcast():
    for dst in (BROADCAST, SUBNET_BROADCAST):
        net = Net()
        u = net.sockets.add(udp.Socket())
        u.bind(68)
        packet = udp_packet(b"Hello, world!", 67, 68, dst=dst)
        assert net.rx(frame(packet, dst=BROADCAST_MAC)) == []
        assert net.changed == [u]
        data, meta = u.recv()
        assert data == b"Hello, world!" and (meta.address, meta.port) == (PEER_IP, 67)
        assert meta.local_address == dst


def test_icmpv4_socket():
    net = Net(medium=IP)
    s = net.sockets.add(icmp_socket.Socket())
    s.bind(icmp_socket.Endpoint.ident(0x1234))
    out = net.rx(icmp(8, 0, echo(0x1234, 7)))
    assert net.changed == [s] and len(out) == 1  # it sees the request; it is answered, too
    assert net.rx(icmp(8, 0, echo(0x1235, 7))) != [] and net.changed == []


def test_tcp_not_accepted():
    net = Net(medium=IP)
    net.sockets.add(tcp.Socket())
    out = net.rx(tcp_packet(SYN, 0x7FFFFFFF, sport=4242, dport=4243))
    assert len(out) == 1
    protocol, src, dst, segment = payload(out[0])
    assert (protocol, src, dst) == (6, OUR_IP, PEER_IP)
    assert segment[13] == RST | ACK and segment[8:12] == b"\x80\0\0\0"
    # never to broadcasts or groups, nor to what cannot be a host
    for dst in (BROADCAST, SUBNET_BROADCAST, "224.0.0.1"):
        assert net.rx(tcp_packet(SYN, 1, dst=dst)) == [], dst
    assert net.rx(tcp_packet(SYN, 1, src="0.0.0.0")) == []


def test_broadcast_syn_leaves_the_listener_alone():
    """smoltcp 9.2: it could close one."""
    net = Net()
    listener = net.sockets.add(tcp.Socket())
    listener.listen(80)
    net.meet()
    net.poll()
    for dst in (BROADCAST, SUBNET_BROADCAST, "224.0.0.1", OUR_IP):
        link = b"\x01\0\x5e\0\0\x01" if dst == "224.0.0.1" else BROADCAST_MAC
        assert net.rx(frame(tcp_packet(SYN, 1, dst=dst), dst=link)) == [], dst
        assert listener.is_listening
    assert len(net.rx(frame(tcp_packet(SYN, 1)))) == 1


def test_tcp_listen_drops_unspecified_src():
    net = Net(medium=IP)
    listener = net.sockets.add(tcp.Socket())
    listener.listen(80)
    for src in ("0.0.0.0", "127.0.0.1", "224.0.0.1", BROADCAST):
        assert net.rx(tcp_packet(SYN, 1, src=src)) == []
    assert listener.is_listening


def test_raw_socket_no_reply_tcp():
    net = Net(medium=IP)
    r = net.sockets.add(raw.Socket(4, 6))
    packet = tcp_packet(SYN, 1)
    assert net.rx(packet) == []
    assert net.changed == [r] and r.recv()[0] == packet
    net.sockets.remove(r)
    assert len(net.rx(packet)) == 1


def test_handles_the_first_packet_of_a_connection():
    """The SYN waits for ARP; nothing is lost."""
    net = Net(gateway=GATEWAY_IP)
    s = net.sockets.add(tcp.Socket())
    s.connect(net.iface, ("10.9.8.7", 80))
    out = net.poll()
    assert len(out) == 1 and out[0][12:14] == b"\x08\x06"
    out = net.rx(arp(2, GATEWAY_IP, OTHER_MAC, OUR_IP, OUR_MAC, OUR_MAC))
    assert len(out) == 1 and out[0][:6] == OTHER_MAC
    assert payload(out[0][14:])[:3] == (6, OUR_IP, "10.9.8.7")


# People


def test_repr_and_stats():
    net = Net(gateway=GATEWAY_IP)
    net.meet()
    net.rx(frame(icmp(8, 0, echo(1, 1))))
    text = repr(net.iface)
    for part in (
        "02:00:00:00:00:01",
        "mtu 1500",
        OUR_IP + "/24",
        "default via " + GATEWAY_IP,
        PEER_IP + " 02:00:00:00:00:02",
        "icmp_echos 1",
    ):
        assert part in text, part
    stats = net.iface.stats()
    assert stats["rx_frames"] == 2 and stats["tx_frames"] == 2 and stats["ip_martian"] == 0
    assert "-" in repr(Net(medium=IP, ip_addrs=()).iface)


def test_a_broken_device_is_not_believed():
    net = Net()
    length = []

    class Liar:
        def recv(self, buf):
            return length.pop() if length else 0

        def send(self, buf, start, end):
            return True

    device = net.iface.device
    net.iface.device = Liar()
    net.iface.bind()
    for n in (1519, 65536, 1 << 29, -5):
        length.append(n)
        net.iface.poll(net.now, net.sockets)
    assert net.count("rx_malformed") == 3
    net.iface.device = device
    net.iface.bind()
    net.meet()


def test_a_ping_that_fits_the_buffer_but_not_the_mtu_is_not_answered():
    """The buffer has 4 octets more than the MTU: what would not fit a reply stays unanswered."""
    for over in range(1, 5):
        net = Net()
        net.meet()
        data = bytes(1500 - 28 + over)
        assert net.rx(frame(icmp(8, 0, echo(1, 1, data)))) == []
    assert len(net.rx(frame(icmp(8, 0, echo(1, 1, bytes(1472)))))) == 1
