"""asyncio's streams, as MicroPython carries them, over smolmp: net/loop.py against Linux."""

import socket

import pytest
from test_socket import NET, peers  # noqa: F401


def test_waiting_and_cancelling(wire, target, peers):  # noqa: F811
    peers()
    program = wire.start(target, NET + "loop.py", wire.kernel_ip, ready=None)
    assert program.wait(60) == 0, program.output
    assert program.output.splitlines() == [
        "many [20, 20, 20, 20, 20, 20]",
        "time-out",
        "b'alive'",
        "cancelled True False",
        "cancelled True",
        "closed by another 9",
        "refused 111",
        "reset 104",
        "['flag', 'event']",
        "flag cancelled True",
        "served b'HELLO WELCOME\\n'",
        "idle True",
        "read 204800",
        "connections free: True tasks left: 0",
    ], program.output
    wire.check()


def test_aio(wire, target, peers):  # noqa: F811
    """The calls of smolmp.net.aio, and what a cancelled one leaves behind: nothing."""
    peers()
    program = wire.start(target, NET + "aio.py", wire.kernel_ip, ready=None)
    assert program.wait(60) == 0, program.output
    assert program.output.splitlines() == [
        "[0, 1, 2, 3, 4, 5]",
        "the end 1305600 0",
        "closed OSError 9",
        "both ways 100000 100000",
        "end of both 0",
        "refused OSError 111",
        "no such name OSError -2",
        "time-out OSError 110",
        "in time True",
        "reset OSError 104",
        "then 0",
        "silence OSError 110",
        "an answer 1",
        "full OSError 110",
        "connect cancelled 1 0",
        "timed connect cancelled 1 0",
        "resolve cancelled 1 0",
        "accept cancelled 1 0",
        "read cancelled 1 0",
        "timed read cancelled 1 0",
        "write cancelled 1 0",
        "datagram cancelled 1 0",
        "wait_for TimeoutError",
        "goes on 5",
        "closed under it OSError 9",
        "served 192.168.69.100 5 b'HELLO'",
        "(5, ('192.168.69.100', 7008)) b'hello'",
        "6 ('192.168.69.100', 7008)",
        "datagrams sent 28000",
        "connections free: True tasks left: 0",
    ], program.output
    wire.check()


@pytest.mark.targets("unix32")
@pytest.mark.parametrize("kind", ["recv", "stream", "aio", "asyncio"])
def test_requests_allocate_nothing(wire, target, kind):
    """200 of them, the server's heap being locked."""
    program = wire.start(target, NET + "locked.py", kind)
    with wire.connect(7000) as s:
        for i in range(200):
            s.sendall(bytes([i]) * 64)
            got = s.recv(64, socket.MSG_WAITALL)
            assert got == bytes([i]) * 64, (i, got, program.output)
    assert program.wait(20) == 0, program.output
    assert "served 200" in program.output


@pytest.mark.targets("unix32")
@pytest.mark.parametrize("kind", ["datagram", "recvfrom", "aio_datagram"])
def test_datagrams_allocate_nothing(wire, target, kind):
    program = wire.start(target, NET + "locked.py", kind)
    with wire.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.connect((wire.ip, 7000))
        for i in range(201):
            s.send(bytes([i]) * 64)
            assert s.recv(100) == bytes([i]) * 64, program.output
        s.send(b"bye".ljust(64) if kind == "recvfrom" else b"bye")
        assert program.wait(20) == 0, program.output
    assert "served 200" in program.output
