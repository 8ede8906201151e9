"""The README's examples are programs: they run as they stand there."""

import re
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def patiently(connect, port):
    """One socket serves one connection: it listens again when the last one's FIN was answered."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return connect(port)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "it never listened again"
            time.sleep(0.01)


def start(wire, target, has):
    """Run the one program of the README that has this in it."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)
    assert len(blocks) == 2
    (block,) = [text for text in blocks if has in text]
    program = ROOT / "build" / "readme.py"
    program.write_text("import sys\n\nsys.path.insert(1, %r)\n%s" % (str(ROOT), block))
    wire.start(target, "build/readme.py", ready=None)
    deadline = time.monotonic() + 10
    while " 0% packet loss" not in wire.run("ping", "-c", "1", "-W", "1", wire.ip, check=False):
        assert time.monotonic() < deadline, "no answer to a ping"


def test_the_program_serves(wire, target):
    start(wire, target, "start_server")
    for _ in range(3):
        assert wire.run("curl", "-s", "http://%s/" % wire.ip) == "hello from MicroPython\n"
    wire.check()


def test_the_tour_is_a_server(wire, target):
    start(wire, target, "SocketSet")
    for text in (b"one", b"two" * 1000):  # one connection after another
        with patiently(wire.connect, 6969) as s:
            s.sendall(text)
            got = b""
            while len(got) < len(text):
                piece = s.recv(65536)
                assert piece
                got += piece
            assert got == text
    wire.check()
