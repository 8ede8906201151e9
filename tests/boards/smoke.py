"""What an installed part must be able to do, run inside MicroPython: smoke.py PART."""

import sys


def two_hosts():
    """Two interfaces on one wire, and their SocketSets."""
    from smolmp.iface import Interface
    from smolmp.phy.device import Device
    from smolmp.socket.set import SocketSet

    class End(Device):
        def recv(self, buf):
            if not self.waiting:
                return 0
            frame = self.waiting.pop(0)
            buf[: len(frame)] = frame
            return len(frame)

        def send(self, buf, start, end):
            self.other.waiting.append(bytes(buf[start:end]))
            return True

    ends = [End(), End()]
    hosts = []
    for number, end in enumerate(ends, 1):
        end.waiting, end.other = [], ends[number % 2]
        address = "10.0.0.%d/24" % number
        mac = "02:00:00:00:00:0%d" % number
        hosts.append((Interface(end, hardware_addr=mac, ip_addrs=(address,)), SocketSet()))
    return hosts


def talk(hosts, now=0, rounds=20):
    for step in range(rounds):
        for iface, sockets in hosts:
            list(iface.poll(now + step, sockets))


def core():
    for iface, _ in two_hosts():
        assert "10.0.0." in repr(iface)


def ipv4_tcp():
    from smolmp.socket import tcp

    hosts = two_hosts()
    client, server = [s.add(tcp.Socket(rx=2048, tx=2048)) for _, s in hosts]
    server.listen(80)
    client.connect(hosts[0][0], ("10.0.0.2", 80))
    talk(hosts)
    assert client.send(b"over TCP") == 8
    talk(hosts, 100)
    assert server.recv(100) == b"over TCP"


def udp():
    from smolmp.socket import udp

    hosts = two_hosts()
    client, server = [s.add(udp.Socket(rx=2048, tx=2048)) for _, s in hosts]
    server.bind(53)
    client.bind(1234)
    client.send_to(b"over UDP", ("10.0.0.2", 53))
    talk(hosts)
    assert server.recv()[0] == b"over UDP"


PROGRAMS = {"core": core, "ipv4-tcp": ipv4_tcp, "udp": udp, "package": ipv4_tcp}
PROGRAMS.get(sys.argv[1], lambda: None)()
print("smoke: ok")
