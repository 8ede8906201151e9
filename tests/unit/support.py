"""What tests of the Interface and of sockets share: frames made by hand, and a Net.

Frames are built here in plain Python, not with smolmp's own emitters: two opinions. Addresses are
text, packets bytes; a transport builder gives a whole IP packet, frame() puts it on the link:

    net = Net()                                      # we are 192.168.69.1/24, on Ethernet
    net.meet()                                       # the peer 192.168.69.2 asks for us by ARP
    out = net.rx(frame(icmp(8, 0, echo(1, 2))))      # a frame in, one poll; the frames out
    net.advance(1000)                                # time passes, poll; the frames out

Net's clock begins 5 s before ticks wrap.
"""

import micropython

from smolmp.iface import Interface
from smolmp.phy.queue import PacketQueue
from smolmp.socket.set import SocketSet

ETHERNET = 1
IP = 2
OUR_MAC = b"\x02\0\0\0\0\x01"
PEER_MAC = b"\x02\0\0\0\0\x02"
OTHER_MAC = b"\x02\0\0\0\0\x03"
BROADCAST_MAC = b"\xff\xff\xff\xff\xff\xff"
OUR_IP = "192.168.69.1"
PEER_IP = "192.168.69.2"
OTHER_IP = "192.168.69.3"
GATEWAY_IP = "192.168.69.100"
SUBNET_BROADCAST = "192.168.69.255"
BROADCAST = "255.255.255.255"

START = 0x3FFFFFFF - 5000


def ip_bytes(address):
    return bytes([int(part) for part in address.split(".")])


def u16(n):
    return bytes([n >> 8 & 255, n & 255])


def inet_checksum(data):
    """RFC 1071, the slow way: the complement."""
    total = 0
    for i in range(0, len(data), 2):
        total += data[i] << 8 | (data[i + 1] if i + 1 < len(data) else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def frame(packet, ethertype=0x0800, dst=OUR_MAC, src=PEER_MAC):
    return dst + src + u16(ethertype) + packet


def arp(operation, sender, sender_mac, target, target_mac=bytes(6), dst=BROADCAST_MAC):
    """A whole frame. operation: 1 request, 2 reply."""
    packet = b"\0\x01\x08\0\x06\x04" + u16(operation) + sender_mac + ip_bytes(sender)
    return frame(packet + target_mac + ip_bytes(target), 0x0806, dst, sender_mac)


def ipv4(protocol, payload, src=PEER_IP, dst=OUR_IP, hops=64, fragment=0x4000, ident=0, tos=0):
    """fragment: the flags and offset field as it stands in the header."""
    header = b"\x45" + bytes([tos]) + u16(20 + len(payload)) + u16(ident) + u16(fragment)
    header += bytes([hops, protocol])
    addresses = ip_bytes(src) + ip_bytes(dst)
    return header + u16(inet_checksum(header + b"\0\0" + addresses)) + addresses + payload


def echo(ident, sequence, data=b"0123456789"):
    return u16(ident) + u16(sequence) + data


def icmp(kind, code, rest, src=PEER_IP, dst=OUR_IP, hops=64):
    """rest: what follows the checksum, the 4 bytes of the header and the data."""
    message = bytes([kind, code, 0, 0]) + rest
    message = message[:2] + u16(inet_checksum(message)) + rest
    return ipv4(1, message, src, dst, hops)


def udp(data, sport=4000, dport=6969, src=PEER_IP, dst=OUR_IP):
    header = u16(sport) + u16(dport) + u16(8 + len(data))
    pseudo = ip_bytes(src) + ip_bytes(dst) + b"\0\x11" + u16(8 + len(data))
    checksum = inet_checksum(pseudo + header + b"\0\0" + data) or 0xFFFF
    return ipv4(17, header + u16(checksum) + data, src, dst)


def tcp(flags, seq=0, ack=0, data=b"", sport=4000, dport=80, src=PEER_IP, dst=OUR_IP, window=8192):
    """flags: FIN 1 SYN 2 RST 4 PSH 8 ACK 16."""
    header = u16(sport) + u16(dport) + u16(seq >> 16) + u16(seq) + u16(ack >> 16) + u16(ack)
    header += bytes([0x50, flags]) + u16(window)
    pseudo = ip_bytes(src) + ip_bytes(dst) + b"\0\x06" + u16(20 + len(data))
    checksum = inet_checksum(pseudo + header + b"\0\0\0\0" + data)
    return ipv4(6, header + u16(checksum) + b"\0\0" + data, src, dst)


def payload(packet):
    """Behind an IPv4 header without options, checked: (protocol, src, dst, payload)."""
    assert packet[0] == 0x45 and inet_checksum(packet[:20]) == 0
    assert packet[2] << 8 | packet[3] == len(packet)
    src, dst = ["%d.%d.%d.%d" % tuple(packet[i : i + 4]) for i in (12, 16)]
    return packet[9], src, dst, packet[20:]


class Net:
    """An Interface on a PacketQueue, a SocketSet and a clock. Options are the Interface's; unlike
    there, addresses are not announced unless announce=True."""

    def __init__(self, medium=ETHERNET, mtu=1500, ip_addrs=(OUR_IP + "/24",), frames=8, **options):
        self.now = START
        self.device = PacketQueue(medium, mtu, frames)
        options["announce"] = options.get("announce", False)
        self.iface = Interface(self.device, ip_addrs=ip_addrs, now=START, seed=1, **options)
        self.sockets = SocketSet()
        self.changed = []  # what the last poll returned

    def poll(self):
        """One poll; the frames that it sent."""
        self.changed = self.iface.poll(self.now, self.sockets)
        return self.sent()

    def rx(self, *frames):
        """Frames in, one poll; the frames that it sent."""
        for item in frames:
            assert self.device.inject(item)
        return self.poll()

    def advance(self, ms):
        """Time passes; one poll; the frames that it sent."""
        self.now = (self.now + ms) & 0x3FFFFFFF
        return self.poll()

    def sent(self):
        """The frames that the interface sent and nobody took yet."""
        frames = []
        while True:
            item = self.device.take()
            if item is None:
                return frames
            frames.append(item)

    def meet(self, address=PEER_IP, mac=PEER_MAC):
        """A host on the link becomes a known neighbour: it asks for us."""
        assert len(self.rx(arp(1, address, mac, self.iface.ipv4_addr))) == 1

    def delay(self):
        return self.iface.poll_delay(self.now, self.sockets)

    def count(self, name):
        return self.iface.stats()[name]


def locked(function):
    """Call `function` with the heap locked: MemoryError if it allocates."""
    micropython.heap_lock()
    try:
        return function()
    finally:
        micropython.heap_unlock()
