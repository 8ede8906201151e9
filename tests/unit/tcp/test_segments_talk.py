"""Two hosts whose devices cut and join segments, over a wire that loses, doubles and mixes the
pieces: whole streams both ways."""

# targets: unix64 unix32 unix64-wheel
import gc
import random

from segments_support import VERIFIED, Cutter, unfilled

from smolmp.iface.interface import Interface
from smolmp.socket import tcp
from smolmp.socket.set import SocketSet
from smolmp.wire.checksum import checksum

MOST = 65535  # octets of a joined packet


class Host:
    def __init__(self, address, seed, segments=65535):
        self.device = Cutter(segments, checksums=VERIFIED)
        self.iface = Interface(self.device, ip_addrs=(address + "/24",), seed=seed)
        self.sockets = SocketSet()
        self.held = []  # packets on their way to this host
        self.joined = 0


def follows(a, b):
    """Is b the next segment of the same flight as a? Both plain TCP/IPv4, as kernels join them."""
    header = (a[32] >> 4) << 2
    if b[32] != a[32] or a[33] & ~8 != 16 or b[33] & ~8 != 16:
        return False
    if a[9] != 6 or a[12:24] != b[12:24] or a[28:32] != b[28:32] or a[1] != b[1]:
        return False
    if a[34:36] != b[34:36] or a[40 : 20 + header] != b[40 : 20 + header]:
        return False
    n = len(a) - 20 - header
    seq = int.from_bytes(a[24:28], "big") + n & 0xFFFFFFFF
    return n > 0 and len(b) > 20 + header and seq == int.from_bytes(b[24:28], "big")


def join(packets):
    """What a kernel hands on of these: runs that follow each other are one packet."""
    out = []
    for packet in packets:
        if out and follows(out[-1], packet) and len(out[-1]) + len(packet) <= MOST:
            last = out[-1]
            header = 20 + ((packet[32] >> 4) << 2)
            last.extend(packet[header:])
            last[33] |= packet[33]
            last[2], last[3] = len(last) >> 8, len(last) & 255
            last[10] = last[11] = 0
            total = checksum(last, 0, 20, 0) ^ 0xFFFF
            last[10], last[11] = total >> 8, total & 255
        else:
            out.append(bytearray(packet))
    return out


class Talk:
    def __init__(self, drop=0, double=0, mix=0, segments=65535, seed=1, rx=40000, tx=60000):
        gc.collect()
        random.seed(seed)
        self.drop, self.double, self.mix = drop, double, mix
        self.a = Host("10.0.0.1", 5, segments)
        self.b = Host("10.0.0.2", 6, segments)
        self.now = (1 << 30) - 3000
        self.server = self.a.sockets.add(tcp.Socket(rx, tx))
        self.client = self.b.sockets.add(tcp.Socket(rx, tx))
        self.server.listen(7)
        self.client.connect(self.b.iface, ("10.0.0.1", 7))

    def carry(self, host, other):
        """What `host` sent goes to `other`, as the wire pleases; True: there was something."""
        went = []
        while True:
            packet = host.device.take()
            if packet is None:
                break
            fate = random.getrandbits(10) % 1000
            if fate < self.drop:
                continue
            went.append(packet)
            if fate < self.drop + self.double:
                went.append(packet)
            if fate >= 1000 - self.mix and len(went) > 1:
                i = random.getrandbits(8) % len(went)
                went[i], went[-1] = went[-1], went[i]
        if not went:
            return False
        for packet in join(went):
            if len(packet) > 1500:
                other.joined += 1
            assert other.device.inject(unfilled(packet)), "wire overflow"
        return True

    def step(self):
        now = self.now & 0x3FFFFFFF
        moved = False
        for host, other in ((self.a, self.b), (self.b, self.a)):
            host.iface.poll(now, host.sockets)
            moved = self.carry(host, other) or moved
        if moved:
            self.now += random.getrandbits(1)
            return
        delays = [h.iface.poll_delay(now, h.sockets) for h in (self.a, self.b)]
        delays = [d for d in delays if d is not None]
        assert delays, "nothing will ever move again"
        self.now += max(1, min(delays))

    def exchange(self, size, both=True):
        data = bytes(range(251)) * 480
        buf = bytearray(20000)
        ends = [[self.client, 0, 0, 0], [self.server, 0, 0, 0]]
        for turn in range(60000):
            self.step()
            for end in ends:
                s, sent, got, _ = end
                if s.may_send() and sent < size and (both or s is self.client):
                    n = min(size - sent, 1 + random.getrandbits(16) % 60000)
                    at = sent % 251
                    end[1] += s.send(data, at, n) or 0
                    if end[1] == size:
                        s.close()
                elif not both and s is self.server and got == size:
                    s.close()
                while s.can_recv() and turn % 3:
                    n = s.recv_into(buf, 1 + random.getrandbits(15) % 20000)
                    at = end[2] % 251
                    assert buf[:n] == data[at : at + n], (turn, end[2])
                    end[2] += n
            whole = ends[1][2] == size and (ends[0][2] == size or not both)
            if whole and all(not s.is_open() or s.state == "TIME-WAIT" for s, *_ in ends):
                break
        assert ends[1][2] == size and ends[0][2] == (size if both else 0), ends


def test_clean_both_ways():
    t = Talk()
    t.exchange(400000)
    for host in (t.a, t.b):
        assert max(k for k, _ in host.device.cuts) > 10 and host.joined


def test_one_way():
    t = Talk()
    t.exchange(600000, both=False)
    assert t.a.joined and not t.b.joined


def test_pieces_are_lost_doubled_and_mixed():
    for seed, drop, double, mix in ((1, 10, 0, 0), (2, 50, 0, 0), (3, 10, 10, 30), (4, 0, 0, 100)):
        t = Talk(drop, double, mix, seed=seed)
        t.exchange(250000)
        assert t.a.joined and t.b.joined and t.a.device.cuts and t.b.device.cuts
        if drop:
            assert t.client.stats()["retransmissions"] + t.server.stats()["retransmissions"] > 0


def test_small_buffers_and_small_packets():
    for rx, tx, segments in ((3000, 4500, 65535), (20001, 9999, 5000), (7001, 20000, 3000)):
        t = Talk(20, 5, 20, segments, rx, rx, tx)
        t.exchange(60000)
