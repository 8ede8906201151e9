"""A Net in words: addresses, routes, neighbours, sockets (state, queues, round trip), counters."""

from smolmp.socket import tcp


def text(net) -> str:
    """All that print(net) shows."""
    link = "up" if net.iface._link else "no link"
    lines = ["<Net %s, %s>" % (net.hostname, link), repr(net.iface)]
    lines.append("  dns        " + (" ".join(net.dns + net.search) or "-"))
    free, streams = net.count_streams()
    unused = net._streams + net._datagrams
    for core in net.sockets:
        if core not in unused:
            lines.append(line(core))
    counts = (free, streams, len(net._datagrams))
    lines.append("connections: %d of %d free; UDP sockets: %d free" % counts)
    return "\n".join(lines)


def line(core) -> str:
    """A socket of the core as one line: state, queues, round trip."""
    if isinstance(core, tcp.Socket):
        queues = (core.recv_queue(), core.send_queue(), core.round_trip())
        return "%r in %d out %d octets, rtt %d ms" % ((core,) + queues)
    return repr(core)
