"""Goodput over loss, round-trip time and buffer: a part of the loss matrix, to the last digit.

A figure that changed is no error by itself: `make loss-matrix WRITE=1` takes the new ones into
loss_matrix.txt, where the difference tells what a change to the code has done to them.
"""

# targets: unix64 unix32
# heap: 16m

from tools.sim import loss_matrix
from tools.sim.network import SECOND, Bulk, Network

_LOSS = (0, 100, 1000)
_RTT = (1, 20, 100)


def snapshot():
    folder = __file__.rsplit("/", 1)[0]
    with open(folder + "/loss_matrix.txt") as f:
        return loss_matrix.parse(f.read())


def compare(buffer):
    cells = snapshot()
    for loss in _LOSS:
        for rtt in _RTT:
            kbit = loss_matrix.cell(loss, rtt, buffer)
            now = loss_matrix.line(loss, rtt, buffer, kbit)
            was = loss_matrix.line(loss, rtt, buffer, cells[loss, rtt, buffer])
            assert now == was, "now %s\nwas %s" % (now, was)


def test_snapshot_is_whole():
    cells = snapshot()
    for loss in loss_matrix.LOSS:
        for rtt in loss_matrix.RTT:
            for buffer in loss_matrix.BUFFER:
                assert cells[loss, rtt, buffer] > 0
    assert len(cells) == 45


def test_4_kib():
    compare(4)


def test_64_kib():
    compare(64)


def test_256_kib():
    compare(256)


def test_the_simulator_is_a_wire():
    """What can be computed: without loss a window per round trip, or the wire's rate."""
    # 4 KiB a round trip of 100 ms are 328 kbit/s; the last octets wait for Nagle and the
    # delayed ACK, so less, but never more.
    assert 150 < loss_matrix.cell(0, 100, 4) <= 328
    net = Network()
    a = net.host("10.0.0.1", seed=1)
    b = net.host("10.0.0.2", seed=2)
    net.join(a, b, rate=1000, delay=5000)
    bulk = Bulk(a, b, 1, buffer=60000)
    net.run(10 * SECOND)
    share = bulk.receiver.got / (1000 * 10000)
    assert 0.93 < share < 1460 / 1500, share


def test_loss_is_what_was_asked_for():
    net = Network()
    a = net.host("10.0.0.1", seed=1)
    b = net.host("10.0.0.2", seed=2)
    net.join(a, b, seed=5, delay=5000, loss=300)
    bulk = Bulk(a, b, 1, 4000000, 20000)
    net.run(1000 * SECOND, bulk.finished)
    wire = a.wires[2]
    assert bulk.finished() and bulk.receiver.got == 4000000
    assert 0.02 < wire.lost / wire.frames < 0.04, (wire.lost, wire.frames)
    assert bulk.sender.socket.retransmissions() >= wire.lost * 3 // 4
