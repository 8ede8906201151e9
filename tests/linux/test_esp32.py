"""ports/esp32/main.py on models of the chips (tests/models), and Linux: a page, pings, DHCP."""

import socket
import struct

import netlab
import pytest
from test_dhcp import ARGS, Dnsmasq
from test_examples import OPTIONS

PROGRAM = "tests/linux/esp32_board.py"
PAGE = "This is smolmp on a board.\n"
MODULE = "dict(sck=4, mosi=5, miso=6, cs=7, rst=8, int=34, spi=2)"


def serve(wire, target, board, *more, wiring="{}", ready="^smolmp is at 192.168.69.1$"):
    more = more or (wire.address, wire.kernel_ip)
    return wire.start(target, PROGRAM, "tap0", board, *more[:2], wiring, *more[2:], ready=ready)


def fetch(wire, address="192.168.69.1", more=()):
    return wire.run("curl", "-sS", "--max-time", "20", *more, f"http://{address}/")


@pytest.mark.targets("unix32")
@pytest.mark.parametrize(
    "board, wiring",
    [
        ("esp32", "{}"),  # neither INT nor RST
        ("t_eth_lite_s3", "{}"),
        ("esp32_s3_eth", "{}"),
        pytest.param("w5500", MODULE, id="any_w5500"),
        ("wt32_eth01", "{}"),
        ("t_eth_lite", "{}"),
        ("esp32_ethernet_kit", "{}"),
    ],
)
def test_its_main_program_serves(wire, target, board, wiring):
    program = serve(wire, target, board, wiring=wiring)
    said = wire.run("ping", "-c", "5", "-i", "0.2", "-s", "1472", "-W", "5", wire.ip)
    assert " 0% packet loss" in said, said
    for _ in range(5):
        assert fetch(wire) == PAGE
    with wire.connect(80) as rude:
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert fetch(wire) == PAGE
    assert "Traceback" not in program.output
    wire.check()


ONE_OF_EACH = pytest.mark.parametrize("board", ["t_eth_lite_s3", "wt32_eth01"])


@ONE_OF_EACH
def test_who_says_nothing_keeps_nobody_waiting(wire, target, board):
    serve(wire, target, board)
    with wire.connect(80) as idle:
        for _ in range(20):
            assert fetch(wire) == PAGE
        assert idle.recv(100) == b""
    wire.check()


@ONE_OF_EACH
def test_its_address_by_dhcp(wire, target, tmp_path, board):
    if not netlab.has("dnsmasq"):
        pytest.skip("dnsmasq is missing: tools/setup system")
    with Dnsmasq(wire, tmp_path, *OPTIONS, settings=ARGS.replace("--port=0", "")):
        program = serve(wire, target, board, "dhcp", "none", ready="^smolmp waits for")
        address = program.wait_line(r"^smolmp is at (\S+)$", 20)[1].decode()
        assert fetch(wire, address) == PAGE
    wire.check()


@pytest.mark.targets("unix32")
def test_a_chip_that_is_reset_again_and_again(wire, target):
    program = serve(wire, target, "t_eth_lite_s3", wire.address, wire.kernel_ip, "2500")
    for _ in range(10):
        assert fetch(wire, more=("--retry", "9", "--retry-all-errors")) == PAGE
        wire.run("sleep", "0.7")
    assert "Traceback" not in program.output
    wire.check()
