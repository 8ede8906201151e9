"""Copy and sum in Thumb instructions: the core's hottest kernels, an octet a cycle.

`install()` puts them in the place of smolmp's own (wire/checksum.py, storage/kernels.py), which
stay what they are everywhere else; arguments and results are the same, octet for octet (RFC 1071).

The instructions work on whole words at aligned addresses, since a Cortex-M0+ faults on others. The
viper around them aligns the destination by its first octets and does the last ones. Where the
source then lies askew, words are put together from two: loads stay aligned, and stay within the
words that hold the source's octets. A sum gathers its carries in the carry flag, a word at a time
(RFC 1071 2 (C)), and is folded to 16 bits before it leaves: a larger one would be allocated.

`data(2, ...)` is LDMIA or STMIA, which MicroPython's assembler has no name for.
"""

# The assembler's mnemonics and registers are names to mypy.
# mypy: disable-error-code="name-defined,misc,call-overload"
import sys

import micropython


@micropython.asm_thumb
def sum_words(r0, r1, r2):
    """sum_words(src, n, acc): the folded little-endian sum of n octets, continued from acc.

    src and n are multiples of 4. 38 us for 1460 octets become 8.
    """
    mov(r7, 0)
    label(BLOCK)
    cmp(r1, 32)
    blt(REST)
    data(2, 0xC878)  # ldmia r0!, {r3-r6}
    add(r2, r2, r3)
    adc(r2, r4)
    adc(r2, r5)
    adc(r2, r6)
    data(2, 0xC878)
    adc(r2, r3)
    adc(r2, r4)
    adc(r2, r5)
    adc(r2, r6)
    adc(r2, r7)
    sub(r1, 32)
    b(BLOCK)
    label(REST)
    cmp(r1, 0)
    beq(FOLD)
    data(2, 0xC808)  # ldmia r0!, {r3}
    add(r2, r2, r3)
    adc(r2, r7)
    sub(r1, 4)
    b(REST)
    label(FOLD)
    lsr(r3, r2, 16)
    lsl(r2, r2, 16)
    lsr(r2, r2, 16)
    add(r2, r2, r3)
    lsr(r3, r2, 16)
    lsl(r2, r2, 16)
    lsr(r2, r2, 16)
    add(r0, r2, r3)


@micropython.asm_thumb
def copy_sum_words(r0, r1, r2, r3):
    """copy_sum_words(dst, src, n, acc): copies n octets; their sum as sum_words()."""
    label(BLOCK)
    cmp(r2, 32)
    blt(REST)
    data(2, 0xC9F0)  # ldmia r1!, {r4-r7}
    data(2, 0xC0F0)  # stmia r0!, {r4-r7}
    add(r3, r3, r4)
    adc(r3, r5)
    adc(r3, r6)
    adc(r3, r7)
    data(2, 0xC9F0)
    data(2, 0xC0F0)
    adc(r3, r4)
    adc(r3, r5)
    adc(r3, r6)
    adc(r3, r7)
    mov(r4, 0)  # leaves the carry
    adc(r3, r4)
    sub(r2, 32)
    b(BLOCK)
    label(REST)
    mov(r5, 0)
    label(WORD)
    cmp(r2, 0)
    beq(FOLD)
    data(2, 0xC910)  # ldmia r1!, {r4}
    data(2, 0xC010)  # stmia r0!, {r4}
    add(r3, r3, r4)
    adc(r3, r5)
    sub(r2, 4)
    b(WORD)
    label(FOLD)
    lsr(r2, r3, 16)
    lsl(r3, r3, 16)
    lsr(r3, r3, 16)
    add(r3, r3, r2)
    lsr(r2, r3, 16)
    lsl(r3, r3, 16)
    lsr(r3, r3, 16)
    add(r0, r3, r2)


@micropython.asm_thumb
def copy_words(r0, r1, r2):
    """copy_words(dst, src, n): dst, src and n are multiples of 4."""
    label(BLOCK)
    cmp(r2, 32)
    blt(REST)
    data(2, 0xC9F0)  # ldmia r1!, {r4-r7}
    data(2, 0xC0F0)  # stmia r0!, {r4-r7}
    data(2, 0xC9F0)
    data(2, 0xC0F0)
    sub(r2, 32)
    b(BLOCK)
    label(REST)
    cmp(r2, 0)
    beq(END)
    data(2, 0xC910)  # ldmia r1!, {r4}
    data(2, 0xC010)
    sub(r2, 4)
    b(REST)
    label(END)
    mov(r0, 0)


@micropython.asm_thumb
def copy_askew(r0, r1, r2):
    """copy_askew(dst, src, n): dst and n are multiples of 4, src is not, n > 0."""
    mov(r3, 3)
    mov(r4, r1)
    and_(r4, r3)
    bic(r1, r3)
    lsl(r4, r4, 3)  # octets to bits
    mov(r3, 32)
    sub(r5, r3, r4)
    data(2, 0xC908)  # ldmia r1!, {r3}
    lsr(r3, r4)
    label(PAIR)
    cmp(r2, 8)
    blt(REST)
    data(2, 0xC9C0)  # ldmia r1!, {r6, r7}
    mov(r12, r7)
    lsl(r7, r5)
    mov(r14, r1)  # saved at entry, as r12 need not be
    mov(r1, r6)
    lsl(r6, r5)
    orr(r6, r3)
    lsr(r1, r4)
    orr(r7, r1)
    mov(r1, r14)
    data(2, 0xC0C0)  # stmia r0!, {r6, r7}
    mov(r3, r12)
    lsr(r3, r4)
    sub(r2, 8)
    b(PAIR)
    label(REST)
    cmp(r2, 0)
    beq(END)
    data(2, 0xC940)  # ldmia r1!, {r6}
    mov(r7, r6)
    lsl(r7, r5)
    orr(r7, r3)
    data(2, 0xC080)  # stmia r0!, {r7}
    label(END)
    mov(r0, 0)


@micropython.viper
def copy(dst: ptr8, doff: int, src: ptr8, soff: int, n: int):
    """storage.kernels.copy: src[soff:soff + n] to dst[doff:]; the caller proves both."""
    dst = ptr8(int(dst) + doff)
    src = ptr8(int(src) + soff)
    while n > 0 and int(dst) & 3:
        dst[0] = src[0]
        dst = ptr8(int(dst) + 1)
        src = ptr8(int(src) + 1)
        n -= 1
    if n > 3:
        soff = n & 0x1FFFFFFC
        if int(src) & 3:
            copy_askew(int(dst), int(src), soff)
        else:
            copy_words(int(dst), int(src), soff)
        dst = ptr8(int(dst) + soff)
        src = ptr8(int(src) + soff)
        n -= soff
    soff = 0
    while soff < n:
        dst[soff] = src[soff]
        soff += 1


@micropython.viper
def copy_checksum(dst: ptr8, doff: int, src: ptr8, soff: int, n: int, acc: int) -> int:
    """wire.checksum.copy_checksum: copies src[soff:soff + n] to dst[doff:] and continues acc."""
    dst = ptr8(int(dst) + doff)
    src = ptr8(int(src) + soff)
    i = 0
    total = 0
    while i < n and (int(dst) + i) & 3:
        dst[i] = src[i]
        total += src[i] << ((i & 1) << 3)
        i += 1
    words = (n - i) & 0x1FFFFFFC
    if n > i and words:
        d = int(dst) + i
        s = int(src) + i
        if s & 3:
            copy_askew(d, s, words)
            s = int(sum_words(d, words, 0))
        else:
            s = int(copy_sum_words(d, s, words, 0))
        if i & 1:
            s = (s & 0xFF) << 8 | s >> 8
        total += s
        i += words
    while i < n:
        dst[i] = src[i]
        total += src[i] << ((i & 1) << 3)
        i += 1
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    total = ((total & 0xFF) << 8 | total >> 8) + acc
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@micropython.viper
def checksum(buf: ptr8, off: int, end: int, acc: int) -> int:
    """wire.checksum.checksum: the sum of buf[off:end] continued from acc."""
    buf = ptr8(int(buf) + off)
    end -= off
    off = 0
    total = 0
    while off < end and (int(buf) + off) & 3:
        total += buf[off] << ((off & 1) << 3)
        off += 1
    words = (end - off) & 0x1FFFFFFC
    if end > off and words:
        s = int(sum_words(int(buf) + off, words, 0))
        if off & 1:
            s = (s & 0xFF) << 8 | s >> 8
        total += s
        off += words
    while off < end:
        total += buf[off] << ((off & 1) << 3)
        off += 1
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    total = ((total & 0xFF) << 8 | total >> 8) + acc
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


def install():
    """Put these in the place of smolmp's kernels, in every module that has taken them already and
    for those that will. In what ports/rp2/resident.py begins, they are in place."""
    from smolmp.storage import kernels
    from smolmp.wire import checksum as sums

    new = {
        "copy": (kernels.copy, copy),
        "copy_checksum": (sums.copy_checksum, copy_checksum),
        "checksum": (sums.checksum, checksum),
    }
    for module in list(sys.modules.values()):
        for name in new:
            old, fast = new[name]
            if old is not fast and getattr(module, name, None) is old:
                setattr(module, name, fast)
