"""Answers http://ADDRESS/ through a W5500. tools/flash.py writes /host.py: who this board is."""

from ports.rp2 import inplace

inplace.begin()  # what is imported runs from the flash: it would fill the heap

from time import ticks_ms  # noqa: E402

import host  # type: ignore[import-not-found]  # noqa: E402

from ports.rp2 import boards  # noqa: E402
from smolmp.iface import Interface  # noqa: E402
from smolmp.socket import tcp  # noqa: E402
from smolmp.socket.set import SocketSet  # noqa: E402

device = getattr(boards, host.BOARD)(host.MAC, **host.WIRING)
iface = Interface(device, hardware_addr=host.MAC, ip_addrs=host.ADDRESSES)
if host.GATEWAY:
    iface.routes.add_default(host.GATEWAY)
sockets = SocketSet()
server = sockets.add(tcp.Socket(rx=1024, tx=1024))
print("smolmp serves http://%s/" % host.ADDRESSES[0].split("/")[0])
while True:
    if not server.is_open():
        server.listen(80)
    for socket in iface.poll(ticks_ms(), sockets):
        if socket.can_recv():  # a request
            socket.discard()
            socket.send(b"HTTP/1.0 200 OK\r\n\r\nThis is smolmp on a board.\n")
            socket.close()
    device.wait(iface.poll_delay(ticks_ms(), sockets))
