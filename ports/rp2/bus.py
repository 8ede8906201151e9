"""A W5500 at the registers of the RP2040's SPI and DMA: a frame a call.

Three kernels. `run` makes any number of short transactions. `receive` hands out the next frame and
`transmit` takes one, each with all the transactions that belong to it. What they share is in the
words of one array('i'), `w`; what they report goes to w5500.py, which does the rest in Python.

Reading runs ahead: when the last whole frame of what was read is handed out, the chip is told, and
if it has more, DMA fetches that into the buffer `held` while the stack works on the frame it got.
CS stays low meanwhile: the bus is not for others to use, and whoever comes next, waits (`land`).

A script is a row of transactions, each one octet with their number and the octets themselves, the
last followed by 0; the replies take their places. With 128 in its number a transaction is the
last, and CS stays low behind it.
"""

# The assembler's mnemonics and registers are names to mypy.
# mypy: disable-error-code="name-defined,misc,call-overload"
import micropython
from micropython import const

from ports.rp2.kernels import copy_askew, copy_words

# Words of w. Addresses of registers, and bits:
_SPI = const(0)
_CLEAR = const(1)  # GPIO_OUT_CLR
_CS = const(2)
_SET = const(3)  # GPIO_OUT_SET
_IN = const(4)  # GPIO_IN
_INT = const(5)  # 0: no pin
_TRIGGER = const(6)  # MULTI_CHAN_TRIGGER
_DMA_RX = const(7)
_DMA_TX = const(8)
_BOTH = const(9)  # the bits of both channels
_CTRL_FILL = const(10)  # CTRL of the receiving channel, into a buffer
_CTRL_SINK = const(11)  # and into one octet, again and again
_CTRL_TX = const(12)
# What goes on:
_FLYING = const(13)  # octets that DMA is reading
_HELD = const(14)  # octets in `held`
_AT = const(15)  # where the next frame stands there
_RX_RD = const(16)  # the chip's pointer to it
_TX_WR = const(17)
_SENT = const(18)  # 1: the last frame's SENDOK was not seen yet
_SIZE = const(19)  # of `held`
_SINK = const(20)  # address of where DMA puts what nobody wants
_PAD = const(21)  # and of 60 octets
_INTR = const(22)  # the register of the pin's edges
_INTE = const(23)  # and of its interrupts: 0x2000 behind it bits are set, 0x3000 cleared
_EDGE = const(24)  # their bit
_LOOK = const(25)  # 1: ask the chip once, though INT is high
WORDS = const(29)  # 26 and 28 are w5500.py's, 27 is the sink

_BSY = const(24)  # the bit in a channel's CTRL
_LEAST = const(16)  # length and Ethernet header
_MOST = const(1520)  # and the longest frame, VLAN tag included
_RUNT = const(60)  # the shortest frame without its FCS (IEEE 802.3 3.2.8)
_AGAIN = const(16)
_PATIENCE = const(400)  # reads of Sn_IR, 4 us each: a frame takes 1.2 ms at 10 Mbit/s
_LONGEST = const(100000)  # looks at a DMA channel: some 10 ms

# Of receive() and transmit():
CORRUPT = const(-1)  # a length that cannot be
STUCK = const(-2)  # the bus does not move, or the chip's registers contradict each other
LONG = const(-3)  # a frame longer than the stack's buffer was dropped
LATE = const(-4)  # SENDOK did not come


@micropython.asm_thumb
def run(r0, r1):
    """run(w, script): see above. A transaction of n octets takes n * 0.26 us + 0.6 at 31.25 MHz.

    Not more than eight octets are under way, since that is what the FIFO of replies holds.
    """
    ldr(r7, [r0, 0])  # SPI
    label(NEXT)
    ldrb(r4, [r1, 0])
    cmp(r4, 0)
    beq(END)
    mov(r12, r4)
    lsl(r4, r4, 25)
    lsr(r4, r4, 25)
    add(r1, 1)
    ldr(r5, [r0, 4])  # GPIO_OUT_CLR
    ldr(r6, [r0, 8])  # CS
    str(r6, [r5, 0])
    mov(r2, r1)
    mov(r3, r4)  # to be sent; r4: to come
    label(TURN)
    cmp(r3, 0)
    beq(TAKE)
    sub(r5, r4, r3)
    cmp(r5, 8)
    bge(TAKE)
    ldrb(r6, [r2, 0])
    str(r6, [r7, 8])  # SSPDR
    add(r2, 1)
    sub(r3, 1)
    label(TAKE)
    ldr(r6, [r7, 0x0C])  # SSPSR
    mov(r5, 4)  # RNE
    tst(r6, r5)
    beq(TURN)
    ldr(r6, [r7, 8])
    strb(r6, [r1, 0])
    add(r1, 1)
    sub(r4, 1)
    bne(TURN)
    mov(r5, r12)
    cmp(r5, 128)
    bge(END)
    ldr(r5, [r0, 12])  # GPIO_OUT_SET
    ldr(r6, [r0, 8])
    str(r6, [r5, 0])
    b(NEXT)
    label(END)
    mov(r0, 0)


@micropython.viper
def land(w: ptr32) -> int:
    """The DMA that reads ahead comes to its end, CS goes up. 0, or STUCK."""
    if w[_FLYING]:
        channel = ptr32(w[_DMA_RX])
        n = 0
        while (channel[3] >> _BSY) & 1:
            n += 1
            if n > _LONGEST:
                return STUCK
        ptr32(w[_SET])[0] = w[_CS]
        w[_HELD] = w[_FLYING]
        w[_AT] = 0
        w[_FLYING] = 0
    return 0


@micropython.viper
def receive(w: ptr32, script: ptr8, held: ptr8, frame: ptr8, room: int) -> int:
    """The next frame at frame[0:n]: n, its length, 0 when there is none, or what is wrong.

    `held` holds w[_SIZE] octets (at least 1520, a multiple of 4), script 32, frame `room`.
    """
    got = 0
    while True:
        if w[_FLYING]:
            channel = ptr32(w[_DMA_RX])
            n = 0
            while (channel[3] >> _BSY) & 1:
                n += 1
                if n > _LONGEST:
                    return STUCK
            ptr32(w[_SET])[0] = w[_CS]
            w[_HELD] = w[_FLYING]
            w[_AT] = 0
            w[_FLYING] = 0
        at = w[_AT]
        left = w[_HELD] - at
        p = script
        if left:
            n = held[at] << 8 | held[at + 1]
            if left == 1 or n < _LEAST or n > _MOST or n > left:
                return CORRUPT
            got = n - 2
            s = int(held) + at + 2
            at += n
            w[_AT] = at
            w[_RX_RD] = (w[_RX_RD] + n) & 0xFFFF
            if got <= room:
                n = got
                d = frame
                while n > 0 and int(d) & 3:
                    d[0] = ptr8(s)[0]
                    d = ptr8(int(d) + 1)
                    s += 1
                    n -= 1
                if n > 3:
                    left = n & 0x1FFC
                    if s & 3:
                        copy_askew(int(d), s, left)
                    else:
                        copy_words(int(d), s, left)
                    s += left
                    d = ptr8(int(d) + left)
                    n -= left
                while n > 0:
                    n -= 1
                    d[n] = ptr8(s)[n]
            else:
                got = LONG
            # Is there another whole one?
            left = w[_HELD] - at
            if left >= 2 and (held[at] << 8 | held[at + 1]) <= left:
                return got
            p[0] = 5  # RX_RD: all this was taken
            p[1] = 0
            p[2] = 0x28
            p[3] = 0x0C
            n = w[_RX_RD]
            p[4] = n >> 8
            p[5] = n
            p[6] = 4  # Sn_CR: RECV
            p[7] = 0
            p[8] = 0x01
            p[9] = 0x0C
            p[10] = 0x40
            p = ptr8(int(p) + 11)
        elif w[_LOOK]:
            w[_LOOK] = 0
        elif w[_INT] and ptr32(w[_IN])[0] & w[_INT]:
            return 0
        w[_HELD] = 0
        w[_AT] = 0
        # The interrupt first, then how much there is: what comes between raises INT again.
        again = 0
        while True:
            p[0] = 4  # Sn_IR: RECV
            p[1] = 0
            p[2] = 0x02
            p[3] = 0x0C
            p[4] = 0x04
            p[5] = 9  # RX_RSR, RX_RD, RX_WR
            p[6] = 0
            p[7] = 0x26
            p[8] = 0x08
            p[15] = 0
            run(w, script)
            left = p[9] << 8 | p[10]
            # They belong together, or were read while the chip was changing them.
            n = p[11] << 8 | p[12]
            if (p[13] << 8 | p[14]) - n & 0xFFFF == left and n == w[_RX_RD]:
                break
            again += 1
            if again > _AGAIN:
                return STUCK
            p = script
        if left == 0:
            return got
        if left > w[_SIZE]:
            left = w[_SIZE]
        p = script
        n = w[_RX_RD]
        p[0] = 0x83
        p[1] = n >> 8
        p[2] = n
        p[3] = 0x18
        run(w, script)
        # What is sent meanwhile is not looked at: the buffer's old content.
        channel = ptr32(w[_DMA_RX])
        channel[0] = w[_SPI] + 8
        channel[1] = int(held)
        channel[2] = left
        channel[4] = w[_CTRL_FILL]
        channel = ptr32(w[_DMA_TX])
        channel[0] = int(held)
        channel[1] = w[_SPI] + 8
        channel[2] = left
        channel[4] = w[_CTRL_TX]
        ptr32(w[_TRIGGER])[0] = w[_BOTH]
        w[_FLYING] = left
        if got:
            return got


@micropython.viper
def transmit(w: ptr32, script: ptr8, frame: ptr8, start: int, end: int) -> int:
    """Send frame[start:end] (at most 1518 octets, proven by the caller): 1, or what is wrong.

    The frame goes into the chip's memory first: by then the one before has most likely left.
    """
    p = script
    if w[_FLYING]:
        channel = ptr32(w[_DMA_RX])
        n = 0
        while (channel[3] >> _BSY) & 1:
            n += 1
            if n > _LONGEST:
                return STUCK
        ptr32(w[_SET])[0] = w[_CS]
        w[_HELD] = w[_FLYING]
        w[_AT] = 0
        w[_FLYING] = 0
    n = w[_TX_WR]
    p[0] = 0x83
    p[1] = n >> 8
    p[2] = n
    p[3] = 0x14
    run(w, script)
    s = int(frame) + start
    n = end - start
    if n < _RUNT:  # zeros behind it, not what happens to stand there
        d = ptr8(w[_PAD])
        i = 0
        while i < n:
            d[i] = ptr8(s)[i]
            i += 1
        while i < _RUNT:
            d[i] = 0
            i += 1
        s = int(d)
        n = _RUNT
    channel = ptr32(w[_DMA_RX])
    channel[0] = w[_SPI] + 8
    channel[1] = w[_SINK]
    channel[2] = n
    channel[4] = w[_CTRL_SINK]
    channel = ptr32(w[_DMA_TX])
    channel[0] = s
    channel[1] = w[_SPI] + 8
    channel[2] = n
    channel[4] = w[_CTRL_TX]
    ptr32(w[_TRIGGER])[0] = w[_BOTH]
    channel = ptr32(w[_DMA_RX])
    i = 0
    while (channel[3] >> _BSY) & 1:
        i += 1
        if i > _LONGEST:
            return STUCK
    ptr32(w[_SET])[0] = w[_CS]
    i = 0
    while w[_SENT]:
        p[0] = 4  # Sn_IR
        p[1] = 0
        p[2] = 0x02
        p[3] = 0x08
        p[5] = 0
        run(w, script)
        if p[4] & 0x10:
            w[_SENT] = 0
            p[3] = 0x0C
            p[2] = 0x02
            p[1] = 0
            p[4] = 0x10
            p = ptr8(int(p) + 5)
        else:
            i += 1
            if i > _PATIENCE:
                return LATE
    n = (n + w[_TX_WR]) & 0xFFFF
    w[_TX_WR] = n
    p[0] = 5
    p[1] = 0
    p[2] = 0x24
    p[3] = 0x0C
    p[4] = n >> 8
    p[5] = n
    p[6] = 4  # Sn_CR: SEND
    p[7] = 0
    p[8] = 0x01
    p[9] = 0x0C
    p[10] = 0x20
    p[11] = 0
    run(w, script)
    w[_SENT] = 1
    return 1


@micropython.viper
def alert(w: ptr32, on: int) -> int:
    """Let a falling edge of INT interrupt, so that a sleeping processor wakes, or not. 1: there is
    something to receive already."""
    edges = w[_INTE]
    if on:
        ptr32(w[_INTR])[0] = w[_EDGE]
        ptr32(edges + 0x2000)[0] = w[_EDGE]
    else:
        ptr32(edges + 0x3000)[0] = w[_EDGE]
    if w[_FLYING] or w[_HELD] != w[_AT]:
        return 1
    return 1 if ptr32(w[_IN])[0] & w[_INT] == 0 else 0
