# A device that cuts TCP segments and brings joined ones (Device.segments): what leaves is what
# would have left without it; what comes is more at once than the MTU.
# targets: unix64 unix32 unix64-wheel shim
# (a board has no room for two frames of 64 KiB)
import gc

import micropython
from segments_support import VERIFIED, Cutter, cutting, unfilled
from tcp_support import Peer, seqs

_OCTETS = bytes(range(251))


def pattern(n, phase=0):
    phase %= 251
    return (_OCTETS * ((n + phase) // 251 + 1))[phase : phase + n]


def stream(p):
    """(octets, [(seq, length, flags)]) of all that came out, which must be in order"""
    got = b""
    out = p.drain()
    for g in out:
        assert g.seq == out[0].seq + len(got), g
        got += g.payload
    return got, [(g.seq, len(g.payload), g.flags) for g in out]


def test_what_is_queued_leaves_in_one_piece_but_its_ends():
    p, s, device = cutting(tx=8192)
    data = pattern(2050)
    assert s.send(data) == 2050
    p.poll()
    got, out = stream(p)
    assert got == data
    assert [n for _, n, _ in out] == [100] * 20 + [50]
    # The end of the queue carries the PSH (RFC 9293 3.9.1.2) and goes by itself.
    assert [flags for _, _, flags in out] == ["A"] * 20 + ["PA"]
    assert sum(k for k, _ in device.cuts) >= 19 and len(device.cuts) == 1
    assert (s.w[17], s.w[18]) == (2050, 2050)


def test_full_segments_only():
    """What is no multiple of the MSS is cut off the super-segment, not sent with it (Nagle)."""
    for n in (100, 101, 199, 200, 201, 299, 300, 1000, 1001):
        p, s, device = cutting()
        s.nagle = True
        data = pattern(n)
        assert s.send(data) == n
        p.poll()
        got, _ = stream(p)
        assert got == data[: len(got)] and len(got) == (n if n % 100 == 0 else n - n % 100)
        for k, size in device.cuts:
            assert size == k * 100
        p.send("A", 1, 1 + len(got))
        rest, _ = stream(p)
        assert got + rest == data


def test_window_ends_it():
    for window in (250, 300, 350, 1000):
        p, s, device = cutting(window=window)
        assert s.send(pattern(4000)) == 4000
        p.poll()
        got, _ = stream(p)
        # A window that is no multiple of the MSS is not filled with crumbs, except by more than
        # half of the largest window seen (RFC 9293 3.8.6.2.1): not here
        assert len(got) == window - window % 100, (window, len(got))
        p.send("A", 1, 1 + len(got), window=window)
        more, _ = stream(p)
        assert got + more == pattern(4000)[: len(got) + len(more)]
        assert len(more) == len(got)


def test_congestion_window_ends_it():
    p, s, device = cutting(congestion="reno")
    s.w[60] = 1000  # cwnd
    s.w[62] = 1000
    assert s.send(pattern(4000)) == 4000
    p.poll()
    got, _ = stream(p)
    assert len(got) == 1000
    p.nothing()
    p.send("A", 1, 501)
    more, _ = stream(p)
    # slow start: an ACK of five segments lets it grow by two (RFC 3465 2.2), five have left
    assert got + more == pattern(4000)[:1700], len(more)


def test_budget_counts_segments():
    p, s, device = cutting(tx=8192)
    assert s.send(pattern(8000)) == 8000
    sent = p.iface.counters[33]
    p.iface.poll(p.now & 0x3FFFFFFF, p.sockets, 10)
    got, out = stream(p)
    assert len(out) == 10 and p.iface.counters[33] - sent == 10
    p.iface.poll(p.now & 0x3FFFFFFF, p.sockets, 64)
    more, out = stream(p)
    assert len(out) == 64 and got + more == pattern(8000)[:7400]
    assert p.iface.poll_delay(p.now & 0x3FFFFFFF, p.sockets) == 0


def test_device_has_a_largest_packet():
    for most in (140, 240, 339, 1040):
        p, s, device = cutting(segments=most, mtu=140)
        assert s.send(pattern(4000)) == 4000
        p.poll()
        got, out = stream(p)
        assert got == pattern(4000) and len(out) == 40
        assert max(k for k, _ in device.cuts) == (most - 40) // 100


def test_64_kib_at_once():
    for stamps in (False, True):
        gc.collect()
        p = Peer(device=Cutter())
        s = p.listen(80, tx=150000)
        s.timestamps = stamps
        more = {"tsval": 5000} if stamps else {}
        p.send("S", 0, mss=1460, scale=7, sack=True, window=65535, **more)
        p.expect("SA", 0, 1)
        p.send("A", 1, 1, window=4000)
        s.congestion = "none"
        s.nagle = False
        data = pattern(150000)
        assert s.send(data) == 150000
        p.poll()
        got = stream(p)[0]
        full, header = (1448, 52) if stamps else (1460, 40)  # less the options (RFC 6691)
        assert p.device.cuts[0] == ((65535 - header) // full, (65535 - header) // full * full)
        assert len(got) == 64 * full  # the budget
        while len(got) < 150000:
            p.send("A", 1, 1 + len(got), window=4000)
            got += stream(p)[0]
        assert got == data


def test_ring_wraps_within_it():
    """The text lies in two pieces, at odd places, and the sequence numbers pass 2**32."""
    p, s, device = cutting(tx=3001, iss=0xFFFFF000)
    sent = got = b""
    total = 0
    while total < 20000:
        data = pattern(3001, total)
        n = s.send(data)
        sent += data[:n]
        total += n
        p.poll()
        more, _ = stream(p)
        got += more
        p.send("A", 1, 1 + len(got) - 37 * (total % 2))
        got += stream(p)[0]
        assert got == sent[: len(got)]
    assert len(device.cuts) > 5


def test_busy_device_gets_it_again():
    p, s, device = cutting(segments=1040, window=4000)
    assert s.send(pattern(2500)) == 2500
    device.refuse = (1, 3)
    p.poll()
    p.nothing()
    assert s.w[17] == s.w[18] == 0  # what did not leave is not sent
    assert p.iface.poll_delay(p.now & 0x3FFFFFFF, p.sockets) == 1
    p.poll()
    got, _ = stream(p)
    assert got == pattern(2500)[:1000] and device.cuts == [(10, 1000)]
    assert s.w[17] == s.w[18] == 1000 and p.iface.counters[2] == 2
    p.poll()
    more, _ = stream(p)
    assert got + more == pattern(2500)


def test_after_an_idle_time_cwnd_is_restarted_first():
    """RFC 5681 4.1: no more than the restart window leaves."""
    p, s, device = cutting(congestion="reno", tx=16384, window=20000)
    s.w[60] = s.w[62] = 9000
    assert s.send(pattern(9000)) == 9000
    p.poll()
    got, _ = stream(p)
    assert len(got) > 6000
    while len(got) < 9000:
        p.send("A", 1, 1 + len(got), window=20000)
        got += stream(p)[0]
    p.send("A", 1, 9001, window=20000)
    p.pass_time(10000)
    assert s.send(pattern(9000)) == 9000
    p.poll()
    got, _ = stream(p)
    assert len(got) == 1000, len(got)  # IW of ten segments (RFC 6928)


def test_pending_ack_rides_on_it():
    p, s, device = cutting()
    p.send("A", 1, 1, b"x" * 50)
    p.nothing()
    assert s.send(pattern(1000)) == 1000
    p.poll()
    out = p.drain()
    assert [g.ack for g in out] == [51] * 10
    p.pass_time(50)
    p.nothing()


def test_probe_of_a_shut_window_goes_alone():
    p, s, device = cutting(window=1000)
    assert s.send(pattern(4000)) == 4000
    p.poll()
    assert len(stream(p)[0]) == 1000
    p.send("A", 1, 1001, window=0)
    cuts = len(device.cuts)
    p.pass_time(5000)
    assert [len(g.payload) for g in p.drain()] == [1]
    assert len(device.cuts) == cuts
    p.send("A", 1, 1002, window=3000)
    got, _ = stream(p)
    assert got == pattern(4000)[1001:4000] and len(device.cuts) > cuts


def test_loss_in_the_middle_is_resent_alone():
    p, s, device = cutting(sack=True)
    assert s.send(pattern(2000)) == 2000
    p.poll()
    got, out = stream(p)
    assert got == pattern(2000) and len(device.cuts) == 1
    cuts = len(device.cuts)
    # segments 7 and 8 of the twenty are missing
    p.send("A", 1, 701, blocks=((901, 1001),))
    p.send("A", 1, 701, blocks=((901, 1101),))
    p.send("A", 1, 701, blocks=((901, 2001),))
    again = p.drain()
    assert [(g.seq, g.payload) for g in again] == [
        (701, pattern(2000)[700:800]),
        (801, pattern(2000)[800:900]),
    ], again
    assert len(device.cuts) == cuts
    p.send("A", 1, 2001)
    assert s.send_queue() == 0
    assert s.send(pattern(500, 3)) == 500
    p.poll()
    assert stream(p)[0] == pattern(500, 3)


def test_loss_of_all_is_resent():
    p, s, device = cutting()
    assert s.send(pattern(1500)) == 1500
    p.poll()
    assert len(p.drain()) == 15
    got = b""
    for _ in range(40):
        p.pass_time(1100)
        for g in p.drain():
            at = g.seq - 1
            assert g.payload == pattern(1500)[at : at + len(g.payload)]
            if at == len(got):
                got += g.payload
        p.send("A", 1, 1 + len(got))
        for g in p.drain():
            if g.seq - 1 == len(got):
                got += g.payload
        if len(got) == 1500:
            break
    assert got == pattern(1500)


def test_duplicate_acks_of_its_pieces():
    """NewReno, no SACK: the first of them is lost (RFC 6582)."""
    p, s, device = cutting()
    assert s.send(pattern(1000)) == 1000
    p.poll()
    p.drain()
    for _ in range(3):
        p.send("A", 1, 1)
    assert seqs(p)[0] == 1
    p.send("A", 1, 1001)
    assert s.send_queue() == 0


def test_fin_goes_by_itself():
    p, s, device = cutting()
    assert s.send(pattern(1000)) == 1000
    s.close()
    p.poll()
    got, out = stream(p)
    assert got == pattern(1000) and out[-1] == (901, 100, "FPA")


def test_ecn_marks_all_of_it_and_cwr_the_first_only():
    p = Peer(device=Cutter())
    s = p.listen(80)
    s.ecn = "request"
    p.send("SEC", 0, mss=100)
    p.expect("SAE", 0, 1)
    p.send("A", 1, 1)
    s.congestion = "reno"
    s.w[60] = s.w[62] = 8000
    assert s.send(pattern(1000)) == 1000
    p.poll()
    out = p.drain()
    assert [g.tos & 3 for g in out] == [2] * 10
    p.send("AE", 1, 1001)
    p.drain()
    assert s.send(pattern(1000)) == 1000
    p.poll()
    p.poll()
    out = p.drain()
    assert [("C" in g.flags) for g in out] == [True] + [False] * (len(out) - 1) and len(out) > 2


def test_no_allocation():
    p, s, device = cutting(mss=1460, tx=60000, window=65535)

    def cut(buf, start, end, size):
        return True

    def send(buf, start, end):
        return True

    device.cut = cut
    device.send = send
    p.iface.bind()
    data = pattern(20000)
    s.send(data)
    now = p.now & 0x3FFFFFFF
    p.iface.poll(now, p.sockets)
    ack = bytes(p.packet("A", 1, 20001, window=65535))
    assert device.inject(ack)
    micropython.heap_lock()
    try:
        p.iface.poll(now, p.sockets)
        n = s.send(data)
        p.iface.poll(now, p.sockets)
    finally:
        micropython.heap_unlock()
    assert n == 20000 and s.w[18] == 20000


# Receiving.


def test_large_segment_is_taken_whole_and_acknowledged_at_once():
    for checksums in (0, VERIFIED):
        gc.collect()
        p, s, device = cutting(mss=1460, rx=200000, window=65535, scale=7, checksums=checksums)
        got = b""
        sizes = (1460, 2920, 3000, 65000, 1, 64, 65, 40000, 65495)
        data = pattern(sum(sizes))
        for n in sizes:
            packet = p.packet("PA", 1 + len(got), 1, data[len(got) : len(got) + n])
            if checksums:
                packet = unfilled(packet)
            assert device.inject(packet)
            p.poll()
            got += data[len(got) : len(got) + n]
            out = p.drain()
            if n >= 2 * 1460:
                # it stands for several (RFC 5681 4.2): no delay
                assert len(out) == 1 and out[0].ack == 1 + len(got), (n, out)
        p.pass_time(20)
        buf = bytearray(len(data))
        n = s.recv_into(buf)
        assert n == len(data) and buf == data


def test_express_lane_takes_what_the_device_has_verified():
    """Several behind each other in one poll: all but the first go by the lane, none is summed."""
    p, s, device = cutting(mss=1460, rx=30001, window=65535, checksums=VERIFIED)
    data = pattern(120000)
    buf = bytearray(30001)
    at = 0
    got = b""
    while at < 100000:
        sizes = (3000, 61, 7001, 1460, 9)
        for n in sizes:
            packet = unfilled(p.packet("A", 1 + at, 1, data[at : at + n]))
            assert device.inject(packet)
            at += n
        dropped = p.iface.counters[6]
        taken = p.sockets.express.taken
        p.poll()
        assert p.sockets.express.taken + taken > 0 and p.iface.counters[6] == dropped
        assert p.drain()[-1].ack == 1 + at
        n = s.recv_into(buf)
        got += buf[:n]
        p.poll()
        p.drain()
    assert got == data[:at]


def test_without_verification_a_wrong_sum_is_not_taken():
    p, s, device = cutting(mss=1460, rx=30000, window=65535)
    for _ in range(2):
        assert device.inject(unfilled(p.packet("A", 1, 1, pattern(5000))))
        p.poll()
        p.nothing()
    assert s.recv_queue() == 0 and p.iface.counters[6] == 2


def test_beyond_the_window_partly():
    for checksums in (0, VERIFIED):
        p, s, device = cutting(mss=1460, rx=10000, window=65535, checksums=checksums)
        data = pattern(30000)
        packet = p.packet("A", 1, 1, data)
        assert device.inject(unfilled(packet) if checksums else packet)
        p.poll()
        p.expect("A", 1, 10001, window=0)
        buf = bytearray(20000)
        assert s.recv_into(buf) == 10000 and buf[:10000] == data[:10000]
        p.poll()
        p.expect("A", 1, 10001, window=10000)
        packet = p.packet("A", 1, 1, data)  # all of it again: the front is old
        assert device.inject(unfilled(packet) if checksums else packet)
        p.poll()
        assert p.drain()[-1].ack == 20001
        assert s.recv_into(buf) == 10000 and buf[:10000] == data[10000:20000]


def test_out_of_order_is_sacked_whole():
    p, s, device = cutting(mss=1460, rx=100000, window=65535, sack=True, checksums=VERIFIED)
    data = pattern(60000)
    assert device.inject(unfilled(p.packet("A", 20001, 1, data[20000:])))
    p.poll()
    p.expect("A", 1, 1, blocks=((20001, 60001),))
    assert device.inject(unfilled(p.packet("A", 1, 1, data[:20000])))
    p.poll()
    p.expect("A", 1, 60001, blocks=())
    buf = bytearray(60000)
    assert s.recv_into(buf) == 60000 and buf == data


def test_hostile_lengths():
    """The IP header's length rules, and what it says must be there."""
    p, s, device = cutting(mss=1460, rx=100000, window=65535, checksums=VERIFIED)
    packet = unfilled(p.packet("A", 1, 1, pattern(50000)))
    for length in (0, 20, 39, 40, 50041, 65535):
        bad = bytearray(packet)
        bad[2] = length >> 8
        bad[3] = length & 255
        bad[10] = bad[11] = 0
        s_ = 0
        for i in range(0, 20, 2):
            s_ += bad[i] << 8 | bad[i + 1]
        s_ = (s_ & 0xFFFF) + (s_ >> 16)
        s_ ^= 0xFFFF
        bad[10] = s_ >> 8
        bad[11] = s_ & 255
        assert device.inject(bad)
        p.poll()
        assert s.recv_queue() == 0, length
        p.drain()
    assert device.inject(packet)
    p.poll()
    assert s.recv_queue() == 50000


def test_mss_that_we_announce_is_the_mtu_s():
    device = Cutter()
    p = Peer(device=device)
    p.listen(80)
    p.send("S", 0, mss=1460)
    assert p.expect("SA", 0, 1).mss == 1460
