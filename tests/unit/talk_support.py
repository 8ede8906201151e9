"""Two interfaces, each on a device of its own, that talk to each other in simulated time."""

from smolmp.iface import Interface
from smolmp.socket import icmp, tcp
from smolmp.socket.set import SocketSet

NEAR, FAR = "192.168.69.1", "192.168.69.2"


class Host:
    def __init__(self, device, address, mac="02:00:00:00:00:01", now=(1 << 30) - 500, seed=1):
        self.iface = Interface(
            device, hardware_addr=mac, ip_addrs=(address + "/24",), now=now, seed=seed
        )
        self.sockets = SocketSet()
        self.address = address


class Pair:
    """`between()` is called between two polls: there the wire does its part. step: ms per poll."""

    step = 1

    def __init__(self, near, far, between=None):
        self.now = (1 << 30) - 500  # wraps soon
        self.near = Host(near, NEAR, "02:00:00:00:00:01", self.now, 1)
        self.far = Host(far, FAR, "02:00:00:00:00:02", self.now, 2)
        self.between = between

    def poll(self):
        for host in (self.near, self.far):
            host.iface.poll(self.now, host.sockets)
            if self.between:
                self.between()
        self.now = (self.now + self.step) & 0x3FFFFFFF

    def until(self, done, polls=3000):
        while not done():
            assert polls, "they do not come to an end"
            polls -= 1
            self.poll()

    def ping(self, sizes=(0, 56, 1000)):
        """The near host pings the far one with messages of these sizes; how many came back."""
        socket = self.near.sockets.add(icmp.Socket(rx=4096, tx=4096))
        socket.bind(icmp.Endpoint.ident(0x77))
        back = 0
        for sequence, size in enumerate(sizes):
            data = bytes([i & 255 for i in range(size)])
            assert socket.send_echo(FAR, sequence, data) is not None
            got = None
            polls = 3000
            while got is None and polls:
                self.poll()
                got = socket.recv()
                polls -= 1
            if got is not None and got[0][0] == 0 and got[0][8:] == data:
                back += 1
        self.near.sockets.remove(socket)
        return back

    def echo(self, data, buffers=2048, polls=20000):
        """The near host connects, sends `data`, and the far one sends it back: what came."""
        server = self.far.sockets.add(tcp.Socket(rx=bytearray(buffers), tx=bytearray(buffers)))
        client = self.near.sockets.add(tcp.Socket(rx=bytearray(buffers), tx=bytearray(buffers)))
        server.listen(7)
        client.connect(self.near.iface, (FAR, 7))
        got = bytearray()
        sent = 0
        buf = bytearray(512)
        while len(got) < len(data):
            assert polls, "they do not come to an end"
            polls -= 1
            self.poll()
            if client.can_send() and sent < len(data):
                sent += client.send(data, sent) or 0
            while server.can_recv() and server.can_send():
                n = server.peek_into(buf)
                n = server.send(buf, 0, n)
                server.discard(n)
            while client.can_recv():
                got += client.recv()
        client.close()
        server.close()
        self.until(lambda: not server.is_open())
        self.near.sockets.remove(client)
        self.far.sockets.remove(server)
        return bytes(got)
