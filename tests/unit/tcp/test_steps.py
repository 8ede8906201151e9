"""The kernels that a trip of a connection consists of: what goes in one call, what does not."""

from tcp_support import Peer

from smolmp.socket.tcp import steps

_SND_NXT = 17
_FLAGS = 32
_NAGLE = 1


def whole(p, s):
    return steps.whole(p.iface.tx, s.w, s.tx_buffer, p.iface.now)


def test_all_that_is_queued_goes_whatever_its_length_and_place_in_the_ring():
    """The ring of 200 octets wraps again and again; Peer checks every checksum."""
    p = Peer()
    s = p.established(tx=200)
    una = 1
    for n in range(1, 150):
        text = bytes([(7 * n + i) & 255 for i in range(n)])
        s.w[27] = (n * 53) % 200
        s.w[28] = 0
        used = s.send(text[:1])
        s.w[27] = (n * 53) % 200
        s.tx_buffer[s.w[27]] = text[0]
        assert used == 1 and (s.send(text[1:]) or 0) == n - 1
        p.poll()
        p.expect("PA", una, 1, text)
        una += n
        p.send("A", 1, una)
        p.nothing()


def test_what_sendable_would_not_send_is_left():
    p = Peer()
    s = p.established(window=1000)
    s.nagle = True
    assert whole(p, s) == 0  # nothing is queued
    s.send(b"a")
    p.poll()
    p.expect("PA", 1, 1, b"a")
    s.send(b"b")
    assert s.w[_FLAGS] & _NAGLE and whole(p, s) == 0  # Nagle: the first is in flight
    s.nagle = False
    assert whole(p, s) == 64 + 20 + 1
    s.send(bytes(998))
    assert whole(p, s) == 0  # beyond the window
    p.send("A", 1, 2, window=2000)
    p.drain()
    s.send(b"c")
    s.close()
    assert whole(p, s) == 0  # a FIN goes with it


def test_a_busy_device_costs_nothing():
    p = Peer()
    s = p.established()
    p.device.send = lambda frame, start, end: False
    p.iface.bind()
    s.send(b"text")
    p.poll()
    assert s.w[_SND_NXT] == 0 and s.w[36] == -1
    del p.device.send
    p.iface.bind()
    p.poll()
    p.expect("PA", 1, 1, b"text")
    assert s.w[_SND_NXT] == 4 and s.w[36] >= 0
