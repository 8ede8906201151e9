"""smolmp on a TAP or TUN whose kernel offloads (--offload): 64 KiB of TCP at a time, and checksums
that nobody fills in."""

import os
import random
import socket

import netlab
import pytest
from transfer import MB, download, upload

# What the kernel leaves to the last moment is not what a wire carries: the sum of the pseudo
# header alone, and frames larger than the MTU.
UNFILLED = "tcp.checksum.status == Bad || udp.checksum.status == Bad"
LARGE = "ip.len > 20000"
FAR_IP = "10.69.0.2"


def offloaded(wire, target, mode, *options, tun=False, snap=0):
    wire.tap("tun" if tun else "tap", snap=snap, quiet=False)
    more = ("--tun",) if tun else ()
    return wire.peer(target, mode, 5001, "--offload", *more, *options)


@pytest.mark.parametrize("kind", ["tap", "tun"])
@pytest.mark.parametrize("direction", ["to", "from"])
def test_100_mb_bit_exact(bare_wire, target, direction, kind):
    wire = bare_wire
    mode = "digest" if direction == "to" else "source"
    offloaded(wire, target, mode, "--budget", 256, tun=kind == "tun", snap=96)
    if direction == "to":
        upload(wire, 100 * MB)
        sender = wire.kernel_ip
    else:
        download(wire, 100 * MB)
        sender = wire.ip
    wire.check(UNFILLED, "%s && ip.src == %s" % (LARGE, sender))


class Far:
    """A host behind a slow link with hardly a queue: Linux routes between it and the TAP, cuts
    what is large, and drops pieces of it for want of room."""

    def __init__(self, wire, namespace):
        self.namespace = namespace
        self.ip = wire.ip
        netlab.veth(wire.kernel, namespace)
        wire.kernel.up("veth0", "10.69.0.1/24", quiet=False)
        namespace.up("veth0", FAR_IP + "/24", quiet=False)
        namespace.run("ip", "route", "add", "default", "via", "10.69.0.1")
        wire.kernel.sysctl("net.ipv4.ip_forward", 1)
        for end in (wire.kernel, namespace):
            qdisc = ("tc", "qdisc", "add", "dev", "veth0", "root", "tbf", "rate", "400mbit")
            out = end.run(*qdisc, "burst", "16kb", "limit", "48kb", check=False)
            if out.strip():
                pytest.skip("this kernel has no token bucket: " + out.strip())

    def connect(self, port=5001, timeout=20):
        s = self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect((self.ip, port))
        return s


@pytest.mark.parametrize("direction", ["to", "from"])
def test_50_mb_through_a_bottleneck_that_drops(bare_wire, target, direction):
    wire = bare_wire
    mode = "digest" if direction == "to" else "source"
    offloaded(wire, target, mode, "--gateway", wire.kernel_ip, snap=96)
    with netlab.Namespace() as namespace:
        far = Far(wire, namespace)
        if direction == "to":
            upload(far, 50 * MB, timeout=60)
            sender = FAR_IP
        else:
            download(far, 50 * MB, timeout=60)
            sender = wire.ip
        dropped = (namespace if direction == "to" else wire.kernel).run(
            "tc", "-s", "qdisc", "show", "dev", "veth0"
        )
    assert "dropped 0," not in dropped, dropped
    large = "ip.len > 1500" if direction == "to" else LARGE
    wire.check(UNFILLED, "%s && ip.src == %s" % (large, sender))


@pytest.mark.parametrize("direction", ["to", "from"])
def test_with_faults_frames_are_plain(bare_wire, target, direction):
    """The fault injector wants what a wire would carry, and gets it."""
    wire = bare_wire
    mode = "digest" if direction == "to" else "source"
    faults = ("--fault", "drop=3,reorder=3,duplicate=1,corrupt=1", "--seed", 7)
    offloaded(wire, target, mode, *faults, snap=96)
    if direction == "to":
        upload(wire, 20 * MB, timeout=120)
    else:
        download(wire, 20 * MB, timeout=120)
    wire.stop()
    if netlab.has("tshark"):
        assert not netlab.tshark(wire.captures[0].path, "%s && ip.src == %s" % (LARGE, wire.ip))


def test_kernel_that_does_not_offload(wire, target):
    """The kernel's end has its offloads off: each frame it sends is a plain one, verified here."""
    wire.peer(target, "digest", 5001, "--offload")
    wire.kernel.quiet("tap0")
    upload(wire, 10 * MB)
    wire.check()


def test_capture_of_our_own(bare_wire, target):
    """--pcap sees what passes, large frames too."""
    wire = bare_wire
    path = os.path.join(netlab.BUILD, "pcap", wire.name + "-own.pcap")
    offloaded(wire, target, "source", "--pcap", path)
    download(wire, 5 * MB)
    wire.check(UNFILLED)
    if netlab.has("tshark"):
        assert not netlab.bad_frames(path, UNFILLED)
        assert netlab.tshark(path, "%s && ip.src == %s" % (LARGE, wire.ip))


def test_echo_of_small_and_large(bare_wire, target):
    wire = bare_wire
    offloaded(wire, target, "echo")
    with wire.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(1000):
            message = random.Random(i).randbytes(1 + (i * 97) % (100 if i % 10 else 30000))
            s.sendall(message)
            got = b""
            while len(got) < len(message):
                got += s.recv(1 << 16)
            assert got == message, i
    wire.check(UNFILLED)


def test_ping_udp_and_fragments(bare_wire, target):
    wire = bare_wire
    offloaded(wire, target, "udpecho")
    out = wire.run("ping", "-f", "-q", "-w", "60", "-c", "2000", wire.ip)
    assert "2000 packets transmitted, 2000 received" in out, out
    out = wire.run("ping", "-c", "2", "-W", "1", "-s", 4000, wire.ip, check=False)
    assert "100% packet loss" in out, out  # fragments are nobody's here, and do no harm
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((wire.ip, 5001))
        for size in range(0, 1473, 37):
            message = random.Random(size).randbytes(size)
            s.send(message)
            assert s.recv(2000) == message, size
        s.send(bytes(4000))
        s.send(b"after it")
        assert s.recv(2000) == b"after it"
    wire.check(UNFILLED)


def test_closed_port_is_refused(bare_wire, target):
    wire = bare_wire
    offloaded(wire, target, "echo")
    with pytest.raises(ConnectionRefusedError):
        wire.connect(5002)
    wire.check(UNFILLED, "tcp.flags.reset == 1")
