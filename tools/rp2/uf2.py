"""UF2 files: what a board's boot loader writes into its flash, in blocks of 256 octets."""

import struct

_BLOCK = struct.Struct("<8I")
_MAGIC, _MAGIC2, _END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_HAS_FAMILY = 0x2000
_RP2040 = 0xE48BFF56
PAGE = 256


def read(octets):
    """{address: 256 octets} of a UF2 file for the RP2040. ValueError: it is none."""
    pages = {}
    for at in range(0, len(octets), 512):
        magic, magic2, _, address, size, _, _, family = _BLOCK.unpack_from(octets, at)
        if (magic, magic2, size, family) != (_MAGIC, _MAGIC2, PAGE, _RP2040):
            raise ValueError(f"not a block of a UF2 file for the RP2040: {at}")
        pages[address] = octets[at + 32 : at + 32 + PAGE]
    return pages


def write(pages):
    """The UF2 file of {address: at most 256 octets}."""
    out = bytearray()
    for i, address in enumerate(sorted(pages)):
        out += _BLOCK.pack(_MAGIC, _MAGIC2, _HAS_FAMILY, address, PAGE, i, len(pages), _RP2040)
        out += pages[address].ljust(476, b"\0") + struct.pack("<I", _END)
    return bytes(out)


def pages(address, octets):
    """{address: 256 octets} of what begins at `address`, a page's beginning."""
    found = range(0, len(octets), PAGE)
    return {address + at: octets[at : at + PAGE].ljust(PAGE, b"\0") for at in found}


def memory(pages):
    """(address, octets) of all pages; what no page has is 0xFF."""
    first, end = min(pages), max(pages) + PAGE
    octets = bytearray(b"\xff") * (end - first)
    for address, page in pages.items():
        octets[address - first : address - first + PAGE] = page
    return first, bytes(octets)
