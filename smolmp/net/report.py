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
        if core not in unused and not _is_spare(core):
            lines.append("  " + line(core))
    counts = (free, streams, len(net._datagrams))
    lines.append("  connections: %d of %d free; UDP sockets: %d free" % counts)
    return "\n".join(lines)


def _is_spare(core) -> bool:
    """A listener's, which has a line that counts them."""
    return isinstance(core, tcp.Socket) and core.pool is not None and core.remote is None


def line(core) -> str:
    """A socket of the core as one line: state, queues, round trip."""
    if isinstance(core, tcp.Socket):
        queues = (core.recv_queue(), core.send_queue(), core.round_trip())
        return "%r in %d out %d octets, rtt %d ms" % ((core,) + queues)
    if not hasattr(core, "rx_dropped"):
        return repr(core)
    # A socket for datagrams.
    if core.kind == "udp":
        ends = "%s -> %s" % (core.local, core.remote)
    else:
        ends = "all" if core.ip_protocol is None else core.ip_protocol
    counts = (core.kind, ends, core.recv_queue, core.send_queue, core.rx_dropped, core.tx_dropped)
    return "<%s %s> in %d out %d octets, lost %d in %d out" % counts
