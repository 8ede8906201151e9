"""The examples, as they stand, against Linux: dnsmasq, curl, mosquitto, tshark."""

import re
import socket
import subprocess
import sys

import netlab
import pytest
from test_dhcp import ARGS, Dnsmasq
from test_mqtt import Broker
from web_server import Server, certificate

HERE = "192.168.69.100"
OPTIONS = (
    "--dhcp-range=192.168.69.50,192.168.69.59,255.255.255.0,120",
    "--dhcp-option=3," + HERE,
    "--address=/example.org/" + HERE,
    "--address=/broker.lan/" + HERE,
    "--no-resolv",
    "--no-hosts",
)


@pytest.fixture
def lan(wire, tmp_path):
    """The wire, with dnsmasq giving addresses and names."""
    if not netlab.has("dnsmasq"):
        pytest.skip("dnsmasq is missing: tools/setup system")
    with Dnsmasq(wire, tmp_path, *OPTIONS, settings=ARGS.replace("--port=0", "")) as dnsmasq:
        wire.dnsmasq = dnsmasq
        yield wire


def example(lan, target, name, ready, **more):
    """Starts an example: (the program, the match of `ready`)."""
    program = lan.start(target, "examples/" + name, ready=ready, **more)
    return program, program.wait_line(ready)


@pytest.mark.targets("unix64")
def test_bringup(lan, target):
    program, _ = example(lan, target, "bringup.py", "^example.org is 192.168.69.100$")
    address = re.search(r"192\.168\.69\.5\d", program.output)[0]
    assert "1 received" in lan.run("ping", "-c", "1", "-W", "2", address)
    assert program.wait(20) == 0, program.output
    lan.dnsmasq.wait("DHCPRELEASE")
    lan.check()


def connect(lan, address, port):
    s = lan.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(20)
    s.connect((address, port))
    return s


@pytest.mark.targets("unix32")
def test_echo_server(lan, target):
    program, found = example(lan, target, "echo_server.py", r"^echo server at (\S+) port 7$")
    clients = [connect(lan, found[1].decode(), 7) for _ in range(3)]
    for text in (b"hello", b"x" * 3000):
        for s in clients:
            s.sendall(text)
        for s in clients:
            assert s.makefile("rb").read(len(text)) == text
    clients[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    clients[0].close()
    program.wait_line("^lost: ")
    for s in clients[1:]:
        s.shutdown(socket.SHUT_WR)
        assert s.recv(100) == b""
        s.close()
    with connect(lan, found[1].decode(), 7) as s:
        s.sendall(b"again")
        assert s.recv(100) == b"again"
    assert program.output.count("hello 192.168.69.100") == 4
    lan.check()


@pytest.mark.targets("unix64")
def test_http_client(lan, target, tmp_path):
    page = "<p>a page</p>\n" * 2000
    (tmp_path / "index.html").write_text(page)
    server = [sys.executable, "-m", "http.server", "-d", str(tmp_path), "80"]
    process = lan.kernel.popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        lan.run("curl", "-sS", "--retry", "9", "--retry-connrefused", "http://127.0.0.1/")
        program, _ = example(lan, target, "http_client.py", "^a page of %d octets$" % len(page))
        assert "HTTP/1.0 200 OK" in program.output
        assert program.wait(20) == 0, program.output
    finally:
        process.terminate()
        process.wait(10)
    lan.check()


@pytest.mark.targets("unix32")
def test_https_client(lan, target, tmp_path):
    """A server it trusts, and one that somebody else vouches for."""
    if not netlab.has("openssl"):
        pytest.skip("openssl is missing: tools/setup system")
    for name in ("right", "wrong"):
        (tmp_path / name).mkdir()
    right = certificate(tmp_path / "right", "example.org")
    certificate(tmp_path / "wrong", "example.org")
    server = Server(lan.kernel, 443, right)
    for name, said in (("right", "^a page of 7 octets$"), ("wrong", "^no page: ")):
        folder = tmp_path / name
        (folder / "certificate.pem").rename(folder / "ca.pem")
        program, _ = example(lan, target, "https_client.py", said, cwd=str(folder))
        assert program.wait(20) == 0, program.output
    assert server.seen.count("/") == 1
    server.close()
    lan.check()


@pytest.mark.targets("unix64")
def test_web(lan, target):
    program, found = example(lan, target, "web.py", r"^(http://\S+/)$")
    url = found[1].decode()
    assert "<h1>smolmp</h1>" in lan.run("curl", "-sS", url)
    assert "HTTP/1.0 404 Not Found" in lan.run("curl", "-sSi", url + "nothing")
    with connect(lan, url[7:-1], 80) as idle:  # does not keep the others waiting
        texts = lan.run("curl", "-sS", "--no-progress-meter", "--parallel", *[url] * 20)
        assert texts.count("<h1>smolmp</h1>") == 20
        idle.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert idle.makefile("rb").readline() == b"HTTP/1.0 200 OK\r\n"
    ages = [int(re.search(r"up for (\d+) s", text)[1]) for text in (texts, lan.run("curl", url))]
    assert ages == sorted(ages) and program.alive()
    lan.check()


@pytest.mark.targets("unix32")
def test_mqtt_sensor(lan, target, tmp_path, third_party):
    """umqtt.simple where mip would lay it; micropython-home-assistant's stands in for it."""
    (tmp_path / "umqtt").mkdir()
    (tmp_path / "umqtt/simple.py").symlink_to(third_party + "/mha/umqtt/__init__.py")
    path = {"MICROPYPATH": "%s:%s:.frozen" % (netlab.ROOT, tmp_path)}
    broker = Broker(lan, tmp_path)
    ready = "^the broker is away: .*111"
    example(lan, target, "mqtt_sensor.py", ready, env=path)
    broker.start()
    broker.ears.wait_line("^00 pico/state here$")
    broker.ears.wait_line(r"^00 pico/free \d{5,}$")
    broker.server.wait_line("Sending SUBACK to pico")
    said = broker.ears.output.count("pico/free")
    broker.publish("pico/seconds", "1")
    broker.ears.wait_line(r"(?s)(pico/free \d+\n.*){%d}" % (said + 1))
    broker.stop()
    lan.check()


@pytest.mark.targets("unix64")
def test_capture(lan, target, tmp_path):
    program, found = example(lan, target, "capture.py", r"^ping (\S+)$", cwd=str(tmp_path))
    lan.run("ping", "-c", "25", "-i", "0.01", found[1].decode())
    assert program.wait(30) == 0, program.output
    frames = int(re.search(r"^(\d+) frames in capture.pcap$", program.output, re.MULTILINE)[1])
    assert frames >= 50
    path = str(tmp_path / "capture.pcap")
    assert len(netlab.tshark(path, "icmp.type == 8")) >= 20
    assert netlab.tshark(path, "udp.port == 67")
    lan.check()
