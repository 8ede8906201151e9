"""Demultiplexing: a packet's addresses and ports to the socket that owns them (RFC 9293 3.10).

A hash table over the first 12 words of a flow, chained through the slots, so that the cost of a
lookup does not grow with the number of sockets. All of it is one array('i'):

    0          header: see _CHAIN_MASK and below
    16         one entry of 16 words per slot: the key (12 words), then its class, bucket and link
    16 + 16*n  the heads of the chains, a power of two; slots are kept as slot + 1, 0 is "none"

A key belongs to one of four classes by what it leaves open, searched from the most specific:

    0  local and remote    a connection
    1  remote only         connected before a local address was chosen
    2  local only          bound to one address
    3  neither             a wildcard listener

An open address is zero and contributes nothing to the hash, so the same function serves packets
and keys. Family 0 in a key matches both families. Equal keys are found in the order of binding.
"""

from array import array

import micropython
from micropython import const

_CHAIN_MASK = const(0)  # number of chains - 1
_CHAIN_HEADS = const(1)  # where the heads begin
_TABLE_SEED = const(2)
_TABLE_SLOTS = const(3)
# 4..7: how many keys of each class there are

_TABLE_ENTRIES = const(16)
_KEY_CLASS = const(12)  # -1: this slot is not bound; 13: the bucket
_KEY_LINK = const(14)


def new_table(slots: int, seed: int):
    """An empty table for `slots` sockets. `seed` keys the hash (29 bits)."""
    heads = 16
    while heads < 2 * slots:
        heads *= 2
    table = array("i", bytes(4 * (_TABLE_ENTRIES + 16 * slots + heads)))
    table[_CHAIN_MASK] = heads - 1
    table[_CHAIN_HEADS] = _TABLE_ENTRIES + 16 * slots
    table[_TABLE_SEED] = seed & 0x1FFFFFFF
    table[_TABLE_SLOTS] = slots
    for slot in range(slots):
        table[_TABLE_ENTRIES + 16 * slot + _KEY_CLASS] = -1
    return table


@micropython.viper
def insert(table: ptr32, slot: int, flow: ptr32) -> int:
    """Bind `slot` (unbound, below the table's size: the caller proves it) under `flow`'s first
    12 words, behind the keys already in its chain. Returns the class of the key."""
    entry = ptr32(int(table) + ((16 + (slot << 4)) << 2))
    i = 0
    while i < 12:
        entry[i] = flow[i]
        i += 1
    local = flow[4] | flow[5] | flow[6] | flow[7]
    remote = flow[8] | flow[9] | flow[10] | flow[11] | flow[3]
    kind = 0
    if local == 0:
        kind = 1
    if remote == 0:
        kind += 2
    # The hash: kept the same in insert() and find().
    h = table[2] ^ (((flow[1] << 16) ^ flow[2]) * 0x2545F491)
    h ^= flow[4] * 0x1B873593 ^ flow[5] * 0x27D4EB2F ^ flow[6] * 0x165667B1 ^ flow[7] * 0x05EBCA6B
    h ^= flow[8] * 0x38B34AE5 ^ flow[9] * 0x19D699A5 ^ flow[10] * 0x2C1B3C6D
    h ^= flow[11] * 0x297A2D39 ^ flow[3] * 0x1E35A7BD
    h *= 0x2545F491
    bucket = ((h >> 15) ^ (h >> 3)) & table[0]
    entry[12] = kind
    entry[13] = bucket
    entry[14] = 0
    table[4 + kind] = table[4 + kind] + 1
    at = table[1] + bucket
    while table[at] != 0:
        at = 16 + ((table[at] - 1) << 4) + 14
    table[at] = slot + 1
    return kind


@micropython.viper
def remove(table: ptr32, slot: int) -> int:
    """Take `slot` out of the table: 1, or 0 if it was not bound."""
    entry = ptr32(int(table) + ((16 + (slot << 4)) << 2))
    kind = entry[12] & 0xFF
    if kind > 3:
        return 0
    table[4 + kind] = table[4 + kind] - 1
    at = table[1] + entry[13]
    while table[at] != slot + 1:
        at = 16 + ((table[at] - 1) << 4) + 14
    table[at] = entry[14]
    entry[12] = -1
    return 1


@micropython.viper
def find(table: ptr32, rec: ptr32, after: int) -> int:
    """The slot whose key matches the packet `rec` best, -1 if none.

    `after`: -1, or a slot found before, to go on with the next one that also matches.
    """
    family = rec[0]
    protocol = rec[1]
    lport = rec[2]
    rport = rec[3]
    h = table[2] ^ (((protocol << 16) ^ lport) * 0x2545F491)
    local = rec[4] * 0x1B873593 ^ rec[5] * 0x27D4EB2F ^ rec[6] * 0x165667B1 ^ rec[7] * 0x05EBCA6B
    remote = rec[8] * 0x38B34AE5 ^ rec[9] * 0x19D699A5 ^ rec[10] * 0x2C1B3C6D
    remote ^= rec[11] * 0x297A2D39 ^ rport * 0x1E35A7BD
    kind = 0
    slot = 0
    resume = 0
    if after >= 0:
        if after >= table[3]:
            return -1
        kind = table[16 + (after << 4) + 12] & 0xFF
        slot = table[16 + (after << 4) + 14]
        resume = 1
    while kind < 4:
        if table[4 + kind] != 0:
            if resume == 0:
                k = h
                if kind & 1 == 0:
                    k ^= local
                if kind & 2 == 0:
                    k ^= remote
                k *= 0x2545F491
                slot = table[table[1] + (((k >> 15) ^ (k >> 3)) & table[0])]
            while slot != 0:
                entry = ptr32(int(table) + ((slot << 4) << 2))
                if entry[2] == lport and entry[1] == protocol and entry[12] == kind:
                    same = 1
                    if entry[0] != family and entry[0] != 0:
                        same = 0
                    elif kind & 2 == 0 and (
                        entry[3] != rport
                        or entry[8] != rec[8]
                        or entry[9] != rec[9]
                        or entry[10] != rec[10]
                        or entry[11] != rec[11]
                    ):
                        same = 0
                    elif kind & 1 == 0 and (
                        entry[4] != rec[4]
                        or entry[5] != rec[5]
                        or entry[6] != rec[6]
                        or entry[7] != rec[7]
                    ):
                        same = 0
                    if same:
                        return slot - 1
                slot = entry[14]
        resume = 0
        kind += 1
    return -1


def copy_bindings(old, new):
    """Bind in `new` (an empty, larger table) what is bound in `old`, in the same order."""
    heads = old[_CHAIN_HEADS]
    words = memoryview(old)
    for bucket in range(old[_CHAIN_MASK] + 1):
        slot = old[heads + bucket]
        while slot:
            entry = _TABLE_ENTRIES + 16 * (slot - 1)
            insert(new, slot - 1, words[entry : entry + 12])
            slot = old[entry + _KEY_LINK]
