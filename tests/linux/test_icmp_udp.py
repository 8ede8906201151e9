"""Linux pings smolmp, asks for its address, and exchanges datagrams with it."""

import os
import re
import shutil
import socket
import time

import pytest


def test_ping(wire, target):
    wire.peer(target, "udpecho")
    out = wire.run("ping", "-c", "5", "-i", "0.05", wire.ip)
    assert " 0% packet loss" in out
    # the largest that goes unfragmented, and the smallest
    for size in (1472, 0):
        out = wire.run("ping", "-c", "3", "-i", "0.05", "-M", "do", "-s", size, wire.ip)
        assert " 0% packet loss" in out
    wire.check(expect="icmp.type == 0")


def test_flood_of_10000_pings_without_loss(wire, target):
    wire.peer(target, "udpecho")
    out = wire.run("ping", "-f", "-q", "-w", "60", "-c", "10000", wire.ip)
    assert "10000 packets transmitted, 10000 received, 0% packet loss" in out, out
    wire.check(expect="icmp.seq == 10000 && icmp.type == 0")


def test_first_ping_of_a_cold_neighbour_is_not_lost(wire, target):
    wire.peer(target, "udpecho")
    wire.run("ip", "neigh", "flush", "all")
    out = wire.run("ping", "-c", "1", "-W", "2", wire.ip)
    assert "1 received" in out


def test_our_ping_reaches_linux(wire, target):
    """ping.py, from a stack that knows no neighbour yet: no answer is lost."""
    program = wire.start(
        *(target, "ping.py", "tap0", wire.address, wire.kernel_ip),
        *("--count", 20, "--interval", 5, "--size", 1400),
        ready=None,
    )
    assert program.wait() == 0, program.output
    assert "20 packets transmitted, 20 received, 0% packet loss" in program.output
    wire.check(expect="icmp.type == 8 && ip.src == %s" % wire.ip)


def test_arping(wire, target):
    if not shutil.which("arping"):
        pytest.skip("arping is missing")
    wire.peer(target, "udpecho")
    out = wire.run("arping", "-I", "tap0", "-c", "3", "-w", "5", wire.ip, check=False)
    if "Usage" in out or "-w" in out.split("\n")[0]:  # the other arping (Thomas Habets')
        out = wire.run("arping", "-i", "tap0", "-c", "3", wire.ip)
    assert re.search("02:00:00:00:00:01", out, re.IGNORECASE), out
    out = wire.run("arping", "-I", "tap0", "-c", "1", "-w", "1", "192.168.69.77", check=False)
    assert "02:00:00:00:00:01" not in out  # not our address
    wire.check()


def test_udp_echo_of_every_size(wire, target):
    wire.peer(target, "udpecho")
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((wire.ip, 5001))
        for size in range(1473):
            message = bytes((size + i * 7) & 255 for i in range(size))
            s.send(message)
            assert s.recv(2000) == message, size
    wire.check(expect="udp.length == 1480 && ip.src == %s" % wire.ip)


def test_udp_echo_of_a_burst(wire, target):
    """32 datagrams at once: all come back, in order."""
    wire.peer(target, "udpecho")
    wire.run("ping", "-c", "1", wire.ip)  # while it resolves an address, Linux itself mixes them
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((wire.ip, 5001))
        for round_number in range(10):
            sent = [bytes([round_number, i]) * 100 for i in range(32)]
            for message in sent:
                s.send(message)
            assert [s.recv(2000) for _ in sent] == sent
    wire.check()


@pytest.mark.parametrize("how", [("--spin", 2000), ()], ids=["spins", "stays-awake"])
def test_udp_echo_of_several_clients_to_a_stack_that(wire, target, how):
    """The lane is one client's, then another's; the stack looks for frames, and sleeps at last."""
    wire.peer(target, "udpecho", 5001, *how)
    clients = [wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for s in clients:
        s.settimeout(5)
        s.connect((wire.ip, 5001))
    for i in range(600):
        s = clients[i // 7 % 3 if i & 64 else i % 3]
        message = bytes([i & 255]) * (1 + i % 100)
        s.send(message)
        assert s.recv(2000) == message, i
        if i % 100 == 99:
            time.sleep(0.02)  # longer than it spins
    for s in clients:
        s.close()
    wire.check()


def test_closed_udp_port_is_told_by_icmp(wire, target):
    wire.peer(target, "udpecho")
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((wire.ip, 9))
        s.send(b"nobody")
        with pytest.raises(ConnectionRefusedError):
            s.recv(100)
    wire.check(expect="icmp.type == 3 && icmp.code == 3")


def test_ping_over_tun(bare_wire, target):
    wire = bare_wire
    wire.tap("tun", "tun0")
    wire.start(target, "peer.py", "tun0", wire.address, "udpecho", 5001, "--tun")
    out = wire.run("ping", "-c", "20", "-i", "0.01", wire.ip)
    assert " 0% packet loss" in out
    wire.check(expect="icmp.type == 0")


def test_our_tcpdump_prints_what_passes(wire, target):
    """tcpdump.py on AF_PACKET of the same TAP, and then on the file of the capture."""
    wire.peer(target, "udpecho")
    watcher = wire.start(target, "tcpdump.py", "tap0", "--count", 6, ready="^listening")
    wire.run("ping", "-c", "3", "-i", "0.05", wire.ip)
    assert watcher.wait() == 0
    assert wire.ip in watcher.output
    assert wire.kernel_ip in watcher.output
    wire.check()
    reader = wire.start(
        target, "tcpdump.py", "--read", wire.captures[0].path, "--count", 6, ready=None
    )
    assert reader.wait() == 0, reader.output
    lines = reader.output.strip().split("\n")
    assert len(lines) == 6
    assert any("echo request" in line.lower() for line in lines), reader.output


@pytest.mark.targets("unix64-wheel")
def test_wheel_with_an_inherited_descriptor(wire, target):
    fd = wire.kernel.open_tap()
    wire.peer(target, "udpecho", 5001, "--fd", fd, fds=[fd])
    os.close(fd)
    out = wire.run("ping", "-f", "-q", "-w", "60", "-c", "10000", wire.ip)
    assert "10000 packets transmitted, 10000 received" in out, out
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((wire.ip, 5001))
        for size in range(0, 1473, 37):
            s.send(bytes(size))
            assert s.recv(2000) == bytes(size)
    wire.check()


@pytest.mark.targets("unix64", "unix64-wheel")
def test_af_packet_over_veth(veth_wire, target):
    wire = veth_wire
    wire.start(
        *(target, "peer.py", "veth0", wire.address, "udpecho", 5001, "--packet"),
        namespace=wire.far,
    )
    out = wire.run("ping", "-f", "-q", "-w", "60", "-c", "2000", wire.ip)
    assert "2000 packets transmitted, 2000 received" in out, out
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((wire.ip, 5001))
        for size in range(0, 1473, 64):
            s.send(bytes(size))
            assert s.recv(2000) == bytes(size)
    wire.check()
