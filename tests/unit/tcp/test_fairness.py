"""Eight flows through one bottleneck share it (Jain's index, RFC 5166 2.4): 10 Mbit/s with a
drop-tail queue of 64 KiB, and 20 ms of round trip.
"""

# targets: unix64 unix32
# heap: 16m

from tools.sim.network import MS, SECOND, Bulk, Line, Network

_FLOWS = 8
_RATE = 1250  # octets per ms
_WARM_UP = 5 * SECOND
_TIME = 30 * SECOND


def share(seed, buffer, delays=(10,), **options):
    """The octets that each flow got in 30 s after a warm-up of 5, and the line."""
    net = Network()
    line = Line(_RATE, 65536)
    far = net.host("10.0.0.99", seed=seed)
    flows = []
    for i in range(_FLOWS):
        near = net.host("10.0.0.%d" % (i + 1), seed=seed + i)
        net.join(near, far, seed=seed + i, delay=delays[i % len(delays)] * MS, line=line)
        flows.append(Bulk(near, far, 100 + i, -1, buffer, 137 * i * MS, **options))
    net.run(_WARM_UP)
    before = [flow.receiver.got for flow in flows]
    net.run(_WARM_UP + _TIME)
    return [flow.receiver.got - was for flow, was in zip(flows, before)], line


def jain(shares):
    """1 when all are equal, 1 / n when one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum([x * x for x in shares]))


def test_index():
    assert jain([5] * 8) == 1
    assert jain([8, 0, 0, 0, 0, 0, 0, 0]) == 1 / 8


def test_eight_flows():
    for seed in (1, 20):
        shares, line = share(seed, 65536)
        assert line.overflow, "nobody had to share"
        used = sum(shares) / (_RATE * _TIME // MS)
        assert jain(shares) > 0.95, (seed, jain(shares), shares)
        assert used > 0.85, (seed, used)
