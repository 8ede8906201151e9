"""simulated.py clock|blocking|asyncio: an emulated Pico and a peer in its simulated time.

clock: tests/pico/clock.py asks an SNTP server, whose clock is as exact as the simulated one.
blocking, asyncio: tests/pico/idle.py sleeps, and echoes what comes at any point of its time.
A line of JSON tells what was seen.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools" / "rp2"))

import installed  # noqa: E402
from ethernet import Ethernet  # noqa: E402
from peer import Peer  # noqa: E402

import pico as emulator  # noqa: E402
from smolmp.socket import tcp, udp  # noqa: E402

BOARD = "192.168.69.1"
NOON = 1_900_000_000  # seconds of 1970's epoch when the power came on
SINCE_1900 = 2_208_988_800
SAMPLE = 97_000  # ns
IDLE = 400 * emulator.MS


class Lan:
    """The board with a main.py, its chip, and the peer."""

    def __init__(self, main, files=None):
        files = {"main.py": (HERE / main).read_bytes(), **(files or {})}
        self.pico = installed.board("stock", files)
        self.port = Ethernet(self.pico)
        self.peer = Peer(self.port, "192.168.69.100/24")
        self.pico.boot()


def clock():
    lan = Lan("clock.py")
    server = lan.peer.sockets.add(udp.Socket(rx=1024, tx=1024))
    server.bind(123)
    asked = bytearray(64)
    meta = udp.UdpMetadata()

    def serve(socket):
        """RFC 5905 7.3: the server's answer to a client's question."""
        while socket.recv_into(asked, meta):
            now = (NOON + SINCE_1900 << 32) + (lan.pico.now << 32) // emulator.SECOND
            stamp = (now & (1 << 64) - 1).to_bytes(8, "big")
            answer = b"\x24\x01\x06\xe9" + bytes(8) + b"TEST" + stamp + asked[40:48] + stamp * 2
            socket.send(answer, len(answer), meta)

    lan.peer.serve = serve
    lan.pico.wait_for(b"before ")
    lan.pico.wait_for(b"set True")
    lan.pico.wait_for(b"clock ")
    seconds = int(lan.pico.wait_for(b"\n"))
    truth = NOON + lan.pico.now / emulator.SECOND
    lan.pico.wait_for(b"rtc ")
    fields = eval(lan.pico.wait_for(b"\n"))
    lan.pico.wait_for(b"behind ")
    return {
        "seconds": seconds,
        "truth": truth,
        "fields": fields,
        "behind_ms": int(lan.pico.wait_for(b"\n")),
    }


def idle(kind):
    lan = Lan("idle.py", {"kind.py": b"KIND = %r\n" % kind})
    board = lan.pico
    board.wait_for(b"ready")
    socket = lan.peer.sockets.add(tcp.Socket(rx=bytearray(4096), tx=bytearray(4096)))
    socket.nagle = False
    socket.connect(lan.peer.iface, (BOARD, 7))
    lan.peer.poll()
    board.run_until(socket.may_send, 5 * emulator.SECOND)
    got = bytearray(64)
    trips = []

    def echo():
        began = board.now
        socket.send(b"0123456789abcdef")
        lan.peer.poll()
        board.run_until(socket.can_recv, 5 * emulator.SECOND, 10_000)
        trips.append((board.now - began) / emulator.MS)
        assert socket.recv_into(got) == 16
        lan.peer.poll()

    for _ in range(5):  # the first ones import, and make what is made once
        echo()
        board.run(300 * emulator.MS)
    trips.clear()
    for n in range(12):
        board.run(37 * emulator.MS + n * 1_700_000)  # at any point of the board's timers
        echo()
    board.run(IDLE)
    seen = {"looks": 0, "asleep": 0, "accesses": 0}
    select = lan.port.chip.select

    def selected():
        seen["accesses"] += 1
        select()

    lan.port.chip.select = selected
    end = board.now + IDLE
    while board.now < end:
        board.run(SAMPLE)
        seen["looks"] += 1
        seen["asleep"] += board.mcu.core.waiting
    return {"trips_ms": trips, **seen}


what = sys.argv[1]
print(json.dumps(clock() if what == "clock" else idle(what)))
