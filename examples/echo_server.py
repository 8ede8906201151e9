"""An echo server with plain sockets: some clients at a time, one loop."""

import board

from smolmp.net import Net

net = Net(board.ethernet(), hostname="pico", tcp=6, udp=1, rx=1024, tx=1024).install()
if not net.wait_up():
    raise OSError("no cable, or no DHCP server")

import select  # noqa: E402
import socket  # noqa: E402

server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", 7))
server.listen(3)
poll = select.poll()  # it drives the stack while it waits
poll.register(server, select.POLLIN)
buffer = bytearray(512)
print("echo server at", net.iface.ip_addrs[0].split("/")[0], "port 7")
while True:
    for stream, _ in poll.poll():
        try:
            if stream is server:
                stream, address = server.accept()
                print("hello", address[0])
                stream.settimeout(10)  # for a client that does not read its echo
                poll.register(stream, select.POLLIN)
                continue
            n = stream.recv_into(buffer)
            if n:
                stream.write(buffer, n)
                continue
        except OSError as error:
            print("lost:", error)
        poll.unregister(stream)  # it said goodbye
        stream.close()
