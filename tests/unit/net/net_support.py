"""A Net on a wire in memory, whose device waits and reads in one (fetch) if it shall."""

from support import OTHER_IP, OTHER_MAC, OUR_IP, OUR_MAC, PEER_IP, PEER_MAC, START, frame, udp

from smolmp.net import Net
from smolmp.phy.device import ETHERNET, Device


def text_of(mac):
    return ":".join("%02x" % octet for octet in mac)


class Wire(Device):
    """`frames` wait; the next sleep ends with the first one of `later`, or takes as long as it
    may. `sent`: what left; `looks`: how often somebody looked for a frame; `slept`: ms."""

    def __init__(self, fetches):
        super().__init__(ETHERNET, 576)
        self.frames = []
        self.later = []
        self.sent = []
        self.looks = 0
        self.slept = []
        self.up = True
        self.now = START
        if fetches:
            self.fetch = self._fetch

    def recv(self, buf):
        self.looks += 1
        if not self.frames:
            return 0
        data = self.frames.pop(0)
        buf[: len(data)] = data
        return len(data)

    def send(self, buf, start, end):
        self.sent.append(bytes(memoryview(buf)[start:end]))
        return True

    def link(self):
        return self.up

    def wait(self, ms=None, spin=0):
        self.slept.append(ms)
        if not self.frames:
            if self.later:
                self.frames.append(self.later.pop(0))
            else:
                self.now = self.now + ms & 0x3FFFFFFF
        return len(self.frames) > 0

    def _fetch(self, buf, ms=None):
        self.wait(ms)
        return self.recv(buf)


class Host:
    """`net` on `wire`; who is asked for its link address has told it."""

    def __init__(self, fetches=True, udp=2, address=OUR_IP + "/24"):
        self.wire = Wire(fetches)
        self.net = Net(
            self.wire,
            address,
            hardware_addr=text_of(OUR_MAC),
            seed=bytes(16),
            tcp=1,
            udp=udp,
            rx=256,
            tx=256,
            datagrams=256,
            clock=self.clock,
            announce=False,
        )
        self.net.iface.neighbors.add(PEER_IP, text_of(PEER_MAC))
        self.net.iface.neighbors.add(OTHER_IP, text_of(OTHER_MAC))

    def clock(self):
        return self.wire.now

    def tick(self, ms=1):
        self.wire.now = self.wire.now + ms & 0x3FFFFFFF

    def socket(self, port=6969):
        s = self.net.socket(2, 2)
        s.bind(("0.0.0.0", port))
        return s

    def left(self):
        """(our address, its address, its port, octets) of each datagram that left since."""
        found = []
        for data in self.wire.sent:
            if data[12:14] == b"\x08\0" and data[23] == 17:
                ends = tuple(".".join(str(b) for b in data[i : i + 4]) for i in (26, 30))
                found.append(ends + (data[36] << 8 | data[37], data[42:]))
        del self.wire.sent[:]
        return found

    def close(self):
        self.net.down()


def datagram(data, sport=4000, src=PEER_IP, dst=OUR_IP, dport=6969):
    """A frame with a datagram to us."""
    return frame(udp(data, sport, dport, src, dst), src=OTHER_MAC if src == OTHER_IP else PEER_MAC)
