"""The DHCPv4 client's states, as packet scripts (RFC 2131 4.4)."""

from dhcp_support import (
    ACK,
    DECLINE,
    DISCOVER,
    INFORM,
    NAK,
    OFFER,
    RELEASE,
    REQUEST,
    SERVER,
    US,
    Client,
    Message,
    number,
    reply,
    started,
    usual,
)
from slow import rounds
from support import BROADCAST, BROADCAST_MAC, OTHER_MAC, OUR_MAC, PEER_MAC, arp, ip_bytes, locked

from smolmp.prng import Random
from smolmp.socket import dhcpv4
from smolmp.socket.dhcpv4.linklocal import LinkLocal

NOBODY = "0.0.0.0"


def test_the_whole_exchange():
    client = started(hostname="pico")
    discover = client.one()
    assert discover.kind == DISCOVER and discover.link == BROADCAST_MAC
    assert (discover.src, discover.dst, discover.ciaddr) == (NOBODY, BROADCAST, NOBODY)
    assert discover.broadcast and discover.options[12] == b"pico"
    assert discover.options[61] == b"\x01" + OUR_MAC
    assert list(discover.options[55][:3]) == [1, 121, 3]
    (request,) = client.hear(reply(discover.xid, usual(OFFER)))
    assert request.kind == REQUEST and request.xid == discover.xid
    assert (request.src, request.dst, request.ciaddr) == (NOBODY, BROADCAST, NOBODY)
    assert request.options[50] == ip_bytes(US) and request.options[54] == ip_bytes(SERVER)
    assert not client.hear(reply(request.xid, usual(ACK)))
    assert client.socket.state == "PROBING" and client.net.iface.ip_addrs == []
    probes = [f for f in client.quiet(700, 50) if f[12:14] == b"\x08\x06"]
    assert len(probes) == 2
    for probe in probes:
        assert probe == arp(1, NOBODY, OUR_MAC, US)
    assert client.socket.state == "BOUND" and client.log[-1] == "BOUND"
    assert client.net.iface.ip_addrs == [US + "/24"]
    assert client.net.iface.routes.default() == "192.168.69.254"
    assert client.socket.lease.server == SERVER and client.socket.lease.seconds == 600


def test_answer_to_the_address_that_is_not_ours_yet():
    """Some servers send to it whatever the broadcast flag says."""
    client = started(broadcast=False, probes=0)
    discover = client.one()
    assert not discover.broadcast
    (request,) = client.hear(reply(discover.xid, usual(OFFER)), dst=US, link=OUR_MAC)
    client.hear(reply(request.xid, usual(ACK)), dst=US, link=OUR_MAC)
    assert client.socket.state == "BOUND" and client.net.iface.stranger is None


def test_backs_off_and_begins_again():
    client = started()
    client.one()
    for mean in (4000, 8000, 16000, 32000, 64000, 64000):
        delay = client.net.delay()
        assert mean - 1000 <= delay <= mean + 1000
        assert not client.sent(delay - 1)
        assert client.one(1).kind == DISCOVER
    assert client.socket.state == "SELECTING" and client.socket.sent == 7


def test_request_without_an_answer_discovers_again():
    client = started()
    xid = client.one().xid
    (request,) = client.hear(reply(xid, usual(OFFER)))
    kinds = []
    for _ in range(4):
        kinds += [m.kind for m in client.sent(client.net.delay())]
    assert kinds == [REQUEST, REQUEST, REQUEST, DISCOVER]


def test_what_is_not_for_us_is_rejected():
    client = started()
    xid = client.one().xid
    other = bytes((xid[0] ^ 1,)) + xid[1:]
    refused = [
        reply(other, usual(OFFER)),
        reply(xid, usual(OFFER), mac=OTHER_MAC),
        reply(xid, usual(ACK)),
        reply(xid, usual(NAK)),
        reply(xid, usual(OFFER, o54=None)),
        reply(xid, usual(OFFER), yiaddr="0.0.0.0"),
        reply(xid, usual(OFFER), yiaddr="224.0.0.1"),
        reply(xid, usual(OFFER), yiaddr="127.0.0.1"),
        reply(xid, usual(OFFER, o53=b"\x02\x02")),
        reply(xid, usual(OFFER, o53=None)),
        reply(xid, usual(OFFER) + b"\x0c\xff", end=b""),
        reply(xid, usual(OFFER))[:239],
        b"\x01" + reply(xid, usual(OFFER))[1:],
        b"",
    ]
    for data in refused:
        assert not client.hear(data)
    assert not client.hear(reply(xid, usual(OFFER)), sport=68)
    assert client.socket.state == "SELECTING" and client.socket.rejected == len(refused) + 1
    (request,) = client.hear(reply(xid, usual(OFFER)))
    # From another server, another address, without sense: not what was asked for.
    for data in (
        reply(request.xid, usual(ACK, "192.168.69.3")),
        reply(request.xid, usual(NAK, "192.168.69.3")),
        reply(request.xid, usual(ACK), yiaddr="192.168.69.8"),
        reply(request.xid, usual(ACK, lease=0)),
        reply(request.xid, usual(ACK, o1=ip_bytes("255.255.255.254")), yiaddr="192.168.69.8"),
    ):
        client.hear(data)
    assert client.socket.state == "REQUESTING"


def test_renews_by_unicast_and_rebinds_by_broadcast():
    client = started()
    client.bind(o58=number(100), o59=number(400))
    client.log.clear()
    lease = client.socket.lease
    for _ in range(98):
        assert not client.sent(1000)
    client.net.meet(SERVER)
    frames = client.quiet(3000)
    (message,) = [f for f in frames if f[12:14] == b"\x08\x00"]
    assert client.socket.state == "RENEWING"
    assert message[:6] == PEER_MAC
    xid = message[46:50]
    client.hear(reply(xid, usual(ACK, o58=number(100), o59=number(400))), dst=US, link=OUR_MAC)
    assert client.socket.state == "BOUND" and client.socket.lease is not lease
    client.quiet(100000, 1000)
    assert client.socket.state == "RENEWING"  # and nobody answers
    client.quiet(300000, 1000)
    assert client.socket.state == "REBINDING"
    client.net.sent()
    client.quiet(100000, 1000)
    assert client.net.iface.ip_addrs == [US + "/24"]
    client.quiet(102000, 1000)
    assert client.socket.state == "SELECTING" and client.net.iface.ip_addrs == []
    assert client.net.iface.routes.default() is None and client.socket.lease is None


def test_any_server_may_answer_a_rebinding_client():
    client = started()
    client.bind(o58=number(10), o59=number(20))
    messages = [f for f in client.quiet(21000, 500) if f[12:14] == b"\x08\x00"]
    assert client.socket.state == "REBINDING"
    last = messages[-1]
    assert last[:6] == BROADCAST_MAC and last[26:30] == ip_bytes(US)
    other = usual(ACK, "192.168.69.3")
    client.hear(reply(last[46:50], other), src="192.168.69.3", dst=US, link=OUR_MAC)
    assert client.socket.state == "BOUND" and client.socket.lease.server == "192.168.69.3"


def test_leases_of_weeks_across_the_wrap_of_ticks():
    """T1 of a lease of 40 days lies 20 days ahead; ticks wrap every 12.4."""
    client = started()
    client.bind(lease=40 * 86400)
    for day in range(20):
        for _ in range(24):
            assert client.socket.state == "BOUND", day
            assert 0 < client.net.delay() <= 100000 * 1000
            client.advance(3600 * 1000)
    assert client.socket.state == "RENEWING"
    for _ in range(20 * 24):
        client.advance(3600 * 1000)
    assert client.socket.state == "SELECTING" and client.net.iface.ip_addrs == []


def test_a_lease_for_ever_has_no_timer():
    client = started()
    client.bind(o51=b"\xff\xff\xff\xff")
    assert client.socket.lease.seconds is None and client.net.delay() is None


def test_nak():
    client = started()
    client.bind(o58=number(10))
    client.net.meet(SERVER)
    (message,) = [f for f in client.quiet(11000) if f[12:14] == b"\x08\x00"]
    client.hear(reply(message[46:50], usual(NAK), NOBODY), dst=US, link=OUR_MAC)
    assert client.net.iface.ip_addrs == [] and client.socket.naks == 1
    assert client.one().kind == DISCOVER


def test_a_server_that_always_refuses_does_not_keep_us_busy():
    client = started()
    waits = []
    for _ in range(5):
        start = client.net.now
        found = client.sent()
        while not found:
            found = client.sent(client.net.delay())
        waits.append((client.net.now - start) & 0x3FFFFFFF)
        (request,) = client.hear(reply(found[0].xid, usual(OFFER)))
        client.hear(reply(request.xid, usual(NAK), NOBODY))
    assert waits == [0, 0, 2000, 4000, 8000]


def test_an_occupied_address_is_declined():
    client = started()
    (request,) = client.hear(reply(client.one().xid, usual(OFFER)))
    client.hear(reply(request.xid, usual(ACK)))
    client.advance()
    client.advance()
    frames = client.note(client.net.rx(arp(2, US, OTHER_MAC, NOBODY, dst=OUR_MAC)))
    (decline,) = [f for f in frames if f[12:14] == b"\x08\x00"]
    assert client.socket.state == "WAITING" and client.socket.declined == 1
    decline = Message(decline)
    assert decline.kind == DECLINE and decline.src == NOBODY
    assert decline.options[50] == ip_bytes(US) and decline.options[54] == ip_bytes(SERVER)
    assert not client.sent(9999)
    assert client.one(1).kind == DISCOVER  # RFC 2131 3.1.5: ten seconds


def test_somebody_else_probes_the_same_address():
    client = started()
    (request,) = client.hear(reply(client.one().xid, usual(OFFER)))
    client.hear(reply(request.xid, usual(ACK)))
    client.advance()
    client.net.rx(arp(1, NOBODY, OUR_MAC, US))  # our own, come back
    assert client.socket.state == "PROBING"
    client.net.rx(arp(1, NOBODY, OTHER_MAC, US))
    assert client.socket.state == "WAITING"


def test_defends_its_address_once_in_ten_seconds():
    client = started()
    client.bind()
    client.advance(20000)
    claim = arp(1, US, OTHER_MAC, US)
    assert client.net.rx(claim) == [arp(1, US, OUR_MAC, US)]  # an announcement
    assert client.socket.state == "BOUND"
    client.advance(10001)
    assert client.net.rx(claim) == [arp(1, US, OUR_MAC, US)]
    client.advance(5000)
    client.net.rx(claim)
    assert client.socket.state == "WAITING" and client.net.iface.ip_addrs == []


def test_release():
    client = started()
    client.bind()
    client.net.meet(SERVER)
    client.socket.release()
    release = client.one()
    assert release.kind == RELEASE and (release.src, release.dst) == (US, SERVER)
    assert release.ciaddr == US and 50 not in release.options
    client.advance()
    assert client.socket.state == "STOPPED" and client.net.iface.ip_addrs == []
    client.advance()
    assert client.net.delay() is None and client.socket.lease is None


def test_release_waits_for_its_neighbour():
    client = started()
    client.bind()
    client.socket.release()
    (request,) = client.advance()
    assert request == arp(1, US, OUR_MAC, SERVER)
    out = client.net.rx(arp(2, SERVER, PEER_MAC, US, OUR_MAC, OUR_MAC))
    assert len(out) == 1 and out[0][:6] == PEER_MAC
    client.advance(20)
    assert client.socket.state == "STOPPED"


def test_release_does_not_wait_for_ever():
    client = started()
    client.bind()
    client.socket.release()
    client.advance()
    for _ in range(19):
        client.advance(20)
        assert client.socket.state == "RELEASING"
    client.advance(20)
    client.advance(20)
    assert client.socket.state == "STOPPED" and client.net.iface.ip_addrs == []


def test_reboot_asks_for_the_old_address():
    client = Client()
    client.socket.start(client.net.iface, US)
    request = client.one()
    assert request.kind == REQUEST and request.options[50] == ip_bytes(US)
    assert 54 not in request.options and request.src == NOBODY
    client.hear(reply(request.xid, usual(ACK)))
    client.quiet(700, 50)
    assert client.socket.state == "BOUND"


def test_reboot_refused_or_unanswered():
    client = Client()
    client.socket.start(client.net.iface, US)
    client.hear(reply(client.one().xid, usual(NAK), NOBODY))
    assert client.one().kind == DISCOVER
    client = Client()
    client.socket.start(client.net.iface, US)
    kinds = [client.one().kind]
    for _ in range(2):
        kinds += [m.kind for m in client.sent(client.net.delay())]
    assert kinds == [REQUEST, REQUEST, DISCOVER]


def test_reboot_of_a_bound_client_keeps_the_address():
    """As after the cable was out: connections live on."""
    client = started()
    client.bind()
    client.socket.start(client.net.iface, client.socket.lease.address)
    assert client.net.iface.ip_addrs == [US + "/24"]
    request = client.one()
    assert request.kind == REQUEST and request.options[50] == ip_bytes(US)
    client.hear(reply(request.xid, usual(ACK)))
    assert client.socket.state == "BOUND"
    client.net.rx(arp(1, US, OTHER_MAC, US))
    client.net.rx(arp(1, US, OTHER_MAC, US))  # it is still watched over
    assert client.socket.state == "WAITING"


def test_inform():
    client = Client(("192.168.69.9/24",))
    client.socket.inform(client.net.iface)
    inform = client.one()
    assert inform.kind == INFORM and inform.ciaddr == inform.src == "192.168.69.9"
    dns = ip_bytes("192.168.69.53")
    text = usual(ACK, o51=None, o6=dns)
    client.hear(reply(inform.xid, text, NOBODY), dst="192.168.69.9", link=OUR_MAC)
    assert client.socket.state == "INFORMED" and client.socket.lease.dns == ["192.168.69.53"]
    assert client.net.iface.ip_addrs == ["192.168.69.9/24"] and client.net.delay() is None


def test_inform_without_an_answer_stops():
    client = Client(("192.168.69.9/24",))
    client.socket.inform(client.net.iface)
    client.advance()
    while client.socket.state == "INFORMING":
        client.advance(client.net.delay())
    assert client.socket.state == "STOPPED" and client.socket.error == 110
    assert client.net.iface.ip_addrs == ["192.168.69.9/24"]


def test_a_changed_lease_changes_the_interface():
    client = started()
    client.bind(o58=number(10))
    client.net.meet(SERVER)
    (message,) = [f for f in client.quiet(11000) if f[12:14] == b"\x08\x00"]
    text = usual(ACK, o3=ip_bytes("192.168.69.253"), o1=ip_bytes("255.255.0.0"))
    client.hear(reply(message[46:50], text), dst=US, link=OUR_MAC)
    assert client.net.iface.ip_addrs == [US + "/16"]
    assert client.net.iface.routes.default() == "192.168.69.253"


def test_no_room_for_the_address():
    taken = ["10.0.%d.1/24" % i for i in range(4)]
    client = started(taken, probes=0)
    (request,) = client.hear(reply(client.one().xid, usual(OFFER)))
    client.hear(reply(request.xid, usual(ACK)))
    assert client.socket.state == "STOPPED" and client.socket.error == 12
    assert client.net.iface.ip_addrs == taken


def test_only_tells_when_it_shall_not_configure():
    client = started(configure=False)
    client.bind()
    assert client.net.iface.ip_addrs == [] and len(client.net.iface.routes) == 0
    assert client.socket.lease.address == US + "/24"


def test_needs_a_set_and_ethernet():
    from support import IP, Net

    for medium, mtu, errno in ((IP, 1500, 22), (1, 500, 22), (1, 1500, 107)):
        net = Net(medium, mtu)
        socket = dhcpv4.Socket()
        if errno == 22:
            net.sockets.add(socket)
        try:
            socket.start(net.iface)
        except OSError as error:
            assert error.args[0] == errno
        else:
            raise AssertionError("started")


def test_removed_in_the_midst():
    client = started()
    client.bind()
    client.net.sockets.remove(client.socket)
    assert client.net.iface.ip_addrs == [] and client.net.iface.arp_watchers == []
    client.net.sockets.add(client.socket)
    client.socket.start(client.net.iface)
    assert client.one().kind == DISCOVER


def test_link_local_fallback():
    client = Client()
    fallback = client.net.sockets.add(LinkLocal())
    client.socket.fallback = fallback
    client.socket.start(client.net.iface)
    frames = client.quiet(40000)
    address = fallback.address
    assert address[:8] == "169.254." and client.net.iface.ip_addrs == [address]
    probes = [f for f in frames if f[12:14] == b"\x08\x06" and f[28:32] == bytes(4)]
    assert len(probes) == 3
    # The client goes on; a server that is back ends it.
    found = client.sent()
    while not found:
        found = client.sent(client.net.delay())
    assert found[0].src == NOBODY
    (request,) = client.hear(reply(found[0].xid, usual(OFFER)))
    client.hear(reply(request.xid, usual(ACK)))
    client.quiet(1000)
    assert client.net.iface.ip_addrs == [US + "/24"] and fallback.address is None


def test_link_local_address_that_is_taken():
    client = Client()
    fallback = client.net.sockets.add(LinkLocal())
    fallback.start(client.net.iface)
    seen = []
    for _ in range(3):
        frames = []
        while not frames:
            frames = client.advance(100)
        wanted = frames[0][38:42]
        seen.append(wanted)
        text = ".".join([str(octet) for octet in wanted])
        client.net.rx(arp(2, text, OTHER_MAC, NOBODY, dst=OUR_MAC))
    assert len(set(seen)) == 3 and fallback.conflicts == 3 and fallback.address is None
    client.quiet(12000)
    assert fallback.address is not None
    fallback.stop()
    client.advance()
    assert client.net.iface.ip_addrs == [] and client.net.delay() is None


def test_random_servers():
    """Whatever comes, in whatever state: nothing is raised, and an honest server is heard."""
    random = Random(11)
    client = started(probes=0)
    for i in range(rounds(400)):
        kind = (OFFER, ACK, ACK, NAK)[random.below(4)]
        xid = bytes(client.socket._xid)
        data = bytearray(reply(xid, usual(kind, o58=number(10), o121=bytes(9), o119=b"\x01a\0")))
        for _ in range(random.below(4)):
            data[8 + random.below(len(data) - 8)] = random.bits(8)
        client.hear(bytes(data[: len(data) - random.below(2) * random.below(60)]))
        if client.socket.lease:
            repr(client.socket)
        client.advance((0, 1000, 20000, 300000)[i & 3])
    client.socket.stop()
    client.advance()
    assert client.net.iface.ip_addrs == [] and len(client.net.iface.routes) == 0
    client.socket.start(client.net.iface)
    client.bind()


def test_a_client_that_waits_allocates_nothing():
    client = started()
    client.bind(lease=3000)
    client.advance(1000)
    iface, sockets = client.net.iface, client.net.sockets
    times = [(client.net.now + 1000 * i) & 0x3FFFFFFF for i in range(1, 100)]

    def poll():
        for now in times:
            iface.poll(now, sockets)
            iface.poll_delay(now, sockets)

    locked(poll)
    assert client.socket.state == "BOUND"
