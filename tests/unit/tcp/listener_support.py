"""A Peer and a tcp.Listener: what the tests of listeners share."""

from tcp_support import PEER_PORT, Peer

from smolmp.socket import tcp

WRAP = 0x3FFFFFFF


def listening(backlog=4, port=80, peer=None, **options):
    p = peer or Peer()
    listener = p.sockets.add(tcp.Listener(backlog, **options))
    listener.listen(port)
    return p, listener


def shake(p, port=PEER_PORT, payload=b"", flags="A", **options):
    """The peer opens a connection from `port`."""
    p.send("S", 0, remote_port=port, **options)
    p.expect("SA", 0, 1, destination_port=port)
    p.send(flags, 1, 1, payload, remote_port=port)


def stat(p, name):
    return p.iface.stats()["tcp_" + name]
