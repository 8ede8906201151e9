"""What costs/parts.py measures of smolmp.net: an echo by the socket module, its calls blocking.

The wire answers each wait with the next request, so a turn is what a program does from one wait to
the next: a call that receives, and one that sends.
"""

import micropython

from smolmp.net import Net
from tools.costs import wire as outside

TICKS = 16  # turns of a millisecond


class Talk(outside.Wire):
    """A wire on which a frame comes when somebody sleeps."""

    @micropython.native
    def wait(self, ms=None, spin=0) -> bool:
        if ms != 0:
            self.waiting = 1
        return self.waiting > 0

    @micropython.native
    def fetch(self, buf, ms=None) -> int:
        if ms != 0:
            self.waiting = 1
        return self.recv(buf)


class Host:
    """A Net on such a wire, and its clock."""

    def __init__(self):
        self.wire = Talk()
        state = self.state = [outside.START]

        @micropython.native
        def clock(state=state):
            return state[0]

        self.net = Net(
            self.wire,
            "192.168.69.1/24",
            hardware_addr="02:00:00:00:00:01",
            seed=bytes(16),
            clock=clock,
            tcp=4,
            announce=False,
        )
        self.net.iface.neighbors.add("192.168.69.100", "02:00:00:00:00:02")

    def tick(self):
        self.state[0] = self.state[0] + 1 & 0x3FFFFFFF


def turns_of(host, echo):
    """turns(n): n times echo(), and a millisecond passes now and then."""

    tick = host.tick

    def turns(n):
        for i in range(n):
            if i % TICKS == 0:
                tick()
            echo()

    return turns


def udp():
    """(host, turns) of an echo by recvfrom_into() and sendto()."""
    host = Host()
    s = host.net.socket(2, 2)
    s.bind(("0.0.0.0", outside.PORT))
    host.wire.set(outside.udp(b"x"))
    buf = bytearray(1)

    def echo():
        _, peer = s.recvfrom_into(buf)
        s.sendto(buf, peer)

    return host, turns_of(host, echo)


def tcp():
    """(host, turns) of an echo by recv_into() and send()."""
    host = Host()
    wire, net = host.wire, host.net
    listener = net.socket()
    listener.bind(("0.0.0.0", outside.PORT))
    listener.listen(1)
    for flags, options in ((2, b"\2\4\5\xb4\1\3\3\7\1\1\4\2"), (16, b"")):
        outside.tcp(wire, flags, b"", options)
        wire.waiting = 1
        net.poll()
    s, _ = listener.accept()
    s.setsockopt(6, 1, 1)  # TCP_NODELAY
    outside.tcp(wire, 24, b"x")
    buf = bytearray(1)

    def echo():
        s.recv_into(buf)
        s.send(buf)

    return host, turns_of(host, echo)
