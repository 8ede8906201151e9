"""asyncio's streams, as MicroPython carries them, over smolmp: net/loop.py against Linux."""

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
