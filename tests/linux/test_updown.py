"""A Net that follows its cable, goes down and up, and is not the only one: net/updown.py."""

import time

import netlab
import pytest
from test_dhcp import RANGE, Dnsmasq
from test_socket import NET, peers  # noqa: F401

UPDOWN = NET + "updown.py"


def pull(wire):
    """For longer than the second that passes between two looks at the cable."""
    wire.run("ip", "link", "set", "tap0", "down")
    time.sleep(1.5)
    wire.run("ip", "link", "set", "tap0", "up")


def test_lease_is_confirmed_when_the_cable_is_back(wire, target, tmp_path, peers):  # noqa: F811
    if not netlab.has("dnsmasq"):
        pytest.skip("dnsmasq is missing: tools/setup system")
    peers()
    with Dnsmasq(wire, tmp_path, RANGE) as server:
        program = wire.start(target, UPDOWN, "cable", ready="^ready True")
        pull(wire)
        assert program.wait(30) == 0, program.output
        server.wait("DHCPRELEASE")
        assert server.log.read_text().count("DHCPDISCOVER") == 1, "the second was an INIT-REBOOT"
    address = "['192.168.69.%s/24']" % program.output.split("192.168.69.")[1].split("/")[0]
    lines = [line.replace(address, "ours") for line in program.output.splitlines()]
    # Two who tell, the cable and the client: in which order the first are told does not matter.
    assert sorted(lines[5:7]) == ["down", "no cable BOUND ours"]
    assert sorted(set(lines[7:])) == [
        "cable BOUND ours",
        "cable REBOOTING ours",
        "cable RELEASING ours",
        "cable STOPPED []",
        "up True True",
    ], program.output
    wire.check(but="tcp.analysis.flags")


def test_asyncio_follows_the_cable(wire, target, peers):  # noqa: F811
    peers()
    program = wire.start(target, UPDOWN, "cable_asyncio", ready="^ready 6")
    pull(wire)
    assert program.wait(30) == 0, program.output
    assert program.output.splitlines()[1:] == [
        "no cable static ['192.168.69.1/24']",
        "cable static ['192.168.69.1/24']",
        "up again 6",
    ]


def test_down_and_up_again(wire, target):
    program = wire.start(target, UPDOWN, "again", ready=None)
    for i in range(3):
        program.wait_line("^ready %d" % i)
        wire.kernel.settle("tap0")
        with wire.connect(8000 + i) as s:
            s.sendall(b"round %d" % i)
            program.wait_line("b'round %d'" % i)
    assert program.wait(20) == 0, program.output
    assert program.output.splitlines() == [
        line % i if "%" in line else line
        for i in range(3)
        for line in (
            "ready %d",
            "False [] None",
            "broken 103",
            "True ['192.168.69.1/24'] 192.168.69.100 b'round %d'",
        )
    ] + ["free (8, 8)"]


def test_down_and_up_under_a_loop(wire, target):
    program = wire.start(target, UPDOWN, "again_asyncio")
    with wire.connect(8000) as s:
        s.sendall(b"hello")
        assert program.wait(20) == 0, program.output
    assert program.output.splitlines() == [
        "down False 1",
        "cancelled 0",
        "ready",
        "b'hello'",
    ]
    wire.check()


def test_two_nets(wire, target):
    wire.kernel.tap("tap1", "192.168.70.100/24")
    program = wire.start(target, UPDOWN, "two")
    wire.kernel.settle("tap1")
    wire.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "192.168.70.1")
    with wire.connect(8000) as s:
        s.sendall(b"hello")
    program.wait_line("^ready too")
    with wire.connect(8001) as s, wire.kernel.socket() as other:
        other.settimeout(10)
        other.connect(("192.168.70.1", 8001))
        other.sendall(b"second")
        assert other.recv(100) == b"second"
        s.sendall(b"first")
        assert s.recv(100) == b"first"
    assert program.wait(20) == 0, program.output
    assert program.output.splitlines() == [
        "ready",
        "blocking b'hello'",
        "ready too",
        "[b'first', b'second']",
        "<Net first, up>",
        "<Net second, up>",
    ]
    wire.check()
