"""secure.py FOLDER PEER PART...: TLS over smolmp's sockets; the other end is openssl.

FOLDER has ca.pem (whom we trust), server.test.pem and server.test.key (who we are). A part is a
function here and the port that it talks to, as in blocking:4433.
"""

import asyncio
import errno
import hashlib
import select
import sys
import time

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net

FOLDER, PEER = sys.argv[1:3]
SIZE = 100000
NAME = "server.test"

net = Net(Tap("tap0"), "192.168.69.1/24", hosts={NAME: PEER}, rx=8192, tx=8192).install()

import socket  # noqa: E402
import ssl  # noqa: E402


def octets(seed):
    """SIZE octets that both ends know"""
    parts = [hashlib.sha256(b"%s %d" % (seed, i)).digest() for i in range(SIZE // 32)]
    return b"".join(parts)


UP, DOWN = octets(b"up"), octets(b"down")


def context(server=False):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    if server:
        c.load_cert_chain("%s/%s.pem" % (FOLDER, NAME), "%s/%s.key" % (FOLDER, NAME))
    else:
        c.verify_mode = ssl.CERT_REQUIRED
        c.load_verify_locations(cafile=FOLDER + "/ca.pem")
    return c


def connected(port):
    s = socket.socket()
    s.settimeout(10)
    s.connect(socket.getaddrinfo(NAME, port)[0][-1])
    return s


def tell(what, stream, got):
    print(what, stream.cipher()[1], "right" if got == DOWN else "WRONG: %d" % len(got))


def blocking(port):
    s = context().wrap_socket(connected(port), server_hostname=NAME)
    for at in range(0, SIZE, 7000):
        s.write(UP[at : at + 7000])
    tell("blocking", s, s.read(len(DOWN)))
    s.close()


def by_tls(port):
    """Without ssl: the port's `tls` itself, which all ports with TLS have."""
    import tls

    c = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    c.verify_mode = tls.CERT_REQUIRED
    with open(FOLDER + "/ca.pem", "rb") as f:
        c.load_verify_locations(f.read())
    s = c.wrap_socket(connected(port), server_hostname=NAME)
    s.write(UP)
    tell("by tls", s, s.read(len(DOWN)))
    s.close()


def by_poll(port):
    """Nothing blocks: neither connect(), nor the handshake, nor reads and writes."""
    s = socket.socket()
    s.setblocking(False)
    try:
        s.connect((PEER, port))
    except OSError as e:
        assert e.errno == errno.EINPROGRESS
    s = context().wrap_socket(s, server_hostname=NAME, do_handshake_on_connect=False)
    s.setblocking(False)
    poll = select.poll()
    poll.register(s, select.POLLIN | select.POLLOUT)
    sent = 0
    got = bytearray()
    while len(got) < len(DOWN):
        _, events = poll.poll(5000)[0]
        assert not events & select.POLLERR, events
        if events & select.POLLIN:
            data = s.read(3000)
            assert data != b""
            got.extend(data or b"")
        if events & select.POLLOUT and sent < SIZE:
            sent += s.write(UP[sent : sent + 5000]) or 0
            if sent == SIZE:
                poll.modify(s, select.POLLIN)
    tell("by poll", s, got)
    s.close()


def by_asyncio(port):
    async def talk():
        reader, writer = await asyncio.open_connection(
            NAME, port, ssl=context(), server_hostname=NAME
        )
        writer.write(UP)
        await writer.drain()
        got = await reader.readexactly(len(DOWN))
        tell("by asyncio", reader.s, got)
        writer.close()
        await writer.wait_closed()

    asyncio.run(talk())


def failure(what, port, name=NAME, timeout=5):
    s = connected(port)
    s.settimeout(timeout)
    start = time.ticks_ms()
    try:
        context().wrap_socket(s, server_hostname=name)
        print(what, "accepted")
    except ValueError as e:
        print(what, "refused:", str(e).strip())
    except OSError as e:
        known = e.errno == errno.ETIMEDOUT and time.ticks_diff(time.ticks_ms(), start) < 1500
        print(what, "failed:", "ETIMEDOUT" if known else "an error of TLS" if e.errno < 0 else e)
    s.close()


def wrong_name(port):
    failure("wrong name", port, "elsewhere.test")


def by_name(port):
    """The server has two certificates: it is told which one we want (SNI)."""
    failure("second name", port, "second.test")
    failure("first name", port)


def not_trusted(port):
    failure("not trusted", port)


def expired(port):
    failure("expired", port)


def silent(port):
    failure("silent", port, timeout=0.5)


def no_tls(port):
    failure("no TLS", port)


def not_verified(port):
    """As ssl does unless it is told to verify; and a read that waits in vain, then does not."""
    s = connected(port)
    stream = ssl.wrap_socket(s)
    stream.write(UP)  # first: s_server waits for its client in the midst of what it has to send
    got = stream.read(len(DOWN))
    s.settimeout(0.2)
    try:
        stream.read(5)
        print("not verified: no time-out")
    except OSError as e:
        print("not verified:", errno.errorcode[e.errno])
    tell("not verified", stream, got)
    stream.close()


def server(port):
    """Blocks; each client gets its octets back, then DOWN."""
    listener = socket.socket()
    listener.bind(("", port))
    listener.listen(2)
    print("ready")
    c = context(True)
    for _ in range(3):
        s, _ = listener.accept()
        try:
            s.settimeout(10)
            stream = c.wrap_socket(s, server_side=True)
            got = stream.read(SIZE)
            stream.write(DOWN)
            right = "right" if got == UP else "WRONG"
            print("server", stream.cipher()[1], right)
            stream.close()
        except (OSError, ValueError) as e:
            print("server", type(e).__name__)
            s.close()
    listener.close()


def asyncio_server(port):
    left = [3]
    done = asyncio.Event()

    async def serve(reader, writer):
        try:
            got = await reader.readexactly(SIZE)
            writer.write(DOWN)
            await writer.drain()
            print("asyncio server", reader.s.cipher()[1], "right" if got == UP else "WRONG")
        except (OSError, ValueError, EOFError) as e:
            print("asyncio server", type(e).__name__)
        writer.close()
        await writer.wait_closed()
        left[0] -= 1
        if not left[0]:
            done.set()

    async def main():
        listener = await asyncio.start_server(serve, "0.0.0.0", port, ssl=context(True))
        print("ready")
        await done.wait()
        listener.close()
        await listener.wait_closed()

    asyncio.run(main())


for part in sys.argv[3:]:
    name, port = part.split(":")
    globals()[name](int(port))
net.finish()
net.sleep(50)
free = net.count_streams()
print("connections free:", free[0] == free[1])
