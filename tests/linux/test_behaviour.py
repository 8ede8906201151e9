"""How connections begin, live and end, between Linux and smolmp: timestamps, half-close, linger,
keep-alive, FIN-WAIT-2, TIME-WAIT."""

import errno
import os
import re
import socket
import struct
import sys
import time

import netlab
import pytest

sys.path.insert(0, os.path.dirname(__file__))

from test_tcp import MB, download, listen, upload  # noqa: E402

pytestmark = pytest.mark.targets("unix32")  # what the word size does is seen in tests/unit
CHECK = "tests/linux/behaviour_check.py"


def start(wire, target, task, *options):
    return wire.start(target, CHECK, "tap0", wire.address, task, *options)


def connect_from(wire, port):
    """A connection from a given port of Linux."""
    for _ in range(100):
        s = wire.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(5)
        s.bind((wire.kernel_ip, port))
        try:
            s.connect((wire.ip, 5001))
            return s
        except OSError as e:
            s.close()
            if e.errno != errno.EADDRNOTAVAIL:  # Linux's last connection awaits its last ACK
                raise
            time.sleep(0.01)
    raise AssertionError("Linux keeps the port")


def rows(wire, display, *fields):
    """What tshark finds, after the wire was checked; skips where there is no tshark."""
    if not netlab.has("tshark"):
        pytest.skip("NO TSHARK: the frames were not looked at")
    return netlab.tshark(wire.captures[0].path, display, *fields)


@pytest.mark.targets("unix64", "unix32")
@pytest.mark.parametrize("direction", ["to", "from"])
def test_timestamps(wire, target, direction):
    """On every segment of both sides, and Linux takes all of ours."""
    if direction == "to":
        start(wire, target, "digest", "--timestamps")
        upload(wire, 2 * MB)
    else:
        start(wire, target, "source", "--timestamps")
        download(wire, 2 * MB)
    wire.check(expect="tcp.options.timestamp.tsval")
    assert not rows(
        wire, "tcp && !tcp.options.timestamp.tsval && !tcp.flags.reset", "frame.number"
    )


@pytest.mark.parametrize("direction", ["to", "from"])
def test_timestamps_through_faults(wire, target, direction):
    """Losses, duplicates and reordering: PAWS rejects nothing that is needed."""
    faults = ("--timestamps", "--fault", "drop=3,reorder=3,duplicate=3,corrupt=1", "--seed", 3)
    if direction == "to":
        start(wire, target, "digest", *faults)
        upload(wire, 5 * MB, timeout=60)
    else:
        start(wire, target, "source", *faults)
        download(wire, 5 * MB, timeout=60)


def test_half_close_by_us(wire, target):
    """smolmp ends first and reads on; Linux has 2 MB to say after that."""
    program = start(wire, target, "half")
    with wire.connect() as s:
        assert s.makefile("rb").read() == b"hello\n"
        for _ in range(20):
            s.sendall(bytes(100000))
    program.wait_line("octets 2000000")
    wire.check()


def test_linger_0_is_a_reset_to_linux(wire, target):
    start(wire, target, "linger")
    for _ in range(3):
        with wire.connect() as s:
            s.sendall(b"line\n")
            with pytest.raises(ConnectionResetError):
                s.recv(10)
    wire.check(expect="tcp.flags.reset == 1 && ip.src == " + wire.ip)


def test_text_for_nobody_is_reset(wire, target):
    program = start(wire, target, "deaf")
    with wire.connect() as s:
        s.sendall(b"line\n")
        assert s.recv(10) == b""
        program.wait_line("state FIN-WAIT-2")
        s.sendall(b"more\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(100):
                time.sleep(0.02)
                s.sendall(b"more\n")
    program.wait_line("closed 103")
    wire.check(expect="tcp.flags.reset == 1 && ip.src == " + wire.ip)


def test_fin_wait_2_ends(wire, target):
    """Linux does not end its half: a second later it is forgotten, and the next one served."""
    program = start(wire, target, "deaf")
    with wire.connect() as s:
        s.sendall(b"line\n")
        assert s.recv(10) == b""
        program.wait_line("closed 0")
        with wire.connect() as other:
            other.sendall(b"line\n")
            assert other.recv(10) == b""
    wire.stop()


def test_linux_answers_keep_alives(wire, target):
    program = start(wire, target, "alive")
    s = wire.connect()
    s.sendall(b"line\n")
    time.sleep(2)
    s.sendall(b"still there\n")
    assert "closed" not in program.output
    # Now nobody answers any more.
    wire.run("ip", "addr", "flush", "dev", "tap0")
    begin = time.monotonic()
    program.wait_line("closed %d" % errno.ETIMEDOUT, 5)
    assert 0.5 < time.monotonic() - begin < 3
    s.close()
    wire.stop()
    probes = rows(wire, "tcp.analysis.keep_alive && ip.src == " + wire.ip, "frame.number")
    answers = rows(wire, "tcp.analysis.keep_alive_ack", "frame.number")
    assert len(probes) >= 7 and len(answers) >= 3


@pytest.mark.parametrize("sockets", [1, 2])
@pytest.mark.parametrize("timestamps", [False, True])
def test_linux_comes_again_from_the_same_port(wire, target, sockets, timestamps):
    """smolmp closed first and is in TIME-WAIT; the same port of Linux gets in at once."""
    options = ["--timestamps"] if timestamps else []
    program = start(wire, target, "first", "--sockets", sockets, *options)
    for i in range(20):
        with connect_from(wire, 40000) as s:
            s.sendall(b"line %d\n" % i)
            assert s.makefile("rb").read() == b"bye\n", i
    program.wait_line("time-wait")
    wire.check()


@pytest.mark.parametrize("timestamps", [False, True])
def test_we_come_again_from_the_same_port(wire, target, timestamps):
    """smolmp closes first, TIME-WAIT is its own; with timestamps the next connection follows."""
    with listen(wire, 7000) as server:
        options = ["--timestamps"] if timestamps else []
        program = start(wire, target, "again", wire.kernel_ip, *options)
        for i in range(10 if timestamps else 1):
            s, peer = server.accept()
            with s:
                s.settimeout(5)
                assert peer[1] == 5002
                assert s.makefile("rb").read() == b"%d\n" % i
        if timestamps:
            assert program.wait(20) == 0, program.output
            assert "CLOSED" not in program.output
            wire.check()
        else:
            program.wait(20)
            assert "EADDRINUSE" in program.output  # two minutes, or in our case ten seconds
            wire.captures[0].stop()


def test_what_both_say_of_a_connection(wire, target):
    """socket.stats() beside Linux's TCP_INFO."""
    program = start(wire, target, "stats")
    data = os.urandom(3 * MB)
    with wire.connect() as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        assert s.recv(10) == b""
        info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    # tcpi_bytes_acked counts the SYN or FIN on some kernels
    acked = struct.unpack_from("Q", info, 120)[0]
    text = program.wait_line(r"stats .*\n").group().decode()
    received = int(re.search(r"'received': (\d+)", text).group(1))
    assert received == len(data) and 0 <= acked - received <= 2
    assert re.search(r"'sent': 0\b", text)
    wire.check()
