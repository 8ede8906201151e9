"""A name server by hand: messages are built here in plain Python, not by smolmp."""

from datagram_support import THEM, US, Host, udp_packet

from smolmp.socket import dns

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT = 1, 2, 5, 6, 12, 16, 28, 33, 41
SECOND = "192.168.69.101"


def u16(n):
    return bytes([n >> 8, n & 255])


def name(text):
    data = b""
    for label in text.split("."):
        if label:
            data += bytes([len(label)]) + label.encode()
    return data + b"\0"


def record(owner, kind, data, ttl=300, space=1):
    """owner: text, or the octets of a name (a pointer)."""
    owner = name(owner) if isinstance(owner, str) else owner
    return (
        owner + u16(kind) + u16(space) + u16(ttl >> 16) + u16(ttl & 0xFFFF) + u16(len(data)) + data
    )


def a(owner, *numbers, **more):
    return record(owner, A, bytes(numbers), **more)


class Question:
    """A query taken apart."""

    def __init__(self, packet):
        self.packet = packet
        self.to = packet.dst
        data = packet.payload
        self.ident = data[:2]
        self.recursion = data[2] & 1
        assert data[2] & 0xFE == 0 and data[3] == 0 and data[4:10] == b"\0\1\0\0\0\0"
        at = 12
        labels = []
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        self.written = ".".join(labels)
        self.name = self.written.lower()
        self.kind = data[at + 1] << 8 | data[at + 2]
        assert data[at + 3 : at + 5] == b"\0\1"
        self.question = data[12 : at + 5]
        rest = data[at + 5 :]
        assert len(rest) == 11 * data[11]
        self.edns = rest[3] << 8 | rest[4] if rest else 0

    def message(self, *answers, authority=(), rcode=0, flags=0x8180, question=None, ident=None):
        question = self.question if question is None else question
        head = (ident or self.ident) + u16(flags | rcode) + u16(1 if question else 0)
        head += u16(len(answers)) + u16(len(authority)) + u16(0)
        return head + question + b"".join(answers) + b"".join(authority)


class Names:
    """A Host, and a client that asks THEM and SECOND."""

    def __init__(self, servers=(THEM, SECOND), **options):
        self.host = Host()
        self.host.poll()
        self.client = dns.Client(self.host.iface, self.host.sockets, servers, **options)

    def query(self, text, kind=A):
        self.current = self.client.query(text, kind)
        return self.current

    def asked(self):
        """The queries that went out."""
        return [Question(packet) for packet in self.host.sent() if packet.protocol == 17]

    def one(self):
        found = self.asked()
        assert len(found) == 1, found
        return found[0]

    def tell(self, question, message, src=None, sport=None):
        """A datagram in answer to a question; True: the query is done, and the poll said so."""
        packet = question.packet
        src = src or packet.dst
        sport = sport or packet.dport
        self.host.receive(udp_packet(message, sport, packet.sport, src, US))
        named = self.current in self.host.changed
        assert named == self.current.done
        return named

    def pass_time(self, ms):
        self.host.now = (self.host.now + ms) & 0x3FFFFFFF
        self.host.poll()
