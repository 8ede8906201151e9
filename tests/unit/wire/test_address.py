"""address: text forms of both families, words, prefixes, predicates."""

from array import array

from smolmp.wire import address as a


def refused(function, *args):
    try:
        function(*args)
    except ValueError:
        return True
    return False


def test_mac():
    assert a.parse_mac("02:00:00:00:00:01") == b"\x02\0\0\0\0\x01"
    assert a.parse_mac("01:23:45:67:89:ab") == b"\x01\x23\x45\x67\x89\xab"
    assert a.parse_mac("AB-cd-EF-67-89-00") == b"\xab\xcd\xef\x67\x89\x00"
    assert a.format_mac(b"\xff\x0a\0\0\0\x01") == "ff:0a:00:00:00:01"
    for text in (
        "",
        "01:23:45:67:89",
        "01:23:45:67:89:ab:cd",
        "01:23:45:67:89:xx",
        "01:23:45:67:89-ab",
        "1:23:45:67:89:ab",
        "001:23:45:67:89:ab",
        "+1:23:45:67:89:ab",
        "01:23:45:67::ab",
        "0x:23:45:67:89:ab",
        "01:23:45:67:89:ab ",
    ):
        assert refused(a.parse_mac, text), text


def test_ip_ipv4():
    for text, data in (
        ("0.0.0.0", b"\0\0\0\0"),
        ("1.2.3.4", b"\x01\x02\x03\x04"),
        ("127.0.0.1", b"\x7f\0\0\x01"),
        ("255.255.255.255", b"\xff\xff\xff\xff"),
        ("192.168.69.100", b"\xc0\xa8\x45\x64"),
    ):
        assert a.parse_address(text) == data
        assert a.format_address(data) == text
    for text in (
        "",
        ".",
        "1.2.3",
        "1.2.3.",
        "1.2.3.4.",
        "1.2.3.4.5",
        ".1.2.3.4",
        "0.0.256.0",
        "0.0.0.0000",
        "1.2.3.04",
        "1.2.3.x",
        "1.2.3.-4",
        "1.2.3.+4",
        " 1.2.3.4",
        "1.2.3.4 ",
        "1.2.3.4/8",
        "1_0.2.3.4",
        "localhost",
        "1.2.3.999999999999999999999",
    ):
        assert refused(a.parse_address, text), text


IPV6 = (
    # text, 8 groups, RFC 5952 form
    ("::", (0, 0, 0, 0, 0, 0, 0, 0), "::"),
    ("::1", (0, 0, 0, 0, 0, 0, 0, 1), "::1"),
    ("1::", (1, 0, 0, 0, 0, 0, 0, 0), "1::"),
    ("fe80::1", (0xFE80, 0, 0, 0, 0, 0, 0, 1), "fe80::1"),
    ("FF02:0:0:0:0:1:FF00:0001", (0xFF02, 0, 0, 0, 0, 1, 0xFF00, 1), "ff02::1:ff00:1"),
    ("2001:db8::1:0:0:1", (0x2001, 0xDB8, 0, 0, 1, 0, 0, 1), "2001:db8::1:0:0:1"),
    ("2001:0:0:1:0:0:0:1", (0x2001, 0, 0, 1, 0, 0, 0, 1), "2001:0:0:1::1"),
    ("2001:db8:0:1:1:1:1:1", (0x2001, 0xDB8, 0, 1, 1, 1, 1, 1), "2001:db8:0:1:1:1:1:1"),
    ("2001:db8::1:1:1:1:1", (0x2001, 0xDB8, 0, 1, 1, 1, 1, 1), "2001:db8:0:1:1:1:1:1"),
    ("1:2:3:4:5:6:7:8", (1, 2, 3, 4, 5, 6, 7, 8), "1:2:3:4:5:6:7:8"),
    ("0:0:3:4:5:6:0:0", (0, 0, 3, 4, 5, 6, 0, 0), "::3:4:5:6:0:0"),
    ("1:2:3:4:5:6::", (1, 2, 3, 4, 5, 6, 0, 0), "1:2:3:4:5:6::"),
    ("::ffff:192.168.1.1", (0, 0, 0, 0, 0, 0xFFFF, 0xC0A8, 0x101), "::ffff:192.168.1.1"),
    ("::ffff:c0a8:101", (0, 0, 0, 0, 0, 0xFFFF, 0xC0A8, 0x101), "::ffff:192.168.1.1"),
    ("::192.168.1.1", (0, 0, 0, 0, 0, 0, 0xC0A8, 0x101), "::c0a8:101"),
    ("64:ff9b::192.0.2.33", (0x64, 0xFF9B, 0, 0, 0, 0, 0xC000, 0x221), "64:ff9b::c000:221"),
    ("1:2:3:4:5:6:1.2.3.4", (1, 2, 3, 4, 5, 6, 0x102, 0x304), "1:2:3:4:5:6:102:304"),
)


def test_ip_ipv6():
    for text, groups, canonical in IPV6:
        data = b"".join(g.to_bytes(2, "big") for g in groups)
        assert a.parse_address(text) == data, text
        assert a.format_address(data) == canonical, text
        assert a.parse_address(canonical) == data, text
    for text in (
        ":",
        ":::",
        "1:",
        ":1",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        "1:::2",
        "::1:2:3:4:5:6:7:8",
        "1:2:3:4::5:6:7:8",
        "12345::",
        "1::g",
        "::1.2.3",
        "::1.2.3.4.5",
        "::1.2.3.256",
        "1.2.3.4::",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "fe80::1%eth0",
        "[::1]",
        "::1/64",
        " ::1",
        "1:-2::",
        "1:+2::",
        "0x1::",
    ):
        assert refused(a.parse_address, text), text


def test_format_refuses_other_lengths():
    for n in (0, 3, 5, 6, 15, 17):
        assert refused(a.format_address, bytes(n))


def test_cidr_ipv4():
    assert a.parse_cidr("127.0.0.1/8") == (b"\x7f\0\0\x01", 8)
    assert a.parse_cidr("10.0.0.1/0") == (b"\x0a\0\0\x01", 0)
    assert a.parse_cidr("1.2.3.4/32") == (b"\x01\x02\x03\x04", 32)
    assert a.format_cidr(b"\x0a\0\0\x01", 24) == "10.0.0.1/24"
    for text in (
        "",
        "1.2.3.4",
        "/8",
        "1.2.3.4/",
        "1.2.3.4/33",
        "1.2.3/8",
        "1.2.3.4/+8",
        "1.2.3.4/8/8",
    ):
        assert refused(a.parse_cidr, text), text


def test_cidr_ipv6():
    assert a.parse_cidr("fe80::1/64") == (a.parse_address("fe80::1"), 64)
    assert a.parse_cidr("::/0") == (bytes(16), 0)
    assert a.parse_cidr("::ffff:1.2.3.4/128")[1] == 128
    assert a.format_cidr(a.parse_address("fe80::1"), 10) == "fe80::1/10"
    for text in ("fe80::1", "fe80::1/129", "fe80::1/", "fe80:::1/64", "fe80::/64/"):
        assert refused(a.parse_cidr, text), text


def test_endpoint_ipv4():
    assert a.parse_endpoint("127.0.0.1:12345") == (b"\x7f\0\0\x01", 12345)
    assert a.parse_endpoint("0.0.0.0:0") == (bytes(4), 0)
    assert a.parse_endpoint("1.2.3.4:65535") == (b"\x01\x02\x03\x04", 65535)
    assert a.format_endpoint(b"\x01\x02\x03\x04", 80) == "1.2.3.4:80"
    for text in (
        "",
        "1.2.3.4",
        "1.2.3.4:",
        ":80",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3:4",
        "1.2.3.4:8o",
    ):
        assert refused(a.parse_endpoint, text), text


def test_endpoint_ipv6():
    assert a.parse_endpoint("[::1]:80") == (a.parse_address("::1"), 80)
    assert a.parse_endpoint("[fe80::1:2]:12345") == (a.parse_address("fe80::1:2"), 12345)
    assert a.parse_endpoint("[::ffff:1.2.3.4]:1") == (a.parse_address("::ffff:1.2.3.4"), 1)
    assert a.format_endpoint(a.parse_address("::1"), 80) == "[::1]:80"
    for text in (
        "::1:80",
        "[::1]",
        "[::1]:",
        "[::1]80",
        "[::1:80",
        "::1]:80",
        "[]:80",
        "[1.2.3.4]:80",
        "[::1]:99999",
    ):
        assert refused(a.parse_endpoint, text), text


def test_to_prefix_len_ipv4():
    for bits in range(33):
        assert a.prefix_len(a.netmask(bits)) == bits
    assert a.netmask(20) == b"\xff\xff\xf0\0"


def test_to_prefix_len_ipv4_error():
    for mask in (b"\xff\0\xff\0", b"\0\0\0\x01", b"\xff\xff\xff\xfd", b"\x7f\0\0\0"):
        assert refused(a.prefix_len, mask)
    assert refused(a.netmask, 33) and refused(a.netmask, -1)


def test_to_prefix_len_ipv6():
    for bits in range(129):
        assert a.prefix_len(a.netmask(bits, 16)) == bits


def test_to_prefix_len_ipv6_error():
    assert refused(a.prefix_len, b"\xff" * 8 + b"\0" * 7 + b"\x01")
    assert refused(a.prefix_len, b"\xff\0\xff" + bytes(13))
    assert refused(a.netmask, 129, 16)


def test_cidr():
    inside = a.parse_address("192.168.1.10"), 24
    for text in ("192.168.1.0", "192.168.1.1", "192.168.1.255"):
        assert a.contains(*inside, a.parse_address(text))
    for text in ("192.168.0.255", "192.168.2.0", "127.0.0.1", "::1"):
        assert not a.contains(*inside, a.parse_address(text))
    assert a.contains(bytes(4), 0, b"\xff\xff\xff\xff")
    assert a.contains(b"\x01\x02\x03\x04", 32, b"\x01\x02\x03\x04")
    assert not a.contains(b"\x01\x02\x03\x04", 32, b"\x01\x02\x03\x05")
    assert a.contains(a.parse_address("fe80::1"), 10, a.parse_address("febf::"))
    assert not a.contains(a.parse_address("fe80::1"), 10, a.parse_address("fec0::"))


def test_cidr_from_netmask():
    assert a.prefix_len(a.parse_address("255.255.255.0")) == 24
    assert a.prefix_len(a.parse_address("0.0.0.0")) == 0
    assert refused(a.prefix_len, a.parse_address("1.0.2.0"))


def test_cidr_netmask():
    for bits, text in ((0, "0.0.0.0"), (1, "128.0.0.0"), (31, "255.255.255.254")):
        assert a.format_address(a.netmask(bits)) == text


def test_cidr_broadcast():
    for cidr, expected in (
        ("192.168.1.255/24", "192.168.1.255"),
        ("192.168.1.1/18", "192.168.63.255"),
        ("10.0.0.1/8", "10.255.255.255"),
        ("1.2.3.4/0", "255.255.255.255"),
        ("1.2.3.5/30", "1.2.3.7"),
    ):
        assert a.broadcast(*a.parse_cidr(cidr)) == a.parse_address(expected), cidr
    for cidr in ("1.2.3.4/31", "1.2.3.4/32", "fe80::1/64"):
        assert a.broadcast(*a.parse_cidr(cidr)) is None


def test_cidr_network():
    for cidr, expected in (
        ("192.168.1.255/24", "192.168.1.0"),
        ("192.168.1.254/31", "192.168.1.254"),
        ("1.2.3.4/0", "0.0.0.0"),
        ("fe80:1:2:3:4::1/64", "fe80:1:2:3::"),
    ):
        assert a.network(*a.parse_cidr(cidr)) == a.parse_address(expected), cidr


def kinds(text):
    address = a.parse_address(text)
    return "".join(
        letter
        for letter, is_kind in (
            ("u", a.is_unicast),
            ("m", a.is_multicast),
            ("b", a.is_broadcast),
            ("0", a.is_unspecified),
            ("l", a.is_loopback),
            ("k", a.is_link_local),
        )
        if is_kind(address)
    )


def test_unspecified():
    assert kinds("0.0.0.0") == "0"
    assert kinds("::") == "0"


def test_broadcast():
    assert kinds("255.255.255.255") == "b"
    assert kinds("255.255.255.254") == "u"


def test_multicast():
    assert kinds("224.0.0.1") == kinds("239.255.255.255") == "m"
    assert kinds("223.255.255.255") == kinds("240.0.0.0") == "u"
    assert kinds("ff02::1") == "m"


def test_unicast():
    assert kinds("192.168.1.1") == "u"
    assert kinds("127.0.0.1") == kinds("127.255.0.9") == "ul"
    assert kinds("169.254.1.1") == kinds("fe80::1") == kinds("febf::1") == "uk"
    assert kinds("::1") == "ul"
    assert kinds("fec0::1") == kinds("::2") == kinds("2001:db8::1") == kinds("1::1") == "u"


def test_words():
    words = array("i", [7] * 6)
    assert a.to_words(b"\xff\xfe\x80\x01", words, 1) == 4
    assert list(words) == [7, -0x17FFF, 0, 0, 0, 7]
    assert a.from_words(4, words, 1) == b"\xff\xfe\x80\x01"
    address = a.parse_address("8001:2:3:4:ffff:6:7fff:8")
    assert a.to_words(address, words, 1) == 6
    assert words[0] == 7 and words[5] == 7 and words[2] == 0x30004
    assert a.from_words(6, words, 1) == address
    assert a.to_words(bytearray(address), words, 2) == 6 and a.from_words(6, words, 2) == address
    assert refused(a.to_words, address, words, 3)
    assert refused(a.to_words, address, words, -1)
    assert refused(a.to_words, bytes(6), words, 0)
    assert refused(a.from_words, 4, words, 3)


def test_same_prefix():
    words = array("i", bytes(4 * 8))
    for text in ("192.168.69.1", "255.255.255.255", "0.0.0.0", "8001:2:3:4:ffff:6:7fff:8"):
        address = a.parse_address(text)
        a.to_words(address, words, 0)
        for bit in range(8 * len(address)):
            other = bytearray(address)
            other[bit >> 3] ^= 0x80 >> (bit & 7)
            a.to_words(other, words, 4)
            for bits in (0, 1, bit - 1, bit, bit + 1, bit + 9, 8 * len(address)):
                if 0 <= bits <= 8 * len(address):
                    expected = 1 if bits <= bit else 0
                    assert a.same_prefix(words, 0, words, 4, bits) == expected, (text, bit, bits)
