"""SLIP: smolmp on one end of a pty, somebody else's SLIP and Linux's IP and TCP on the other."""

import hashlib
import os
import random
import re
import signal
import socket
import sys
import threading
import tty

import pytest
from transfer import MB, download, upload


class Cable:
    """A pty between the TUN tun0 and smolmp, at 192.168.69.1."""

    def __init__(self, wire, target, mtu=1006):
        wire.tap("tun", "tun0", mtu)
        self.wire = wire
        self.master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(slave, False)
        tun = wire.kernel.open_tap("tun0", "tun")
        os.set_blocking(tun, True)
        self.peer = wire.kernel.popen(
            [sys.executable, "tests/linux/slip_peer.py", tun, self.master],
            pass_fds=(tun, self.master),
        )
        os.close(tun)
        self.program = wire.start(
            target, "tests/linux/slip_check.py", slave, wire.address, mtu, fds=[slave]
        )
        os.close(slave)

    def noise(self, octets):
        """What a bad line puts between, or into, the packets for smolmp."""
        os.write(self.master, octets)

    def hang_up(self):
        """The other end goes away: what smolmp said last."""
        self.close()
        self.wire.programs.remove(self.program)
        self.program.wait()
        return self.program.output

    def close(self):
        self.peer.send_signal(signal.SIGTERM)
        self.peer.wait()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@pytest.fixture
def cable(bare_wire, target, request):
    cable = Cable(bare_wire, target, getattr(request, "param", 1006))
    yield cable
    cable.close()


def test_ping_and_echo(cable):
    wire = cable.wire
    out = wire.run("ping", "-c", "5", "-i", "0.05", wire.ip)
    assert " 0% packet loss" in out
    for size in (0, 1, 978):  # the largest that goes unfragmented
        out = wire.run("ping", "-c", "3", "-i", "0.02", "-M", "do", "-s", size, wire.ip)
        assert " 0% packet loss" in out
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((wire.ip, 5002))
        for octet in (0xC0, 0xDB, 0xDC, 0xDD):  # every one of them an escape, or none
            for size in (0, 1, 500, 978):
                message = bytes([octet]) * size
                s.send(message)
                assert s.recv(2000) == message
    output = cable.hang_up()
    assert "oversize 0 damaged 0 lost 0" in output, output
    wire.check(expect="icmp.type == 0")


@pytest.mark.parametrize("cable", [296, 1006, 1500], indirect=True)
def test_half_a_megabyte_each_way(cable):
    wire = cable.wire
    upload(wire, MB // 2, 5003)
    download(wire, MB // 2, 5004)
    output = cable.hang_up()
    assert "gone 19" in output and "oversize 0 damaged 0" in output, output
    wire.check(expect="tcp.len > 200 && ip.src == %s" % wire.ip)


def test_noise_on_the_line(cable):
    """Junk between and into the packets: what it damages is dropped, and TCP repairs it."""
    wire = cable.wire
    choose = random.Random(4)
    end = threading.Event()

    def disturb():
        while not end.wait(0.01):
            cable.noise(choose.randbytes(choose.randrange(1, 40)))

    cable.noise(bytes(3000) + b"\xc0\xdb\xdb\xc0")
    noise = threading.Thread(target=disturb)
    noise.start()
    try:
        data = choose.randbytes(100000)
        with wire.connect(5001, 60) as s:
            threading.Thread(target=s.sendall, args=(data,)).start()
            got = b""
            while len(got) < len(data):
                got += s.recv(65536)
        assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
    finally:
        end.set()
        noise.join()
    output = cable.hang_up()
    oversize, damaged = re.search(r"oversize (\d+) damaged (\d+)", output).groups()
    assert int(oversize) >= 1 and int(damaged) >= 1, output
    wire.check()
