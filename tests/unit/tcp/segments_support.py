"""A device that cuts TCP segments, as Linux does behind a virtio_net_hdr and cards do (TSO), and
looks at what it is given to cut: Device.cut's docstring is checked octet by octet."""

from array import array

from tcp_support import Peer

import smolmp.socket.tcp.segments  # noqa: F401
from smolmp.phy.device import IP, RX_TCP
from smolmp.phy.queue import PacketQueue
from smolmp.wire import ipv4
from smolmp.wire import tcp as wire
from smolmp.wire.checksum import checksum, pseudo


class Cutter(PacketQueue):
    """segments: the largest packet; cuts: [(segments, octets of text), ...] it was given."""

    def __init__(self, segments=65535, mtu=1500, checksums=0):
        super().__init__(IP, mtu, frames=256, size=200 * 1024, checksums=checksums)
        self.segments = segments
        self.cuts = []
        self.asked = 0
        self.refuse = ()  # the numbers of the calls of cut() that find it busy
        self.rec = array("i", bytes(4 * 56))

    def cut(self, buf, start, end, size):
        rec = self.rec
        assert 0 <= start < end <= len(buf) and end - start <= self.segments
        assert ipv4.parse(buf, start, end, rec, 1) == 0
        assert rec[18] == start + 20 and rec[19] == end  # no options, and the whole length
        assert wire.parse(buf, rec[18], rec[19], rec, 0) == 0
        at = rec[18]
        assert buf[at + 16] << 8 | buf[at + 17] == pseudo(rec, end - at)
        assert not rec[27] & 0x87  # FIN, SYN, RST, CWR
        n = rec[24]
        assert n > 0 and size + (rec[23] - start) <= self.mtu
        self.asked += 1
        if self.asked in self.refuse:
            return False
        self.cuts.append(((n + size - 1) // size, n))
        head = rec[23] - start
        for done in range(0, n, size):
            k = min(size, n - done)
            text = rec[23] + done
            packet = bytearray(buf[start : start + head]) + buf[text : text + k]
            packet[2] = len(packet) >> 8
            packet[3] = len(packet) & 255
            packet[10] = packet[11] = 0
            _fill(packet, 10, checksum(packet, 0, 20, 0))
            carry = done
            for i in range(27, 23, -1):  # SEQ
                carry += packet[i]
                packet[i] = carry & 255
                carry >>= 8
            packet[36] = packet[37] = 0
            _fill(packet, 36, checksum(packet, 20, len(packet), pseudo(rec, len(packet) - 20)))
            assert self.from_stack.push(packet, 0, len(packet))
        return True


def _fill(packet, at, total):
    packet[at] = (total ^ 0xFFFF) >> 8
    packet[at + 1] = (total ^ 0xFFFF) & 255


def cutting(
    mss=100, segments=65535, checksums=0, congestion="none", mtu=1500, iss=None, **options
):
    """(peer, socket, device): a connection over a Cutter with segments of `mss` octets."""
    device = Cutter(segments, mtu, checksums)
    p = Peer(device=device, iss=iss)
    s = p.established(mss=mss, **options)
    s.rto_min = 1000
    s.w[44] = 1000
    s.congestion = congestion
    s.nagle = False
    p.poll()
    return p, s, device


def unfilled(packet):
    """`packet` with nothing but the pseudo header's sum for a checksum, as a kernel hands it over
    that leaves it to the device."""
    rec = array("i", bytes(4 * 56))
    assert ipv4.parse(packet, 0, len(packet), rec, 1) == 0
    total = pseudo(rec, len(packet) - 20)
    packet[36] = total >> 8
    packet[37] = total & 255
    return packet


VERIFIED = RX_TCP
