"""An Interface in words: its counters by name, and what print() shows. Imported when it is asked
for: on a board the names alone take 2 KB of heap.
"""

from micropython import const

_MEDIUM_IP = const(2)

# What the numbers of the counters stand for. The names of MIB-II (RFC 4293) where it has one.
NAMES = (
    # The link.
    "rx_frames",  # 0   frames and packets that the device handed over
    "tx_frames",  # 1   and that it took
    "tx_busy",  # 2   it did not take one: kept and tried again if it was a socket's
    "tx_dropped",  # 3   a reply lost because the device was busy or a neighbour unknown
    "rx_truncated",  # 4   shorter than its headers say, at any layer
    "rx_malformed",  # 5   a field that no sender may send
    "rx_bad_checksum",  # 6
    "rx_unsupported",  # 7   an ethertype or a kind of packet that nobody here speaks
    "rx_not_us",  # 8   for another link address
    # IP.
    "ip_not_ours",  # 9   for another IP address
    "ip_martian",  # 10  a source or destination that cannot be (RFC 1122 3.2.1.3)
    "ip_own_source",  # 11  from our own address
    "ip_link_broadcast",  # 12  unicast within a link broadcast (RFC 1122 3.3.6)
    "ip_fragments",  # 13  fragments that nobody reassembles
    "ip_no_protocol",  # 14  no handler for the protocol
    "ip_no_route",  # 15  to send: no route, or no source address
    "ip_too_big",  # 16  to send: larger than the MTU
    # Neighbours.
    "neighbor_requests",  # 17  requests sent
    "neighbor_replies",  # 18  requests answered
    "neighbor_failed",  # 19  nobody answered: the waiting frame is dropped
    "neighbor_changed",  # 20  a neighbour moved to another link address
    "neighbor_conflicts",  # 21  somebody else claims an address of ours (RFC 5227)
    "neighbor_blocked",  # 22  a frame found its neighbour's waiting place taken
    "neighbor_evicted",  # 23  the cache was full
    # ICMP.
    "icmp_in",  # 24
    "icmp_echos",  # 25  echo requests answered
    "icmp_errors",  # 26  errors sent
    "icmp_limited",  # 27  errors not sent: rate limit
    # Transport: counted by the sockets.
    "udp_in",  # 28
    "udp_out",  # 29
    "udp_no_port",  # 30
    "udp_full",  # 31  the receive queue had no room
    "tcp_in",  # 32
    "tcp_out",  # 33
    "tcp_retransmitted",  # 34
    "tcp_resets_in",  # 35
    "tcp_resets_out",  # 36
    "tcp_no_port",  # 37  a segment for no socket
    "tcp_rejected",  # 38  SYNs and ACKs that a rule dropped (broadcast, out of window, ...)
    "icmp_full",  # 39
    "raw_full",  # 40
    # TCP listeners.
    "tcp_accepted",  # 41  handshakes that ended in a connection for accept()
    "tcp_cookies_sent",  # 42  SYNs answered without a record: the half-open queue was full
    "tcp_cookies_accepted",  # 43  ACKs that brought one back
    "tcp_cookies_rejected",  # 44  and ACKs that brought none, while there could have been one
    "tcp_half_open_full",  # 45  SYNs that found the half-open queue full
    "tcp_half_open_expired",  # 46  half-open connections given up: nobody answered
    "tcp_half_open_reset",  # 47  ended by an RST or by another SYN
    "tcp_backlog_full",  # 48  handshakes that ended where no connection was free: not taken
    # What TCP answers to segments that are wrong, and which it drops.
    "tcp_challenges",  # 49  challenge ACKs (RFC 5961)
    "tcp_challenges_limited",  # 50  not sent: rate limit
    "tcp_resets_limited",  # 51  RSTs to strangers not sent: rate limit
    "tcp_paws",  # 52  segments with an old timestamp, or without the one that was agreed on
    "tcp_invalid_limited",  # 53  empty segments out of place not answered: rate limit
    "tcp_time_wait_reused",  # 54  connections that began where an old one was in TIME-WAIT
    # Paths, and what routers say of them.
    "tcp_icmp_rejected",  # 55  ICMP errors that quote nothing in flight: forged or late
    "tcp_icmp_errors",  # 56  believed: a connection was refused, or has a soft error
    "path_mtu_lowered",  # 57  a path lets only smaller packets pass
    "path_mtu_forgotten",  # 58  after 10 minutes: larger ones are tried again
    "tcp_black_holes",  # 59  large segments are swallowed: smaller ones go
    "tcp_ce_in",  # 60  segments marked on their way (RFC 3168)
    "tcp_ece_in",  # 61  ACKs that tell of such
    "tcp_ecn_reduced",  # 62  windows reduced for that
)


def stats(iface):
    """The counters by name."""
    return {name: iface.counters[i] for i, name in enumerate(NAMES)}


def text(iface):
    """All of it, a line each."""
    counts = sorted(stats(iface).items())
    lines = [
        "Interface %s mtu %d %s"
        % (
            "ip" if iface.medium == _MEDIUM_IP else iface.hardware_addr,
            iface.mtu,
            "up" if iface._link else "down",
        ),
        "  addresses  " + (" ".join(iface.ip_addrs) or "-") + (" any" if iface.any_ip else ""),
        "  routes     " + (", ".join([repr(route) for route in iface.routes]) or "-"),
        "  neighbors  " + (repr(iface.neighbors) or "-"),
        "  paths      " + (", ".join(["%s mtu %d" % path for path in iface.paths]) or "-"),
        "  counters   " + (" ".join(["%s %d" % (k, v) for k, v in counts if v]) or "-"),
    ]
    return "\n".join(lines)
