"""Path MTU discovery (RFC 1191) and black holes (RFC 2923, RFC 4821) by TCP."""

from support import icmp, locked
from tcp_support import DEEP, PEER, Peer

NEEDED = (3, 4)  # destination unreachable, fragmentation needed and DF set


def flow(p, s, n, **fields):
    """Queue n octets; the segments that come out."""
    assert s.send(bytes(n)) == n
    p.poll()
    return p.drain()


def lengths(segments):
    return [len(g.payload) for g in segments]


def opened(tx=16384, window=60000, mss=1460, **options):
    p = Peer(queue=DEEP)
    s = p.established(tx=tx, window=window, mss=mss, **options)
    s.nagle = False
    s.rto_min = 1000
    s.w[44] = 1000
    return p, s


# not from .mpy files: two peers and their buffers at a time
def test_segments_shrink_and_go_again_at_once():
    for sack in (True, False):
        p, s = opened(sack=sack)
        out = flow(p, s, 4380)
        assert lengths(out) == [1460, 1460, 1460]
        assert out[0].packet[6] & 0x40  # DF
        cwnd = s.w[60]
        p.error(*NEEDED, out[0].packet, mtu=1280)
        again = p.drain()
        assert lengths(again) == [1240, 1240, 1240, 660]
        assert [g.seq for g in again] == [1, 1241, 2481, 3721]
        assert s.mss == 1240 and p.iface.path_mtu(PEER) == 1280
        assert s.w[60] == cwnd  # it was no congestion (RFC 1191 6.4)
        # The errors about the other two tell nothing new.
        p.error(*NEEDED, out[1].packet, mtu=1280)
        p.error(*NEEDED, out[2].packet, mtu=1280)
        p.nothing()
        p.send("A", 1, 2481, window=60000)
        p.nothing()
        p.send("A", 1, 4381, window=60000)
        p.pass_time(10000)
        p.nothing()
        assert lengths(flow(p, s, 2480)) == [1240, 1240]
        assert p.iface.stats()["path_mtu_lowered"] == 1
        p = s = out = again = None


def test_several_narrow_links():
    p, s = opened(sack=True)
    out = flow(p, s, 1460)
    for mtu in (1400, 1280, 600):
        p.error(*NEEDED, out[0].packet, mtu=mtu)
        out = p.drain()
        assert len(out[0].payload) == mtu - 40 and out[0].seq == 1
    p.error(*NEEDED, out[0].packet, mtu=1000)  # late, from the wider link
    p.nothing()
    assert s.mss == 560


def test_what_arrived_is_not_sent_again():
    p, s = opened(sack=True)
    s.nagle = False
    out = flow(p, s, 1460)
    s.send(bytes(100))
    p.poll()
    p.drain()
    p.send("A", 1, 1, window=60000, sack=False, blocks=((1461, 1561),))
    p.error(*NEEDED, out[0].packet, mtu=1280)
    assert lengths(p.drain()) == [1240, 220]


def test_fin_goes_again():
    p, s = opened(sack=True)
    s.send(bytes(2000))
    s.close()
    p.poll()
    out = p.drain()
    assert lengths(out) == [1460, 540] and "F" in out[1].flags
    p.error(*NEEDED, out[0].packet, mtu=1280)
    again = p.drain()
    assert lengths(again) == [1240, 760] and "F" in again[1].flags
    p.send("A", 1, 2002)
    assert s.state == "FIN-WAIT-2"


def test_congestion_window_limits_what_goes_again():
    p, s = opened()
    s.congestion = "reno"
    out = flow(p, s, 14600)
    assert len(out) == 10
    p.pass_time(1000)
    assert len(p.drain()) == 1  # a timeout: cwnd is one segment
    p.error(*NEEDED, out[0].packet, mtu=1280)
    assert lengths(p.drain()) == [1240]
    p.send("A", 1, 1241, window=60000)
    assert lengths(p.drain()) == [1240, 1240]


def test_timestamps_take_their_part():
    p, s = opened(tsval=1, timestamps=True)
    out = flow(p, s, 1448)
    assert lengths(out) == [1448]
    p.error(*NEEDED, out[0].packet, mtu=1280)
    assert lengths(p.drain()) == [1228, 220]
    assert s.mss == 1228


def test_the_agreed_mss_stays_the_limit():
    p, s = opened(mss=536)
    out = flow(p, s, 536)
    p.error(*NEEDED, out[0].packet, mtu=1280)  # it was shorter: nonsense
    p.nothing()
    assert s.mss == 536 and p.iface.path_mtu(PEER) == 1500
    p.iface.paths.note(s.w, 1280)
    p.error(*NEEDED, out[0].packet, mtu=560)
    assert s.mss == 520 and lengths(p.drain()) == [520, 16]
    p.pass_time(600000)
    assert s.mss == 536


def test_old_routers_tell_no_mtu():
    """RFC 1191 5 and 7: the next plateau below what was too large."""
    p, s = opened(sack=True)
    out = flow(p, s, 1460)
    for plateau in (1492, 1006, 552):
        p.error(*NEEDED, out[0].packet)
        out = p.drain()
        assert p.iface.path_mtu(PEER) == plateau
        assert len(out[0].payload) == plateau - 40
    p.error(*NEEDED, out[0].packet)
    p.nothing()


# not from .mpy files: its buffers take too much memory
def test_the_length_quoted_counts_only_when_it_can_be_true():
    # 0 and 60000 are rewritten, or in the wrong byte order; 68 octets pass everywhere.
    for total in (1300, 1500, 1501, 0, 60000, 68):
        plateau = {1300: 1006, 68: 1500}.get(total, 1492)
        p, s = opened(sack=True)
        out = bytearray(flow(p, s, 1460)[0].packet)
        out[2:4] = bytes([total >> 8, total & 255])
        p.error(*NEEDED, bytes(out))
        assert p.iface.path_mtu(PEER) == plateau, total


# not from .mpy files: two peers and their buffers at a time
def test_floor():
    """A forged error shall not make segments tiny."""
    for mtu in (1, 28, 67, 68, 100, 551):
        p, s = opened()
        out = flow(p, s, 1460)
        p.error(*NEEDED, out[0].packet, mtu=mtu)
        assert s.mss == 512 and p.iface.path_mtu(PEER) == 552
    p, s = opened()
    p.iface.paths.minimum = 68
    out = flow(p, s, 1460)
    p.error(*NEEDED, out[0].packet, mtu=1)
    assert s.mss == 28 and len(p.drain()) > 1


# not from .mpy files: two peers and their buffers at a time
def test_nonsense_changes_nothing():
    for mtu in (1500, 1501, 9000, 65535):
        p, s = opened()
        out = flow(p, s, 1460)
        p.error(*NEEDED, out[0].packet, mtu=mtu)
        p.nothing()
        assert s.mss == 1460 and len(p.iface.paths) == 0


def test_all_connections_to_the_host_learn_of_it():
    p, s = opened(sack=True)
    other = p.socket(tx=16384)
    other.listen(81)
    p.port = 81
    iss = p.iss
    p.send("S", 0, mss=1460, window=60000, remote_port=49600)
    p.take()
    p.send("A", 1, 1, window=60000, remote_port=49600)
    assert other.state == "ESTABLISHED"
    p.port, p.iss = 80, iss
    out = flow(p, s, 1460)
    other.send(bytes(1460))
    p.poll()
    assert lengths(p.drain()) == [1460]
    p.error(*NEEDED, out[0].packet, mtu=1280)
    assert lengths(p.drain()) == [1240, 220, 1240, 220] or s.mss == other.mss == 1240
    assert s.mss == other.mss == 1240


def test_next_connection_begins_with_what_is_known():
    p, s = opened()
    out = flow(p, s, 1460)
    p.error(*NEEDED, out[0].packet, mtu=1280)
    p.drain()
    s.abort()
    p.poll()
    p.drain()
    s.listen(80)
    p.isn += 5000
    p.send("S", 0, mss=1460, window=60000)
    syn = p.expect("SA", 0, 1)
    assert syn.mss == 1460  # what we can receive is another matter (RFC 6691 4)
    p.send("A", 1, 1, window=60000)
    assert lengths(flow(p, s, 1460)) == [1240, 220]


def test_after_ten_minutes_larger_segments_are_tried():
    """RFC 1191 6.3."""
    p, s = opened(sack=True)
    out = flow(p, s, 1460)
    p.error(*NEEDED, out[0].packet, mtu=1280)
    p.drain()
    p.send("A", 1, 1461, window=60000)
    p.pass_time(99999)
    assert p.iface.poll_delay(p.now & 0x3FFFFFFF, p.sockets) == 500001
    p.pass_time(500000)
    assert s.mss == 1240 and p.iface.path_mtu(PEER) == 1280
    p.pass_time(1)
    assert s.mss == 1460 and p.iface.path_mtu(PEER) == 1500
    assert p.iface.tasks == [] and p.iface.stats()["path_mtu_forgotten"] == 1
    out = flow(p, s, 1460)
    assert lengths(out) == [1460]
    p.error(*NEEDED, out[0].packet, mtu=1280)
    assert lengths(p.drain()) == [1240, 220]


def test_a_connection_is_not_shrunk_by_what_others_learned():
    """Its own SEQ is the only proof: an error about a datagram is easily forged (RFC 5927)."""
    p, s = opened(sack=True)
    p.iface.paths.note(s.w, 600)
    out = flow(p, s, 1460)
    assert lengths(out) == [1460]
    p.error(*NEEDED, out[0].packet, mtu=600)
    assert lengths(p.drain()) == [560, 560, 340]


# Black holes


def test_black_hole():
    p, s = opened()
    flow(p, s, 2920)
    for wait in (1000, 2000, 4000):
        p.pass_time(wait)
        assert lengths(p.drain())[:1] == [1460]
    p.pass_time(8000)
    assert lengths(p.drain())[:1] == [1024]
    p.pass_time(16000)
    assert lengths(p.drain())[:1] == [512]
    p.pass_time(32000)
    assert lengths(p.drain())[:1] == [512]
    assert p.iface.stats()["tcp_black_holes"] == 2
    assert p.iface.path_mtu(PEER) == 1500  # nobody said so: datagrams go on
    p.send("A", 1, 513, window=60000)
    assert lengths(p.drain()) == [512, 512]
    assert s.mss == 512
    p.pass_time(600000)
    assert s.mss == 1460


def test_small_segments_are_not_suspected():
    p, s = opened(sack=True)
    flow(p, s, 700)
    for wait in (1000, 2000, 4000, 8000, 16000, 32000):
        p.pass_time(wait)
        assert lengths(p.drain()) == [700]
    assert s.mss == 1460


def test_black_hole_detection_can_be_switched_off():
    p, s = opened(sack=True)
    p.iface.paths.black_holes = False
    flow(p, s, 1460)
    for wait in (1000, 2000, 4000, 8000, 16000, 32000):
        p.pass_time(wait)
        assert lengths(p.drain()) == [1460]


def test_without_a_cache():
    p = Peer(paths=0)
    s = p.established(tx=16384, window=60000, mss=1460)
    out = flow(p, s, 1460)
    p.error(*NEEDED, out[0].packet, mtu=1280)
    assert p.iface.path_mtu(PEER) == 1500 and len(p.iface.paths) == 0
    assert s.mss == 1240 and lengths(p.drain()) == [1240, 220]


def test_discovery_allocates_nothing():
    p, s = opened(sack=True)
    out = flow(p, s, 8760)
    errors = [(out[i % 6].packet, 1400 - 100 * i) for i in range(8)]
    buf = bytearray(1600)
    packets = [
        icmp(3, 4, bytes([0, 0, mtu >> 8, mtu & 255]) + packet[:28]) for packet, mtu in errors
    ]

    now = p.now & 0x3FFFFFFF
    later = (p.now + 600000) & 0x3FFFFFFF

    def run():
        for packet in packets:
            p.device.inject(packet)
            p.iface.poll(now, p.sockets)
            while p.device.take_into(buf):
                pass
        p.iface.poll(later, p.sockets)

    locked(run)
    assert p.iface.stats()["path_mtu_lowered"] == 8
    assert s.mss == 1460


def test_segments_may_grow_when_cwnd_is_one_of_the_small_ones():
    """Found by fuzzing: after a timeout a full segment has to go, whatever its size is now."""
    p, s = opened()
    s.congestion = "reno"
    p.iface.paths.lifetime = 2
    out = flow(p, s, 2920)
    p.error(*NEEDED, out[0].packet, mtu=600)
    p.drain()
    p.device.send = lambda buf, start, end: False  # the device is busy when it should go
    p.iface.bind()
    p.pass_time(1000)
    assert s.w[60] == 560
    p.pass_time(1000)
    assert s.mss == 1460 and s.w[60] == 1460
    del p.device.send
    p.iface.bind()
    p.poll()
    assert lengths(p.drain()) == [1460]
