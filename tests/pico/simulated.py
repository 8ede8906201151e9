"""simulated.py clock|names|idle blocking|idle asyncio: an emulated Pico and a peer in its time.

clock: tests/pico/clock.py asks an SNTP server, whose clock is as exact as the simulated one.
idle: tests/pico/idle.py sleeps, and echoes what comes at any point of its time.
names: tests/pico/names.py asks for a name whose answer does not fit into a datagram.
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
STACK = slice(0x40000, 0x42000)  # core 0's, from the beginning of RAM (memmap_mp_rp2040.ld)
PAINT = b"\xa5"
RECORDS = 100


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


def names():
    lan = Lan("names.py")
    board, sockets = lan.pico, lan.peer.sockets
    asked = bytearray(512)
    meta = udp.UdpMetadata()
    datagrams = sockets.add(udp.Socket(rx=1024, tx=1024))
    datagrams.bind(53)
    listener = sockets.add(tcp.Listener(backlog=1, pool=1, rx=512, tx=4096))
    listener.listen(53)
    talks = []  # [connection, what it said]

    def answer(query, flags, count):
        """To an A query of 12 octets and a question; count: records, the question's at 12."""
        end = query.index(0, 12) + 5
        head = query[:2] + flags + bytes((0, 1, 0, count, 0, 0, 0, 0))
        found = b"".join(
            b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0" + bytes((n,)) for n in range(count)
        )
        return head + query[12:end] + found

    def serve(socket):
        while socket is datagrams and (n := socket.recv_into(asked, meta)):
            said = answer(bytes(asked[:n]), b"\x83\x80", 0)  # TC: ask by TCP
            socket.send(said, len(said), meta)
        while socket is listener and (connection := socket.accept()):
            talks.append([connection, b""])
            serve(connection)
        for talk in talks:
            if talk[0] is not socket:
                continue
            while socket.can_recv():
                n = socket.recv_into(asked)
                if not n:
                    break
                talk[1] += bytes(asked[:n])
            query = talk[1]
            if len(query) > 2 and len(query) == 2 + int.from_bytes(query[:2], "big"):
                said = answer(query[2:], b"\x81\x80", RECORDS)
                socket.send(len(said).to_bytes(2, "big") + said)
                talk[1] = b""

    lan.peer.serve = serve
    board.wait_for(b"ready")
    memory = board.mcu.sram
    left = board.mcu.core.sp - 0x20000000 - STACK.start
    memory[STACK.start : STACK.start + left] = PAINT * left
    board.wait_for(b"found ")
    found = board.wait_for(b"\n").split()
    board.wait_for(b"by TCP ")
    by_tcp, _, _, failovers = board.wait_for(b"\n").split()
    stack = bytes(memory[STACK])
    return {
        "records": int(found[0]),
        "ends": [word.decode() for word in found[1:]],
        "by_tcp": int(by_tcp),
        "failovers": int(failovers),
        "stack_left": len(stack) - len(stack.lstrip(PAINT)),
    }


ROLES = {"clock": clock, "names": names, "idle": idle}
print(json.dumps(ROLES[sys.argv[1]](*sys.argv[2:])))
