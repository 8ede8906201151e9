"""For firmware with smolmp frozen in: what every packet passes, copied from flash into RAM.

Frozen code runs from flash through a cache of 16 KiB, which MicroPython's own runtime fills alone;
of a segment's time a third is waiting for flash. `warm()` takes 61 to 66 KB of RAM; echoes are
then 45 % more a second, bulk a sixth faster, a ping is answered in three quarters of the time
(emulated, see `make bench-rp2`). Of no use, and without effect, where smolmp's code is in RAM
already. After ports/rp2/resident.py's begin() it helps a little less.

    from ports.rp2 import hot
    import smolmp.iface ...
    hot.warm()                  # after the imports

Only a function whose object is in RAM is moved. After resident.begin() those of WHAT are, and the
dicts of their modules and classes, whose tables are copied, too.

A function is an object with the address of its code (py/objfun.h: type, context, children, code),
a dict one with that of its table (py/obj.h: type, bits, room, table), as MicroPython 1.25 has
them; not tried with others. Code can stand anywhere; how long it is, is not known, so all is
copied up to where the next function begins. Functions within functions stay where they are.
"""

import sys

import machine
import micropython
from micropython import const
from uctypes import addressof, bytearray_at

_CODE = const(12)  # where a function object has the address
_ALLOC = const(8)  # where a dict has how many pairs its table has room for
_TABLE = const(12)  # and the table's address
_LONGEST = const(5000)  # a larger gap is not one function; ipv4.classify has 4664

WHAT = {
    "ports.rp2.bus": ("receive", "transmit", "alert"),
    "ports.rp2.kernels": ("copy", "copy_checksum", "checksum"),
    "ports.rp2.w5500": ("W5500.recv", "W5500.send", "W5500.wait"),
    "smolmp.counters": ("count", "count_many"),
    "smolmp.iface.interface": ("Interface.poll", "Interface.poll_delay", "Interface.send")
    + ("Interface._tick",),
    "smolmp.iface.ipv4": ("emit", "next_hop", "ingress", "classify"),
    "smolmp.iface.walk": ("begin", "egress", "ingress", "settle"),
    "smolmp.socket.set": (
        "next_bit",
        "next_turn",
        "take_lone",
        "set_bit",
        "clear_bit",
        "SocketSet.take_changed",
    )
    + ("SocketSet.mark", "SocketSet.changed", "SocketSet.deadline", "SocketSet.run_timers"),
    "smolmp.socket.tcp.acknowledge": ("acknowledged", "follow"),
    "smolmp.socket.tcp.burst": ("burst", "follow", "fixed_sum"),
    "smolmp.socket.tcp.express": ("lane", "finish", "wind_up"),
    "smolmp.socket.tcp.kernels": ("announce", "emit"),
    "smolmp.socket.tcp.receive": ("owe", "schedule_ack"),
    "smolmp.socket.tcp.connection": ("Connection.can_recv", "Connection.can_send"),
    "smolmp.socket.tcp.socket": ("Socket.recv_into", "Socket.send"),
    "smolmp.socket.tcp.recovery": ("arm",),
    "smolmp.socket.tcp.scoreboard": ("acked", "sent"),
    "smolmp.socket.tcp.steps": ("aim", "depart", "pull", "push", "settle", "smooth", "whole"),
    "smolmp.socket.tcp.transmit": ("dispatch", "send_ack", "sendable", "window_update_due")
    + ("_send", "_send_data", "_sent", "_departed", "acceptable_position"),
    "smolmp.storage.kernels": ("ring_read", "ring_write", "ring_discard", "ring_read_sum"),
}


def _bytecode():
    return 1


@micropython.native
def _native():
    return 1


@micropython.viper
def _viper() -> int:
    return 1


def _in_flash(address):
    return address >> 24 == 0x10


def _in_ram(address):
    return address >> 28 == 2


def _word(address):
    return machine.mem32[address] & 0xFFFFFFFF


def _code(function, kinds):
    """The address of the function's code; 0 if it is none of ours."""
    at = id(function)
    if not (_in_flash(at) or _in_ram(at)) or _word(at) not in kinds:
        return 0
    return _word(at + _CODE)


def _functions(module):
    """(name, function) of all functions of a module and of its classes' methods."""
    for name in dir(module):
        thing = getattr(module, name)
        yield name, thing
        if isinstance(thing, type):
            for method in thing.__dict__:
                yield name + "." + method, thing.__dict__[method]


def _bring(names) -> int:
    """Copy the table of the dict `names`, if its head is in RAM and the table in flash."""
    at = id(names)
    table = _word(at + _TABLE)
    if not _in_ram(at) or not _in_flash(table):
        return 0
    copy = bytearray(bytearray_at(table, 8 * _word(at + _ALLOC)))
    machine.mem32[at + _TABLE] = addressof(copy)
    return len(copy)


def warm(what=WHAT) -> int:
    """Copy the functions that `what` names, {module: names}, as far as they are there. Returns how
    many octets of RAM that took. MemoryError leaves the rest where it is."""
    kinds = [_word(id(probe)) for probe in (_bytecode, _native, _viper)]
    starts = set()
    chosen = []
    taken = 0
    # A list: dir() asks a module for every name there is, and one loads what it has on demand.
    for module in list(sys.modules):
        if module.startswith(("smolmp.", "ports.")):
            names = what.get(module, ())
            for name, function in _functions(sys.modules[module]):
                code = _code(function, kinds)
                if _in_flash(code):
                    starts.add(code)
                    if name in names and _in_ram(id(function)):
                        chosen.append(function)
                elif names and isinstance(function, type):
                    taken += _bring(function.__dict__)
            if names:
                taken += _bring(sys.modules[module].__dict__)
    order = sorted(starts)
    done = {}
    for function in chosen:
        code = _code(function, kinds)
        if not _in_flash(code):
            continue  # it has two names
        if code not in done:
            i = order.index(code) + 1
            size = order[i] - code if i < len(order) else _LONGEST
            if size > _LONGEST:
                continue
            done[code] = bytearray(bytearray_at(code, size))
            taken += size
        machine.mem32[id(function) + _CODE] = addressof(done[code])
    return taken
