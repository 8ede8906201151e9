"""A DHCP server by hand, and a client on an Ethernet interface that has no address yet.

Messages are built and taken apart here in plain Python, not by smolmp: two opinions.
"""

from support import BROADCAST, BROADCAST_MAC, OUR_MAC, Net, frame, ip_bytes, payload, udp

from smolmp.socket import dhcpv4

SERVER = "192.168.69.2"
US = "192.168.69.7"
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)


class Message:
    """A client's message: fields, and options by number."""

    def __init__(self, frame):
        protocol, self.src, self.dst, data = payload(frame[14:])
        assert protocol == 17 and data[:4] == b"\0\x44\0\x43"
        self.link = frame[:6]
        data = data[8:]
        assert data[:3] == b"\x01\x01\x06" and data[236:240] == b"\x63\x82\x53\x63"
        assert len(data) >= 300 and data[28:44] == OUR_MAC + bytes(10)
        self.xid = data[4:8]
        self.secs = data[8] << 8 | data[9]
        self.broadcast = data[10] == 0x80
        self.ciaddr = ".".join([str(octet) for octet in data[12:16]])
        self.options = {}
        at = 240
        while data[at] != 255:
            self.options[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
            at += 2 + data[at + 1]
        self.kind = self.options[53][0]


def options(pairs):
    text = b""
    for code, value in pairs:
        text += bytes((code, len(value))) + value
    return text


def number(n):
    return bytes([n >> 24 & 255, n >> 16 & 255, n >> 8 & 255, n & 255])


def usual(kind, server=SERVER, lease=600, **more):
    """The options of an ordinary server; more: o3=None leaves 3 out, o3=b"..." replaces it."""
    found = {53: bytes((kind,)), 54: ip_bytes(server)}
    if kind != NAK:
        found[1] = ip_bytes("255.255.255.0")
        found[3] = ip_bytes("192.168.69.254")
        found[51] = number(lease)
    for name, value in more.items():
        found[int(name[1:])] = value
    return options([(code, value) for code, value in found.items() if value is not None])


def reply(xid, text, yiaddr=US, mac=OUR_MAC, sname=b"", file=b"", end=b"\xff"):
    data = b"\x02\x01\x06\0" + xid + bytes(8) + ip_bytes(yiaddr) + bytes(8) + mac + bytes(10)
    data += sname + bytes(64 - len(sname)) + file + bytes(128 - len(file))
    return data + b"\x63\x82\x53\x63" + text + end


class Client:
    """A Net without an address and a started client."""

    def __init__(self, addresses=(), **given):
        self.net = Net(ip_addrs=addresses)
        self.socket = self.net.sockets.add(dhcpv4.Socket(**given))
        self.log = []  # the states in which the poll named the client

    def note(self, frames):
        if self.socket in self.net.changed:
            self.log.append(self.socket.state)
        return frames

    def advance(self, ms=0):
        return self.note(self.net.advance(ms))

    def sent(self, ms=0):
        """The DHCP messages of a poll."""
        return [Message(f) for f in self.advance(ms) if f[12:14] == b"\x08\x00"]

    def one(self, ms=0):
        found = self.sent(ms)
        assert len(found) == 1, found
        return found[0]

    def quiet(self, ms, step=100):
        """Time passes; what was sent, by whichever poll."""
        frames = []
        while ms > 0:
            frames += self.advance(min(step, ms))
            ms -= step
        return frames

    def hear(self, data, src=SERVER, dst=BROADCAST, link=BROADCAST_MAC, sport=67):
        """A message from a server; the DHCP messages sent in answer."""
        return [
            Message(f)
            for f in self.note(self.net.rx(frame(udp(data, sport, 68, src, dst), dst=link)))
            if f[12:14] == b"\x08\x00"
        ]

    def bind(self, lease=600, **more):
        """Through the whole exchange, probes included."""
        discover = self.one()
        assert discover.kind == DISCOVER
        (request,) = self.hear(reply(discover.xid, usual(OFFER, lease=lease, **more)))
        assert request.kind == REQUEST
        assert not self.hear(reply(request.xid, usual(ACK, lease=lease, **more)))
        for _ in range(20):
            if self.socket.state == "BOUND":
                break
            self.advance(50)
        assert self.socket.state == "BOUND", self.socket.state
        return request


def started(addresses=(), **given):
    client = Client(addresses, **given)
    client.socket.start(client.net.iface)
    return client
