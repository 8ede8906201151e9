"""DNS messages: names, records, and messages that are out to hang who reads them."""

from slow import rounds

from smolmp.prng import Random
from smolmp.wire import dns as wire

HEAD = bytes(12)


def test_encode():
    assert wire.encode("www.Example.org") == b"\x03www\x07Example\x03org\0"
    assert wire.encode("www.Example.org.") == b"\x03www\x07Example\x03org\0"
    assert wire.encode("") == wire.encode(".") == b"\0"
    assert wire.encode(b"a\\.b.c") == b"\x03a.b\x01c\0"
    assert wire.encode("x" * 63) == b"\x3f" + b"x" * 63 + b"\0"
    longest = ".".join(["x" * 63] * 3 + ["y" * 61])
    assert len(wire.encode(longest)) == 255
    for text in (longest + "y", "x" * 64, "a..b", ".a", "a b", "\xfc.de", b"a\\"):
        assert wire.encode(text) is None, text


def test_decode():
    message = HEAD + b"\x07Example\x03org\0\x03www\xc0\x0c\xff"
    assert wire.decode(message, 12) == (b"Example.org", 25)
    assert wire.decode(message, 25) == (b"www.Example.org", 31)
    assert wire.decode(HEAD + b"\x03a.b\x01c\0", 12) == (b"a\\.b.c", 19)
    assert wire.decode(HEAD + b"\0", 12) == (b"", 13)


def test_pointers_that_would_never_end():
    """NAME:WRECK: to itself, forwards, in a circle, into the header."""
    for tail in (
        b"\xc0\x0c",
        b"\x01a\xc0\x0c",
        b"\xc0\x0e\xc0\x0c",
        b"\xc0\x0e\x01a\0",
        b"\xc0\x00",
        b"\xc0\x0b",
        b"\xff\xff",
        b"\xc0",
    ):
        assert wire.decode(HEAD + tail, 12) == (None, -1), tail
    # Each before the last, yet a name of 500 octets.
    message = bytearray(HEAD + b"\x3e" + b"x" * 62 + b"\0")
    for _ in range(8):
        at = len(message)
        to = 12 if at == 76 else at - 65
        message += b"\x3e" + b"x" * 62 + bytes((0xC0 | to >> 8, to & 255))
    assert wire.decode(message, 76) == (b".".join([b"x" * 62] * 2), 141)
    assert wire.decode(message, len(message) - 65) == (None, -1)


def test_names_that_are_cut_or_of_another_kind():
    for tail in (b"", b"\x03ww", b"\x03www", b"\x40" + bytes(64), b"\x80a\0"):
        assert wire.decode(HEAD + tail, 12) == (None, -1), tail
    assert wire.decode(HEAD + b"\x3f" + b"x" * 62, 12) == (None, -1)
    message = HEAD + (b"\x3f" + b"x" * 63) * 3 + b"\x3e" + b"x" * 62 + b"\0"
    assert wire.decode(message, 12) == (None, -1)  # 256 octets


def test_query():
    message = wire.query(0x1234, b"\x01a\0", wire.A, 1232)
    assert message == (
        b"\x12\x34\x01\0\0\1\0\0\0\0\0\1\x01a\0\0\1\0\1" + b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
    )
    message = wire.query(1, b"\x01a\0", wire.AAAA, 0, False)
    assert message == b"\0\1\0\0\0\1\0\0\0\0\0\0\x01a\0\0\x1c\0\1"


def test_records():
    message = (
        HEAD + b"\x01a\0\0\1\x80\1\0\0\0\x0a\0\4\1\2\3\4" + b"\xc0\x0c\0\x10\0\1\x80\0\0\0\0\0"
    )
    found = wire.records(message, 12, 2)
    assert found == [(b"a", 1, 1, 10, 25, 29), (b"a", 16, 1, 0, 41, 41)]
    assert wire.records(message, 12, 3) is None and wire.records(message, 12, 0) == []
    for n in range(13, 29):
        assert wire.records(message[:n], 12, 1) is None
    big = HEAD + b"\0\0\1\0\1\x7f\xff\xff\xff\0\0"
    assert wire.records(big, 12, 1)[0][3] == 0x1FFFFFFF


def test_data():
    assert wire.data(b"\1\2\3\4", wire.A, 0, 4) == b"\1\2\3\4"
    assert wire.data(b"\1\2\3\4\5", wire.A, 0, 5) is None
    assert wire.data(bytes(16), wire.AAAA, 0, 16) == bytes(16)
    message = HEAD + b"\0\1\0\2\0\3\x01b\0"
    assert wire.data(message, wire.SRV, 12, 21) == (1, 2, 3, b"b")
    assert wire.data(message, wire.SRV, 12, 20) is None
    assert wire.data(message, wire.SRV, 12, 18) is None
    assert wire.data(message, wire.PTR, 18, 21) == b"b"
    assert wire.data(message + b"x", wire.PTR, 18, 22) is None  # something behind the name
    assert wire.data(b"\1a\0\2bc", wire.TXT, 0, 6) == (b"a", b"", b"bc")
    assert wire.data(b"\1a\3bc", wire.TXT, 0, 5) is None
    assert wire.data(b"xyz", 99, 0, 3) == b"xyz"


def test_search_list():
    """RFC 3397: pointers count from the option's own beginning."""
    assert wire.names(b"\x03lan\0\x01b\xc0\x00") == ["lan", "b.lan"]
    assert wire.names(b"\x03lan\0\x01b\xc0\x09") == ["lan"]  # a pointer forwards
    assert wire.names(b"\x03lan") == [] and wire.names(b"") == []
    # One long name, and hundreds of pointers to it: the heap of a board is not theirs.
    long = (b"\x3f" + b"a" * 63) * 3 + b"\0"
    assert [len(text) for text in wire.names(long + b"\xc0\x00" * 400)] == [191] * 8


def test_fold():
    assert wire.fold(b"WWW.\xc4x") == b"www.\xc4x" and wire.fold(b"[@`{") == b"[@`{"


def test_random_octets():
    random = Random(5)
    for _ in range(rounds(3000)):
        size = random.below(60)
        message = bytearray(HEAD)
        for _ in range(size):
            pick = random.below(4)
            message.append((random.bits(8), random.below(5), 0xC0, random.below(70))[pick])
        name, end = wire.decode(message, 12)
        assert (end == -1) if name is None else (12 < end <= len(message) and len(name) < 512)
        for record in wire.records(message, 12, 5) or ():
            assert record[4] <= record[5] <= len(message)
            wire.data(message, record[1], record[4], record[5])
        wire.names(message[12:])
