"""The SNTP client, as packet scripts. Messages are built here in plain Python."""

from datagram_support import THEM, US, Host, icmp_packet, udp_packet

from smolmp.socket import sntp

SECOND = "192.168.69.101"
# 2026-11-26 05:00:00 UTC in seconds since 1900, as two halves: 32-bit targets, small numbers.
NOW = (0xEEB2, 0x3B50)
HALF = b"\x80\0\0\0"


def u16(n):
    return bytes([n >> 8 & 255, n & 255])


def stamp(seconds=NOW, fraction=bytes(4), plus=0):
    high, low = seconds
    return u16(high) + u16(low + plus) + fraction


class Times:
    def __init__(self, servers=(THEM, SECOND), **options):
        self.host = Host()
        self.host.poll()
        self.query = self.host.add(sntp.Query(self.host.iface, servers, **options))
        self.query.start()

    def asked(self):
        """The one request that went out; its message is right."""
        packet = self.host.sent_one()
        message = packet.payload
        assert packet.dport == 123 and packet.sport >= 49152 and len(message) == 48
        assert message[:40] == b"\x23" + bytes(39) and message[40:] != bytes(8)
        return packet

    def tell(
        self,
        request,
        first=0x24,
        stratum=2,
        rest=bytes(10),
        came=None,
        left=None,
        origin=None,
        src=None,
        sport=123,
        size=48,
        reference=b"\x7f\0\0\1",
    ):
        """An answer; True: the query is done, and the poll said so."""
        came = stamp() if came is None else came
        left = came if left is None else left
        origin = request.payload[40:] if origin is None else origin
        message = bytes([first, stratum]) + rest + reference + stamp() + origin + came + left
        packet = udp_packet(message[:size], sport, request.sport, src or request.dst, US)
        self.host.receive(packet)
        assert (self.query in self.host.changed) == self.query.done
        return self.query.done

    def pass_time(self, ms):
        self.host.now = (self.host.now + ms) & 0x3FFFFFFF
        self.host.poll()


def test_time():
    times = Times()
    request = times.asked()
    assert request.dst == THEM
    times.pass_time(99)
    assert times.tell(request, came=stamp(), left=stamp(fraction=b"\x0a\x3d\0\0"))  # 40 ms on
    query = times.query
    assert (query.error, query.server, query.stratum) == (0, THEM, 2)
    assert 60 <= query.delay <= 62, query.delay
    found = query.datetime()
    assert found[:7] == (2026, 11, 26, 3, 5, 0, 0), found
    assert found[7] == 39 + query.delay // 2 or found[7] == 40 + query.delay // 2
    now = times.host.iface.now
    assert query.datetime((now + 61000) & 0x3FFFFFFF)[4:7] == (5, 1, 1)
    assert query.unix(now) == 1795669200
    assert times.host.sent() == []
    assert times.host.iface.poll_delay(times.host.now, times.host.sockets) is None


def test_what_is_no_answer():
    times = Times()
    request = times.asked()
    good = request.payload[40:]
    assert not times.tell(request, origin=good[:7] + bytes([good[7] ^ 1]))
    assert not times.tell(request, origin=bytes(8))
    assert not times.tell(request, size=47)
    assert not times.tell(request, src=SECOND)
    assert not times.tell(request, sport=124)
    assert times.query.rejected == 3  # the last two were not for its port
    assert times.tell(request)


def test_an_answer_counts_once():
    for first in (0x23, 0x25, 0x04, 0x2C):  # a client's, a broadcast, versions 0 and 5
        times = Times()
        request = times.asked()
        assert not times.tell(request, first=first)
        assert not times.tell(request), "the echo was used"
        assert times.query.rejected == 2
        times.pass_time(1000)
        assert times.tell(times.asked())


def test_servers_without_a_time():
    bad = (
        {"first": 0xE4},  # not synchronised
        {"stratum": 16},
        {"left": bytes(8)},
        {"rest": bytes(2) + b"\0\x20\0\0" + bytes(4)},  # root delay 32 s
        {"rest": bytes(6) + b"\0\x10\0\0"},  # root dispersion 16 s
        {"left": stamp(plus=-1)},  # it answered before it was asked
        {"left": stamp(plus=9)},  # and took longer than the answer did
        {"left": stamp((0x4000, 0))},
    )
    for what in bad:
        times = Times()
        assert not times.tell(times.asked(), **what), what
        request = times.asked()
        assert request.dst == SECOND, what
        assert times.tell(request) and times.query.error == 0, what


def test_kiss_of_death():
    times = Times((THEM, SECOND), rounds=2)
    assert not times.tell(times.asked(), stratum=0, reference=b"RATE")
    assert times.query.kissed == {THEM: "RATE"}
    for _ in range(2):  # only the other one is asked, as often as it may be
        assert times.asked().dst == SECOND
        times.pass_time(1000)
    assert times.query.done and times.query.error == sntp.NOBODY
    times = Times((THEM,))
    assert times.tell(times.asked(), stratum=0, reference=b"DENY")
    assert times.query.error == sntp.NOBODY
    # A code that is no text.
    times = Times((THEM,))
    assert times.tell(times.asked(), stratum=0, reference=b"\xffA\xc3\0")
    assert times.query.error == sntp.NOBODY and len(times.query.kissed[THEM]) == 4


def test_kiss_in_a_later_round():
    times = Times((THEM, SECOND), rounds=2)
    for server in (THEM, SECOND):
        assert times.asked().dst == server
        times.pass_time(1000)
    assert not times.tell(times.asked(), stratum=0, reference=b"RSTR")
    request = times.asked()
    assert request.dst == SECOND and times.tell(request)


def test_silence():
    times = Times((THEM, SECOND), timeout=500, rounds=2)
    seen = set()
    for server in (THEM, SECOND, THEM, SECOND):
        request = times.asked()
        assert request.dst == server
        seen.add(request.payload[40:])
        times.pass_time(500)
    assert times.query in times.host.changed
    assert times.query.error == sntp.NOBODY and len(seen) == 4
    assert times.host.sent() == []
    times.query.start()
    assert times.tell(times.asked())


def test_icmp_says_nobody_is_there():
    times = Times()
    request = times.asked()
    times.host.receive(icmp_packet(3, 3, bytes(4), request.data[:28]))
    times.pass_time(1)
    assert times.asked().dst == SECOND


def test_no_servers():
    times = Times(())
    times.host.poll()
    assert times.query.done and times.query.error == sntp.NOBODY


def test_eras():
    """RFC 4330 3: with the highest bit from 1968 to 2036, without from 2036 to 2104."""
    moments = (
        ((0x8000, 0), (1968, 1, 20), 5, 11_648_000),
        ((0x83AA, 0x7E80), (1970, 1, 1), 3, 0),
        ((0xBC17, 0xC200), (2000, 1, 1), 5, 0),
        ((0xBC66, 0xDBFF), (2000, 2, 29), 1, 86_399_000),
        ((0xFFFF, 0xFFFF), (2036, 2, 7), 3, 23_295_000),
        ((0, 0), (2036, 2, 7), 3, 23_296_000),
        ((0x787D, 0x4C80), (2100, 2, 28), 6, 0),
        ((0x787E, 0x9E00), (2100, 3, 1), 0, 0),
        ((0x7FFF, 0xFFFF), (2104, 2, 26), 1, 34_943_000),
    )
    for seconds, day, weekday, ms in moments:
        days, found = sntp.split(stamp(seconds), 0)
        assert (sntp.date(days), (days + 5) % 7, found) == (day, weekday, ms), (seconds, days)
    assert sntp.split(stamp((0xBC17, 0xC200), HALF), 0) == (0, 500)


def test_day_ends_on_the_way():
    times = Times()
    request = times.asked()
    times.pass_time(400)
    assert times.tell(request, came=stamp((0xBC17, 0xC1FF), b"\xff\xff\xff\xff"))
    assert times.query.datetime()[:7] == (2000, 1, 1, 5, 0, 0, 0)
