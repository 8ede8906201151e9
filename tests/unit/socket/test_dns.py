"""The DNS client, as packet scripts."""

from datagram_support import THEM, icmp_packet, locked
from dns_support import (
    AAAA,
    CNAME,
    PTR,
    SECOND,
    SOA,
    SRV,
    TXT,
    A,
    Names,
    a,
    name,
    record,
    u16,
)
from slow import rounds

from smolmp.prng import Random
from smolmp.socket import dns

SOA_DATA = name("ns.lan") + name("root.lan") + bytes(16) + b"\0\0\0\x3c"


def test_answer():
    names = Names()
    query = names.query("Example.org")
    assert not query.done
    question = names.one()
    assert (question.name, question.kind, question.to) == ("example.org", A, THEM)
    assert question.recursion and question.edns == 1232
    assert names.tell(question, question.message(a("example.org", 1, 2, 3, 4)))
    assert query.records == ["1.2.3.4"] and query.error == 0
    assert query.canonical.lower() == "example.org"
    assert names.host.sent() == []
    assert names.host.iface.poll_delay(names.host.now, names.host.sockets) is None
    names.client.query("other.example")
    assert len(names.host.sockets) == 1  # the finished one has gone


def test_identifier_port_and_case_change_each_time():
    names = Names(cache=0)
    seen = [set(), set(), set()]
    for _ in range(12):
        names.query("a-rather-long-name.example.org")
        question = names.one()
        for values, value in zip(seen, (question.ident, question.packet.sport, question.written)):
            values.add(value)
        assert question.packet.sport >= 49152
        names.tell(question, question.message(a("a-rather-long-name.example.org", 1, 1, 1, 1)))
    assert [len(values) for values in seen] == [12, 12, 12]


def test_what_is_no_answer_to_the_question():
    names = Names()
    query = names.query("example.org")
    q = names.one()
    good = a("example.org", 1, 2, 3, 4)
    refused = [
        q.message(good, ident=bytes([q.ident[0] ^ 1, q.ident[1]])),
        q.message(good, flags=0x0180),  # a query
        q.message(good, flags=0x8980),  # another opcode
        q.message(good, question=b""),
        q.message(good, question=name("example.com") + b"\0\1\0\1"),
        q.message(good, question=q.question[:-3] + b"\x1c\0\1"),
        q.message(good, question=q.question[:-1] + b"\3"),
        q.message(good)[:11],
        b"",
    ]
    swapped = bytes([o ^ 0x20 if o > 64 else o for o in q.question[:-4]]) + q.question[-4:]
    refused.append(q.message(good, question=swapped))
    for message in refused:
        assert not names.tell(q, message), message
    assert names.client.rejected == len(refused)
    # Neither from another host nor from another port.
    assert not names.tell(q, q.message(good), src=SECOND)
    assert not names.tell(q, q.message(good), sport=5353)
    assert names.tell(q, q.message(good)) and query.records == ["1.2.3.4"]


def test_silence_asks_the_next_server_and_comes_back():
    names = Names()
    query = names.query("example.org")
    seen = []
    for ms in (2000, 2000, 4000):
        q = names.one()
        seen.append(q.to)
        names.pass_time(ms - 10)
        assert not names.asked()
        names.pass_time(10)
    q = names.one()
    seen.append(q.to)
    assert seen == [THEM, SECOND, THEM, SECOND] and not query.done
    assert q.written == q.name  # the second round: in small letters
    names.pass_time(4001)
    assert query.done and query.error == dns.AGAIN and query.records == []
    assert not names.query("example.org").done  # that is not remembered


def test_failing_servers():
    for rcode in (2, 5):
        names = Names()
        query = names.query("example.org")
        q = names.one()
        assert not names.tell(q, q.message(rcode=rcode))
        q = names.one()
        assert q.to == SECOND
        assert names.tell(q, q.message(a("example.org", 9, 9, 9, 9)))
        assert query.records == ["9.9.9.9"] and names.client.failovers == 1
    # All of them: bounded.
    names = Names()
    query = names.query("example.org")
    for _ in range(4):
        q = names.one()
        names.tell(q, q.message(rcode=2))
    assert query.error == dns.AGAIN


def test_malformed_answer_is_a_failing_server():
    names = Names()
    names.query("example.org")
    q = names.one()
    assert not names.tell(q, q.message(a("example.org", 1, 2, 3, 4)[:-1]))
    assert names.one().to == SECOND


def test_server_without_edns():
    for rcode in (1, 4):
        names = Names()
        names.query("example.org")
        q = names.one()
        assert q.edns and not names.tell(q, q.message(rcode=rcode))
        q = names.one()
        assert not q.edns and q.to == THEM
        assert names.tell(q, q.message(a("example.org", 1, 2, 3, 4)))


def test_alias_in_the_answer():
    names = Names()
    query = names.query("www.example.org")
    q = names.one()
    answers = (
        record("WWW.example.org", CNAME, name("a.example.org")),
        a("b.example.org", 5, 5, 5, 5),
        record("a.example.org", CNAME, name("b.example.org"), 20),
        a("b.example.org", 5, 5, 5, 6),
        a("unrelated.example.org", 6, 6, 6, 6),
    )
    assert names.tell(q, q.message(*answers))
    assert query.records == ["5.5.5.5", "5.5.5.6"] and query.canonical == "b.example.org"


def test_alias_beyond_the_answer():
    names = Names()
    query = names.query("www.example.org")
    q = names.one()
    assert not names.tell(q, q.message(record("www.example.org", CNAME, name("example.net"))))
    q = names.one()
    assert q.name == "example.net"
    assert names.tell(q, q.message(a("example.net", 7, 7, 7, 7)))
    assert query.records == ["7.7.7.7"]
    assert names.query("www.example.org").records == ["7.7.7.7"]


def test_aliases_in_a_circle():
    names = Names()
    query = names.query("a.example")
    q = names.one()
    circle = (
        record("a.example", CNAME, name("b.example")),
        record("b.example", CNAME, name("a.example")),
    )
    assert names.tell(q, q.message(*circle)) and query.error == dns.AGAIN
    # One per answer.
    query = names.query("x0.example")
    asked = 0
    while not query.done:
        q = names.one()
        asked += 1
        names.tell(q, q.message(record(q.name, CNAME, name("x%d.example" % asked))))
    assert asked == 9 and query.error == dns.AGAIN


def test_no_such_name_and_no_such_record():
    names = Names()
    query = names.query("nowhere.lan")
    q = names.one()
    soa = record("lan", SOA, SOA_DATA, 3600)
    assert names.tell(q, q.message(authority=(soa,), rcode=3))
    assert query.error == dns.NONAME and query.records == []
    query = names.query("host.lan", AAAA)
    q = names.one()
    assert names.tell(q, q.message(authority=(soa,))) and query.error == dns.NODATA
    # Both are remembered for the 60 s that the SOA says.
    assert names.query("NOWHERE.lan").error == dns.NONAME
    assert names.query("host.lan", AAAA).error == dns.NODATA and names.client.hits == 2
    for _ in range(61):
        names.pass_time(1000)
    assert not names.query("nowhere.lan").done
    # A name error without an SOA is not.
    q = names.one()
    names.tell(q, q.message(rcode=3))
    assert not names.query("nowhere.lan").done


def test_cache():
    names = Names(cache=2)
    for i, ttl in enumerate((100, 10, 50)):
        text = "h%d.example" % i
        names.query(text)
        q = names.one()
        names.tell(q, q.message(a(text, 1, 1, 1, i, ttl=ttl)))
    assert names.query("H0.example").records == ["1.1.1.0"]
    assert names.query("h2.example.").records == ["1.1.1.2"]
    assert names.asked() == [] and names.client.hits == 2
    assert not names.query("h1.example").done  # the soonest to expire had to go
    for _ in range(51):
        names.pass_time(1000)
    assert not names.query("h2.example").done
    assert names.query("h0.example").done
    names.client.flush()
    assert not names.query("h0.example").done


def test_ttl_of_nothing_is_not_remembered():
    for ttl in (0, 0x80000000):
        names = Names()
        names.query("h.example")
        q = names.one()
        assert names.tell(q, q.message(a("h.example", 1, 1, 1, 1, ttl=ttl)))
        assert not names.query("h.example").done


def test_literals():
    names = Names()
    assert names.query("192.168.1.1").records == ["192.168.1.1"]
    assert names.query("fe80::1", AAAA).records == ["fe80::1"]
    query = names.query("fe80::1")
    assert query.done and query.error == dns.NODATA
    assert names.asked() == []


def test_names_that_cannot_be():
    names = Names()
    for text in ("", ".", "a..b", "x" * 64, "a." * 127 + "abc", "b\xe4r.example", "a b", "\\"):
        query = names.query(text)
        assert query.done and query.error == dns.NONAME, text
    assert names.asked() == []


def test_no_servers():
    query = Names(()).query("example.org")
    assert query.done and query.error == dns.AGAIN


def test_servers_that_go_while_a_query_goes_on():
    """As when a new lease names none: an answer that asks for more, or silence, ends it."""
    for more in ({"rcode": 1}, {"rcode": 2}, None):
        names = Names(servers=[THEM])
        query = names.query("example.org")
        q = names.one()
        names.client.servers.clear()
        if more is None:
            names.pass_time(2000)
        else:
            names.tell(q, q.message(**more))
        assert query.done and query.error == dns.AGAIN, more
    names = Names(servers=[THEM])
    query = names.query("example.org")
    q = names.one()
    names.client.servers.clear()
    assert names.tell(q, q.message(record("example.org", CNAME, name("other.org"))))
    assert query.error == dns.AGAIN


def test_search():
    def walk(text, search):
        names = Names(search=search)
        names.query(text)
        seen = []
        while not names.current.done:
            q = names.one()
            seen.append(q.name)
            names.tell(q, q.message(rcode=3))
        return seen

    assert walk("pico", ("lan", "example.org")) == ["pico.lan", "pico.example.org", "pico"]
    assert walk("a.b", ("lan",)) == ["a.b", "a.b.lan"]
    assert walk("pico.", ("lan",)) == ["pico"]


def test_search_tells_that_a_name_has_no_such_record():
    names = Names(search=("lan",))
    query = names.query("pico", AAAA)
    q = names.one()
    names.tell(q, q.message())
    q = names.one()
    assert names.tell(q, q.message(rcode=3)) and query.error == dns.NODATA


def test_other_records():
    names = Names()
    query = names.query("_mqtt._tcp.lan", SRV)
    q = names.one()
    data = u16(1) + u16(2) + u16(1883) + name("broker.lan")
    assert names.tell(q, q.message(record("_mqtt._tcp.lan", SRV, data)))
    assert query.records == [(1, 2, 1883, "broker.lan")]
    query = names.query("t.lan", TXT)
    q = names.one()
    assert names.tell(q, q.message(record("t.lan", TXT, b"\x03a=b\x00\x02\xff\xfe")))
    assert query.records == [(b"a=b", b"", b"\xff\xfe")]
    query = names.current = names.client.reverse("192.168.69.7")
    q = names.one()
    assert (q.name, q.kind) == ("7.69.168.192.in-addr.arpa", PTR)
    assert names.tell(q, q.message(record(q.name, PTR, name("pico.lan"))))
    assert query.records == ["pico.lan"]
    query = names.query("six.lan", AAAA)
    q = names.one()
    assert names.tell(q, q.message(record("six.lan", AAAA, bytes(15) + b"\1")))
    assert query.records == ["::1"]
    assert dns.reverse("fe80::1") == "1." + "0." * 28 + "8.e.f.ip6.arpa."
    assert dns.reverse("::1") == "1." + "0." * 31 + "ip6.arpa."


def test_multicast():
    """RFC 6762 5.1: one question to the group, the answer from a host of the link."""
    names = Names(())
    query = names.query("printer.local")
    q = names.one()
    assert q.to == "224.0.0.251" and q.packet.dport == 5353 and q.packet.hops == 255
    assert not q.recursion and not q.edns
    good = a("printer.local", 192, 168, 69, 50, space=0x8001)  # cache flush
    message = q.message(good, flags=0x8400)
    for src, sport in ((SECOND, 53), ("10.0.0.1", 5353)):
        assert not names.tell(q, message, src, sport)
    assert not names.tell(q, q.message(a("other.local", 1, 1, 1, 1)), SECOND, 5353)
    q = names.one()  # again, since what came said nothing
    assert names.tell(q, q.message(good, flags=0x8400, question=b""), SECOND, 5353)
    assert query.records == ["192.168.69.50"]


def test_multicast_without_an_answer():
    names = Names(())
    query = names.query("nobody.local")
    asked = 0
    for _ in range(80):
        asked += len(names.asked())
        names.pass_time(100)
    assert asked == 3 and query.error == dns.NONAME


def test_cancelled_and_removed():
    names = Names()
    query = names.query("example.org")
    names.client.cancel(query)
    assert query.done and len(names.host.sockets) == 0 and names.asked() == []
    query = names.query("example.org")
    names.one()
    names.host.sockets.remove(query)
    assert query.done
    names.pass_time(5000)
    assert names.asked() == []


def test_several_at_once():
    names = Names()
    queries = [names.client.query("h%d.example" % i) for i in range(6)]
    asked = names.asked()
    assert len(asked) == 6 and len({q.packet.sport for q in asked}) == 6
    for q in reversed(asked):
        names.current = queries[int(q.name[1])]
        assert names.tell(q, q.message(a(q.name, 1, 1, 1, int(q.name[1]))))
    assert [query.records for query in queries] == [["1.1.1.%d" % i] for i in range(6)]


def test_resolve_waits():
    names = Names()

    def wait():
        for q in names.asked():
            names.current = names.client._active[-1]
            names.tell(q, q.message(a(q.name, 3, 3, 3, 3)))

    assert names.client.resolve("example.org", 0, wait) == ["3.3.3.3"]
    assert names.client.resolve("10.0.0.1", 2, wait) == ["10.0.0.1"]
    assert names.client.resolve("10.0.0.1", 10, wait) == []


def test_no_way_to_the_server_is_a_failing_server():
    names = Names(("fe80::1", SECOND))  # IPv6 is not imported
    names.query("example.org")
    names.host.poll()
    assert names.one().to == SECOND


def test_nobody_listens_there():
    names = Names()
    names.query("example.org")
    q = names.one()
    names.host.receive(icmp_packet(3, 3, bytes(4), q.packet.data[:28]))
    assert names.one().to == SECOND


def test_random_answers():
    """Whatever a server says: nothing raised, nothing left behind, an end within both rounds."""
    random = Random(3)
    names = Names(cache=4)
    for i in range(rounds(250)):
        query = names.query("f%d.example" % i, (A, CNAME, SRV, TXT, PTR)[i % 5])
        for _ in range(40):
            if query.done:
                break
            for q in names.asked():
                good = q.message(
                    record(b"\xc0\x0c", (A, CNAME, SRV, TXT)[i % 4], bytes(4) + b"\1a\xc0\x0c"),
                    record("f.example", CNAME, b"\xc0\x0c"),
                )
                data = bytearray(good)
                for _ in range(1 + random.below(4)):
                    at = 2 + random.below(len(data) - 2)
                    data[at] = random.bits(8)
                names.tell(q, bytes(data[: len(data) - random.below(3) * random.below(8)]))
            names.pass_time(1000)
        assert query.done, query
    names.client._sweep()
    assert len(names.host.sockets) == 0


def test_a_query_that_waits_allocates_nothing():
    names = Names(timeout=60000)
    query = names.query("example.org")
    names.one()
    locked(500, names.host.cycle)
    assert not query.done
