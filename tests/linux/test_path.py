"""Paths: routers with narrow links, routers that say nothing, that say no, that mark (ECN)."""

import hashlib
import re
import socket
import threading

import netlab
import netpath
import pytest
from transfer import MB, download, pattern, upload

CHECK = "tests/linux/path_check.py"
NEEDED = "icmp.type == 3 && icmp.code == 4"


class From:
    """Connections to the stack from another namespace, for upload() and download()."""

    def __init__(self, wire, namespace):
        self.ip = wire.ip
        self.namespace = namespace

    def connect(self, port=5001, timeout=20):
        s = self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect((self.ip, port))
        return s


def matches(wire, expression, field="ip.len"):
    """What tshark finds in the first capture, a list of `field`; None without tshark."""
    if not netlab.has("tshark"):
        return None
    return netlab.tshark(wire.captures[0].path, expression, field)


@pytest.fixture
def chain(wire):
    """makes routers behind the kernel's end of the wire"""
    made = []

    def make(*mtus):
        made.extend(netpath.chain(wire.kernel, *mtus))
        return made[-1]

    yield make
    for namespace in made:
        namespace.close()


def result(program, key):
    found = re.search("^%s: (.*)$" % key, program.output, re.M)
    return found.group(1) if found else None


def answer_digest(namespace, address, port=7000):
    """A server that takes one connection whole; ask its result() for the octets and SHA-256"""
    listening = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((address, port))
    listening.listen(1)
    listening.settimeout(20)

    def serve():
        with listening:
            s, _ = listening.accept()
        with s:
            s.settimeout(20)
            digest, n = hashlib.sha256(), 0
            while True:
                piece = s.recv(1 << 16)
                if not piece:
                    break
                digest.update(piece)
                n += len(piece)
            s.sendall(b"%d %s\n" % (n, digest.hexdigest().encode()))

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize("direction", ["to", "from"])
def test_narrow_links(wire, chain, target, direction):
    """1500, 1280, 600, 1500: both ends find out by what the routers say."""
    far = From(wire, chain(1280, 600, 1500))
    mode = "digest" if direction == "to" else "source"
    wire.peer(target, mode, 5001, "--gateway", wire.kernel_ip)
    if direction == "to":
        upload(far, 2 * MB)
    else:
        download(far, 2 * MB)
    wire.check(but="icmp")  # which quotes segments in part
    if direction == "from":
        told = matches(wire, NEEDED + " && ip.dst == " + wire.ip, "icmp.mtu")
        assert told is None or {"1280", "600"} <= set(told), told
        sent = matches(wire, "ip.src == %s && tcp.len > 0" % wire.ip, "ip.len")
        if sent:
            sent = [int(n) for n in sent]
            assert max(sent) == 1500 and max(sent[len(sent) // 2 :]) == 600


def test_datagrams_through_narrow_links(wire, chain, target):
    far = chain(1280, 600, 1500)
    s = far.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.0.2.2", 7000))
    s.settimeout(20)

    def echo():
        data, sender = s.recvfrom(2000)
        s.sendto(data, sender)

    thread = threading.Thread(target=echo)
    thread.start()
    program = wire.start(
        *(target, CHECK, "tap0", wire.address, "udp", "10.0.2.2", 7000, 572),
        *("--gateway", wire.kernel_ip),
    )
    assert program.wait() == 0, program.output
    thread.join(20)
    s.close()
    assert result(program, "errors") == "[90]", program.output  # EMSGSIZE
    assert result(program, "answered") == "True", program.output
    assert result(program, "path mtu") == "600", program.output
    wire.check(but="icmp", expect=NEEDED)


def test_black_hole(wire, chain, target):
    """The routers' words are lost on the way."""
    far = From(wire, chain(1280, 1500))
    with netpath.Cable(wire.kernel, "tap0", netpath.drop_too_big) as cable:
        wire.start(
            *(target, "peer.py", "tap0", wire.address, "source", 5001),
            *("--gateway", wire.kernel_ip, "--fd", cable.fd),
            fds=[cable.fd],
        )
        download(far, MB, timeout=30)
        wire.stop()
    told = matches(wire, NEEDED)
    assert told is None or told  # they did say it
    sent = matches(wire, "ip.src == %s && tcp.len > 1000" % wire.ip, "tcp.len")
    if sent:
        sent = [int(n) for n in sent]
        assert max(sent) == 1460 and max(sent[len(sent) // 2 :]) == 1024


@pytest.mark.parametrize("kind, errno", [("unreachable", 113), ("prohibit", 113)])
def test_router_refuses(wire, target, kind, errno):
    """A route that Linux answers by ICMP: the attempt ends at once."""
    wire.kernel.sysctl("net.ipv4.ip_forward", 1)
    wire.run("ip", "route", "add", kind, "10.9.0.0/16")
    program = wire.start(
        *(target, CHECK, "tap0", wire.address, "connect", "10.9.1.1", 80),
        *("--gateway", wire.kernel_ip),
    )
    assert program.wait(5) == 0, program.output
    assert result(program, "ended") == str(errno), program.output
    wire.check(but="icmp", expect="icmp.type == 3")


def test_reason_of_a_timeout(wire, chain, target):
    """The far host vanishes behind its router, which says so: the connection waits, then tells."""
    far = chain(1500)
    with far.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("10.0.0.2", 7000))
        listening.listen(1)
        listening.settimeout(20)
        program = wire.start(
            *(target, CHECK, "tap0", wire.address, "reason", "10.0.0.2", 7000),
            *("--gateway", wire.kernel_ip),
        )
        s, _ = listening.accept()
        with s:
            s.settimeout(20)
            s.recv(1000)
            wire.run("ip", "route", "add", "unreachable", "10.0.0.2/32")
            assert program.wait(20) == 0, program.output
    assert result(program, "connected") == "mss 1460"
    assert result(program, "ended") == "113", program.output  # EHOSTUNREACH
    assert int(result(program, "tcp_icmp_errors")) > 0
    wire.check(but="icmp", expect="icmp.type == 3 && icmp.code == 1")


def marked_wire(wire, every=50):
    """A wire that marks, and Linux asking for ECN; (Cable, Marker)"""
    assert wire.kernel.sysctl("net.ipv4.tcp_ecn", 1)
    marker = netpath.Marker(every)
    return netpath.Cable(wire.kernel, "tap0", marker), marker


def flags(wire, who, expression):
    """frames from who that match; None without tshark"""
    return matches(wire, "ip.src == %s && %s" % (who, expression), "frame.number")


@pytest.mark.parametrize("direction", ["to", "from"])
def test_ecn_that_linux_asks_for(wire, target, direction):
    cable, marker = marked_wire(wire)
    mode = "digest" if direction == "to" else "source"
    with cable:
        wire.start(
            *(target, "peer.py", "tap0", wire.address, mode, 5001, "--fd", cable.fd),
            fds=[cable.fd],
        )
        if direction == "to":
            upload(wire, 5 * MB)
        else:
            download(wire, 5 * MB)
        wire.check()
    sender, receiver = wire.kernel_ip, wire.ip
    way = netpath.TO_STACK
    if direction == "from":
        sender, receiver, way = receiver, sender, netpath.TO_KERNEL
    assert marker.marked[way] > 10, marker.marked
    if not netlab.has("tshark"):
        return
    ece, cwr = "tcp.flags.ece == 1", "tcp.flags.cwr == 1"
    setup = "tcp.flags.syn == 1 && tcp.flags.ack == "
    assert flags(wire, wire.kernel_ip, "%s0 && %s && %s" % (setup, ece, cwr))
    assert flags(wire, wire.ip, "%s1 && %s && tcp.flags.cwr == 0" % (setup, ece))
    assert flags(wire, receiver, "%s && tcp.flags.syn == 0" % ece)
    assert flags(wire, sender, "%s && tcp.flags.syn == 0 && tcp.len > 0" % cwr)
    if direction == "from":
        # Data is ECN-capable, what goes again and what carries none is not.
        assert flags(wire, wire.ip, "ip.dsfield.ecn == 2 && tcp.len > 0")
    assert not flags(wire, wire.ip, "ip.dsfield.ecn != 0 && tcp.len == 0")
    assert not flags(wire, wire.ip, "ip.dsfield.ecn != 0 && tcp.analysis.retransmission")
    # ECE has stopped after CWR: not all ACKs carry it.
    assert flags(wire, receiver, "tcp.flags.ece == 0 && tcp.flags.syn == 0")


def test_ecn_that_smolmp_asks_for(wire, target):
    cable, marker = marked_wire(wire)
    size = 5 * MB
    with cable:
        thread = answer_digest(wire.kernel, wire.kernel_ip)
        program = wire.start(
            *(target, CHECK, "tap0", wire.address, "digest", wire.kernel_ip, 7000, size),
            *("--fd", cable.fd),
            fds=[cable.fd],
        )
        assert program.wait() == 0, program.output
        thread.join(20)
        wire.check()
    want = hashlib.sha256(pattern(0, size)).hexdigest()
    assert result(program, "answer") == "%d %s" % (size, want), program.output
    assert marker.marked[netpath.TO_KERNEL] > 10
    reduced = int(result(program, "tcp_ecn_reduced"))
    assert 0 < reduced <= marker.marked[netpath.TO_KERNEL], program.output
    assert int(result(program, "tcp_ece_in")) >= reduced
    if netlab.has("tshark"):
        asked = "tcp.flags.syn == 1 && tcp.flags.ece == 1 && tcp.flags.cwr == 1"
        assert flags(wire, wire.ip, asked)
        told = flags(wire, wire.ip, "tcp.flags.cwr == 1 && tcp.len > 0")
        assert len(told) >= reduced


def test_ecn_is_given_up_where_it_kills_the_syn(wire, target):
    """Some boxes drop what they don't know; the second SYN does without (RFC 3168 6.1.1.1)."""

    def drop(frame, direction):
        if netpath.is_ipv4(frame) and frame[23] == 6 and frame[47] & 0xC2 == 0xC2:
            return None
        return frame

    with netpath.Cable(wire.kernel, "tap0", drop) as cable:
        thread = answer_digest(wire.kernel, wire.kernel_ip)
        program = wire.start(
            *(target, CHECK, "tap0", wire.address, "digest", wire.kernel_ip, 7000, 100000),
            *("--fd", cable.fd),
            fds=[cable.fd],
        )
        assert program.wait() == 0, program.output
        thread.join(20)
        wire.check()
    want = hashlib.sha256(pattern(0, 100000)).hexdigest()
    assert result(program, "answer") == "100000 " + want, program.output
