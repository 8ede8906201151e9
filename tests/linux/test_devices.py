"""ports/unix: the devices alone, with bare frames from Linux."""

import os
import re
import socket
import time

import pytest

CHECK = "tests/linux/device_check.py"
COUNT = 300


def send_datagrams(wire, device, mac="02:00:00:00:00:01"):
    """COUNT UDP datagrams of growing size towards the stack; (frames, octets) on the wire"""
    if mac:
        neighbour = ("ip", "neigh", "replace", wire.ip, "lladdr", mac, "dev", device)
        wire.run(*neighbour)
    s = wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((wire.ip, 9))
    header = 42 if mac else 28
    total = 0
    with s:
        for i in range(COUNT):
            size = i * 1472 // (COUNT - 1)
            s.send(bytes(size))
            total += size + header
            if i % 30 == 29:
                time.sleep(0.002)  # some find the reader asleep, some awake
    return total


@pytest.mark.parametrize("kind", ["tap", "tapbatch", "tun", "fd", "offload", "offloadtun"])
def test_frames_pass_without_allocation(bare_wire, target, kind):
    frames_pass(bare_wire, target, kind)


@pytest.mark.targets("unix64-wheel")
def test_frames_pass_without_ffi(bare_wire, target):
    frames_pass(bare_wire, target, "fd")


def frames_pass(wire, target, kind):
    mode = "tun" if kind.endswith("tun") else "tap"
    wire.tap(mode, quiet=not kind.startswith("offload"))
    fds, device = [], "tap0"
    if kind == "fd":
        fds = [wire.kernel.open_tap("tap0", mode)]
        device = fds[0]
    program = wire.start(target, CHECK, kind, device, "echo", COUNT, fds=fds)
    for fd in fds:
        os.close(fd)
    assert "ready %d 1500 tap0" % (2 if mode == "tun" else 1) in program.output
    octets = send_datagrams(wire, "tap0", None if mode == "tun" else "02:00:00:00:00:01")
    assert program.wait() == 0, program.output
    assert "got %d %d\n" % (COUNT, octets) in program.output
    assert "dropped 0 lost 0" in program.output
    assert wire.kernel.counters("tap0")[0] == COUNT  # the answers


@pytest.mark.targets("unix64", "unix32", "unix64-wheel")
def test_packet_socket(veth_wire, target):
    wire = veth_wire
    program = wire.start(target, CHECK, "packet", "veth0", "echo", COUNT, namespace=wire.far)
    octets = send_datagrams(wire, "veth0")
    assert program.wait() == 0, program.output
    assert "got %d %d\n" % (COUNT, octets) in program.output
    assert wire.kernel.counters("veth0")[0] == COUNT
    wire.check()


@pytest.mark.parametrize("kind", ["tap", "tapbatch", "fd", "offload"])
def test_device_goes_down_and_away(wire, target, kind):
    down_and_away(wire, target, kind)


@pytest.mark.targets("unix64-wheel")
def test_device_goes_down_and_away_without_ffi(wire, target):
    down_and_away(wire, target, "fd")


def down_and_away(wire, target, kind):
    """EIO while the device is down is a link that is down; ENODEV ends the waiting for good."""
    fds, device = [], "tap0"
    if kind == "fd":
        fds = [wire.kernel.open_tap()]
        device = fds[0]
    program = wire.start(target, CHECK, kind, device, "down", fds=fds)
    for fd in fds:
        os.close(fd)
    program.wait_line("link True")
    wire.run("ip", "link", "set", "tap0", "down")
    program.wait_line("link False")
    wire.run("ip", "link", "set", "tap0", "up")
    program.wait_line("link False\nlink True")
    wire.run("ip", "link", "del", "tap0")
    assert program.wait() == 0, program.output
    assert "gone 19" in program.output


@pytest.mark.parametrize("kind", ["tap", "tapbatch", "offload"])
def test_frame_longer_than_the_buffer_is_dropped_and_counted(wire, target, kind):
    frames_of_many_sizes(wire, wire.start(target, CHECK, kind, "tap0", "small"), "tap0")


def test_frame_longer_than_the_buffer_of_a_packet_socket(veth_wire, target):
    program = veth_wire.start(target, CHECK, "packet", "veth0", "small", namespace=veth_wire.far)
    frames_of_many_sizes(veth_wire, program, "veth0")


def test_offload_verifies_what_the_kernel_has_not(bare_wire, target):
    """Frames from a packet socket are as they are: every third has a wrong UDP checksum, every
    other third none (RFC 768)."""
    wire = bare_wire
    wire.tap(quiet=False)
    program = wire.start(target, CHECK, "offload", "tap0", "echo", 200)
    head = b"\2\0\0\0\0\1" + b"\2\0\0\0\0\5" + b"\x08\0"
    ip = bytearray(b"\x45\0\0\x24\0\0\x40\0\x40\x11\0\0" + b"\xc0\xa8\x45\x64\xc0\xa8\x45\x01")
    pseudo = ip[12:] + b"\0\x11\0\x10"
    with wire.kernel.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("tap0", 0))
        for i in range(300):
            udp = bytearray(b"\x30\x39\0\x09\0\x10\0\0" + i.to_bytes(8, "big"))
            udp[6:8] = (internet_checksum(pseudo + udp) or 0xFFFF).to_bytes(2, "big")
            if i % 3 == 1:
                udp[15] ^= 0x80
            elif i % 3 == 2:
                udp[6:8] = b"\0\0"
            s.send(head + ip + udp)
            if i % 30 == 29:
                time.sleep(0.01)
    assert program.wait() == 0, program.output
    assert "got 200 %d\n" % (200 * 50) in program.output
    found = re.search(r"damaged (\d+)", program.output)
    assert found and 99 <= int(found[1]) <= 100, program.output  # it ends with the 200th good one


def internet_checksum(data):
    total = sum(data[i] << 8 | data[i + 1] for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def frames_of_many_sizes(wire, program, device):
    neighbour = ("ip", "neigh", "replace", wire.ip, "lladdr", "02:00:00:00:00:01")
    wire.run(*neighbour, "dev", device)
    s = wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((wire.ip, 9))
    with s:
        for size in (85, 86, 87, 1472, 10, 86):
            s.send(bytes(size))
    assert program.wait() == 0, program.output
    assert "sizes [127, 128, 52, 128] dropped 2" in program.output


@pytest.mark.targets("unix64-wheel")
def test_a_blocking_descriptor_is_refused_without_ffi(wire, target):
    fd = wire.kernel.open_tap(blocking=True)
    program = wire.start(target, CHECK, "fd", fd, "wait", fds=[fd], ready=None)
    os.close(fd)
    assert program.wait() == 1
    assert "O_NONBLOCK" in program.output


def test_a_full_batch_counts_what_it_cut(wire):
    """The batch buffer of 20,000 octets holds 13 whole frames: the kernel's queue held more."""
    fd = wire.kernel.open_tap()
    wire.run("ip", "neigh", "replace", wire.ip, "lladdr", "02:00:00:00:00:01", "dev", "tap0")
    s = wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((wire.ip, 9))
    with s:
        for _ in range(100):
            s.send(bytes(1472))
    os.close(fd)  # the device keeps no queue without a reader: start over, reader asleep
    fd = wire.kernel.open_tap()
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((wire.ip, 9))
        for _ in range(100):
            s.send(bytes(1472))
        program = wire.start(
            "unix64-wheel", "tests/linux/batch_check.py", fd, fds=[fd], ready=None
        )
        os.close(fd)
        assert program.wait() == 0, program.output
    match = re.search(r"whole (\d+) dropped (\d+)", program.output)
    assert match, program.output
    whole, dropped = int(match[1]), int(match[2])
    assert whole + dropped == 100, program.output
    assert dropped == 100 // 14  # every fourteenth frame is the one at the buffer's end


@pytest.mark.parametrize("kind", ["tap", "offload"])
def test_frames_that_follow_closely_are_awaited_awake(wire, target, kind):
    """200 that come 5 ms apart, and nobody stays awake for them (but where others keep the
    processor busy); then 200 of which each comes as soon as the kernel sends them."""
    neighbour = ("ip", "neigh", "replace", wire.ip, "lladdr", "02:00:00:00:00:01")
    wire.run(*neighbour, "dev", "tap0")
    program = wire.start(target, CHECK, kind, "tap0", "fetch", 200)
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((wire.ip, 9))
        for _ in range(200):
            s.send(bytes(18))
            time.sleep(0.005)
        program.wait_line("fetched")
        for _ in range(200):
            s.send(bytes(18))
            until = time.perf_counter() + 30e-6
            while time.perf_counter() < until:
                pass
    assert program.wait() == 0, program.output
    found = re.findall(r"fetched (\d+) hits (\d+) misses (\d+) CPU (\d+) us", program.output)
    (octets, apart, vain, us), (more, hits, misses, _) = [[int(x) for x in row] for row in found]
    print("CPU over a second of 200 frames:", us, "us;", found)
    assert octets == more == 200 * 60
    assert apart + vain < 20
    assert hits > 10 and misses < 50


@pytest.mark.targets("unix64", "unix32", "unix64-wheel")
def test_wait(wire, target):
    fd = wire.kernel.open_tap()
    program = wire.start(target, CHECK, "fd", fd, "wait", fds=[fd])
    os.close(fd)
    assert program.wait() == 0, program.output
    found = re.findall(r"waited (\d+) (\d+) (\w+)", program.output)
    assert len(found) == 7
    for ms, us, frame in found:
        assert frame == "False"
        assert int(ms) * 1000 - 1000 <= int(us) < int(ms) * 1000 + 50000
