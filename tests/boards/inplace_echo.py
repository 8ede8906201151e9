"""On the emulated Pico, by test_memory.py: a connection of smolmp with itself whose functions run
from the flash, also while others of them go on being imported, and with the heap locked."""

import gc  # noqa: I001
import sys

import micropython
from ports.rp2 import inplace

inplace.install()
assert inplace.begin(keep=("smolmp.wire.checksum",))
from smolmp.iface import Interface  # noqa: E402
from smolmp.phy.loopback import Loopback  # noqa: E402
from smolmp.socket import tcp  # noqa: E402
from smolmp.socket.set import SocketSet  # noqa: E402

device = Loopback()
iface = Interface(device, ip_addrs=("10.0.0.1/8",), seed=1)
sockets = SocketSet(4)
server = sockets.add(tcp.Socket(rx=1024, tx=1024))
client = sockets.add(tcp.Socket(rx=1024, tx=1024))
server.listen(7)
client.connect(iface, ("10.0.0.1", 7))
now = 0


def steps(n):
    global now
    for _ in range(n):
        now += 1
        iface.poll(now, sockets)


steps(20)
assert server.state == client.state == "ESTABLISHED", (server, client)
lazy = ("listener", "passive", "halfopen", "cookie")
assert not [name for name in lazy if "smolmp.socket.tcp." + name in sys.modules]

text = bytes(range(256)) * 2
got = bytearray(512)


def trip():
    client.send(text)
    steps(15)
    assert server.recv_into(got) == 512
    server.send(got)
    steps(15)
    assert client.recv_into(got) == 512
    assert got == text


def trips(n):
    for _ in range(n):
        trip()


trips(2)
gc.collect()
micropython.heap_lock()
try:
    trips(5)
finally:
    micropython.heap_unlock()

# A part that comes later, while the connection is open.
listener = sockets.add(tcp.Listener(backlog=2, pool=1, rx=512, tx=512))
listener.listen(80)
assert "smolmp.socket.tcp.listener" in sys.modules
other = sockets.add(tcp.Socket(rx=512, tx=512))
other.connect(iface, ("10.0.0.1", 80))
steps(20)
accepted = listener.accept()
assert accepted is not None and other.state == "ESTABLISHED"
trips(2)


def place(function):
    return inplace._word(id(function) + 12)


import smolmp.socket.tcp.kernels as kernels  # noqa: E402
import smolmp.socket.tcp.passive as passive  # noqa: E402
import smolmp.wire.checksum as checksum  # noqa: E402

for function in (Interface.add_ip_addr, Interface.poll, kernels.relate, passive.on_listen):
    assert 0x10000000 <= place(function) < 0x11000000, function
assert place(checksum.checksum) >= 0x20000000
# Names relative to who asks, long after its own import; and one that does not exist.
import asyncio  # noqa: E402

assert asyncio.start_server is sys.modules["asyncio.stream"].start_server
try:
    import smolmp.nothing  # type: ignore[import-not-found]  # noqa: F401

    raise AssertionError
except ImportError:
    pass
micropython.heap_lock()
try:
    import smolmp.iface.ipv4 as ipv4  # what is there already
finally:
    micropython.heap_unlock()
assert 0x10000000 <= place(ipv4.emit) < 0x11000000
try:
    inplace.install()
    raise AssertionError("its own ground was pulled away")
except OSError:
    pass
print(inplace.end(), 1)
