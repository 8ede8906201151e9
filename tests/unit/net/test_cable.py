"""A Net on the model of a W5500: the cable is pulled out and put back."""

from support import BROADCAST, BROADCAST_MAC, frame, ip_bytes, udp

from smolmp.net import Net
from smolmp.socket.dhcpv4.linklocal import LinkLocal
from smolmp.wire.address import format_mac
from tests.unit.phy.w5500_support import MAC, Rig
from tests.unit.socket.dhcp_support import (
    ACK,
    DISCOVER,
    OFFER,
    REQUEST,
    SERVER,
    US,
    Message,
    reply,
    usual,
)


class Host:
    """net, and what left by the chip's cable."""

    def __init__(self, address=None):
        self.rig = Rig()
        self.told = []
        self.net = Net(
            self.rig.device,
            address,
            tcp=1,
            udp=1,
            rx=512,
            tx=512,
            clock=self.rig.ticks,
        )
        self.net.on_change = lambda net: self.told.append(net.is_up())

    def run(self, ms):
        """Time passes; the frames that left."""
        frames = []
        for _ in range(0, ms, 10):
            self.rig.pass_ms(10)
            self.net.poll()
            frames += self.rig.frames
            del self.rig.frames[:]
        return frames

    def plug(self, there):
        self.rig.chip.link = there
        return self.run(1100)

    def asked(self, frames):
        """The DHCP messages among frames."""
        return [Message(f) for f in frames if f[12:14] == b"\x08\0" and f[36:38] == b"\0\x43"]

    def answer(self, message, kind):
        data = udp(reply(message.xid, usual(kind)), 67, 68, SERVER, BROADCAST)
        assert self.rig.chip.receive(frame(data, dst=BROADCAST_MAC))


# not from .mpy files: a whole stack and the chip do not fit
def test_fixed_address_is_announced_again():
    host = Host("192.168.69.7/24")
    host.run(100)
    assert host.net.is_up() and host.told == []
    assert format_mac(host.net.iface.mac) == MAC  # which the chip lets pass
    assert host.plug(False) == []
    assert not host.net.is_up() and host.told == [False]
    assert "no link" in repr(host.net)
    assert host.run(3000) == []
    frames = host.plug(True)
    assert host.net.is_up() and host.told == [False, True]
    assert [f[12:14] for f in frames] == [b"\x08\x06"]  # a gratuitous ARP
    host.net.down()
    assert not host.net.is_up()
    host.net.up()
    assert host.net.is_up()
    host.net.down()


# not from .mpy files: a whole stack and the chip do not fit
def test_lease_is_confirmed():
    """RFC 2131 4.4.2: a REQUEST with the address that we have."""
    host = Host()
    found = host.asked(host.run(50))
    assert [m.kind for m in found] == [DISCOVER]
    host.answer(found[0], OFFER)
    found = host.asked(host.run(50))
    assert [m.kind for m in found] == [REQUEST]
    host.answer(found[0], ACK)
    host.run(2000)
    assert host.net.is_up() and list(host.net.iface.ip_addrs) == [US + "/24"]
    host.plug(False)
    assert not host.net.is_up() and host.net.dhcp.state == "BOUND"
    found = host.asked(host.plug(True))
    assert found[0].kind == REQUEST and found[0].options[50] == ip_bytes(US)
    assert host.net.dhcp.state == "REBOOTING" and host.net.is_up()
    host.answer(found[0], ACK)
    host.run(2000)
    assert host.net.dhcp.state == "BOUND" and host.net.is_up()
    host.net.dhcp.stop()  # no server hears of it: the clock stands still meanwhile
    host.net.down()


# not from .mpy files: a whole stack and the chip do not fit
def test_link_local_address_where_no_server_answers():
    """RFC 3927, by choice; the server is asked on, and its address takes over."""
    host = Host()
    net = host.net
    net.dhcp.fallback = net.sockets.add(LinkLocal())
    net.dhcp.patience = 1
    host.run(12000)
    assert net.is_up() and [cidr[:8] for cidr in net.iface.ip_addrs] == ["169.254."]
    assert "link-local 169.254." in repr(net)
    asked = []
    while not asked:
        asked = host.asked(host.run(1000))
    host.answer(asked[0], OFFER)
    host.answer(host.asked(host.run(50))[0], ACK)
    host.run(2000)
    assert list(net.iface.ip_addrs) == [US + "/24"]
    net.dhcp.stop()
    net.down()
