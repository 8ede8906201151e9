"""Linux pings an emulated Pico, fetches a page, echoes, moves a megabyte each way; and a minute of
everything in simulated time."""

import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time

import netlab
import pytest
from test_dhcp import ARGS, Dnsmasq
from test_examples import OPTIONS
from transfer import MB

from harness import targets

HOST = "tests/pico/host.py"
kinds = pytest.mark.parametrize(
    "pico", [targets.Rp2, targets.Rp2Frozen], ids=lambda target: target.name, indirect=True
)


def page(wire):
    """What the host says about itself: {name: number}, and the words about its device."""
    text = wire.run("curl", "--silent", "--show-error", "--max-time", "60", "http://192.168.69.1/")
    return dict(re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE)), text


def echo(wire, data):
    """What comes back from port 7."""
    with wire.connect(7, 120) as s:
        sender = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
        sender.start()
        got = b"".join(iter(lambda: s.recv(65536), b""))
        sender.join()
    return got


@kinds
def test_ping_page_and_echoes(pico):
    pico.board.start(HOST)
    said = pico.run("ping", "-c", "10", "-i", "0.2", "-W", "5", pico.ip)
    assert " 0% packet loss" in said, said
    numbers, text = page(pico)
    assert int(numbers["icmp_echos"]) == 10, text
    for size in (1, 1460, 20000):
        data = os.urandom(size)
        assert echo(pico, data) == data, size
    with pico.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(60)
        for size in (0, 1, 1472):
            data = os.urandom(size)
            s.sendto(data, (pico.ip, 7))
            assert s.recvfrom(2048) == (data, (pico.ip, 7)), size
    with pytest.raises(ConnectionRefusedError):
        pico.connect(4, 60)
    pico.check(expect="icmp.type == 0")


@kinds
def test_a_megabyte_each_way(pico):
    pico.board.start(HOST)
    for n in (1, 10):  # the first round finds what is made once
        page(pico)
        with pico.connect(9, 120) as s:
            s.sendall(bytes(n))
            s.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: s.recv(100), b"")).startswith(b"%d " % n)
    before, _ = page(pico)
    data = os.urandom(MB)
    with pico.connect(9, 120) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: s.recv(100), b"")).decode()
    assert said.split() == [str(MB), hashlib.sha256(data).hexdigest()]
    with pico.connect(19, 120) as s:
        got = b"".join(iter(lambda: s.recv(65536), b""))
    assert len(got) == MB and got == (bytes(range(256)) * (MB // 256 + 1))[:MB]
    after, text = page(pico)
    assert int(after["memory"]) <= int(before["memory"]) + 64, text  # nothing was kept
    pico.check()


def host_py(folder, addresses, gateway=None):
    """A /host.py as tools/flash.py writes it."""
    words = {"BOARD": "w5500_evb_pico", "WIRING": {}, "MAC": "02:00:00:00:00:01"}
    words.update(ADDRESSES=addresses, GATEWAY=gateway)
    path = folder / "host.py"
    path.write_text("".join(f"{name} = {value!r}\n" for name, value in words.items()))
    return {"host.py": path}


FETCH = ("curl", "-sS", "--max-time", "60", "--retry", "9", "--retry-all-errors")
PAGE = "This is smolmp on a board.\n"


@kinds
def test_the_program_for_the_impatient(pico, tmp_path):
    """ports/rp2/main.py with a fixed address; clients that are slow, rude, or say nothing."""
    host = host_py(tmp_path, (pico.ip + "/24",), pico.kernel_ip)
    board = pico.board.start("ports/rp2/main.py", host, "^smolmp is at 192.168.69.1$")
    fetch = (*FETCH, "http://192.168.69.1/")
    pico.run(*fetch)  # it has still to import something
    with pico.connect(80, 60) as idle:  # who says nothing keeps nobody waiting
        for _ in range(12):
            assert pico.run(*fetch) == PAGE
        assert idle.recv(100) == b""  # and is shown the door
    with pico.connect(80, 60) as slow:  # a request without an end
        with pytest.raises(OSError):
            for _ in range(400):  # the board's seconds may be longer than ours
                slow.sendall(b"GET / HTTP/1.0\r\n")
                time.sleep(0.5)
    with pico.connect(80, 60) as rude:
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with pico.connect(80, 60) as binary:
        binary.sendall(bytes(range(256)) * 8)
        assert pico.run(*fetch) == PAGE
    assert pico.run(*fetch) == PAGE
    assert "Traceback" not in board.output
    pico.check()


def test_the_program_for_the_impatient_by_dhcp(pico, tmp_path):
    """Its address, its router and its name server come from dnsmasq."""
    if not netlab.has("dnsmasq"):
        pytest.skip("dnsmasq is missing: tools/setup system")
    with Dnsmasq(pico, tmp_path, *OPTIONS, settings=ARGS.replace("--port=0", "")):
        board = pico.board.start("ports/rp2/main.py", host_py(tmp_path, None), "^smolmp waits for")
        address = board.wait_line(r"^smolmp is at (\S+)$", 120)[1].decode()
        assert pico.run(*FETCH, f"http://{address}/") == PAGE
    pico.check()


def test_a_minute_of_everything():
    """Echo, reconnects, a lossy wire and every fault of the chip, in simulated time."""
    target = targets.Rp2Frozen()
    if target.missing():
        pytest.skip(f"target {target.name} is missing: {target.missing()}")
    argv = ["nice", target.program(), "tools/rp2/soak.py", "--minutes", "1"]
    done = subprocess.run(argv, cwd=netlab.ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["talk 7"] > 20 and told["lost"] > 5 and told["simulated_s"] > 60, told
