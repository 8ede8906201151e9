"""What a connection did and believes, for people. Imported when it is asked for."""

import micropython
from micropython import const

_SND_UNA = const(15)
_SND_MAX = const(18)
_SND_WND = const(19)
_RCV_ADV = const(22)
_MSS_OUT = const(29)
_SRTT = const(42)
_RTTVAR = const(43)
_RTO = const(44)
_RETRANSMITS = const(58)
_CWND = const(60)
_SSTHRESH = const(61)
_OUT_BASE = const(81)
_LAPS = const(83)


def stats(socket):
    """Socket.stats()."""
    w = socket.w
    return {
        "state": socket.state,
        "received": octets(w, 1),
        "sent": octets(w, 0),
        "flight": w[_SND_MAX],
        "retransmissions": w[_RETRANSMITS],
        "rtt": w[_SRTT] >> 3,
        "rttvar": w[_RTTVAR] >> 2,
        "rto": w[_RTO],
        "cwnd": w[_CWND] if socket.controller else None,
        "ssthresh": w[_SSTHRESH] if socket.controller else None,
        "mss": w[_MSS_OUT],
        "send_window": w[_SND_WND],
        "receive_window": w[_RCV_ADV],
    }


@micropython.viper
def _piece(block, which: int, shift: int) -> int:
    # 16 of the 31 bits of a distance within its half lap.
    w = ptr32(block)
    d = w[_SND_UNA + which] - w[_OUT_BASE + which]
    return (d >> 16) & 0x7FFF if shift else d & 0xFFFF


def octets(w, which: int) -> int:
    """Octets of text that were acknowledged (0: ours, 1: the peer's); modulo 64 TiB."""
    half = w[_LAPS] >> 15 if which else w[_LAPS] & 0x7FFF
    return (half << 31) + (_piece(w, which, 1) << 16) + _piece(w, which, 0)
