"""TCP (RFC 9293): the Socket, and how it works.

Theory of operation

One Socket is one connection. All its numbers live in one array('i') of 120 words, the control
block `socket.w`; its first 14 words are the flow (see smolmp/wire), so the block itself addresses
what the connection sends, and its first 12 are the key under which the demux finds it.

    14      state             22      RCV.ADV   window announced, from RCV.NXT
    15      SND.UNA           23-25   receive ring: capacity, read position, length
    16      RCV.NXT           26-28   transmit ring, the same
    17      SND.NXT           29      MSS_OUT; 30 SND.SCALE, and above 4 bits RCV.SCALE
    18      SND.MAX           31, 32  errors; FLAGS
    19      SND.WND           33-35   timestamps: TS.Recent, our clock, when it was read
    20, 21  SND.WL1, SND.WL2  36-41   timers: deadlines in ms, -1 stopped
                              42-47   SRTT, RTTVAR, RTO, back-off, the segment being timed
    48      duplicate ACKs or, with SACK, what it tells of reordering
    49-59   recovery point, octets to acknowledge, ...; 57 the newest out of order; 59 the user
            timeout that both ends told
    60-62   cwnd, ssthresh, the right edge cwnd allows; 65-70 CUBIC, or PRR while an epoch of it is
            over; 71, 72 cwnd and ssthresh before a loss, 73 the least round trip
    63, 64, 74, 75, 77, 78, 85, 91-95   the scoreboard (scoreboard.py)
    76      when a stamp came; 79 when something was sent
    80      timer: the program has closed; 81-83 octets both ways; 84 Nagle's small segment
    86, 87  quick ACKs, RTT remainders; 88 ECN; 89 SND.NXT when cwnd was reduced last
    90      MSS_FULL, and above 16 bits the quick ACKs left
    96, 97  what lasts from one connection to the next: rto_min and ack_delay, scoreboard ranges
    98      the assembler (storage/ranges.py): 4 ranges (`holes`), 10 words; behind it the ranges
            of the scoreboard, 4 for a transmit ring below 2.5 KiB

Only eight of them are sequence numbers: SND.UNA, RCV.NXT, SND.WL1, SND.WL2, where both streams
began (81, 82), 89, and SND.UNA as recovery began (95), and only kernels (kernels.py) touch those:
as Python ints they would be allocated on every board. Everything else is a distance. SND.NXT and
SND.MAX (the highest ever sent) count from SND.UNA, and so do positions in the stream: position p
stands in the transmit ring at p, since the ring begins at SND.UNA. RCV.ADV counts from RCV.NXT,
and out-of-order data is kept behind the receive ring's end, its ranges remembered in offsets from
RCV.NXT. When SND.UNA moves by n, SND.NXT and SND.MAX shrink by n.

The states, and every way from one to another: states.py.

Input, one segment (receive.py, the order of RFC 9293 3.10.7.4):

    ingress         parse, demux; a segment nobody wants is answered by an RST
    relate          SEG.SEQ - RCV.NXT and SEG.ACK - SND.UNA, as small ints
    timestamps      PAWS: an old duplicate goes no further (timestamps.py)
    predict         most segments of an open connection: only their ACK and text are left to take
    listen/syn_sent handshake.py
    acceptable?     in the window; else an ACK, a challenge ACK (RFC 5961) or silence
    RST, SYN        RFC 5961's rules; replies.py limits what is answered
    acknowledge     acknowledge.py: SND.UNA, SND.WND, round-trip time, duplicate ACKs
    receive         in order: copied once, from the frame into the ring; else to its place behind
    FIN, ACK policy

Output (transmit.py): whoever has something to say marks the socket in its set; the interface
asks marked sockets round robin, and `dispatch` sends one segment: SYN, a resent first segment, a
window probe, data and FIN, an ACK, a keep-alive, a window update, in this order. State changes
only when the interface took the segment. So an ACK rides on data whenever there is some, and a
batch of received segments is answered by one ACK when the poll that took them in ends.

Loss (recovery.py): scoreboard.py remembers when each range in flight was sent and what of it was
SACKed; rack.py tells from that what is lost; congestion.py what it does to cwnd. Without loss all
of it is one kernel call per ACK and one per segment sent.

Listening: a Socket that listens becomes the connection itself. A Listener (listener.py) keeps
connections that are being opened as records of a few words (halfopen.py) or not at all
(cookie.py); the ACK that ends a handshake goes to a Socket of its pool, which goes on with it.

The short ways: most segments of a busy connection never see the above. express.py takes the next
segments of the connection that spoke last straight from the device, burst.py sends the full
segments that follow one just sent, and transmit.dispatcher all that is queued when one segment
holds it. They leave whatever is unusual to the long way. segments.py, if somebody imports it, has
a device that can (Device.segments) cut one large segment into those that follow each other.

The functions that every segment passes are native: bytecode with more than 11 words of locals and
stack would take its frame from the heap at each call, and look for room there.

The path: path.py has segments no larger than reach the peer, icmp_errors.py hears what routers say
about them, ecn.py what they mark instead of dropping.

Time (timers.py): deadlines only; the set wakes the socket when the earliest has come.

The end (closing.py): close() ends our half, shutdown() either; what then takes too long, and how a
new connection follows one in TIME-WAIT.
"""

# From the bottom upwards: an import inside an import costs C stack, of which a board has 8 KB.
import smolmp.storage.ranges  # noqa: F401, I001
import smolmp.wire.tcp  # noqa: F401
import smolmp.socket.endpoint  # noqa: F401
import smolmp.socket.tcp.kernels  # noqa: F401
import smolmp.socket.tcp.states  # noqa: F401
import smolmp.socket.tcp.timers  # noqa: F401
import smolmp.socket.tcp.statistics  # noqa: F401
import smolmp.socket.tcp.scoreboard  # noqa: F401
import smolmp.socket.tcp.burst  # noqa: F401
import smolmp.socket.tcp.numbers  # noqa: F401
import smolmp.socket.tcp.closing  # noqa: F401
import smolmp.socket.tcp.rack  # noqa: F401
import smolmp.socket.tcp.path  # noqa: F401
import smolmp.socket.tcp.icmp_errors  # noqa: F401
import smolmp.socket.tcp.congestion  # noqa: F401
import smolmp.socket.tcp.ecn  # noqa: F401
import smolmp.socket.tcp.recovery  # noqa: F401
import smolmp.socket.tcp.user_timeout  # noqa: F401
import smolmp.socket.tcp.transmit  # noqa: F401
import smolmp.socket.tcp.express  # noqa: F401
import smolmp.socket.tcp.replies  # noqa: F401
import smolmp.socket.tcp.timestamps  # noqa: F401
import smolmp.socket.tcp.handshake  # noqa: F401
import smolmp.socket.tcp.connection  # noqa: F401
import smolmp.socket.tcp.acknowledge  # noqa: F401
import smolmp.socket.tcp.receive  # noqa: F401
from smolmp.socket.protocols import HANDLERS, READDRESSED
from smolmp.socket.tcp.closing import SHUT_RD, SHUT_RDWR, SHUT_WR  # noqa: F401
from smolmp.socket.tcp.ingress import ingress, readdressed
from smolmp.socket.tcp.socket import Socket  # noqa: F401

HANDLERS[6] = ingress
READDRESSED.append(readdressed)


def __getattr__(name):
    # Many a server needs no Listener: what is not asked for takes no memory of a board.
    if name != "Listener":
        raise AttributeError(name)
    import smolmp.socket.tcp.halfopen  # noqa: I001
    import smolmp.socket.tcp.cookie
    import smolmp.socket.tcp.passive
    from smolmp.socket.tcp.listener import Listener

    return Listener
