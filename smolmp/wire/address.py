"""Addresses and their text: MAC, IPv4 (RFC 791), IPv6 (RFC 4291, RFC 5952), CIDR (RFC 4632).

At the API an address is `bytes`: 6 (MAC), 4 (IPv4) or 16 (IPv6) of them, network order.
Inside the stack an IP address is four 32-bit words of an `array('i')`, most significant
first, as big-endian numbers; IPv4 uses the first and leaves the others 0. A word does not
fit a small int on a 32-bit board, so only viper touches words; the family (4 or 6) goes along.

Text that cannot be read raises ValueError: it comes from the program, not from the network.
"""

import micropython

# ---------------------------------------------------------------- words


@micropython.viper
def _pack(address: ptr8, size: int, words: ptr32, at: int):
    i = 0
    while i < 4:
        if i < size:
            b = i << 2
            words[at + i] = (
                address[b] << 24 | address[b + 1] << 16 | address[b + 2] << 8 | address[b + 3]
            )
        else:
            words[at + i] = 0
        i += 1


@micropython.viper
def _unpack(address: ptr8, size: int, words: ptr32, at: int):
    i = 0
    while i < size:
        w = words[at + i]
        b = i << 2
        address[b] = w >> 24
        address[b + 1] = w >> 16
        address[b + 2] = w >> 8
        address[b + 3] = w
        i += 1


def to_words(address: bytes, words, at: int) -> int:
    """Store `address` (4 or 16 bytes) in words[at:at + 4]; its family, 4 or 6.

    ValueError: another length, or four words do not fit there.
    """
    size = len(address)
    if size != 4 and size != 16 or at < 0 or at + 4 > len(words):
        raise ValueError("address must have 4 or 16 bytes")
    _pack(address, size >> 2, words, at)
    return 4 if size == 4 else 6


def from_words(family: int, words, at: int) -> bytes:
    """The address in words[at:at + 4] as bytes: 4 of them for family 4, else 16. Allocates."""
    size = 4 if family == 4 else 16
    if at < 0 or at + 4 > len(words):
        raise ValueError("no address there")
    address = bytearray(size)
    _unpack(address, size >> 2, words, at)
    return bytes(address)


@micropython.viper
def same_prefix(a: ptr32, at: int, b: ptr32, bt: int, bits: int) -> int:
    """1 if the addresses in words a[at:at + 4] and b[bt:bt + 4] agree in their first `bits`.

    bits: 0..32 for IPv4, 0..128 for IPv6; the caller has checked that the families agree.
    """
    i = 0
    while bits >= 32 and i < 4:
        if a[at + i] != b[bt + i]:
            return 0
        bits -= 32
        i += 1
    if bits > 0 and i < 4:
        # Sign-extended or not, the shift leaves 0 exactly if the top `bits` bits agree.
        if (a[at + i] ^ b[bt + i]) >> (32 - bits):
            return 0
    return 1


# ---------------------------------------------------------------- MAC


def parse_mac(text: str) -> bytes:
    """'02:00:00:00:00:01' or '02-00-00-00-00-01' -> 6 bytes."""
    groups = text.split("-" if "-" in text else ":")
    if len(groups) != 6:
        raise ValueError("bad MAC address: " + text)
    mac = bytearray(6)
    for i, group in enumerate(groups):
        if len(group) != 2:
            raise ValueError("bad MAC address: " + text)
        mac[i] = _number(group, 16, 255, text)
    return bytes(mac)


def format_mac(mac: bytes) -> str:
    """6 bytes (or any number of them) -> '02:00:00:00:00:01'."""
    return ":".join("%02x" % b for b in mac)


# ---------------------------------------------------------------- IP


def _number(text: str, base: int, largest: int, whole: str) -> int:
    """A number of plain digits (no sign, blank or underscore, which int() lets pass)."""
    n = 0
    if not text:
        raise ValueError("bad address: " + whole)
    for c in text:
        d = "0123456789abcdef".find(c.lower())
        if d < 0 or d >= base:
            raise ValueError("bad address: " + whole)
        n = n * base + d
        if n > largest:
            raise ValueError("bad address: " + whole)
    return n


@micropython.viper
def _dotted(text: ptr8, n: int, address: ptr8) -> int:
    """The n octets of text as four numbers up to 255 with dots between them, into address[0:4];
    0: they are anything else."""
    at = 0
    digits = 0
    value = 0
    i = 0
    while i <= n:
        c = 46 if i == n else text[i]
        i += 1
        if c == 46:
            if digits == 0 or at == 4:
                return 0
            address[at] = value
            at += 1
            digits = 0
            value = 0
        else:
            # "010" is 8 to some, 10 to others
            if c < 48 or c > 57 or (digits and value == 0):
                return 0
            value = value * 10 + c - 48
            digits += 1
            if value > 255:
                return 0
    return 1 if at == 4 else 0


def _parse_ipv4(text: str, whole: str) -> bytes:
    address = bytearray(4)
    octets = text.encode()
    if not _dotted(octets, len(octets), address):
        raise ValueError("bad address: " + whole)
    return bytes(address)


def _parse_groups(text: str, whole: str) -> bytes:
    """'1:2:3' or '1:2:1.2.3.4' -> 2 bytes for each group, 4 for a dotted tail."""
    if not text:
        return b""
    groups = text.split(":")
    tail = b""
    if "." in groups[-1]:  # RFC 4291 2.2 (3)
        tail = _parse_ipv4(groups.pop(), whole)
    address = bytearray(2 * len(groups))
    for i, group in enumerate(groups):
        if len(group) > 4:
            raise ValueError("bad address: " + whole)
        n = _number(group, 16, 0xFFFF, whole)
        address[2 * i] = n >> 8
        address[2 * i + 1] = n & 255
    return bytes(address) + tail


def _parse_ipv6(text: str, whole: str) -> bytes:
    gap = text.find("::")
    if gap < 0:
        address = _parse_groups(text, whole)
    else:
        head = text[:gap]
        if "." in head:
            raise ValueError("bad address: " + whole)
        head = _parse_groups(head, whole)
        tail = _parse_groups(text[gap + 2 :], whole)
        missing = 16 - len(head) - len(tail)
        if missing < 2:  # "::" stands for at least one group
            raise ValueError("bad address: " + whole)
        address = head + bytes(missing) + tail
    if len(address) != 16:
        raise ValueError("bad address: " + whole)
    return address


def parse_address(text: str) -> bytes:
    """'192.168.69.1' -> 4 bytes, 'fe80::1' or '::ffff:1.2.3.4' -> 16 bytes."""
    if ":" in text:
        return _parse_ipv6(text, text)
    return _parse_ipv4(text, text)


def format_address(address: bytes) -> str:
    """4 bytes -> '192.168.69.1'; 16 bytes -> RFC 5952 text, an IPv4-mapped tail dotted."""
    if len(address) == 4:
        return "%d.%d.%d.%d" % (address[0], address[1], address[2], address[3])
    if len(address) != 16:
        raise ValueError("address must have 4 or 16 bytes")
    if address[:12] == b"\0\0\0\0\0\0\0\0\0\0\xff\xff":  # RFC 5952 5
        return "::ffff:" + format_address(address[12:])
    groups = [address[i] << 8 | address[i + 1] for i in range(0, 16, 2)]
    # RFC 5952 4.2: shorten the first of the longest runs of zero groups, never a single one.
    best = 0
    best_length = 1
    i = 0
    while i < 8:
        j = i
        while j < 8 and groups[j] == 0:
            j += 1
        if j - i > best_length:
            best = i
            best_length = j - i
        i = j + 1
    texts = ["%x" % g for g in groups]
    if best_length == 1:
        return ":".join(texts)
    return ":".join(texts[:best]) + "::" + ":".join(texts[best + best_length :])


# ---------------------------------------------------------------- CIDR


def parse_cidr(text: str):
    """'10.0.0.1/24' -> (4 bytes, 24); 'fe80::1/64' -> (16 bytes, 64)."""
    slash = text.find("/")
    if slash < 0:
        raise ValueError("no prefix length: " + text)
    address = parse_address(text[:slash])
    return address, _number(text[slash + 1 :], 10, 8 * len(address), text)


def format_cidr(address: bytes, prefix_len: int) -> str:
    """(4 or 16 bytes, 24) -> '10.0.0.1/24'."""
    return "%s/%d" % (format_address(address), prefix_len)


def netmask(prefix_len: int, size: int = 4) -> bytes:
    """`size` bytes (4 or 16) with the first `prefix_len` bits set."""
    if not 0 <= prefix_len <= 8 * size:
        raise ValueError("bad prefix length")
    mask = bytearray(size)
    for i in range(size):
        bits = min(max(prefix_len - 8 * i, 0), 8)
        mask[i] = 0xFF00 >> bits & 0xFF
    return bytes(mask)


def prefix_len(mask: bytes) -> int:
    """The prefix length of a netmask of 4 or 16 bytes; ValueError if its ones are not in front."""
    bits = 0
    for byte in mask:
        while byte & 0x80:
            bits += 1
            byte = byte << 1 & 0xFF
    if netmask(bits, len(mask)) != bytes(mask):
        raise ValueError("not a netmask: " + format_address(mask))
    return bits


def network(address: bytes, bits: int) -> bytes:
    """`address` with all but its first `bits` bits cleared."""
    mask = netmask(bits, len(address))
    return bytes(a & m for a, m in zip(address, mask))


def broadcast(address: bytes, bits: int):
    """The subnet's broadcast address; None for IPv6 and for /31 (RFC 3021) and /32."""
    if len(address) != 4 or bits > 30:
        return None
    mask = netmask(bits)
    return bytes(a | m ^ 0xFF for a, m in zip(address, mask))


def contains(address: bytes, bits: int, other: bytes) -> bool:
    """Is `other` (the same family) in the subnet address/bits?"""
    return len(address) == len(other) and network(address, bits) == network(other, bits)


# ---------------------------------------------------------------- endpoints


def parse_endpoint(text: str):
    """'1.2.3.4:80' or '[::1]:80' -> (bytes, port); port 0..65535."""
    colon = text.rfind(":")
    host = text[:colon]
    if host[:1] == "[" and host[-1:] == "]":
        address = _parse_ipv6(host[1:-1], text)
    else:
        address = _parse_ipv4(host, text)
    return address, _number(text[colon + 1 :], 10, 65535, text)


def format_endpoint(address: bytes, port: int) -> str:
    """(4 bytes, 80) -> '1.2.3.4:80'; (16 bytes, 80) -> '[::1]:80'."""
    text = format_address(address)
    return ("%s:%d" if len(address) == 4 else "[%s]:%d") % (text, port)


# ---------------------------------------------------------------- predicates (4 or 16 bytes)


def is_unspecified(address: bytes) -> bool:
    """0.0.0.0 or ::"""
    return not any(address)


def is_multicast(address: bytes) -> bool:
    """224.0.0.0/4 or ff00::/8"""
    return address[0] & 0xF0 == 0xE0 if len(address) == 4 else address[0] == 0xFF


def is_broadcast(address: bytes) -> bool:
    """255.255.255.255; IPv6 has none."""
    return bytes(address) == b"\xff\xff\xff\xff"


def is_loopback(address: bytes) -> bool:
    """127.0.0.0/8 or ::1"""
    if len(address) == 4:
        return address[0] == 127
    return address[15] == 1 and not any(address[:15])


def is_link_local(address: bytes) -> bool:
    """169.254.0.0/16 or fe80::/10"""
    if len(address) == 4:
        return address[0] == 169 and address[1] == 254
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


def is_unicast(address: bytes) -> bool:
    """One host's: neither unspecified nor multicast nor broadcast."""
    return not (is_unspecified(address) or is_multicast(address) or is_broadcast(address))


def group_mac(group: bytes) -> bytes:
    """The link address of an IPv4 (RFC 1112 6.4) or IPv6 (RFC 2464 7) group."""
    if len(group) == 16:
        return b"\x33\x33" + group[12:]
    return bytes((1, 0, 0x5E, group[1] & 0x7F)) + group[2:]
