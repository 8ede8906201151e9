"""The user timeout option (RFC 5482): both ends tell how long they wait for an acknowledgment.

Off until the program sets `advertised_timeout`. It goes with the SYN, and once more with an ACK of
the open connection, since a SYN cookie does not keep it. What the peer tells, within limits, and
what we told then stand for `timeout`: the longer one, so that neither gives up what the other
still believes in.
"""

from micropython import const

_USER_TIMEOUT = const(53)
_AGREED = const(59)  # ms; what both ends told, in the place of `timeout`, 0: nothing
_FLAGS = const(32)
_FLAG_TIMEOUT = const(1 << 18)  # there may be a user timeout
_MINUTES = const(0x8000)


def put(frame, at: int, ms: int):
    """Write the option, 4 octets, for `ms`: in seconds if they fit into 15 bits, else minutes."""
    value = (ms + 999) // 1000
    if value >= _MINUTES:
        value = _MINUTES | (value + 59) // 60
    frame[at] = 28
    frame[at + 1] = 4
    frame[at + 2] = value >> 8
    frame[at + 3] = value & 255


def learn(socket, record):
    """The peer's option came: USER_TIMEOUT = min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT))."""
    value = record[_USER_TIMEOUT]
    seconds = value & _MINUTES - 1
    if not seconds or not socket.advertised_timeout:
        return  # 0 is reserved (RFC 5482 3)
    if value & _MINUTES:
        seconds *= 60
    least, most = socket.timeout_limits
    ms = seconds * 1000 if seconds <= most // 1000 else most
    w = socket.w
    w[_FLAGS] |= _FLAG_TIMEOUT
    w[_AGREED] = min(most, max(socket.advertised_timeout, ms, least))
