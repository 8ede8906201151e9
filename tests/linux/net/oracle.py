"""oracle.py kernel|smolmp PEER: what socket calls answer, one line each, to be compared.

The same calls over the port's own sockets and over smolmp's. The peer is test_socket.py's.
"""

import errno
import os
import select
import struct
import sys
import time

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

KERNEL = sys.argv[1] == "kernel"
PEER = sys.argv[2]
OURS = "192.168.69.1"

ECHO, CLOSER, RESETTER, SOURCE, SILENT, CALLER, NOBODY, UDP_ECHO = range(7001, 7009)
SINK, DEAF, OBEDIENT = range(7011, 7014)
FULL = 7020  # nobody accepts: what calls there stays in SYN-SENT
SHUT_RD, SHUT_WR = 0, 1

if KERNEL:
    import socket

    # The port's own sockets have none, the kernel has.
    import ffi

    libc_shutdown = ffi.open(None).func("i", "shutdown", "ii")

    def sleep(ms):
        time.sleep_ms(ms)

    def shutdown(s, how):
        if libc_shutdown(s.fileno(), how):
            raise OSError(os.errno())
else:
    from ports.unix.tuntap import Tap
    from smolmp.net import Net

    net = Net(Tap("tap0"), OURS + "/24", hardware_addr="02:00:00:00:00:01", tcp=16)
    net.install()
    import socket

    sleep = net.sleep

    def shutdown(s, how):
        s.shutdown(how)


poll = select.poll()
BOTH = select.POLLIN | select.POLLOUT


def at(port, host=PEER):
    return socket.getaddrinfo(host, port)[0][-1]


def plain(value):
    """An address as both tell it: the port's own sockets speak in sockaddr_in."""
    if isinstance(value, (bytes, bytearray)) and len(value) == 16 and value[0] == 2:
        return ".".join(str(b) for b in value[4:8]), value[2] << 8 | value[3]
    return value


def show(what, function, *args, waits=False):
    """A line with what the call answered; its value."""
    value = None
    try:
        value = function(*args)
        text = repr(plain(value))
        if "socket" in text or "FileIO" in text:
            text = "a socket"
        elif len(text) > 60:
            text = "%d octets, sum %d" % (len(value), sum(value))
    except OSError as e:
        text = "OSError %s" % errno.errorcode.get(e.errno, e.errno)
        text = text.replace("[addrinfo error -2]", "-2")  # the unix port's words
        if text == "OSError EAGAIN" and waits:
            text = "OSError ETIMEDOUT"  # only the unix port says so of recv and accept
    except Exception as e:
        text = type(e).__name__
    print("%s: %s" % (what, text))
    return value


def state(what, s, wanted=BOTH):
    """The events that poll() reports now."""
    poll.register(s, wanted)
    found = poll.poll(0)
    poll.unregister(s)
    print("%s: poll %d" % (what, found[0][1] if found else 0))


def until(s, event, ms=3000):
    poll.register(s, event)
    poll.poll(ms)
    poll.unregister(s)


def connected(port):
    s = socket.socket()
    s.connect(at(port))
    return s


def fresh():
    s = socket.socket()
    state("fresh", s)
    show("recv", s.recv, 10)
    show("send", s.send, b"x")
    show("accept", s.accept)
    show("close", s.close)
    show("close again", s.close)
    show("recv when closed", s.recv, 10)
    show("write when closed", s.write, b"x")


def connect():
    s = socket.socket()
    show("connect", s.connect, at(ECHO))
    state("connected", s)
    show("connect again", s.connect, at(ECHO))
    show("send", s.send, b"hello world")
    until(s, select.POLLIN)
    state("answered", s)
    show("recv some", s.recv, 5)
    show("recv the rest", s.recv, 100)
    s.setblocking(False)
    show("recv of nothing", s.recv, 10)
    show("read of nothing", s.read, 10)
    show("readinto of nothing", s.readinto, bytearray(10))
    show("readline of nothing", s.readline)
    s.close()
    s = socket.socket()
    show("refused", s.connect, at(NOBODY))
    state("after the refusal", s)
    show("recv", s.recv, 1)
    show("send", s.send, b"x")
    s.close()


def large():
    """More than a segment at a time."""
    s = connected(ECHO)
    show("write", s.write, bytes(range(250)) * 12)
    sleep(300)
    show("peek", s.recv, 4000, 2)
    show("recv some", s.recv, 2000)
    show("recv the rest", s.recv, 4000)
    s.setblocking(False)
    show("recv of nothing", s.recv, 4000)
    s.close()
    s = connected(CLOSER)
    show("recv until it hangs up", s.recv, 4000)
    show("recv its end", s.recv, 4000)
    s.close()


def in_the_background():
    s = socket.socket()
    s.setblocking(False)
    show("connect", s.connect, at(ECHO))
    until(s, select.POLLOUT)
    state("connected", s)
    show("connect again", s.connect, at(ECHO))
    show("and again", s.connect, at(ECHO))
    s.close()
    s = socket.socket()
    s.setblocking(False)
    show("to nobody", s.connect, at(NOBODY))
    until(s, select.POLLOUT)
    state("refused", s)
    show("connect again", s.connect, at(NOBODY))
    s.close()
    s = socket.socket()
    s.setblocking(False)
    show("to nobody", s.connect, at(NOBODY))
    until(s, select.POLLOUT)
    show("recv tells", s.recv, 1)
    show("once", s.recv, 1)
    show("send", s.send, b"x")
    s.close()


def the_peer_closes():
    s = connected(CLOSER)
    until(s, select.POLLIN)
    state("after its FIN", s)
    show("recv", s.recv, 10)
    show("recv again", s.recv, 10)
    show("read", s.read)
    show("read 4", s.read, 4)
    show("readinto", s.readinto, bytearray(4))
    show("readline", s.readline)
    show("send", s.send, b"x")
    sleep(100)
    state("after its RST", s)
    show("send", s.send, b"x")
    show("recv", s.recv, 10)
    s.close()


def the_peer_resets():
    s = connected(RESETTER)
    s.send(b"x")
    until(s, 0)
    sleep(50)
    state("reset", s)
    show("recv", s.recv, 10)
    state("told", s)
    show("recv", s.recv, 10)
    show("send", s.send, b"x")
    s.close()


def time_outs():
    s = connected(SILENT)
    s.settimeout(0.05)
    start = time.ticks_ms()
    show("recv", s.recv, 10, waits=True)
    show("read", s.read, 10)
    show("readinto", s.readinto, bytearray(10))
    show("readline", s.readline)
    took = time.ticks_diff(time.ticks_ms(), start)
    print("four time-outs took 200 ms:", 190 <= took < 600)
    half_way()
    s.settimeout(0)
    show("recv at once", s.recv, 10)
    block = bytes(50000)
    sent = 0
    while True:
        n = s.write(block)
        if n is None:
            sleep(300)  # until buffers have settled
            n = s.write(block)
            if n is None:
                break
        sent += n
    print("full:", sent > 1000)
    state("full", s)
    show("send", s.send, b"x")
    show("write", s.write, b"x")
    s.settimeout(0.05)
    show("send", s.send, b"x", waits=True)
    show("write", s.write, b"x")
    s.close()


def half_way():
    """A time-out after part of what was wanted has come: who loops until it is full or has a line
    loses that part, as MicroPython's streams have it; it is in readinto()'s buffer."""
    b = bytearray(8)
    for what, call in (
        ("readinto", lambda s: s.readinto(b)),
        ("read", lambda s: s.read(8)),
        ("readline", lambda s: s.readline()),
        ("read to the end", lambda s: s.read()),
    ):
        s = connected(ECHO)
        s.settimeout(0.2)
        s.send(b"abc")
        until(s, select.POLLIN)
        show(what + " half-way", call, s)
        show("what is left", s.recv, 8, waits=True)
        s.send(b"de\n")
        show("then", s.recv, 8, waits=True)
        s.setblocking(False)
        s.send(b"fg")
        until(s, select.POLLIN)
        show(what + " without blocking", call, s)
        s.close()
    show("the buffer", bytes, b)


def fill(s):
    """Write until nothing more fits, here and there."""
    s.setblocking(False)
    block = bytes(50000)
    while True:
        if s.write(block) is None:
            sleep(300)  # until buffers have settled
            if s.write(block) is None:
                return


def hang_up():
    """Have DEAF end its half."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"hang up", at(UDP_ECHO))
    sleep(300)
    s.close()


def both_ways(s):
    """What a socket that does not block says of a call each way."""
    s.setblocking(False)
    show("recv", s.recv, 10)
    show("readinto", s.readinto, bytearray(3))
    show("send", s.send, b"x")


def every_state():
    """poll() and a call each way in all states of RFC 9293 3.3.2 that a program's socket can be
    in (SYN-RECEIVED is only in a listener's hands)."""
    s = socket.socket()
    state("CLOSED", s)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(at(8082, "0.0.0.0"))
    state("bound", s)
    s.listen(1)
    state("LISTEN", s)
    both_ways(s)
    s.close()
    s = socket.socket()
    s.setblocking(False)
    show("connect", s.connect, at(FULL))
    sleep(50)
    state("SYN-SENT", s)
    both_ways(s)
    show("connect again", s.connect, at(FULL))
    s.close()
    s = connected(ECHO)
    state("ESTABLISHED", s)
    state("for nothing", s, 0)
    state("for input", s, select.POLLIN)
    state("for output", s, select.POLLOUT)
    both_ways(s)
    until(s, select.POLLIN)
    state("readable", s)
    state("for nothing", s, 0)
    s.close()
    s = connected(OBEDIENT)
    shutdown(s, SHUT_WR)  # which it sees at once
    sleep(100)
    state("FIN-WAIT-2", s)
    show("send", s.send, b"x")
    s.settimeout(3)
    show("recv", s.recv, 100)  # it said that before it hung up
    until(s, select.POLLIN)
    sleep(100)
    state("TIME-WAIT", s)
    both_ways(s)
    s.close()
    s = connected(DEAF)
    fill(s)
    shutdown(s, SHUT_WR)
    state("FIN-WAIT-1", s)
    both_ways(s)
    hang_up()
    state("CLOSING", s)
    both_ways(s)
    s.close()
    s = connected(CLOSER)
    until(s, select.POLLIN)
    state("CLOSE-WAIT", s)
    show("recv", s.recv, 1)
    state("CLOSE-WAIT, told", s)
    shutdown(s, SHUT_WR)
    sleep(100)
    state("CLOSED again", s)
    both_ways(s)
    s.close()
    s = connected(DEAF)
    fill(s)
    hang_up()
    state("CLOSE-WAIT, full", s)
    both_ways(s)
    shutdown(s, SHUT_WR)
    state("LAST-ACK", s)
    both_ways(s)
    s.close()
    s = connected(SINK)
    shutdown(s, SHUT_RD)
    state("shut for reading", s)
    both_ways(s)
    s.close()


def oddities():
    s = connected(SINK)
    show("much at once", s.send, bytes(300000))
    show("write", lambda: s.write(bytes(300000)))
    show("nothing", s.send, b"")
    show("write nothing", s.write, b"")
    show("read 0", s.read, 0)
    show("readinto nothing", s.readinto, bytearray())
    show("text", s.send, "text")
    show("write text", s.write, "text")
    show("memoryview", s.send, memoryview(b"abc")[1:])
    show("array", s.write, bytearray(3))
    show("recvfrom of a stream", lambda: s.recvfrom(1, 64))
    show("listen", s.listen, 1)
    show("bind", s.bind, at(8083, "0.0.0.0"))
    s.close()
    for call in ("recv", "read", "readinto", "readline", "accept", "listen"):
        show(call + " when closed", getattr(s, call), *closed_arguments(call))
    s = socket.socket()
    show("listen before bind", s.listen, 1)
    show("and again", s.listen, 1)
    show("connect", s.connect, at(ECHO))
    s.close()
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(at(8084, "0.0.0.0"))
    s.listen(1)
    s.settimeout(0.5)
    call = connected(CALLER)
    call.send(struct.pack("!H", 8084))
    conn, _ = s.accept()
    show("its time-out is not the listener's", conn.recv, 5)
    s.close()  # the connection goes on
    show("write", conn.write, b"goodbye\n")
    show("recv", conn.recv, 100)
    until(conn, select.POLLIN)
    show("its end", conn.recv, 100)
    conn.close()
    call.close()


def closed_arguments(call):
    if call == "readinto":
        return (bytearray(1),)
    return () if call in ("accept", "readline") else (1,)


def streams():
    s = connected(ECHO)
    s.write(b"one\ntwo\nthree!")
    show("readline", s.readline)
    show("readline of 2", s.readline, 2)
    show("read 3", s.read, 3)
    b = bytearray(4)
    show("readinto", s.readinto, b)
    show("it is", bytes, b)
    show("readinto 1", s.readinto, b, 1)
    show("it is", bytes, b)
    show("write", s.write, b"abcdef", 2)
    show("write", s.write, b"abcdef", 1, 3)
    show("read", s.read, 5)
    f = show("makefile", s.makefile, "rwb", 0)
    f.write(b"line\n")
    show("its readline", f.readline)
    s.close()
    s = connected(SOURCE)
    show("read all", s.read)
    s.close()
    s = connected(SOURCE)
    b = bytearray(100)
    show("readinto", s.readinto, b)
    show("read 3", s.read, 3)
    show("recv", lambda: len(s.recv(7)))
    s.close()


def servers():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    show("bind", s.bind, at(8080, "0.0.0.0"))
    show("bind again", s.bind, at(8081, "0.0.0.0"))
    show("listen", s.listen, 2)
    state("listening", s)
    show("recv", s.recv, 1)
    other = socket.socket()
    show("bind there", other.bind, at(8080, "0.0.0.0"))
    other.close()
    s.setblocking(False)
    show("accept of nothing", s.accept)
    s.settimeout(0.05)
    show("accept of nothing", s.accept, waits=True)
    s.settimeout(5)
    call = connected(CALLER)
    call.send(struct.pack("!H", 8080))
    until(s, select.POLLIN)
    state("somebody waits", s)
    conn, peer = s.accept()
    print("accepted", plain(peer)[0])
    state("none left", s)
    show("recv", conn.recv, 100)
    show("write", conn.write, b"welcome\n")
    show("recv", conn.recv, 100)
    conn.close()
    call.close()
    s.close()


def datagrams():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    state("fresh", s)
    show("sendto", s.sendto, b"hello", at(UDP_ECHO))
    until(s, select.POLLIN)
    state("answered", s)
    data, source = s.recvfrom(100)
    print(data, plain(source))
    show("sendto", s.sendto, b"0123456789", at(UDP_ECHO))
    until(s, select.POLLIN)
    show("its head", s.recv, 4)
    s.setblocking(False)
    show("the rest is lost", s.recv, 4)
    show("recvfrom", s.recvfrom, 4)
    show("send to nobody", s.send, b"x")
    s.settimeout(0.05)
    show("recv", s.recv, 4, waits=True)
    show("connect", s.connect, at(UDP_ECHO))
    show("send", s.send, b"connected")
    show("recv", s.recv, 100)
    show("write", s.write, b"stream")
    show("readinto", s.readinto, bytearray(6))
    show("empty", s.send, b"")
    show("comes back", s.recv, 10)
    s.close()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(1)
    s.connect(at(NOBODY))
    show("send to a closed port", s.send, b"x")
    show("recv tells", s.recv, 1)
    s.close()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    show("bind", s.bind, at(9000, "0.0.0.0"))
    show("bind again", s.bind, at(9001, "0.0.0.0"))
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    show("bind there", other.bind, at(9000, "0.0.0.0"))
    show("not ours", other.bind, at(9002, PEER))
    show("broadcast", other.sendto, b"x", at(9, "192.168.69.255"))
    other.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    show("allowed", other.sendto, b"x", at(9, "192.168.69.255"))
    show("listen", other.listen, 1)
    show("accept", other.accept)
    other.close()
    s.close()


def addresses():
    for host, port in ((PEER, 80), ("0.0.0.0", 1)):
        found = socket.getaddrinfo(host, port)[0]
        print(found[0], found[1], plain(found[4]))
    found = socket.getaddrinfo(PEER, 80, 0, socket.SOCK_DGRAM)
    print([(f[0], f[1], plain(f[4])) for f in found])
    show("nonsense", lambda: socket.getaddrinfo("no such name.", 80) and None)
    show("inet_pton", socket.inet_pton, socket.AF_INET, "1.2.3.4")
    show("inet_ntop", socket.inet_ntop, socket.AF_INET, b"\1\2\3\4")
    show("inet_pton", socket.inet_pton, socket.AF_INET, "1.2.3")


for part in (
    addresses,
    fresh,
    connect,
    large,
    in_the_background,
    the_peer_closes,
    the_peer_resets,
    time_outs,
    every_state,
    oddities,
    streams,
    servers,
    datagrams,
):
    print("==", part.__name__)
    part()
