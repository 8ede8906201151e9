"""Endpoints: what users write, to flow words and back."""

from array import array

from smolmp.socket import endpoint


def flow():
    return array("i", bytes(56))


def refused(call, *args):
    try:
        call(*args)
    except (OSError, ValueError):
        return True
    return False


def test_local():
    words = flow()
    assert endpoint.local(words) is None
    for given, expected, family in (
        (80, ("", 80), 0),
        (("", 80), ("", 80), 0),
        ((None, 80), ("", 80), 0),
        (("0.0.0.0", 80), ("0.0.0.0", 80), 4),
        (("::", 80), ("::", 80), 6),
        (("192.168.69.1", 65535), ("192.168.69.1", 65535), 4),
        ((b"\xff\xff\xff\xff", 1), ("255.255.255.255", 1), 4),
        (["fe80::1", 9], ("fe80::1", 9), 6),
        (("fe80::1", 9, 0, 0), ("fe80::1", 9), 6),
        (b"\x00" * 15 + b"\x01", None, 0),
        ("1.2.3.4:80", ("1.2.3.4", 80), 4),
        ("[::1]:80", ("::1", 80), 6),
    ):
        if expected is None:
            assert refused(endpoint.set_local, words, given)
            continue
        endpoint.set_local(words, given)
        assert endpoint.local(words) == expected and words[0] == family, given
        again = flow()
        endpoint.set_local(again, endpoint.local(words))
        assert again == words


def test_nonsense():
    words = flow()
    for given in (
        -1,
        65536,
        1 << 40,
        3.5,
        None,
        "",
        "80",
        "nonsense",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "::1:80",
        (),
        ("1.2.3.4",),
        ("1.2.3", 4),
        ("1.2.3.256", 4),
        ("host.example", 4),
        (b"12345", 4),
        (1, 4),
        ("1.2.3.4", "80"),
        ("1.2.3.4", -1),
    ):
        assert refused(endpoint.set_local, words, given), given
        assert refused(endpoint.set_remote, words, given), given
    for given in (80, ("", 80), (None, 80)):
        assert refused(endpoint.set_remote, words, given), given
    assert words == flow()


def test_remote():
    words = flow()
    assert endpoint.remote(words) is None
    endpoint.set_remote(words, ("10.0.0.1", 80))
    assert endpoint.remote(words) == ("10.0.0.1", 80) and words[0] == 4
    endpoint.set_remote(words, "10.0.0.2:0")  # the socket knows whether 0 will do
    assert endpoint.remote(words) == ("10.0.0.2", 0)
    assert refused(endpoint.set_remote, words, ("fe80::1", 80))  # one flow, one family
    assert endpoint.remote(words) == ("10.0.0.2", 0)
    endpoint.clear(words)
    assert words == flow()
    endpoint.set_remote(words, ("fe80::1", 80))
    assert endpoint.remote(words) == ("fe80::1", 80)


def test_addresses():
    words = flow()
    endpoint.set_address(words, 8, "255.255.255.254")
    assert endpoint.address_of(words, 8) == "255.255.255.254"
    assert endpoint.is_unset(words, 4) and not endpoint.is_unset(words, 8)
    assert refused(endpoint.set_address, words, 4, "fe80::1")
    endpoint.copy_words(words, 4, words, 8, 4)
    assert endpoint.address_of(words, 4) == "255.255.255.254"
    endpoint.set_address(words, 8, None)
    assert endpoint.is_unset(words, 8)
