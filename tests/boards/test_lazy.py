"""What is not asked for is not there: the modules that a program on an emulated Pico has."""

import ast
import subprocess

import pytest

from boards import emulated

# A server on TCP has this of smolmp; and nothing of smolmp.net, of UDP, ICMP sockets, DHCP, DNS,
# connecting, listening to many, SYN cookies, reports, middleware.
SERVER = {
    "": "counters errors iface phy prng siphash socket storage wire",
    "iface": "arp configuration icmp interface ipv4 neighbors path_mtu routes walk",
    "phy": "device wiznet",
    "socket": "deadlines demux endpoint protocols set tcp",
    "socket.tcp": "acknowledge burst closing congestion connection ecn express handshake"
    " icmp_errors ingress kernels numbers path rack receive recovery replies scoreboard socket"
    " states statistics steps timers timestamps transmit user_timeout",
    "storage": "kernels ranges",
    "wire": "address arp checksum ethernet icmpv4 ipv4 tcp",
}
# (what a program does, what that loads of smolmp)
STEPS = (
    (
        "import smolmp.iface, smolmp.socket.tcp, smolmp.socket.set; from ports.rp2 import boards",
        None,
    ),
    ("sockets = smolmp.socket.set.SocketSet()", ""),
    ("one = sockets.add(smolmp.socket.tcp.Socket(rx=512, tx=512)); one.listen(80)", ""),
    (
        "import smolmp.net",
        "net net.names net.pool net.socket net.stack net.stream socket.datagram socket.udp"
        " storage.packets wire.udp",
    ),
    ("from smolmp.phy.loopback import Loopback", "phy.loopback phy.queue"),
    ("net = smolmp.net.Net(Loopback(), '10.0.0.1/8', tcp=4, udp=1, rx=512, tx=512)", ""),
    ("net.install(); import socket", "net.module"),
    (
        "server = socket.socket(); server.bind(('', 80)); server.listen(1)",
        "socket.tcp.cookie socket.tcp.halfopen socket.tcp.listener socket.tcp.passive",
    ),
    ("client = socket.socket(); client.connect(('10.0.0.1', 80))", "socket.tcp.active"),
    ("server.accept()[0].write(b'hello'); assert client.recv(9) == b'hello'", ""),
    ("one = socket.socket(2, 2); one.bind(('', 7)); one.close()", "net.datagram"),
    ("import asyncio", ""),
    ("client.setblocking(False)", "net.loop"),
    ("from smolmp.net import aio", "net.aio"),
    ("assert 'ESTABLISHED' in repr(net)", "iface.report net.report"),
    ("net.resolver()", "socket.dns socket.dns.client socket.dns.query socket.lane wire.dns"),
    (
        "from smolmp.socket import dhcpv4",
        "socket.dhcpv4 socket.dhcpv4.lease socket.dhcpv4.probe socket.dhcpv4.socket wire.dhcpv4",
    ),
    ("from smolmp.net import sntp", "net.sntp socket.sntp"),
)
PROGRAM = """
import sys
def loaded():
    return set([name[7:] for name in sys.modules if name.startswith("smolmp.")])
before = set()
for step in {}:
    exec(step)
    now = loaded()
    print(sorted(now - before))
    before = now
"""
HOST = """
import sys, installed
board = installed.board("stock")
board.boot()
printed, error = board.execute(installed.BEGIN + sys.stdin.read())
sys.stdout.write(printed.decode() + error.decode())
"""


def test_each_part_is_loaded_by_who_asks_for_it():
    if emulated.missing():
        pytest.skip(f"MISSING: emulated Pico: {emulated.missing()}")
    done = subprocess.run(
        ["nice", str(emulated.PYTHON), "-c", HOST],
        cwd=emulated.ROOT / "tools/rp2",
        input=PROGRAM.format([step for step, _ in STEPS]),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(STEPS), done.stdout
    server = {f"{room}.{name}".strip(".") for room in SERVER for name in SERVER[room].split()}
    for (step, wanted), line in zip(STEPS, lines):
        wanted = server if wanted is None else set(wanted.split())
        assert set(ast.literal_eval(line)) == wanted, step
