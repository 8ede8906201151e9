"""goodbye.py kernel|smolmp FOLDER: a TLS server that says a word to each of two clients and
closes. By the port's `tls` alone, over its own sockets or ours."""

import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

FOLDER = sys.argv[2] + "/"

if sys.argv[1] == "smolmp":
    from ports.unix.tuntap import Tap
    from smolmp.net import Net

    net = Net(Tap("tap0"), "192.168.69.1/24", rx=8192, tx=8192).install()

import socket  # noqa: E402

import tls  # noqa: E402

context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
context.verify_mode = tls.CERT_NONE
with open(FOLDER + "server.test.pem", "rb") as f:
    certificate = f.read()
with open(FOLDER + "server.test.key", "rb") as f:
    context.load_cert_chain(certificate, f.read())
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(socket.getaddrinfo("0.0.0.0", 443)[0][-1])
listener.listen(1)
print("ready")
for _ in range(2):
    s, _ = listener.accept()
    stream = context.wrap_socket(s, server_side=True)
    stream.write(b"a word")
    if stream.readline() == b"you first\n":
        print("its close_notify:", stream.read(1))
    stream.close()
print("closed")
if sys.argv[1] == "smolmp":
    net.finish()
