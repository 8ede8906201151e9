"""What hostile frames have found in TCP once: each a short packet script (see tcp_support)."""

# heap: 16m

import micropython
from tcp_support import PEER, PEER_PORT, Peer, short_segments


def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        return True
    return False


def test_a_reset_that_waits_is_forgotten_when_the_socket_is_used_again():
    # connect() fails after it wrote another flow: the RST of the old one must not take that.
    p = Peer()
    other = p.socket()
    other.connect(p.iface, (PEER, PEER_PORT), 49300)
    p.poll()
    p.port = 49300
    p.expect("S", 0)
    s = p.listen(80)
    p.port = 80
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    s.abort()
    assert refused(s.connect, p.iface, (PEER, PEER_PORT), 49300)
    p.poll()
    p.nothing()


def test_nothing_is_held_behind_a_fin():
    p = Peer()
    p.established(mss=1460, sack=True)
    p.send("A", 21, 1, b"behind")
    p.expect("A", 1, 1, blocks=((21, 27),))
    p.send("FA", 1, 1, b"0123456789")  # its FIN stands before the data that came
    s = p.take()
    while p.now % 1000 != 999 and s is None:
        p.pass_time(1)
        s = p.take()
    assert s.ack == 12 and s.blocks == (), s


def test_the_longest_persist_interval_is_computed_in_31_bits():
    p = Peer()
    s = p.established()
    s.rto_min = 60000
    s.send(b"1234")
    p.poll()
    p.expect("PA", 1, 1, b"1234")
    p.pass_time(5)
    p.send("A", 1, 5, window=0)
    s.send(b"5678")
    p.poll()
    probes = 0
    micropython.heap_lock()
    try:
        for _ in range(28):  # 14 minutes: R2 ends it after 15
            p.now = (p.now - (0x3FFFFFFF - 30000) - 1) & 0x3FFFFFFF
            p.iface.poll(p.now, p.sockets)
            probes += p.device.take_into(p.buf) != 0
    finally:
        micropython.heap_unlock()
    assert 12 <= probes <= 14, probes


# not on a board: a window of 4 MB is what it is about
def test_window_updates_end_when_the_scale_is_coarser_than_two_small_segments():
    p = Peer()
    s = p.established(rx=4 << 20, mss=48, scale=0)
    while p.take():
        pass
    p.send("A", 1, 1, bytes(30))
    p.pass_time(1000)
    while p.take():
        pass
    p.send("A", 31, 1, bytes(100))
    assert s.recv_into(bytearray(100)) == 100
    for _ in range(5):
        p.poll()
    sent = 0
    while p.take():
        sent += 1
    assert sent <= 2, sent
    assert p.iface.poll_delay(p.now, p.sockets) != 0


# not from .mpy files: a buffer of 128 KB does not fit beside them
def test_window_updates_end_when_the_peer_does_not_scale():
    p = Peer()
    p.established(rx=128 << 10)
    for _ in range(5):
        p.poll()
    p.nothing()


def test_an_answer_in_syn_received_waits_for_a_busy_device():
    p = Peer()
    p.listen(80)
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.device.send = lambda buf, start, end: False
    p.iface.bind()
    p.send("A", 70000, 1)  # outside of the window
    p.nothing()
    del p.device.send
    p.iface.bind()
    p.poll()
    p.expect("A", 1, 1)


def test_window_shuts_in_the_poll_that_would_probe_the_tail():
    """All was acknowledged meanwhile: there is no tail, and the window is what has to be asked."""
    p, s = short_segments(window=200, sack=True)
    assert s.send(bytes(250)) == 250
    p.poll()
    assert len(p.drain()) == 2
    p.send("A", 1, 201, window=0, poll=False)
    p.pass_time(500)  # the probe's time
    p.nothing()
    p.pass_time(1000)
    p.expect("A", 201, 1, bytes(1))
