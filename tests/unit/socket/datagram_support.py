"""A host to talk to: a real Interface on a PacketQueue of medium IP, and packets by hand.

The packets are built and taken apart here in plain Python, not by smolmp: two opinions.
"""

import micropython

from smolmp.iface import Interface
from smolmp.phy.queue import PacketQueue
from smolmp.socket.set import SocketSet

US = "192.168.69.1"
THEM = "192.168.69.100"
OTHER = "192.168.69.101"
BROADCAST = "192.168.69.255"
GROUP = "224.0.0.1"
ETHERNET = 1
IP = 2


def octets(address):
    return bytes([int(part) for part in address.split(".")])


def inet_sum(data):
    """RFC 1071, the slow way."""
    total = 0
    for i in range(0, len(data) - 1, 2):
        total += data[i] << 8 | data[i + 1]
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def number(n):
    return bytes([n >> 8, n & 255])


def ip_packet(protocol, payload, src=THEM, dst=US, hops=64, options=b"", tos=0):
    header = bytearray(20) + options
    header[0] = 0x40 | len(header) // 4
    header[1] = tos
    header[2:4] = number(len(header) + len(payload))
    header[6] = 0x40
    header[8] = hops
    header[9] = protocol
    header[12:16] = octets(src)
    header[16:20] = octets(dst)
    header[10:12] = number(inet_sum(header) ^ 0xFFFF)
    return bytes(header) + payload


def udp_packet(payload, sport=4000, dport=6969, src=THEM, dst=US, hops=64, checksum=None):
    header = number(sport) + number(dport) + number(8 + len(payload))
    if checksum is None:
        pseudo = octets(src) + octets(dst) + b"\0\x11" + number(8 + len(payload))
        checksum = inet_sum(pseudo + header + payload) ^ 0xFFFF or 0xFFFF
    return ip_packet(17, header + number(checksum) + payload, src, dst, hops)


def icmp_message(kind, code, rest, payload=b""):
    """rest: the 4 octets behind the checksum."""
    message = bytes([kind, code, 0, 0]) + rest + payload
    return message[:2] + number(inet_sum(message) ^ 0xFFFF) + message[4:]


def icmp_packet(kind, code, rest, payload=b"", src=THEM, dst=US, hops=64):
    return ip_packet(1, icmp_message(kind, code, rest, payload), src, dst, hops)


OUR_MAC = b"\x02\0\0\0\0\x01"
THEIR_MAC = b"\x02\0\0\0\0\x64"


def frame(payload, ethertype=0x0800, dst=OUR_MAC, src=THEIR_MAC):
    return dst + src + number(ethertype) + payload


def arp_reply(src=THEM, mac=THEIR_MAC):
    body = b"\0\x01\x08\0\x06\x04\0\x02" + mac + octets(src) + OUR_MAC + octets(US)
    return frame(body, 0x0806)


def address(data):
    return ".".join([str(byte) for byte in data])


class Packet:
    """An IPv4 packet taken apart, every checksum in it verified."""

    def __init__(self, data):
        header = (data[0] & 15) * 4
        assert data[0] >> 4 == 4 and inet_sum(data[:header]) == 0xFFFF, data
        assert data[2] << 8 | data[3] == len(data), data
        self.data = data
        self.tos = data[1]
        self.hops = data[8]
        self.protocol = data[9]
        self.src = address(data[12:16])
        self.dst = address(data[16:20])
        self.transport = data[header:]
        t = self.transport
        if self.protocol == 17:
            assert t[4] << 8 | t[5] == len(t), t
            pseudo = data[12:20] + b"\0\x11" + t[4:6]
            assert inet_sum(pseudo + t) == 0xFFFF and t[6:8] != b"\0\0", t
            self.sport = t[0] << 8 | t[1]
            self.dport = t[2] << 8 | t[3]
            self.payload = t[8:]
        elif self.protocol == 1:
            assert inet_sum(t) == 0xFFFF, t
            self.type = t[0]
            self.code = t[1]
            self.payload = t[8:]


class Host:
    """192.168.69.1/24 with a gateway; packets in and out by hand. The clock starts at its wrap."""

    def __init__(self, mtu=1500, medium=IP, checksums=0, **options):
        self.device = PacketQueue(medium, mtu, checksums=checksums)
        options.setdefault("ip_addrs", (US + "/24",))
        options.setdefault("gateway", "192.168.69.254")
        options.setdefault("announce", False)
        self.iface = Interface(self.device, **options)
        self.sockets = SocketSet()
        self.now = 0x3FFFFF00
        self.changed = []
        self.arp_requests = 0

    def add(self, socket):
        return self.sockets.add(socket)

    def poll(self):
        """Poll once; the changed sockets stay in self.changed."""
        self.changed = list(self.cycle())

    def receive(self, packet):
        """A packet comes in; is polled for."""
        assert self.device.inject(packet)
        self.poll()

    def sent(self):
        """All packets that went out since last asked, taken apart; ARP is only counted."""
        self.poll()
        packets = []
        while True:
            data = self.device.take()
            if data is None:
                return packets
            if self.device.medium == ETHERNET:
                if data[12:14] == b"\x08\x06":
                    self.arp_requests += 1
                    continue
                data = data[14:]
            packets.append(Packet(data))

    def sent_one(self):
        packets = self.sent()
        assert len(packets) == 1, packets
        return packets[0]

    def cycle(self):
        """One poll, one millisecond later. Allocates nothing itself."""
        self.now = 0 if self.now == 0x3FFFFFFF else self.now + 1
        return self.iface.poll(self.now, self.sockets)


def locked(times, step):
    """Run step() `times` times with the heap locked: MemoryError if it allocates."""
    micropython.heap_lock()
    try:
        for _ in range(times):
            step()
    finally:
        micropython.heap_unlock()


def raises(errno, call, *args):
    """call(*args) raises OSError(errno)."""
    try:
        call(*args)
    except OSError as error:
        assert error.args[0] == errno, error
        return
    raise AssertionError("no OSError(%d)" % errno)
