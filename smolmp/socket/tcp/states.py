"""The states of a connection, and every way from one to another (RFC 9293 3.3.2).

    from          event                                           to
    ------------  ----------------------------------------------  ------------
    CLOSED        listen()                                        LISTEN
    CLOSED        connect()                                       SYN-SENT
    LISTEN        SYN                                             SYN-RECEIVED
    LISTEN        close(), abort()                                CLOSED
    SYN-SENT      SYN that acknowledges ours                      ESTABLISHED
    SYN-SENT      SYN (both open at the same time)                SYN-RECEIVED
    SYN-SENT      close(), abort(), RST, no answer, unreachable   CLOSED
    SYN-RECEIVED  ACK of our SYN                                  ESTABLISHED
    SYN-RECEIVED  a listener's: RST, SYN, no answer, unreachable  LISTEN
    SYN-RECEIVED  of connect(), or closed: the same; abort()      CLOSED
    ESTABLISHED   close()                                         FIN-WAIT-1
    ESTABLISHED   FIN                                             CLOSE-WAIT
    ESTABLISHED   RST, abort(), no answer                         CLOSED
    FIN-WAIT-1    ACK of our FIN                                  FIN-WAIT-2
    FIN-WAIT-1    FIN                                             CLOSING
    FIN-WAIT-1    RST, abort(), no answer                         CLOSED
    FIN-WAIT-2    FIN                                             TIME-WAIT
    FIN-WAIT-2    RST, abort()                                    CLOSED
    CLOSE-WAIT    close()                                         LAST-ACK
    CLOSE-WAIT    RST, abort(), no answer                         CLOSED
    CLOSING       ACK of our FIN                                  TIME-WAIT
    CLOSING       RST, abort(), no answer                         CLOSED
    LAST-ACK      ACK of our FIN, RST, abort(), no answer         CLOSED
    TIME-WAIT     time, listen(), connect(), abort()              CLOSED
    TIME-WAIT     a newer SYN, where the socket had listened      LISTEN

A segment may take two steps: the third ACK with a FIN on it, the FIN that acknowledges ours.
A Listener keeps connections in SYN-RECEIVED without a socket (passive.py); that of its pool which
goes on with one steps from CLOSED through SYN-RECEIVED to ESTABLISHED.
close() in SYN-RECEIVED is remembered until the state is ESTABLISHED. A FIN counts when all before
it has arrived, and ours belongs to the stream from close() on, sent or not. What ends a connection
without the peer's doing is an answer that does not come (retransmissions, user timeout,
keep-alive), or an address that is taken from the interface.

Only `enter` writes a state. tests/unit/tcp/test_state_machine.py tries every segment and every
call in every state and sees these ways taken, and no others.
"""

from micropython import const

_STATE = const(14)

NAMES = (
    "CLOSED LISTEN SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING "
    "LAST-ACK TIME-WAIT"
).split()


def enter(w, state: int):
    """The connection of control block `w` is in `state` from now on, a number from NAMES."""
    w[_STATE] = state
