"""smolmp.net: the socket module beside the port's own, and programs that nobody here wrote."""

import difflib
import socket
import struct
import threading

import netlab
import pytest

NET = "tests/linux/net/"
RESET = struct.pack("ii", 1, 0)
ECHO, CLOSER, RESETTER, SOURCE, SILENT, CALLER, NOBODY, UDP_ECHO = range(7001, 7009)


class Peers:
    """What the oracle's calls talk to, in the namespace `kernel`."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.open = []
        serve = {
            ECHO: self.echo,
            CLOSER: lambda s: s.close(),
            RESETTER: self.reset,
            SOURCE: lambda s: (s.sendall(bytes(range(256)) * 40), s.close()),
            SILENT: self.open.append,
            CALLER: self.call,
        }
        for port, handler in serve.items():
            listener = kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port == SILENT:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            listener.bind((netlab.KERNEL_IP, port))
            listener.listen(8)
            self.open.append(listener)
            threading.Thread(target=self.accept, args=(listener, handler), daemon=True).start()
        self.udp = kernel.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((netlab.KERNEL_IP, UDP_ECHO))
        self.open.append(self.udp)
        threading.Thread(target=self.datagrams, daemon=True).start()

    def accept(self, listener, handler):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(handler, s), daemon=True).start()

    def serve(self, handler, s):
        try:
            handler(s)
        except OSError:
            pass  # the other end broke it, as it is asked to

    def echo(self, s):
        while True:
            data = s.recv(4096)
            if not data:
                break
            s.sendall(data)
        s.close()

    def reset(self, s):
        s.recv(1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        s.close()

    def call(self, s):
        """Connects to the port that it is told, says hello, repeats a line and hangs up."""
        port = struct.unpack("!H", s.recv(2))[0]
        back = self.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
        back.connect((netlab.STACK_IP, port))
        back.sendall(b"hello")
        back.sendall(back.recv(100).upper())
        back.close()

    def datagrams(self):
        while True:
            data, source = self.udp.recvfrom(4096)
            if source is None:
                return  # shut down
            self.udp.sendto(data, source)

    def close(self):
        for s in self.open:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


@pytest.fixture
def peers(bare_wire):
    found = []

    def make():
        found.append(Peers(bare_wire.kernel))
        return found[0]

    yield make
    for p in found:
        p.close()


def answers(wire, target, which, **more):
    program = wire.start(target, NET + "oracle.py", which, wire.kernel_ip, ready=None, **more)
    status = program.wait(60)
    assert status == 0, program.output
    return program.output


def test_sockets_answer_as_the_ports_own(laboratory, bare_wire, target, peers):
    """The same calls over the kernel's sockets and over smolmp's: line for line the same."""
    with netlab.Namespace() as other, netlab.Namespace() as near:
        netlab.veth(near, other)
        near.up("veth0", netlab.KERNEL_IP + "/24")
        other.up("veth0", netlab.STACK_IP + "/24")
        their = Peers(near)
        kernel = answers(bare_wire, target, "kernel", namespace=other)
        their.close()
    bare_wire.tap()
    peers()
    ours = answers(bare_wire, target, "smolmp")
    differences = list(difflib.unified_diff(kernel.splitlines(), ours.splitlines(), lineterm=""))
    assert not differences, "\n".join(differences)
    assert len(kernel.splitlines()) > 100
