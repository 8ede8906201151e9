"""Many connections: at once, and one after another."""

# heap: 32m
# targets: unix64 unix32 unix64-wheel
# timeout: 300

import gc

from scale_support import Pair


def test_a_thousand_open_connections():
    pair = Pair(1000)
    buf = bytearray(64)
    for client, server in pair.pairs:
        assert pair.echo(client, server, b"hello", buf) == 5
        assert buf[:5] == b"hello"
    # Nothing is left to be done but delayed ACKs, and the sets still know when an RTO would be.
    pair.settle()
    assert not pair.clients.has_marks() and not pair.servers.has_marks()
    assert pair.clients.deadlines.running() == 0, pair.clients.deadlines.running()
    assert pair.servers.deadlines.running() == 0


def connections(n):
    """n connections, one after another, over one pair of sockets; memory and tables afterwards."""
    pair = Pair(1)
    client, server = pair.pairs[0]
    buf = bytearray(64)
    used = []
    for i in range(n):
        if i:
            pair.open(client, server)
        assert pair.echo(client, server, b"hello", buf) == 5
        client.close()
        pair.until(lambda: server.state == "CLOSE-WAIT", "half-close")
        server.close()
        pair.until(lambda: client.state == "TIME-WAIT" and server.state == "CLOSED", "close")
        pair.tick(20000)
        pair.until(lambda: client.state == "CLOSED", "TIME-WAIT")
        if i == n // 10 or i == n - 1:
            gc.collect()
            used.append(gc.mem_alloc())
    assert pair.clients.deadlines.running() == 0 and not pair.clients.has_marks()
    assert pair.servers.deadlines.running() == 0 and not pair.servers.has_marks()
    assert len(pair.clients) == 1 and pair.clients.slots == 1
    # One list cell more or less is MicroPython's; a leak would be thousands.
    assert abs(used[1] - used[0]) < 200, used
    return pair.b.stats()


def test_connections_in_sequence():
    stats = connections(500)
    assert stats["tcp_no_port"] == 0


def test_ten_thousand_connections_in_sequence():
    stats = connections(10000)
    assert stats["tcp_no_port"] == 0
