"""Frames as text, one line each, much as tcpdump writes them. For tools: it allocates freely.

    02:00:00:00:00:0a > ff:ff:ff:ff:ff:ff ARP who has 192.168.69.1? tell 192.168.69.100
    IP 192.168.69.100:51902 > 192.168.69.1:6970 TCP [S], seq 3232293679, win 64240, ...

Whatever the bytes are there is a line: what is wrong stands in parentheses.
"""

from array import array

from micropython import const

from . import arp, ethernet, icmpv4, ipv4, tcp, udp
from .address import format_address, format_endpoint, format_mac, from_words, to_words

# Device.medium
_ETHERNET = const(1)
_IP = const(2)

_FAMILY = const(0)
_PROTO = const(1)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_DATA = const(18)
_END = const(19)
_FRAGMENT = const(20)
_IDENT = const(21)
_LENGTH = const(24)
_SEQ = const(25)
_ACK = const(26)
_CONTROL = const(27)
_WINDOW = const(28)
_OPTIONS = const(29)
_MSS = const(30)
_SCALE = const(31)
_TSVAL = const(32)
_TSECR = const(33)
_SACKS = const(34)
_SACK = const(35)
_TYPE = const(43)
_CODE = const(44)
_ICMP_ID = const(45)
_ICMP_SEQ = const(46)
_OPERATION = const(47)
_REC_WORDS = const(56)

_BAD_CHECKSUM = const(-3)
_UNSUPPORTED = const(-4)

_RESULTS = {
    -1: " (truncated)",
    -2: " (malformed)",
    -3: " (bad checksum)",
    -4: " (unknown)",
}

_PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}

ICMP_TYPES = {
    0: "echo reply",
    3: "unreachable",
    5: "redirect",
    8: "echo request",
    9: "router advertisement",
    10: "router solicitation",
    11: "time exceeded",
    12: "parameter problem",
    13: "timestamp request",
    14: "timestamp reply",
}

ICMP_CODES = {
    3: (
        "net",
        "host",
        "protocol",
        "port",
        "need to fragment",
        "source route failed",
        "net unknown",
        "host unknown",
        "source host isolated",
        "net prohibited",
        "host prohibited",
        "net for TOS",
        "host for TOS",
        "communication prohibited",
        "host precedence violation",
        "precedence cutoff",
    ),
    5: ("net", "host", "TOS and net", "TOS and host"),
    11: ("in transit", "in reassembly"),
    12: ("at pointer", "missing option", "bad length"),
}


def _unsigned(rec, at):
    return rec[at] & 0xFFFFFFFF


def _endpoints(rec, ports=True):
    remote = from_words(rec[_FAMILY], rec, _REMOTE)
    local = from_words(rec[_FAMILY], rec, _LOCAL)
    if not ports:
        return "%s > %s" % (format_address(remote), format_address(local))
    remote = format_endpoint(remote, rec[_RPORT])
    return "%s > %s" % (remote, format_endpoint(local, rec[_LPORT]))


def _protocol(number):
    return _PROTOCOLS.get(number, "protocol %d" % number)


def _tcp(frame, off, end, rec):
    code = tcp.parse(frame, off, end, rec, 1)
    if code != 0 and code != _BAD_CHECKSUM:
        return _endpoints(rec, False) + " TCP" + _RESULTS[code]
    control = rec[_CONTROL]
    flags = "".join(c for i, c in enumerate("FSRP.UEW") if control >> i & 1)
    text = "%s TCP [%s], seq %d" % (_endpoints(rec), flags, _unsigned(rec, _SEQ))
    if rec[_LENGTH]:
        text += ":%d" % (_unsigned(rec, _SEQ) + rec[_LENGTH] & 0xFFFFFFFF)
    if control & 16:
        text += ", ack %d" % _unsigned(rec, _ACK)
    text += ", win %d" % rec[_WINDOW]
    seen = rec[_OPTIONS]
    options = []
    if seen & 1:
        options.append("mss %d" % rec[_MSS])
    if seen & 2:
        options.append("wscale %d" % rec[_SCALE])
    if seen & 4:
        options.append("sackOK")
    if seen & 16:
        options.append("TS val %d ecr %d" % (_unsigned(rec, _TSVAL), _unsigned(rec, _TSECR)))
    if seen & 8:
        blocks = range(_SACK, _SACK + 2 * rec[_SACKS], 2)
        blocks = ["{%d:%d}" % (_unsigned(rec, i), _unsigned(rec, i + 1)) for i in blocks]
        options.append("sack " + "".join(blocks))
    if options:
        text += ", options [%s]" % ",".join(options)
    return text + ", length %d" % rec[_LENGTH] + _RESULTS.get(code, "")


def _udp(frame, off, end, rec):
    code = udp.parse(frame, off, end, rec, 1)
    if code != 0 and code != _BAD_CHECKSUM:
        return _endpoints(rec, False) + " UDP" + _RESULTS[code]
    return "%s UDP, length %d%s" % (_endpoints(rec), rec[_LENGTH], _RESULTS.get(code, ""))


def _quote(frame, off, end):
    rec = array("i", bytes(4 * _REC_WORDS))
    code = icmpv4.parse_quote(frame, off, end, rec)
    if code != 0:
        return ", quoting" + _RESULTS[code]
    # The quoted packet is ours: seen from us it goes from LOCAL to REMOTE.
    flow = array("i", rec)
    for i in range(4):
        flow[_LOCAL + i] = rec[_REMOTE + i]
        flow[_REMOTE + i] = rec[_LOCAL + i]
    flow[_LPORT] = rec[_RPORT]
    flow[_RPORT] = rec[_LPORT]
    text = ", quoting %s %s" % (_endpoints(flow, rec[_LPORT] > 0), _protocol(rec[_PROTO]))
    if rec[_PROTO] == 1 and rec[_TYPE] in ICMP_TYPES:
        text += " %s, id %d, seq %d" % (ICMP_TYPES[rec[_TYPE]], rec[_ICMP_ID], rec[_ICMP_SEQ])
    return text


def _icmpv4(frame, off, end, rec):
    text = _endpoints(rec, False) + " ICMP"
    code = icmpv4.parse(frame, off, end, rec, 1)
    if code != 0 and code != _BAD_CHECKSUM and code != _UNSUPPORTED:
        return text + _RESULTS[code]
    kind = rec[_TYPE]
    text += " " + ICMP_TYPES.get(kind, "type %d" % kind)
    detail = rec[_CODE]
    names = ICMP_CODES.get(kind, ())
    if detail < len(names):
        text += " " + names[detail]
        if kind == 3 and detail == 4:
            text += ", mtu %d" % rec[_ICMP_SEQ]
        if kind == 12 and detail == 0:
            text += " %d" % (rec[_ICMP_ID] >> 8)
    elif detail:
        text += " code %d" % detail
    if kind in (0, 8, 13, 14):
        text += ", id %d, seq %d" % (rec[_ICMP_ID], rec[_ICMP_SEQ])
    if kind == 5:
        text += " to " + format_address(bytes(frame[off + 4 : off + 8]))
    text += ", length %d" % (end - off)
    if kind in (3, 5, 11, 12):
        text += _quote(frame, off + 8, end)
    return text + _RESULTS.get(code, "")


def _transport(frame, off, end, rec):
    proto = rec[_PROTO]
    if proto == 6:
        return _tcp(frame, off, end, rec)
    if proto == 17:
        return _udp(frame, off, end, rec)
    if proto == 1 and rec[_FAMILY] == 4:
        return _icmpv4(frame, off, end, rec)
    text = "%s %s" % (_endpoints(rec, False), _protocol(proto))
    if proto == 58 and rec[_FAMILY] == 6 and end - off >= 2:
        text += " type %d code %d" % (frame[off], frame[off + 1])
    return text + ", length %d" % (end - off)


def _ipv4(frame, off, end):
    rec = array("i", bytes(4 * _REC_WORDS))
    code = ipv4.parse(frame, off, end, rec, 1)
    bad = ""
    if code == _BAD_CHECKSUM:
        bad = " (bad header checksum)"
        code = ipv4.parse(frame, off, end, rec, 0)
    if code != 0:
        return "IP" + _RESULTS[code]
    fragment = rec[_FRAGMENT]
    if fragment:
        bad += " (fragment of %d at %d%s)" % (
            rec[_IDENT],
            fragment >> 2,
            ", more" if fragment & 2 else "",
        )
        length = rec[_END] - rec[_DATA]
        text = "%s %s, length %d" % (_endpoints(rec, False), _protocol(rec[_PROTO]), length)
        return "IP " + text + bad
    return "IP " + _transport(frame, rec[_DATA], rec[_END], rec) + bad


def _ipv6(frame, off, end):
    # Only the fixed header (RFC 8200 3); what follows extension headers is not looked at.
    if end - off < 40:
        return "IP6" + _RESULTS[-1]
    if frame[off] >> 4 != 6:
        return "IP6" + _RESULTS[-2]
    length = frame[off + 4] << 8 | frame[off + 5]
    if length > end - off - 40:
        return "IP6" + _RESULTS[-1]
    rec = array("i", bytes(4 * _REC_WORDS))
    rec[_FAMILY] = 6
    rec[_PROTO] = frame[off + 6]
    to_words(bytes(frame[off + 8 : off + 24]), rec, _REMOTE)
    to_words(bytes(frame[off + 24 : off + 40]), rec, _LOCAL)
    return "IP6 " + _transport(frame, off + 40, off + 40 + length, rec)


def _arp(frame, off, end):
    rec = array("i", bytes(4 * _REC_WORDS))
    code = arp.parse(frame, off, end, rec)
    if code != 0:
        return "ARP" + _RESULTS[code]
    sender = format_address(from_words(4, rec, _REMOTE))
    target = format_address(from_words(4, rec, _LOCAL))
    if rec[_OPERATION] == arp.REQUEST:
        return "ARP who has %s? tell %s" % (target, sender)
    return "ARP %s is at %s" % (sender, format_mac(frame[off + 8 : off + 14]))


def format_frame(frame, off: int, end: int, medium: int) -> str:
    """One line about frame[off:end]; medium as of a Device: 1 Ethernet, 2 IP."""
    end = max(0, min(end, len(frame)))
    off = max(0, min(off, end))
    if medium == _IP:
        if end > off and frame[off] >> 4 == 6:
            return _ipv6(frame, off, end)
        return _ipv4(frame, off, end)
    if medium != _ETHERNET:
        return "%d bytes" % (end - off)
    if end - off < 14:
        return "Ethernet" + _RESULTS[-1]
    link = "%s > %s " % (format_mac(frame[off + 6 : off + 12]), format_mac(frame[off : off + 6]))
    ethertype = frame[off + 12] << 8 | frame[off + 13]
    off += 14
    if ethertype == ethernet.ARP:
        return link + _arp(frame, off, end)
    if ethertype == ethernet.IPV4:
        return link + _ipv4(frame, off, end)
    if ethertype == ethernet.IPV6:
        return link + _ipv6(frame, off, end)
    if ethertype < 0x600:
        return link + "802.3 length %d" % ethertype
    return link + "type 0x%04x, length %d" % (ethertype, end - off)
