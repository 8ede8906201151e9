"""Fetch a page by its name, with plain sockets: what `requests` does for you, made visible."""

import board

from smolmp.net import Net

HOST = "example.org"

net = Net(board.ethernet(), hostname="pico", tcp=2, udp=2, rx=4096, tx=1024).install()
if not net.wait_up():
    raise OSError("no cable, or no DHCP server")

import socket  # noqa: E402

stream = socket.socket()
stream.settimeout(10)  # of each call
try:
    stream.connect(socket.getaddrinfo(HOST, 80)[0][-1])
    stream.write(b"GET / HTTP/1.0\r\nHost: " + HOST.encode() + b"\r\n\r\n")
    print(stream.readline().decode().strip())
    while stream.readline() not in (b"\r\n", b""):
        pass  # headers
    length = 0
    buffer = bytearray(512)
    while True:
        n = stream.readinto(buffer)  # nothing is allocated for it
        if not n:
            break
        length += n
    print("a page of", length, "octets")
except OSError as error:
    print("no page:", error)
finally:
    stream.close()
net.finish()  # what is still to be said to the server
