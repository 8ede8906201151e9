"""Every state and every event: the whole state machine of RFC 9293 3.10 as two tables.

A cell says what becomes of a connection in that state. Before the colon stands the new state, "="
the same one; behind it what goes out ("-": nothing), and for calls what they answer.
"""

from tcp_support import PEER, PEER_PORT, Peer

from smolmp.socket.tcp import states

NAMES = {
    "C": "CLOSED",
    "L": "LISTEN",
    "SS": "SYN-SENT",
    "SR": "SYN-RECEIVED",  # of a listener
    "SA": "SYN-RECEIVED",  # of connect(), when both open at the same time
    "E": "ESTABLISHED",
    "F1": "FIN-WAIT-1",
    "F2": "FIN-WAIT-2",
    "CW": "CLOSE-WAIT",
    "CG": "CLOSING",
    "LA": "LAST-ACK",
    "TW": "TIME-WAIT",
}
STATES = ("C", "L", "SS", "SR", "E", "F1", "F2", "CW", "CG", "LA", "TW")  # by number
COLUMNS = STATES[:4] + ("SA",) + STATES[4:]

# As Peer.reach() leaves them, from the ISNs.
RCV_NXT = {"C": 0, "L": 0, "SS": 0, "SR": 1, "SA": 1, "E": 1, "F1": 1, "F2": 1}  # else 2
SND_UNA = {"C": 0, "L": 0, "SS": 0, "SR": 0, "SA": 0, "F2": 2, "TW": 2}  # else 1
SND_NXT = {"C": 0, "L": 0, "SS": 1, "SR": 1, "SA": 1, "E": 1, "CW": 1}  # else 2
SEGMENT = 21  # the columns before the cells
CALL = 9

# Segments: flags; SEQ from RCV.NXT ("edge": the first octet behind the window, "beyond": the
# next); ACK of all that was sent ("all"), of nothing new ("una"), of what was never sent ("more"),
# from an age ago ("age"); four octets of text or none. "+": they can be read.
SEGMENTS = """
                     C     L     SS    SR    SA    E     F1    F2    CW    CG    LA    TW
S  0      -          =:RA  SR:SA SR:SA L:-   =:A   =:A   =:A   =:A   =:A   =:A   =:A   SR:SA
S  -1     -          =:RA  SR:SA SR:SA =:SA  =:SA  =:A   =:A   =:A   =:A   =:A   =:A   =:A
S  edge   -          =:RA  SR:SA SR:SA =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A   SR:SA
SA -1     all        =:R   =:R   E:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A
SA 0      more       =:R   =:R   =:R   L:-   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A
A  0      all        =:R   =:R   =:-   E:-   E:-   =:-   F2:-  =:-   =:-   TW:-  C:-   =:-
A  0      una        =:R   =:R   =:R   =:R   =:R   =:-   =:-   =:-   =:-   =:-   =:-   =:-
A  0      more       =:R   =:R   =:R   =:R   =:R   =:A   =:A   =:A   =:A   =:A   =:A   =:A
A  0      age        =:R   =:R   =:R   =:R   =:R   =:A   =:A   =:A   =:A   =:A   =:A   =:A
A  -1     all        =:R   =:R   =:-   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A
A  beyond all        =:R   =:R   =:-   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A
-  0      -          =:RA  =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-
A  0      all  text  =:R   =:R   =:-   E:+   E:+   =:+   F2:+  =:+   =:-   TW:-  C:-   =:-
A  0      una  text  =:R   =:R   =:R   =:R   =:R   =:+   =:+   =:+   =:-   =:-   =:-   =:-
A  0      more text  =:R   =:R   =:R   =:R   =:R   =:A   =:A   =:A   =:A   =:A   =:A   =:A
A  3      all  text  =:R   =:R   =:-   E:A   E:A   =:A   F2:A  =:A   =:-   TW:-  C:-   =:-
A  -4     all  text  =:R   =:R   =:-   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A
A  edge   all  text  =:R   =:R   =:-   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A
-  0      -    text  =:RA  =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-
FA 0      all        =:R   =:R   =:-   CW:A  CW:A  CW:A  TW:A  TW:A  =:-   TW:-  C:-   =:-
FA 0      una        =:R   =:R   =:R   =:R   =:R   CW:A  CG:A  TW:A  =:-   =:-   =:-   =:-
FA 0      all  text  =:R   =:R   =:-   CW:+A CW:+A CW:+A TW:+A TW:+A =:-   TW:-  C:-   =:-
FA 3      all  text  =:R   =:R   =:-   E:A   E:A   =:A   F2:A  =:A   =:-   TW:-  C:-   =:-
FA -1     all        =:R   =:R   =:-   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A
FA edge   all        =:R   =:R   =:-   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A
F  0      -          =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-
R  0      -          =:-   =:-   =:-   L:-   C:-   C:-   C:-   C:-   C:-   C:-   C:-   =:-
RA 0      all        =:-   =:-   C:-   L:-   C:-   C:-   C:-   C:-   C:-   C:-   C:-   =:-
RA 0      more       =:-   =:-   =:-   L:-   C:-   C:-   C:-   C:-   C:-   C:-   C:-   =:-
R  7      -          =:-   =:-   =:-   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:A   =:-
R  -1     -          =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-
R  beyond -          =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-   =:-
"""

# Calls (RFC 9293 3.10.1 to 3.10.6): what they answer or their errno, then what goes out. "time":
# an hour passes and the peer is dumb.
CALLS = """
         C      L      SS     SR     SA     E      F1     F2     CW     CG     LA     TW
listen   L:     =:98   =:106  =:106  =:106  =:106  =:106  =:106  =:106  =:106  =:106  L:
connect  SS:S   =:106  =:106  =:106  =:106  =:106  =:106  =:106  =:106  =:106  =:106  SS:S
send     =:107  =:107  =:None =:None =:None =:4PA  =:32   =:32   =:4PA  =:32   =:32   =:32
recv     =:107  =:107  =:None =:None =:None =:None =:None =:None =:0    =:0    =:0    =:0
close    =:     C:     C:     =:     =:     F1:FA  =:     =:     LA:FA  =:     =:     =:
abort    =:     C:     C:     C:RA   C:RA   C:RA   C:RA   C:RA   C:RA   C:     C:     C:
time     =:     =:     C:     L:     C:RA   =:     C:RA   =:     =:     C:     C:     C:
"""

# Every way from one state to another: the table of smolmp/socket/tcp/states.py, which
# tests/harness/test_conformance.py compares.
WAYS = """
C>L C>SS L>C L>SR SS>C SS>SR SS>E SR>L SR>C SR>E E>F1 E>CW E>C F1>F2 F1>CG F1>C F2>TW F2>C
CW>LA CW>C CG>TW CG>C LA>C TW>C TW>L
"""
CLOSED_BY_PEER = ("CW", "CG", "TW")
ISNS = ((0, 1), (0x7FFFFFFE, 0xFFFFFFFD), (0xFFFFFFFE, 0x7FFFFFFE))  # the peer's, ours


def cells(table, width):
    """(what, state, expected state, expected answer) of every cell."""
    for line in table.strip("\n").split("\n")[1:]:
        for state, cell in zip(COLUMNS, line[width:].split()):
            after, answer = cell.split(":")
            yield line[:width].split(), state, state if after == "=" else after, answer


# not on a board: minutes of segments
def test_the_tables_are_whole():
    for table, width, rows in ((SEGMENTS, SEGMENT, 32), (CALLS, CALL, 7)):
        lines = table.strip("\n").split("\n")
        assert tuple(lines[0].split()) == COLUMNS and len(lines) == rows + 1, len(lines)
        for line in lines[1:]:
            assert len(line[width:].split()) == len(COLUMNS), line


def reached(p, state):
    """(socket, RCV.NXT, SND.UNA, SND.NXT): the peer's only socket, in `state`."""
    for old in list(p.sockets):
        p.sockets.remove(old)
    p.pass_time(2000)  # no limit of answers goes over from cell to cell
    p.iss = None
    if state == "SA":
        s = p.connect()
        p.expect("S", 0)
        p.send("S", 0)
        p.expect("SA", 0, 1)
    else:
        s = p.reach(NAMES[state])
    p.nothing()
    if p.iss is None:
        p.iss = 0
    return s, RCV_NXT.get(state, 2), SND_UNA.get(state, 1), SND_NXT.get(state, 2)


def segment_arrives(p, what, state, after, answer):
    s, nxt, una, top = reached(p, state)
    flags, at = what[0].strip("-"), what[1]
    window = s.w[22] if nxt else 4096
    seq = nxt + (window if at == "edge" else window + 1 if at == "beyond" else int(at))
    ack = {"all": top, "una": una, "more": top + 1, "age": una - 8193, "-": 0}[what[2]]
    text = b"text" if what[-1] == "text" else b""
    p.send(flags, seq, ack, text)
    assert s.state == NAMES[after], s.state
    readable = answer[0] == "+"
    assert s.can_recv() == readable and (not readable or s.recv(9) == text), s.recv_queue()
    answer = answer.lstrip("+-")
    if answer == "R":
        p.expect("R", ack)  # <SEQ=SEG.ACK><CTL=RST>
    elif answer == "RA":
        p.expect("RA", 0, seq + len(text) + ("S" in flags))
    elif answer == "SA":
        p.expect("SA", 0, nxt if state == "SR" else seq + 1)
    elif answer == "A":
        if state == "SS":
            nxt = seq + 1
        elif after in CLOSED_BY_PEER and state not in CLOSED_BY_PEER + ("LA",):
            nxt += len(text) + 1
        p.expect("A", top, nxt)  # <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
    p.nothing()


def every_segment(isn, iss):
    p = Peer(isn=isn, iss=iss)
    for what, state, after, answer in cells(SEGMENTS, SEGMENT):
        try:
            segment_arrives(p, what, state, after, answer)
        except AssertionError:
            print(" ".join(what), "in", NAMES[state])
            raise


# not on a board: minutes of segments
def test_every_segment_in_every_state():
    for isn, iss in ISNS[1:]:
        every_segment(isn, iss)


def call(p, s, name):
    """What the call answers: a number, None, or an errno."""
    try:
        if name == "listen":
            s.listen(81)
        elif name == "connect":
            s.connect(p.iface, (PEER, PEER_PORT), 49201)
        elif name == "send":
            return s.send(b"text")
        elif name == "recv":
            return s.recv_into(bytearray(4))
        elif name == "close":
            s.close()
        elif name == "abort":
            s.abort()
        else:
            for _ in range(60):
                p.pass_time(60000)
                if not s.is_open():
                    break
                p.drain()
            return ""
    except OSError as e:
        return e.errno
    return ""


def every_call(isn, iss):
    p = Peer(isn=isn, iss=iss)
    for (name,), state, after, expected in cells(CALLS, CALL):
        s, nxt, una, top = reached(p, state)
        about = name, state, s
        answer = str(call(p, s, name))
        p.poll()
        assert expected.startswith(answer), (about, answer)
        assert s.state == NAMES[after], about
        flags = expected[len(answer) :]
        if flags == "S":
            p.expect("S", 0)
        elif flags:
            p.expect(flags, top, nxt, b"text" if flags == "PA" else b"")
        p.nothing()
        assert p.iface.poll_delay(p.now, p.sockets) != 0, about


# not on a board: minutes of segments
def test_every_call_in_every_state():
    for isn, iss in ISNS[1:]:
        every_call(isn, iss)


# not on a board: minutes of segments
def test_every_way_between_states_and_no_other():
    seen = set()
    enter = states.enter

    def watch(w, state):
        if w[14] != state:
            seen.add(STATES[w[14]] + ">" + STATES[state])
        enter(w, state)

    states.enter = watch
    try:
        every_segment(*ISNS[0])
        every_call(*ISNS[0])
    finally:
        states.enter = enter
    ways = set(WAYS.split())
    assert seen == ways, (seen - ways, ways - seen)
