"""Some minutes of the soak (tools/sim/soak.py; `make soak` takes a day), and that it sees
what it looks for: each of its checks is shown a network, or a program, that is wrong.
"""

# targets: unix64 unix32
# heap: 32m
# timeout: 300

from smolmp.socket import tcp
from tools.sim import seats, soak, talk
from tools.sim.network import Wire

_said = []


def test_three_minutes():
    text = soak.soak(0.05, 3, _said.append)
    assert text.startswith("round 3 of 3: 0."), text
    assert " well" in text and "aborted" in text, text


def test_the_same_seed_is_the_same_run():
    runs = []
    for _ in range(2):
        world = soak.World(5)
        world.run(60 * soak.SECOND)
        pairs = [host.iface.stats() for pair in world.pairs for host in pair.hosts]
        runs.append((world.steps, world.begun, world.octets, pairs))
    assert runs[0] == runs[1]
    assert runs[0][2] > 10000


def fails(owner, name, function, text, hours=0.1):
    """With owner.name replaced the soak fails, and says `text`, its seed and its step."""
    was = getattr(owner, name)
    setattr(owner, name, function)
    said = []
    try:
        soak.soak(hours, 3, said.append)
    except seats.Failure as e:
        assert text in str(e), e
        assert said[-1].startswith("FAILED: seed 3, step "), said
    else:
        raise AssertionError("the soak saw nothing")
    finally:
        setattr(owner, name, was)


def test_it_sees_wrong_octets():
    recv_into = tcp.Socket.recv_into

    def wrong(self, buf, n=-1):
        n = recv_into(self, buf, n)
        if n and n > 300:
            buf[300] ^= 1
        return n

    fails(tcp.Socket, "recv_into", wrong, "wrong octets")


def test_it_sees_a_stuck_socket():
    close = tcp.Socket.close

    def forget(self):
        if self.seat.port != 1001:
            close(self)

    patience = talk.PATIENCE
    talk.PATIENCE = 120 * soak.SECOND
    try:
        fails(tcp.Socket, "close", forget, "stuck")
    finally:
        talk.PATIENCE = patience


def test_it_sees_a_connection_that_breaks():
    send = tcp.Socket.send
    times = []

    def broken(self, data, start=0, n=-1):
        times.append(0)
        if len(times) == 100:
            self.fail(104)
        return send(self, data, start, n)

    fails(tcp.Socket, "send", broken, "a calm conversation broke")


def test_it_sees_a_leak():
    kept = []
    init = tcp.Socket.connect

    def leaky(self, *arguments):
        kept.append(bytearray(200))
        init(self, *arguments)

    fails(tcp.Socket, "connect", leaky, "memory", 0.02)


def test_it_sees_a_frame_that_vanishes():
    carry = Wire.carry
    times = []

    def careless(self, buf, start, n):
        times.append(0)
        if len(times) != 500:
            carry(self, buf, start, n)

    fails(Wire, "carry", careless, "frames on the wire")


def test_it_sees_a_timer_that_spins():
    on_timer = tcp.Socket.on_timer

    def again(self, iface):
        on_timer(self, iface)
        self.sockets.deadline(self.slot, iface.now)

    fails(tcp.Socket, "on_timer", again, "never comes to rest")
