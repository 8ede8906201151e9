"""Programs that others wrote, over smolmp on an emulated Pico: MicroPython's own firmware, smolmp
as .mpy files on its flash; Linux's servers and clients at the other end of its cable."""

import os
import random
import socket
import subprocess
import sys
import tarfile

import netlab
import pytest
from test_mqtt import Broker

MAIN = "tests/pico/programs.py"
SOURCES = netlab.ROOT + "/build/rp2/work/dl"  # of the firmware
CONNECTIONS = 500


@pytest.fixture
def requests(tmp_path):
    """The module that Debian's MicroPython carries, which comes as a patch of its sources."""
    archive = next(name for name in os.listdir(SOURCES) if name.endswith("ds-1.debian.tar.xz"))
    with tarfile.open(f"{SOURCES}/{archive}") as tar:
        patch = tar.extractfile("debian/patches/mip.patch").read().decode()
    text = patch.split("+++ b/lib/micropython-lib/micropython/requests/requests/__init__.py\n")[1]
    lines = text.split("\n--- ")[0].splitlines()[1:]
    path = tmp_path / "requests.py"
    path.write_text("".join(line[1:] + "\n" for line in lines if line.startswith("+")))
    return path


@pytest.fixture
def server(pico, tmp_path):
    """Linux's HTTP server, with one page."""
    page = random.Random(1).randbytes(20000)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/page").write_bytes(page)
    command = [sys.executable, "-m", "http.server", "-d", str(tmp_path / "pages"), "8000"]
    process = pico.kernel.popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pico.run("curl", "-sS", "--retry", "9", "--retry-connrefused", "http://127.0.0.1:8000/")
    yield page
    process.terminate()
    process.wait(10)


@pytest.fixture
def broker(pico, tmp_path):
    it = Broker(pico, tmp_path)
    it.start()
    yield it
    it.stop()


def memory(pico):
    return int(pico.run("curl", "-sS", "--max-time", "60", "http://192.168.69.1/memory"))


def echo(pico, text):
    with pico.connect(7, 60) as s:
        s.sendall(text)
        s.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: s.recv(100), b""))


def test_requests_mqtt_microdot_and_500_connections(pico, server, broker, third_party, requests):
    files = {
        "lib/requests.mpy": requests,
        "lib/microdot.mpy": third_party + "/microdot/microdot.py",
        "lib/mha/umqtt.mpy": third_party + "/mha/umqtt/__init__.py",
    }
    program = pico.board.start(MAIN, files, "booted")
    said = program.wait_line(r"^a page: 200 (\d+) (\d+)", 120)
    assert (int(said[1]), int(said[2])) == (len(server), sum(server))
    program.wait_line("^no page: 404", 60)

    broker.ears.wait_line("^00 state here$", 60)
    broker.publish("to/pico", "a word", "-q", "1")
    program.wait_line("^heard to/pico a word", 60)
    broker.ears.wait_line("^10 from/pico a word$", 60)

    program.wait_line("^serving", 120)
    assert pico.run("curl", "-sS", "http://192.168.69.1/") == "<h1>smolmp</h1>"
    assert pico.run("curl", "-sS", "-d", "shout", "http://192.168.69.1/upper") == "SHOUT"
    assert "404" in pico.run("curl", "-sSi", "http://192.168.69.1/nothing")

    for n in range(8):  # every buffer was used once
        assert echo(pico, b"%d" % n) == b"%d" % n
    before = memory(pico)
    for n in range(CONNECTIONS):
        assert echo(pico, b"%d" % n) == b"%d" % n
    assert memory(pico) <= before, pico.run("curl", "-sS", "http://192.168.69.1/net")
    pico.check()
