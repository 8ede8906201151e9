"""DHCP messages: options wherever they stand, and messages that lie about themselves."""

from slow import rounds

from smolmp.prng import Random
from smolmp.socket.dhcpv4.lease import Lease
from smolmp.wire import constants
from smolmp.wire import dhcpv4 as wire

COOKIE = b"\x63\x82\x53\x63"


def message(options, sname=b"", file=b"", yiaddr=bytes((10, 0, 0, 7))):
    data = b"\x02\x01\x06\0" + bytes(12) + yiaddr + bytes(8) + b"\x02\0\0\0\0\x01" + bytes(10)
    return data + sname + bytes(64 - len(sname)) + file + bytes(128 - len(file)) + COOKIE + options


def test_option_in_pieces():
    """RFC 3396: a value may be split anywhere, other options in between."""
    data = message(
        b"\x35\x01\x05\x78\x02ab\0\0\x06\x04\x01\x02\x03\x04\x78\x01c\x78\x00\xff\x78\x01d"
    )
    assert wire.check(data) == constants.DHCPACK
    assert wire.option(data, 0x78) == b"abc" and wire.option(data, 6) == b"\x01\x02\x03\x04"
    assert wire.option(data, 12) is None


def test_empty_option_is_there():
    assert wire.option(message(b"\x35\x01\x02\x50\x00\xff"), 80) == b""


def test_overload():
    """RFC 3396 5: first the options field, then file, then sname."""
    data = message(b"\x35\x01\x05\x34\x01\x03\x0c\x01a\xff", b"\x0c\x01c\xff", b"\x0c\x01b\xff")
    assert wire.check(data) == constants.DHCPACK and wire.option(data, 12) == b"abc"
    data = message(b"\x35\x01\x05\x34\x01\x01\x0c\x01a\xff", b"\x0c\x01c\xff", b"\x0c\x01b\xff")
    assert wire.option(data, 12) == b"ab"
    data = message(b"\x35\x01\x05\x34\x01\x02\x0c\x01a\xff", b"\x0c\x01c\xff", b"\x0c\x01b\xff")
    assert wire.option(data, 12) == b"ac"
    data = message(b"\x35\x01\x05\x0c\x01a\xff", b"\x0c\x01c\xff", b"\x0c\x01b\xff")
    assert wire.option(data, 12) == b"a"
    # The type itself may stand there.
    data = message(b"\x34\x01\x01\xff", b"", b"\x35\x01\x06\xff")
    assert wire.check(data) == constants.DHCPNAK


def test_malformed():
    assert wire.check(b"") == -1 and wire.check(message(b"")[:239]) == -1
    assert wire.check(message(b"\xff")) == -4  # BOOTP has no type
    assert wire.check(message(b"\x35\x01\x02\xff").replace(COOKIE, b"\x63\x82\x53\x64")) == -4
    for options in (
        b"\x35",
        b"\x35\x01",
        b"\x35\x01\x02\x0c\x02a",
        b"\x35\x00\xff",
        b"\x35\x01\x00\xff",
        b"\x35\x01\x09\xff",
        b"\x35\x02\x02\x02\xff",
        b"\x35\x01\x02\x34\x01\x00\xff",
        b"\x35\x01\x02\x34\x01\x04\xff",
        b"\x35\x01\x02\x34\x02\x01\x01\xff",
    ):
        assert wire.check(message(options)) == -2, options
    assert wire.check(message(b"\x35\x01\x02\x34\x01\x01\xff", b"", b"\x0c\xff")) == -2
    assert wire.check(message(b"\x35\x01\x02\x34\x01\x02\xff", b"\x0c\xff")) == -2


def test_addresses_leaves_out_what_is_no_host():
    value = bytes((10, 0, 0, 1, 0, 0, 0, 0, 224, 0, 0, 1, 127, 0, 0, 1, 255, 255, 255, 255))
    assert wire.addresses(value + bytes((10, 0, 0, 2, 9, 9))) == ["10.0.0.1", "10.0.0.2"]
    assert wire.addresses(None) == [] and wire.addresses(b"\x0a\0\0") == []
    assert wire.addresses(b"\x0a\0\0\1" * 300) == ["10.0.0.1"] * 16


def test_routes():
    value = b"\0\x0a\0\0\x01" + b"\x10\xac\x10\x0a\0\0\x02" + b"\x19\x0a\x01\x02\xff\0\0\0\0"
    assert wire.routes(value) == [
        ("0.0.0.0/0", "10.0.0.1"),
        ("172.16.0.0/16", "10.0.0.2"),
        ("10.1.2.128/25", None),
    ]
    assert wire.routes(b"\x21" + bytes(9)) is None and wire.routes(b"\x18\x0a\0") is None
    assert wire.routes(b"\x08\x0a\xe0\0\0\x01") == []  # by way of a group


def test_written_message():
    frame = bytearray(b"\xee" * 600)
    at = wire.begin(
        frame, 20, constants.DHCPREQUEST, b"abcd", 0x1234, True, b"\x0a\0\0\x07", b"123456"
    )
    at = wire.put(frame, at, 12, b"x" * 300)
    end = wire.finish(frame, 20, at)
    data = bytes(frame[20:end])
    assert data[:12] == b"\x01\x01\x06\0abcd\x12\x34\x80\0" and data[12:16] == b"\x0a\0\0\x07"
    assert data[28:44] == b"123456" + bytes(10) and wire.check(data) == constants.DHCPREQUEST
    assert wire.option(data, 12) == b"x" * 300 and data[-1] == 255
    assert bytes(frame[:20]) == b"\xee" * 20 and bytes(frame[end:]) == b"\xee" * (600 - end)
    # A short one has a BOOTP message's size.
    at = wire.begin(frame, 0, constants.DHCPDISCOVER, b"abcd", 0, False, None, b"123456")
    assert wire.finish(frame, 0, at) == 300 and frame[at + 1 : 300] == bytes(299 - at)


def test_is_reply():
    data = message(b"\x35\x01\x02\xff")
    frame = b"\xee\xee" + data
    mac = b"\x02\0\0\0\0\x01"
    assert wire.is_reply(frame, 2, len(frame), bytes(4), mac) == 1
    assert wire.is_reply(frame, 2, 2 + 239, bytes(4), mac) == 0
    assert wire.is_reply(frame, 2, len(frame), b"\0\0\0\x01", mac) == 0
    assert wire.is_reply(frame, 2, len(frame), bytes(4), b"\x02\0\0\0\0\x02") == 0


def test_lease():
    options = b"\x35\x01\x05\x36\x04\x0a\0\0\x01\x01\x04\xff\xff\xf0\0\x33\x04\0\0\x0e\x10"
    options += b"\x03\x08\x0a\0\0\x01\x0a\0\0\x02\x06\x04\x08\x08\x08\x08\x2a\x04\x0a\0\0\x03"
    options += b"\x0f\x04home\x0c\x04pico\x1a\x02\x05\xdc\xe0\x01!\xff"
    lease = Lease(message(options), 5)
    assert lease.address == "10.0.0.7/20" and lease.server == "10.0.0.1" and lease.is_sane
    assert (lease.seconds, lease.renew, lease.rebind) == (3600, 1800, 3150)
    assert lease.routers == ["10.0.0.1", "10.0.0.2"] and lease.routes == [
        ("0.0.0.0/0", "10.0.0.1")
    ]
    assert lease.dns == ["8.8.8.8"] and lease.ntp == ["10.0.0.3"] and lease.mtu == 1500
    assert lease.domain == "home" and lease.search == ["home"] and lease.hostname == "pico"
    assert lease.option(224) == b"!" and lease.option(225) is None
    assert "10.0.0.7/20 from 10.0.0.1" in repr(lease)
    assert Lease(message(options), 5, 60).seconds == 60


def test_classless_routes_replace_the_router():
    """RFC 3442: then option 3 is not looked at."""
    options = b"\x03\x04\x0a\0\0\x01\x79\x09\x18\x0a\x01\x02\x0a\0\0\x02\xff"
    lease = Lease(message(options), 0)
    assert wire.routes(lease.option(121)) is None  # an octet too many
    assert lease.routes == [("0.0.0.0/0", "10.0.0.1")]
    options = b"\x03\x04\x0a\0\0\x01\x79\x08\x18\x0a\x01\x02\x0a\0\0\x02\xff"
    assert Lease(message(options), 0).routes == [("10.1.2.0/24", "10.0.0.2")]


def test_lease_without_sense():
    assert Lease(message(b"\xff"), 0).prefix_len == 8  # class A
    assert Lease(message(b"\x01\x04\xff\0\xff\0\xff"), 0).prefix_len == 8
    assert Lease(message(b"\xff", yiaddr=bytes((172, 16, 0, 9))), 0).prefix_len == 16
    assert Lease(message(b"\xff", yiaddr=bytes((192, 168, 0, 9))), 0).prefix_len == 24
    assert Lease(message(b"\xff"), 0).seconds == 120
    assert not Lease(message(b"\xff", yiaddr=bytes((10, 255, 255, 255))), 0).is_sane
    assert not Lease(message(b"\xff", yiaddr=bytes((10, 0, 0, 0))), 0).is_sane
    assert not Lease(message(b"\x33\x04\0\0\0\x09\xff"), 0).is_sane
    # T1 behind the end, T2 before T1.
    times = b"\x33\x04\0\0\0\x64\x3a\x04\0\0\0\x65\x3b\x04\0\0\0\x01\xff"
    lease = Lease(message(times), 0)
    assert (lease.renew, lease.rebind) == (50, 87)
    assert Lease(message(b"\x33\x04\x7f\xff\xff\xff\xff"), 0).seconds is None
    assert Lease(message(b"\x0f\x03a b\x0c\x02\xc3\xa4\xff"), 0).domain is None
    assert Lease(message(b"\x0f\x05home\0\x0c\x02\xc3\xa4\xff"), 0).domain == "home"


def test_random_octets():
    """Whatever the octets are, nothing is raised, and what check() lets pass can be read."""
    random = Random(7)
    passed = 0
    for i in range(rounds(1500)):
        tail = bytearray([random.bits(8) for _ in range(random.below(40))])
        for at in range(1, len(tail), 3):  # lengths that fit, more often than not
            tail[at] = random.below(6)
        start = b"\x35\x01\x05" + (b"\x34\x01\x03" if i & 1 else b"")
        data = message(start + bytes(tail) + b"\xff", bytes(tail), bytes(tail))
        if wire.check(data) > 0:
            passed += 1
            lease = Lease(data, 0)
            repr(lease)
            assert lease.prefix_len <= 32 and isinstance(lease.is_sane, bool)
            lease.renew, lease.rebind, lease.mtu, lease.hostname
    assert passed > rounds(100)
