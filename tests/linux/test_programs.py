"""The programs as people use them: what they say when told nonsense, and how they end."""

import os
import socket
import time

import netlab
import pytest

PEER = "peer.py tap0 192.168.69.1/24 "
SERVER = "server.py tap0 192.168.69.1/24 "
PING = "ping.py tap0 192.168.69.1/24 "
CLIENT = "client.py tap0 192.168.69.1/24 "
GET = "httpget.py tap0 192.168.69.1/24 "

# What is wrong with the arguments themselves ends with the usage text and status 2.
WRONG = [
    ("peer.py", "wrong number of arguments"),
    ("peer.py tap0", "wrong number of arguments"),
    (PEER + "nonsense 5001", "no such mode: nonsense"),
    (PEER + "sink 70000", "port: a number from 1 to 65535, not 70000"),
    (PEER + "sink 5001 --bogus", "no such option: --bogus"),
    (PEER + "sink 5001 --rx", "a value is missing behind --rx"),
    (PEER + "sink 5001 --rx much", "--rx: a number"),
    (PEER + "sink 5001 --rx -5", "--rx: a number"),
    (PEER + "sink 5001 --budget=0", "--budget: a number from 1"),
    (PEER + "sink 5001 --fault drop", "--fault drop: what is that?"),
    (PEER + "sink 5001 --fault drop=200", "--fault drop=200: 0 to 100 percent"),
    (PEER + "sink 5001 --fault size=-1", "--fault size=-1: size_limit"),
    ("peer.py tap0 192.168.69.300/24 sink 5001", "bad address: 192.168.69.300"),
    ("peer.py tap0 192.168.69.1 sink 5001", "no prefix length: 192.168.69.1"),
    ("server.py", "wrong number of arguments"),
    ("server.py tap0 192.168.69.1/33", "bad address: 192.168.69.1/33"),
    ("server.py far_too_long_a_name 192.168.69.1/24", "a device name has 1 to 15 characters"),
    (SERVER + "--mac ff:ff:ff:ff:ff:ff", "not a unicast hardware address"),
    (SERVER + "--gateway nowhere", "bad address: nowhere"),
    (SERVER + "--mtu 20", "--mtu: a number from 68"),
    (SERVER + "--http 70000", "--http: a number from 0 to 65535, not 70000"),
    (SERVER + "--rx 0", "--rx: a number from 1"),
    (SERVER + "--sockets -3", "--sockets: a number from 1"),
    (SERVER + "--seed -7", "--seed: a number from 0"),
    (PING + "example.org", "names are resolve.py's"),
    (PING + "::1", "::1: only IPv4 yet"),
    (PING + "0.0.0.0", "0.0.0.0: not the address of one host"),
    (PING + "192.168.69.100 --count -1", "--count: a number from 0"),
    (PING + "192.168.69.100 --size 1473", "--size: a number from 8 to 1472, not 1473"),
    (CLIENT + "nohost 80", "names are resolve.py's"),
    (CLIENT + "224.0.0.1 80", "224.0.0.1: not the address of one host"),
    (CLIENT + "192.168.69.100 0", "port: a number from 1"),
    (GET + "https://192.168.69.100/", "only http://"),
    (GET + "http://", "names are resolve.py's"),
    (GET + "http://192.168.69.100:99999/", "port: a number from 1 to 65535, not 99999"),
    ("dhcp.py", "wrong number of arguments"),
    ("dhcp.py tap0 --inform nowhere/24", "bad address: nowhere"),
    ("dhcp.py tap0 --longest 3", "--longest: a number from 10"),
    ("resolve.py tap0 192.168.69.1/24 192.168.69.100", "wrong number of arguments"),
    ("resolve.py tap0 192.168.69.1/24 nowhere host", "bad address: nowhere"),
    ("resolve.py tap0 192.168.69.1/24 192.168.69.100 host --type MX", "--type: one of A AAAA"),
    ("tcpdump.py", "which interface?"),
    ("tcpdump.py tap0 --count x", "--count: a number from 0"),
    ("proxy.py", "wrong number of arguments"),
    ("proxy.py tun0 --sessions 0", "--sessions: a number from 1"),
]

# What this machine refuses ends with one line and status 1.
REFUSED = [
    ("peer.py lo 192.168.69.1/24 sink 5001", "lo: EINVAL (a TUN wants --tun"),
    ("peer.py nosuch0 192.168.69.1/24 sink 5001 --packet", "no network interface nosuch0"),
    (PEER + "sink 5001 --fd 99", "descriptor 99: EBADF"),
    (SERVER + "--pcap /nonexistent/x.pcap", "/nonexistent/x.pcap: ENOENT"),
    ("proxy.py tap0", "tap0: EINVAL (a TUN wants --tun"),
    ("tcpdump.py nosuch0", "no network interface nosuch0"),
    ("tcpdump.py --read /nonexistent", "/nonexistent: ENOENT"),
    ("tcpdump.py --read README.md", "README.md: not a pcap file"),
    ("tcpdump.py tap0 --write /nonexistent/x", "/nonexistent/x: ENOENT"),
    (PING + "10.1.1.1 --count 1 --timeout 100", "no way to 10.1.1.1: --gateway?"),
    (CLIENT + "10.1.1.1 80", "10.1.1.1:80: EHOSTUNREACH"),
    (CLIENT + "192.168.69.100 81", "192.168.69.100:81: ECONNREFUSED"),
    (GET + "http://192.168.69.100:81/", "192.168.69.100:81: ECONNREFUSED"),
]


def say(wire, words):
    """(exit status, output) of a program that ends by itself"""
    program = wire.start("unix64", *words.split(), ready=None)
    return program.wait(20), program.output


def test_wrong_arguments_get_the_usage(wire):
    for words, text in WRONG:
        status, output = say(wire, words)
        assert status == 2, (words, output)
        assert text in output.split("\n")[0], (words, output)
        assert "\nusage: " + words.split()[0] in output, (words, output)
        assert "Traceback" not in output, (words, output)


def test_what_the_machine_refuses_is_told(wire):
    for words, text in REFUSED:
        status, output = say(wire, words)
        assert status == 1, (words, output)
        assert text in output, (words, output)
        assert "Traceback" not in output, (words, output)


def test_a_device_somebody_else_has(wire):
    wire.peer("unix64", "sink")
    status, output = say(wire, PEER + "sink 5001")
    assert (status, output) == (1, "tap0: errno 16 (another program has it open)\n")


def test_help(wire):
    for name in ("server", "client", "ping", "httpget", "tcpdump", "proxy", "peer"):
        status, output = say(wire, name + ".py --help")
        assert status == 0
        assert output.startswith("usage: " + name + ".py ")


@pytest.mark.parametrize("mode", ["sink", "source", "echo", "udpecho"])
def test_a_peer_serves_until_it_is_ended(wire, target, mode):
    """Every mode that measurements use: one connection after another, then SIGTERM."""
    program = wire.peer(target, mode)
    for i in range(5):
        if mode == "udpecho":
            with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.connect((wire.ip, 5001))
                s.send(bytes([i]) * 1000)
                assert s.recv(2000) == bytes([i]) * 1000
            continue
        with wire.connect() as s:
            if mode == "source":
                got = s.makefile("rb").read(100000)
                assert got == (bytes(range(256)) * 391)[:100000]
                continue  # closed with data on its way: Linux resets
            s.sendall(bytes([i]) * 100000)
            s.shutdown(socket.SHUT_WR)
            got = s.makefile("rb").read()
            assert got == (bytes([i]) * 100000 if mode == "echo" else b"")
    assert program.alive()
    program.process.terminate()
    assert program.wait(5) == -15
    assert "Traceback" not in program.output
    wire.check()


def test_server_gives_up_a_peer_that_vanished(wire, target):
    """Port 6971 asks an idle peer every second whether it is there, and waits 2 s for answers."""
    wire.start(target, "server.py", "tap0", wire.address, "--sockets", 1)
    with wire.connect(6971) as s:
        time.sleep(3.5)  # idle, but there: it answers
        s.sendall(b"still here")
        wire.run("ip", "addr", "del", wire.kernel_ip + "/24", "dev", "tap0")
        wire.run("ip", "addr", "add", "192.168.69.101/24", "dev", "tap0")
        start = time.monotonic()
        with wire.connect(6971) as other:  # waits until the one socket is free
            other.shutdown(socket.SHUT_WR)
            assert other.makefile("rb").read().startswith(b"0 ")
        assert 1 < time.monotonic() - start < 15
    wire.check(expect="tcp.analysis.keep_alive && ip.src == " + wire.ip)


def test_the_programs_own_capture(wire, target, tmp_path):
    """--pcap and tcpdump.py --write: files that tshark reads, with today's dates."""
    mine, other = tmp_path / "mine.pcap", tmp_path / "other.pcap"
    wire.peer(target, "udpecho", 5001, "--pcap", mine)
    watcher = wire.start(
        *(target, "tcpdump.py", "tap0", "--count", 6, "--write", other), ready="^listening"
    )
    wire.run("ping", "-c", "3", "-i", "0.05", wire.ip)
    assert watcher.wait() == 0, watcher.output
    wire.check()
    if not netlab.has("tshark"):
        pytest.skip("tshark is missing")
    for path in (mine, other):
        times = netlab.tshark(str(path), "icmp", "frame.time_epoch")
        assert len(times) >= 4, (path, times)
        assert all(abs(float(t) - time.time()) < 60 for t in times), times
        assert not netlab.bad_frames(str(path))
    assert os.path.getsize(mine) > 6 * 98
