"""Endpoints: what a program writes for an address and a port, to and from a flow's words.

A local endpoint is a port (`80`: any address of any family), `(address, port)` or text
(`"10.0.0.1:80"`, `"[::1]:80"`). An address is text ("10.0.0.1", "fe80::1"), 4 or 16 bytes, or ""
or None for any address of any family; "0.0.0.0" and "::" are any address of their family.
A remote endpoint always has an address. Port 0 is let through: whether it means "choose one" or
nonsense, the socket knows.

ValueError: text that is no address or endpoint. OSError(EINVAL): anything else that makes no
sense (a port above 65535, 5 bytes, two families in one flow).
"""

from errno import EINVAL

import micropython
from micropython import const

from smolmp.wire.address import (
    format_address,
    from_words,
    parse_address,
    parse_endpoint,
    to_words,
)

_FAMILY = const(0)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_FLOW_WORDS = const(14)


@micropython.viper
def is_unset(words: ptr32, at: int) -> int:
    """1 when the four address words at `words[at]` are all 0 (no address, or 0.0.0.0, or ::)."""
    return 0 if (words[at] | words[at + 1] | words[at + 2] | words[at + 3]) else 1


@micropython.viper
def copy_words(dst: ptr32, dst_at: int, src: ptr32, src_at: int, n: int):
    """Copy n words; the caller proves that both arrays hold them."""
    for i in range(n):
        dst[dst_at + i] = src[src_at + i]


def clear(flow):
    """Forget both ends, the protocol, hop limit and traffic class."""
    for i in range(_FLOW_WORDS):
        flow[i] = 0


def clear_address(words, at):
    """Make the four words at `words[at]` the unset address."""
    words[at] = words[at + 1] = words[at + 2] = words[at + 3] = 0


def set_local(flow, endpoint):
    """Fill _FAMILY, _LOCAL and _LPORT from a port, (address, port) or text."""
    address, port = _split(endpoint, True)
    if address is None:
        flow[_FAMILY] = 0
        clear_address(flow, _LOCAL)
    else:
        flow[_FAMILY] = to_words(address, flow, _LOCAL)
    flow[_LPORT] = port


def set_remote(flow, endpoint):
    """Fill _REMOTE and _RPORT (and _FAMILY where it is 0) from (address, port) or text.

    OSError(EINVAL) when the flow already has the other family; set `flow[0] = 0` to change it.
    """
    address, port = _split(endpoint, False)
    family = 4 if len(address) == 4 else 6
    if flow[_FAMILY] and flow[_FAMILY] != family:
        raise OSError(EINVAL)
    flow[_FAMILY] = to_words(address, flow, _REMOTE)
    flow[_RPORT] = port


def set_address(flow, at, address):
    """Fill the four words at `flow[at]` (_LOCAL or _REMOTE) and _FAMILY from an address alone."""
    address = _address(address)
    if address is None:
        clear_address(flow, at)
        return
    family = 4 if len(address) == 4 else 6
    if flow[_FAMILY] and flow[_FAMILY] != family:
        raise OSError(EINVAL)
    flow[_FAMILY] = to_words(address, flow, at)


def local(flow):
    """(address, port), the address "" when it is any of any family; None when nothing is set."""
    if not flow[_LPORT] and not flow[_FAMILY]:
        return None
    return (address_of(flow, _LOCAL), flow[_LPORT])


def remote(flow):
    """(address, port), or None when no remote is set."""
    if not flow[_RPORT] and is_unset(flow, _REMOTE):
        return None
    return (address_of(flow, _REMOTE), flow[_RPORT])


def address_of(flow, at):
    """The address at `flow[at]` as text; "" when the flow has no family."""
    family = flow[_FAMILY]
    return format_address(from_words(family, flow, at)) if family else ""


def _split(endpoint, may_be_any):
    """(address bytes or None, port)."""
    if isinstance(endpoint, str):
        return parse_endpoint(endpoint)
    if isinstance(endpoint, int):
        address = None
        port = endpoint
    elif isinstance(endpoint, (tuple, list)) and len(endpoint) >= 2:
        address = _address(endpoint[0])
        port = endpoint[1]
    else:
        raise OSError(EINVAL)
    if not isinstance(port, int) or not 0 <= port <= 65535 or not (address or may_be_any):
        raise OSError(EINVAL)
    return (address, port)


def _address(address):
    if not address:
        return None
    if isinstance(address, str):
        return parse_address(address)
    if isinstance(address, (bytes, bytearray, memoryview)) and len(address) in (4, 16):
        return address
    raise OSError(EINVAL)
