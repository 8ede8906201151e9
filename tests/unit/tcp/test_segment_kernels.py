"""The two kernels that move a full segment alone: express.lane and burst.follow.

Every place in the ring, wrapped and not, on every address modulo 4, canaries on both sides;
against plain Python, and against the kernels of the long way.
"""

import random

from tcp_support import Peer
from test_express import as_linux

from smolmp.socket.tcp.burst import fixed_sum, follow
from smolmp.socket.tcp.express import lane, remember
from smolmp.socket.tcp.kernels import emit, put_timestamps
from smolmp.storage.kernels import ring_read_sum

CANARY = 0xA5
TX_DATA = 64
TAKEN_WITH_TEXT = 5


def guarded(size, skew):
    whole = bytearray([CANARY] * (size + 16))
    return whole, memoryview(whole)[4 + skew : 4 + skew + size]


def noise(n):
    return bytes([random.getrandbits(8) for _ in range(n)])


def length():
    """Of whole words or not, of one loop's turn or many."""
    n = random.choice((0, 4, 31, 32, 33, 64, 500, 536, 1448)) + random.choice((0, 0, 4, 28, 1, 2))
    return min(n, 1448) if n else 4


def receive_case(stamped):
    n = length()
    options = {"tsval": 7} if stamped else {}
    p = Peer(iss=5000)
    s = p.established(rx=4096, timestamps=stamped, **options)
    w, rx = s.w, p.iface.rx
    text = noise(n)
    packet = as_linux(p.packet("A", 1, 1, text, **options))
    rx[16 : 16 + len(packet)] = packet
    capacity = random.choice((2048, 2052, 1999))
    skew = random.getrandbits(2)
    whole, ring = guarded(capacity, skew)
    w[23] = capacity
    held = random.randrange(capacity - n + 1) & (-1 if random.getrandbits(1) else -4)
    w[24] = random.randrange(capacity) & (-1 if random.getrandbits(1) else -4)
    w[25] = held
    w[22] = n
    expected = bytearray(whole)
    for i in range(n):
        expected[4 + skew + (w[24] + held + i) % capacity] = text[i]
    words = p.sockets.express.words
    words[10] = 0
    remember(words, rx)
    before = bytes(w)
    # One bit wrong, anywhere in the text: nothing has happened, as far as anybody can see.
    at = len(packet) - 1 - random.randrange(n) + 16
    rx[at] ^= 1 << random.getrandbits(3)
    assert lane(words, len(packet), rx, rx, w, ring, 9) == 0
    assert bytes(w) == before
    rx[16 : 16 + len(packet)] = packet
    assert lane(words, len(packet), rx, rx, w, ring, 9) == TAKEN_WITH_TEXT, (n, capacity, held)
    assert whole == expected, (n, capacity, held, skew)
    assert w[25] == held + n and w[22] == 0 and w[50] == n and w[51] == 9
    # What does not fit is refused whatever the window says.
    w[25] = capacity - n + 1
    w[22] = n
    w[16] -= n
    assert lane(words, len(packet), rx, rx, w, ring, 9) == 0
    assert whole == expected


# not on a board: minutes of segments
def test_lane_stores_and_sums():
    random.seed(1)
    for _ in range(300):
        receive_case(False)


# not on a board: minutes of segments
def test_lane_with_timestamps():
    random.seed(2)
    for _ in range(100):
        receive_case(True)


def send_case(p, s):
    w = s.w
    header = random.choice((20, 32))
    n = length()
    capacity = random.choice((4096, 4100, 3999))
    skew = random.getrandbits(2)
    whole, ring = guarded(capacity, skew)
    ring[:] = noise(capacity)
    held = bytes(whole)
    w[26] = capacity
    w[27] = random.randrange(capacity) & (-1 if random.getrandbits(1) else -4)
    w[28] = capacity
    position = random.randrange(capacity - n + 1) & (-1 if random.getrandbits(1) else -4)
    frames = []
    for at in (0, position):  # the segment before, and by the long way the one that follows it
        frame = bytearray(TX_DATA + header + n + 4)
        for i in range(4):
            frame[len(frame) - 4 + i] = CANARY
        if header == 32:
            put_timestamps(frame, TX_DATA + 20, w)
        acc = ring_read_sum(ring, w, 26, at, frame, TX_DATA + header, n, 0)
        emit(frame, w, at, header, n, 16, 1234, acc)
        frames.append(frame)
    frame, expected = frames
    fixed = fixed_sum(frame, w, header, n)
    after = follow(frame, ring, fixed, n, frame, w, ring, position, header)
    assert after == position + n
    assert frame == expected, (header, n, capacity, skew, w[27], position)
    assert bytes(whole) == held


# not on a board: minutes of segments
def test_follow_is_what_emit_makes():
    random.seed(3)
    p = Peer(iss=0xFFFFFFFF - 1000)  # SEQ passes 2**32
    s = p.established(tx=4096)
    for _ in range(500):
        send_case(p, s)
