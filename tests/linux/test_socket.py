"""smolmp.net: the socket module beside the port's own, and programs that nobody here wrote."""

import difflib
import json
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time

import netlab
import pytest
from test_dhcp import ARGS, RANGE, Dnsmasq

NET = "tests/linux/net/"
BROWSER = "/usr/lib/chromium/chromium-headless-shell"  # not the script that starts it
RESET = struct.pack("ii", 1, 0)
ECHO, CLOSER, RESETTER, SOURCE, SILENT, CALLER, NOBODY, UDP_ECHO = range(7001, 7009)
SINK, DEAF, OBEDIENT = range(7011, 7014)
FULL = 7020


class Peers:
    """What the oracle's calls talk to, in the namespace `kernel`."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.open = []
        self.hang_up = threading.Event()
        serve = {
            ECHO: self.echo,
            CLOSER: lambda s: s.close(),
            RESETTER: self.reset,
            SOURCE: lambda s: (s.sendall(bytes(range(256)) * 40), s.close()),
            SILENT: self.open.append,
            CALLER: self.call,
            SINK: self.sink,
            DEAF: self.deaf,
            OBEDIENT: self.obey,
        }
        for port, handler in serve.items():
            listener = kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port in (SILENT, DEAF):
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            listener.bind((netlab.KERNEL_IP, port))
            listener.listen(8)
            self.open.append(listener)
            threading.Thread(target=self.accept, args=(listener, handler), daemon=True).start()
        self.full()
        self.udp = kernel.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((netlab.KERNEL_IP, UDP_ECHO))
        self.open.append(self.udp)
        threading.Thread(target=self.datagrams, daemon=True).start()

    def accept(self, listener, handler):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(handler, s), daemon=True).start()

    def serve(self, handler, s):
        try:
            handler(s)
        except OSError:
            pass  # the other end broke it, as it is asked to

    def full(self):
        """A listener whose queue is full: the kernel drops what else calls there."""
        listener = self.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((netlab.KERNEL_IP, FULL))
        listener.listen(0)
        call = self.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
        call.connect((netlab.KERNEL_IP, FULL))
        self.open += [listener, call]

    def sink(self, s):
        while s.recv(65536):
            pass
        s.close()

    def deaf(self, s):
        """Reads nothing, and has nothing more to say when a datagram tells it to hang up."""
        self.open.append(s)
        self.hang_up.wait(20)
        self.hang_up.clear()
        s.shutdown(socket.SHUT_WR)

    def obey(self, s):
        """Waits for the end, says so, and a while later hangs up."""
        while s.recv(100):
            pass
        time.sleep(0.3)
        s.sendall(b"I see")
        time.sleep(0.1)
        s.close()

    def echo(self, s):
        while True:
            data = s.recv(4096)
            if not data:
                break
            s.sendall(data)
        s.close()

    def reset(self, s):
        s.recv(1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        s.close()

    def call(self, s):
        """Connects to the port that it is told, says hello, repeats a line and hangs up."""
        port = struct.unpack("!H", s.recv(2))[0]
        back = self.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
        back.connect((netlab.STACK_IP, port))
        back.sendall(b"hello")
        back.sendall(back.recv(100).upper())
        back.close()

    def datagrams(self):
        while True:
            data, source = self.udp.recvfrom(4096)
            if source is None:
                return  # shut down
            if data == b"hang up":
                self.hang_up.set()
            self.udp.sendto(data, source)

    def close(self):
        for s in self.open:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


@pytest.fixture
def peers(bare_wire):
    found = []

    def make():
        found.append(Peers(bare_wire.kernel))
        return found[0]

    yield make
    for p in found:
        p.close()


def ask(wire, target, which, **more):
    log = "%s-%s.log" % (wire.name, which)
    arguments = (NET + "oracle.py", which, wire.kernel_ip)
    return wire.start(target, *arguments, ready=None, log=log, **more)


def answers(program):
    assert program.wait(60) == 0, program.output
    return program.output.splitlines()


def test_sockets_answer_as_the_ports_own(laboratory, bare_wire, target, peers):
    """The same calls over the kernel's sockets and over smolmp's: line for line the same."""
    with netlab.Namespace() as other, netlab.Namespace() as near:
        netlab.veth(near, other)
        near.up("veth0", netlab.KERNEL_IP + "/24")
        other.up("veth0", netlab.STACK_IP + "/24")
        their = Peers(near)
        kernel = ask(bare_wire, target, "kernel", namespace=other)
        bare_wire.tap()
        peers()
        ours = answers(ask(bare_wire, target, "smolmp"))
        kernel = answers(kernel)
        their.close()
    differences = list(difflib.unified_diff(kernel, ours, lineterm=""))
    assert not differences, "\n".join(differences)
    assert len(kernel) > 200


def test_microdot_serves_pages_and_websockets(wire, target, third_party):
    program = wire.start(target, NET + "web.py", third_party)
    assert wire.run("curl", "-sS", "http://192.168.69.1/") == "<h1>smolmp</h1>"
    big = wire.run("curl", "-sS", "http://192.168.69.1/big/300")
    assert big == "0123456789abcdef" * 64 * 300
    assert wire.run("curl", "-sS", "-d", "shout", "http://192.168.69.1/upper") == "SHOUT"
    assert "404" in wire.run("curl", "-sSi", "http://192.168.69.1/nothing")
    with wire.connect(80) as s:
        websocket(s)
    many = ["http://192.168.69.1/big/20"] * 40
    text = wire.run("curl", "-sS", "--no-progress-meter", "--parallel", *many)
    assert len(text) == 40 * 20 * 1024
    assert "LISTEN" in wire.run("curl", "-sS", "http://192.168.69.1/net")
    assert wire.run("curl", "-sS", "http://192.168.69.1/end") == "bye"
    assert program.wait(20) == 0, program.output
    wire.check()


@pytest.mark.targets("unix64")
def test_microdot_and_a_browser(wire, target, third_party, tmp_path):
    """A style sheet, pages side by side, a WebSocket and forms, as a browser asks for them."""
    if not netlab.has(BROWSER):
        pytest.skip("no browser: apt-get install chromium-headless-shell")
    program = wire.start(target, NET + "web.py", third_party)
    argv = [BROWSER, "--no-sandbox", "--disable-gpu", "--user-data-dir=%s" % tmp_path]
    argv += ["--remote-debugging-port=0", "http://192.168.69.1/page"]
    browser = wire.kernel.program(argv, wire.name + "-browser.log")
    found = program.wait_line(r"^result (.*)$", 40)
    browser.stop()
    assert json.loads(found[1]) == {
        "color": "rgb(1, 2, 3)",
        "pages": [1024 * n for n in range(1, 9)],
        "heard": True,
        "upper": "SHOUT",
    }
    assert wire.run("curl", "-sS", "http://192.168.69.1/end") == "bye"
    assert program.wait(20) == 0, program.output
    wire.check()


def websocket(s):
    """A client of RFC 6455: the handshake of its section 1.3, and two messages there and back."""
    s.sendall(
        b"GET /echo HTTP/1.1\r\nHost: 192.168.69.1\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    stream = s.makefile("rb")
    assert b" 101 " in stream.readline()
    lines = list(iter(stream.readline, b"\r\n"))
    assert any(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in line for line in lines), lines
    for text in (b"hello", b"x" * 100):
        mask = b"\x01\x02\x03\x04"
        masked = bytes(octet ^ mask[i & 3] for i, octet in enumerate(text))
        s.sendall(bytes([0x81, 0x80 | len(text)]) + mask + masked)
        assert stream.read(2) == bytes([0x81, len(text)])
        assert stream.read(len(text)) == text


def test_requests_and_asyncio_fetch(wire, target, tmp_path):
    (tmp_path / "hello.txt").write_text("hello from Linux")
    large = random.Random(1).randbytes(300000)
    (tmp_path / "large.bin").write_bytes(large)
    server = [sys.executable, "-m", "http.server", "-d", str(tmp_path), "8000"]
    process = wire.kernel.popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wire.run("curl", "-sS", "--retry", "9", "--retry-connrefused", "http://127.0.0.1:8000/")
        program = wire.start(target, NET + "fetch.py", wire.kernel_ip, ready=None)
        assert program.wait(40) == 0, program.output
    finally:
        process.terminate()
        process.wait(10)
    lines = program.output.splitlines()
    assert lines[:3] == ["200 hello from Linux", "200 300000 %d" % sum(large), "404"]
    assert lines[3:8] == ["b'HTTP/1.0 200 OK\\r\\n' b'hello from Linux'"] * 5
    assert "connections: 8 of 8 free" in program.output, program.output
    wire.check()


def test_dhcp_and_dns_by_themselves(wire, target, tmp_path):
    """Net without an address: dnsmasq gives one, tells a name server, and is it."""
    (tmp_path / "hello.txt").write_text("hello from Linux")
    server = [sys.executable, "-m", "http.server", "-d", str(tmp_path), "8000"]
    options = ["--address=/server.test/192.168.69.100", "--address=/short.lan.test/192.168.69.100"]
    options += ["--no-resolv", "--no-hosts", "--local=/test/", "--dhcp-option=119,lan.test"]
    process = wire.kernel.popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    settings = ARGS.replace("--port=0", "--port=53")
    try:
        with Dnsmasq(wire, tmp_path, RANGE, *options, settings=settings) as dnsmasq:
            program = wire.start(target, NET + "auto.py", ready=None)
            assert program.wait(40) == 0, program.output
            dnsmasq.wait("DHCPRELEASE")
    finally:
        process.terminate()
        process.wait(10)
    assert program.output.splitlines() == [
        "up True 24 ['192.168.69.100'] ['lan.test']",
        "hello from Linux",
        "hello from Linux",
        "nothing.test: -2",
        "down False STOPPED True",
        "up again True",
    ], program.output


def test_raw_sockets_callbacks_and_options(wire, target, peers):
    peers()
    program = wire.start(target, NET + "options.py", wire.kernel_ip, ready=None)
    assert program.wait(40) == 0, program.output
    assert program.output.splitlines() == [
        "ping 192.168.69.100 0 b'\\x00M\\x00\\x01smolmp'",
        "left [104, 104, 104, 104, 104]",
        "gone 107",
        "tcp (7, False, 3000, 0) 64 minshall 0 9",
        "tcp 0 None",
        "all in use 12",
        "udp 64 0",
        "sendall None True",
        "b'text, too'",
        "no more 11",
        "called b'hello'",
    ], program.output
    wire.check()


SHOWN = r"""ready
<Net busy, up>
Interface 02:\S+ mtu 1500 up
  addresses  192.168.69.1/24
  routes     default via 192.168.69.100
  neighbors  192.168.69.100 \S+
  paths      -
  counters   .*rx_frames \d+.* tcp_accepted 1 .*
  dns        192.168.69.100 lan.test
  <tcp ESTABLISHED \('192.168.69.1', 80\) -> \('192.168.69.100', \d+\)> in 4 out 0 .*, rtt \d+ ms
  <udp \('', 7\) -> None> in 9 out 0 octets, lost 0 in 0 out
  <tcp LISTEN \('', 80\): half-open 0/16, waiting 0/2, accepted 1, free 3/4>
  <raw 1> in \d+ out 0 octets, lost 0 in 0 out
  dns nobody.tells 1 (-3|\\.\\.\\.)
  connections: 4 of 8 free; UDP sockets: 3 free
12 5 .*all in use: Net\(tcp=\).*
12 3 .*all in use: Net\(udp=\).*
"""


@pytest.mark.targets("unix64")
def test_what_print_shows_of_a_busy_host(wire, target, peers):
    """Everything at one glance; and errors say what to do."""
    peers()
    program = wire.start(target, NET + "shown.py", wire.kernel_ip)
    with wire.connect(80) as s, wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        u.sendto(b"datagrams", (wire.ip, 7))
        s.sendall(b"12345")
        assert program.wait(20) == 0, program.output
    shown = program.output.splitlines()
    wanted = SHOWN.splitlines()
    assert len(shown) == len(wanted), program.output
    for line, pattern in zip(shown, wanted):
        assert re.fullmatch(pattern, line), (pattern, program.output)
