"""Fetch a page by HTTPS, from a server that proves who it is. Wants a MicroPython with TLS."""

import board

from smolmp.net import Net

HOST = "example.org"

net = Net(board.ethernet(), hostname="pico", tcp=2, udp=2, rx=4096, tx=2048).install()
if not net.wait_up():
    raise OSError("no cable, or no DHCP server")

import socket  # noqa: E402
import ssl  # noqa: E402

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined]
context.load_verify_locations(cafile="ca.pem")  # whose signature we trust; PEM or DER
stream = socket.socket()
stream.settimeout(10)
try:
    stream.connect(socket.getaddrinfo(HOST, 443)[0][-1])
    secure = context.wrap_socket(stream, server_hostname=HOST)
    secure.write(b"GET / HTTP/1.0\r\nHost: " + HOST.encode() + b"\r\n\r\n")
    print(secure.readline().decode().strip())
    while secure.readline() not in (b"\r\n", b""):
        pass  # headers
    print("a page of", len(secure.read()), "octets")
    secure.close()
except (OSError, ValueError) as error:  # ValueError: the certificate is not good enough
    print("no page:", error)
    stream.close()
net.finish()
