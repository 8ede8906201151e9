"""TCP between Linux and smolmp: echo, bulk data, many connections, and all that over bad wires."""

import os
import random
import re
import selectors
import socket
import threading
import time

import netlab
import pytest
from transfer import MB, download, upload

FAULTS = "drop=3,reorder=3,duplicate=1,corrupt=1"


def echo(wire, data, port=5001, timeout=20):
    """what comes back when data is sent and the connection half-closed"""
    with wire.connect(port, timeout) as s:

        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        got = bytearray()
        while True:
            piece = s.recv(1 << 16)
            if not piece:
                break
            got += piece
        sender.join()
        return bytes(got)


def test_echo(wire, target):
    wire.peer(target, "echo")
    for size in (1, 2, 1459, 1460, 1461, 5000, 100000):
        data = os.urandom(size)
        assert echo(wire, data) == data, size
    # one octet at a time
    with wire.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(500):
            s.sendall(bytes([i & 255]))
            assert s.recv(10) == bytes([i & 255])
    wire.check(expect="tcp.flags.fin == 1 && ip.src == " + wire.ip)


@pytest.mark.parametrize("how", [("--spin", 2000), ("--sleep",)], ids=["spins", "sleeps"])
def test_echo_of_a_stack_that(wire, target, how):
    wire.peer(target, "echo", 5001, *how)
    with wire.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(500):
            s.sendall(bytes([i & 255]) * (1 + i % 90))
            got = b""
            while len(got) < 1 + i % 90:
                got += s.recv(200)
            assert got == bytes([i & 255]) * (1 + i % 90)
            if i % 100 == 99:
                time.sleep(0.02)  # longer than it spins
    wire.check()


def test_closed_port_is_refused(wire, target):
    wire.peer(target, "echo")
    with pytest.raises(ConnectionRefusedError):
        wire.connect(5002)
    wire.check(expect="tcp.flags.reset == 1")


@pytest.mark.parametrize("direction", ["to", "from"])
def test_2_mb_with_every_checksum_looked_at(wire, target, direction):
    if direction == "to":
        wire.peer(target, "digest")
        upload(wire, 2 * MB)
    else:
        wire.peer(target, "source")
        download(wire, 2 * MB)
    wire.check()


@pytest.mark.parametrize("direction", ["to", "from"])
def test_100_mb_bit_exact(bare_wire, target, direction):
    wire = bare_wire
    wire.tap(snap=96)
    if direction == "to":
        wire.peer(target, "digest")
        upload(wire, 100 * MB)
    else:
        wire.peer(target, "source")
        download(wire, 100 * MB)
    wire.check()


@pytest.mark.parametrize("direction", ["to", "from"])
def test_50_mb_through_faults(bare_wire, target, direction):
    """3 % lost, 3 % reordered, 1 % duplicated, 1 % corrupted, in both directions."""
    wire = bare_wire
    wire.tap(snap=96)
    options = ("--fault", FAULTS, "--seed", 7)
    if direction == "to":
        wire.peer(target, "digest", 5001, *options)
        upload(wire, 50 * MB, timeout=120)
    else:
        wire.peer(target, "source", 5001, *options)
        download(wire, 50 * MB, timeout=120)
    wire.stop()
    if netlab.has("tshark"):  # the wire was as bad as it should be
        again = netlab.tshark(wire.captures[0].path, "tcp.analysis.retransmission", "frame.number")
        assert len(again) > 50 * MB // 1460 * 3 // 100, len(again)


def test_echo_through_faults(wire, target):
    wire.peer(target, "echo", 5001, "--fault", FAULTS, "--seed", 11)
    data = os.urandom(MB)
    assert echo(wire, data, timeout=60) == data


def test_200_connections_one_after_another(wire, target):
    wire.peer(target, "echo")
    for i in range(200):
        data = b"connection %d" % i
        assert echo(wire, data, timeout=5) == data
    wire.check()


def test_50_connections_at_once(wire, target):
    wire.peer(target, "echo", 5001, "--sockets", 50, "--rx", 8192, "--tx", 8192)
    selector = selectors.DefaultSelector()
    want, got = {}, {}
    sockets = [wire.connect() for _ in range(50)]
    for i, s in enumerate(sockets):
        want[s] = random.Random(i).randbytes(40000)
        got[s] = bytearray()
        s.setblocking(False)
        selector.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE)
    sent = dict.fromkeys(sockets, 0)
    while selector.get_map():
        events = selector.select(20)
        assert events, "nothing moves"
        for key, mask in events:
            s = key.fileobj
            if mask & selectors.EVENT_WRITE:
                sent[s] += s.send(want[s][sent[s] : sent[s] + 8000])
                if sent[s] == len(want[s]):
                    s.shutdown(socket.SHUT_WR)
                    selector.modify(s, selectors.EVENT_READ)
            if mask & selectors.EVENT_READ:
                piece = s.recv(65536)
                got[s] += piece
                if not piece:
                    selector.unregister(s)
    for s in sockets:
        assert got[s] == want[s]
        s.close()
    wire.check()


def test_linux_resets_and_the_next_connection_works(wire, target):
    import struct

    wire.peer(target, "source")
    for _ in range(5):
        s = wire.connect()
        assert s.recv(100)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    download(wire, 10000)
    wire.check(expect="tcp.flags.reset == 1 && ip.src == " + wire.kernel_ip)


@pytest.mark.parametrize("size", [1, 2, 64, 536, 1459, 1461])
def test_tiny_buffers(wire, size):
    wire.peer("unix32", "echo", 5001, "--rx", size, "--tx", size)
    data = os.urandom(min(2000, size * 20))
    assert echo(wire, data) == data
    wire.check()


def test_server_program(wire, target):
    """server.py: every service of it, from Linux's own tools."""
    wire.start(target, "server.py", "tap0", wire.address)
    out = wire.run("curl", "-s", "-S", "-m", "10", "http://%s/" % wire.ip)
    assert out.startswith("smolmp on 192.168.69.1/24")
    out = wire.run("curl", "-s", "-m", "10", "-I", "http://%s/" % wire.ip, check=False)
    assert "405" in out
    with wire.connect(6969) as s:
        assert s.makefile("rb").read() == b"hello\n"
    assert echo(wire, b"abc\ndefg\n", 6970) == b"cba\ngfed\n"
    upload(wire, 200000, 6971)
    download(wire, 200000, 6972)
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((wire.ip, 6969))
        s.send(b"abc")
        assert s.recv(10) == b"cba"
    wire.check()


def listen(wire, port):
    s = wire.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((wire.kernel_ip, port))
    s.listen(5)
    s.settimeout(20)
    return s


def test_httpget_program(wire, target):
    body = os.urandom(100000).hex().encode()
    with listen(wire, 8080) as server:
        program = wire.start(
            *(target, "httpget.py", "tap0", wire.address),
            "http://%s:8080/some/thing" % wire.kernel_ip,
            ready=None,
        )
        s, _ = server.accept()
        with s:
            s.settimeout(10)
            request = b""
            while b"\r\n\r\n" not in request:
                request += s.recv(1000)
            assert request.startswith(b"GET /some/thing HTTP/1.0\r\n")
            s.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        assert program.wait() == 0, program.output
        assert program.output == body.decode()
        # nobody listens
        program = wire.start(
            *(target, "httpget.py", "tap0", wire.address),
            "http://%s:8081/" % wire.kernel_ip,
            ready=None,
        )
        assert program.wait() == 1
        assert "ECONNREFUSED" in program.output
    wire.check()


def test_client_program(wire, target):
    with listen(wire, 7000) as server:
        program = wire.start(
            target, "client.py", "tap0", wire.address, wire.kernel_ip, 7000, ready=None
        )
        s, _ = server.accept()
        with s:
            s.settimeout(10)
            for i in range(3):
                s.sendall(b"line %d\n" % i)
                assert s.recv(100) == b"%d enil\n" % i
        assert program.wait() == 0, program.output
        assert re.search("connected: 192.168.69.100:7000 from 192.168.69.1:[0-9]+", program.output)
    wire.check()


@pytest.mark.targets("unix64-wheel")
def test_wheel_with_an_inherited_descriptor(wire, target):
    fd = wire.kernel.open_tap()
    wire.peer(target, "digest", 5001, "--fd", fd, fds=[fd])
    os.close(fd)
    upload(wire, 10 * MB)
    wire.check()


def test_af_packet_over_veth(veth_wire, target):
    wire = veth_wire
    wire.start(
        *(target, "peer.py", "veth0", wire.address, "digest", 5001, "--packet"),
        namespace=wire.far,
    )
    upload(wire, 10 * MB)
    wire.check()
