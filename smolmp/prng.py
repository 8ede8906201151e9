"""Random: a small deterministic generator (Marsaglia's xorshift128, period 2**128 - 1).

For ports, identifiers and jitter. It is not a cipher: whoever sees enough of its output can
continue it, so secrets that must resist that (RFC 6528, RFC 7217) hash a key of their own, and
after that was drawn turn() hides where it came from.
"""

from array import array

import micropython

from smolmp.siphash import halfsiphash


@micropython.viper
def _next(state: ptr32, n: int, words: ptr32, at: int) -> int:
    """The next 32 bits to words[at]; of them, `n` bits below the sign of a small int."""
    t = state[0]
    t ^= t << 11
    state[0] = state[1]
    state[1] = state[2]
    w = state[3]
    state[2] = w
    w = w ^ ((w >> 19) & 0x1FFF) ^ t ^ ((t >> 8) & 0xFFFFFF)
    state[3] = w
    words[at] = w
    return (w >> 2) & ((1 << n) - 1)


@micropython.viper
def _copy(secret: ptr32, state: ptr32, i: int):
    state[i] = secret[6]


class Random:
    """`seed`: an int of any size, or bytes. Give every boot another one."""

    def __init__(self, seed):
        if isinstance(seed, int):
            seed = (seed & ((1 << 128) - 1)).to_bytes(16, "little")
        state = bytearray(b"smolmp xorshift!")  # never all zero, whatever the seed
        for i, byte in enumerate(seed):
            # x -> 5 x + byte is one to one modulo 256 in either: no seed byte is lost.
            state[i & 15] = (state[i & 15] * 5 + byte) & 0xFF
        if not any(state):
            state[0] = 1
        self._state = array("I", state + bytes(4))  # 4 words, and one for what nobody wants
        for _ in range(16):  # one changed bit of the seed reaches every bit of the state
            self.bits(1)

    def turn(self, secret):
        """Go on from a state that tells nothing of the one before, nor of `secret`, which was
        drawn from it (see smolmp/siphash.py): seen from the wire it cannot be run backwards."""
        for i in range(4):
            halfsiphash(secret, self._state, 0, 4)
            _copy(secret, self._state, i)

    def bits(self, n: int) -> int:
        """A number of `n` bits, 0 <= n <= 29."""
        return _next(self._state, n, self._state, 4)

    def below(self, limit: int) -> int:
        """A number in 0..limit-1, 1 <= limit <= 2**16."""
        return self.bits(29) % limit

    def fill(self, words, at: int):
        """Put 32 random bits into words[at] (array('i') or array('I'))."""
        _next(self._state, 0, words, at)
