"""The kernels run with the heap locked: addresses and sequence numbers stay in words."""

import micropython
import wire_frames as frames

from smolmp.wire import arp, ethernet, icmpv4, ipv4, tcp, udp
from smolmp.wire.address import same_prefix
from smolmp.wire.checksum import checksum, copy_checksum, pseudo, update

_DATA, _END = 18, 19


def walk(frame, out, rec, quoted):
    """Receive `frame` and build headers like its own."""
    code = ethernet.parse(frame, 0, len(frame), rec, frames.MAC_B)
    ethernet.emit(out, 2, frame, 6, frames.MAC_A, 0x0800)
    code += ipv4.parse(frame, 14, len(frame), rec, 1)
    ipv4.emit(out, 16, rec, 100, 0xFFFF, 0x4000)
    data = rec[_DATA]
    end = rec[_END]
    tcp.parse(frame, data, end, rec, 1)
    udp.parse(frame, data, end, rec, 1)
    udp.emit(out, 36, rec, 137, 1)
    icmpv4.parse(frame, data, end, rec, 1)
    icmpv4.parse_quote(frame, 14, end, quoted)
    icmpv4.emit(out, 36, 0, 0, 0xFFFF, 0xFFFF, 137)
    arp.parse(frames.ARP_REQUEST, 14, 42, rec)
    arp.emit(out, 16, 2, frames.MAC_A, rec, frames.MAC_B)
    same_prefix(rec, 4, rec, 8, 24)
    checksum(frame, 14, end, pseudo(rec, end))
    copy_checksum(out, 1, frame, 0, 40, 0xFFFF)
    update(0xFFFF, 0, 0xFFFF)
    return code


def test_no_allocation():
    rec = frames.record()
    quoted = frames.record()
    out = bytearray(256)
    ours = [f for f in frames.IP_FRAMES if f[:6] == frames.MAC_B]
    assert len(ours) > 4
    for frame in ours:
        walk(frame, out, rec, quoted)
        micropython.heap_lock()
        code = walk(frame, out, rec, quoted)
        micropython.heap_unlock()
        assert code == 0
