"""Code stays where it is: functions of .mpy files run from the flash that holds them.

MicroPython copies all code of a .mpy file into the heap, and smolmp's is larger than what a Pico
can spare. But an RP2040's or RP2350's flash is memory, mapped at 0x10000000, which is how frozen
code runs. So:

    from ports.rp2 import inplace
    inplace.install()       # once, after the files were copied to the board: a second or two
    inplace.begin()         # at every start, before the imports
    import smolmp.iface ...
    inplace.end()           # what is imported from here on goes to the heap again

install() copies the code of every .mpy file below /lib, function by function, into one file on the
flash's littlefs, laid out so that no function crosses a block. begin() finds that file's blocks in
the flash, and has each module looked through as soon as it was imported: a function whose octets
are there, every one of them compared, is pointed at them. Its copy in the heap is garbage then.
Whatever does not fit (assembler, closures, another file system, a file that changed since) stays
in the heap and works as before.

What one must know: while smolmp runs, the file /smolmp.code must not be deleted, nor install() be
called: littlefs would give the code's blocks to others. Copy new files after a reset, then
install() again; until then changed functions simply run from the heap. A function run from flash
is as fast as a frozen one; `keep` names modules that stay in the heap, for the sake of speed.

What it relies on: the layout of a function (py/objfun.h: type, context, children, code), as it is
in MicroPython 1.25 (tried with no other); an address is changed only where it led to code whose
octets are all the same.
"""

import builtins
import gc
import os
import sys
from array import array

import micropython
from micropython import const

FILE = "/smolmp.code"

_MAGIC = const(0x1A7C0DE5)
_BLOCK = const(4096)
_HEADER = const(4)  # words of a page: _MAGIC, the file's own number, the page's, words in use
_FLASH = const(0x10000000)
_MOST = const(4096)  # blocks that a flash may have, 16 MiB
_BYTECODE = const(0)  # kinds of functions
_NATIVE = const(1)
_VIPER = const(2)


# Finding it in the flash.


@micropython.viper
def _word(address: int) -> int:
    """A word of memory, its upper two bits lost: a small int."""
    return ptr32(address)[0] & 0x3FFFFFFF


@micropython.viper
def _put(address: int, value: int):
    ptr32(address)[0] = value


@micropython.viper
def _scan(first: int, n: int, number: int, places: ptr32, pages: int) -> int:
    """Look for the pages of file `number` in `n` blocks of memory from `first` on; places[index]
    becomes the address of each. How many were found."""
    found = 0
    while n > 0 and found < pages:
        word = ptr32(first)
        i = 0
        while i < 12:
            if word[i] == 0x1A7C0DE5 and word[i + 1] == number:
                index = word[i + 2]
                if index >= 0 and index < pages and places[index] == 0:
                    places[index] = first + (i << 2)
                    found += 1
            i += 1
        first += 4096
        n -= 1
    return found


@micropython.viper
def _find(places: ptr32, pages: int, code: int) -> int:
    """The address in the flash of what stands at `code`: of all pieces equal to that the longest,
    0: there is none."""
    best = 0
    longest = 0
    a = ptr32(code)
    i = 0
    while i < pages:
        page = ptr32(places[i])
        end = page[3]
        at = 4
        while at < end:
            size = page[at]
            b = ptr32(int(page) + (at << 2) + 4)
            whole = size >> 2
            if size > longest and a[0] == b[0]:
                k = 1
                while k < whole and a[k] == b[k]:
                    k += 1
                if k >= whole:
                    k = whole << 2
                    while k < size and ptr8(a)[k] == ptr8(b)[k]:
                        k += 1
                    if k == size:
                        longest = size
                        best = int(b)
            at += 1 + ((size + 3) >> 2)
        i += 1
    return best


_places = array("i")  # the address of each page
_moved = [0]  # functions that run from the flash
_kinds = {}  # types of functions: _BYTECODE, _NATIVE, _VIPER
_seen = {}  # modules: 0, or how deep in imports the one stands whose body still runs
_waiting = 0  # how many stand there
_depth = 1
_import = None  # what imports, while we do it
_keep = ()
_kept = set()


def install(*folders):
    """Write FILE from all .mpy files below `folders` ("/lib"). OSError: EBUSY (16) when functions
    run from it already, ENOSPC."""
    if _moved[0]:
        raise OSError(16)
    from ports.rp2.inplace_file import write

    write(FILE, folders or ("/lib",))


def begin(keep=()):
    """From now on what is imported runs from the flash. `keep`: names of modules that do not.

    False: it cannot be (no file of code, not a littlefs, another MicroPython than those known);
    everything is imported as ever.
    """
    global _import, _keep
    if _import is None:
        if not _locate() or not _learn_kinds():
            return False
        _keep = keep
        for name in sys.modules:
            _seen[name] = 0
        _import = builtins.__import__
        builtins.__import__ = _hook(_import)
    return True


def end():
    """Import as ever. Returns how many functions run from the flash."""
    global _import
    if _import is not None:
        builtins.__import__ = _import
        _import = None
        _seen.clear()
        _kept.clear()
    return _moved[0]


def _hook(importing):
    """What imports from now on. Native code that names nothing global leaves the caller's globals
    in force, which say what a relative name is relative to; and it takes little of the C stack,
    which imports within imports have to share."""

    @micropython.native
    def hook(
        name,
        scope=None,
        local=None,
        wanted=None,
        level=0,
        scope_of=globals,
        absolute=_absolute,
        before=_before,
        importing=importing,
        after=_after,
    ):
        if level:
            name = absolute(name, level, scope_of())
        depth = before()
        module = importing(name, None, None, wanted, 0)
        after(depth)  # not after an exception: the next one above that goes on sees to it
        return module

    return hook


def _before():
    # A module whose body runs may just be in a function of its own: it has to wait until it is
    # done. When an import returns, all that it brought is.
    global _depth, _waiting
    if len(sys.modules) != len(_seen):
        for other in sys.modules:
            if other not in _seen:
                _seen[other] = _depth - 1  # of the import that waits for it
                _waiting += _depth > 1
    _depth += 1
    return _depth - 1


def _after(depth):
    global _depth
    _depth = depth
    if len(sys.modules) != len(_seen) or _waiting and depth in _seen.values():
        _look()


def _absolute(name, level, scope):
    parts = scope["__name__"].split(".")
    if "__path__" in scope:
        level -= 1  # a package is its own folder
    if level:
        parts = parts[:-level]
    if name:
        parts.append(name)
    return ".".join(parts)


def _locate():
    """Fill _places. False: there is no file of code, or it lies otherwise than one thinks."""
    global _places
    try:
        with open(FILE, "rb") as file:
            header = array("i", file.read(4 * _HEADER))
        size = os.stat(FILE)[6]
    except OSError:
        return False
    if len(header) != _HEADER or header[0] != _MAGIC:
        return False
    pages = 0
    while size > 0:
        size -= _BLOCK
        n = pages
        if n:
            size += 4
            while not n & 1:
                size += 4
                n >>= 1
        pages += 1
    _places = array("i", bytes(4 * pages))
    return size == 0 and _scan(_FLASH, _MOST, header[1], _places, pages) == pages


def _learn_kinds():
    """What functions look like here. False: not as they should."""

    def bytecode():
        return None

    def generator():
        yield None

    known = (bytecode, _BYTECODE), (generator, _BYTECODE), (_sample, _NATIVE), (_word, _VIPER)
    for function, kind in known:
        _kinds[_word(id(function))] = kind
    return len(_kinds) == 4


@micropython.native
def _sample():
    return None


def _look():
    """Look through the modules that are done."""
    global _waiting
    for name in sys.modules:
        mark = _seen.get(name, _depth)
        if mark >= _depth:
            if name in _seen:
                _waiting -= 1
            _seen[name] = 0
            content = getattr(sys.modules[name], "__dict__", None) or ()
            for key in content:
                if name in _keep:
                    _kept.add(id(content[key]))  # before anybody who imports it is looked through
                else:
                    _move(content[key])
    gc.collect()


def _in_ram(address):
    return 0x20000000 <= address < 0x20082000 and not address & 3


def _move(thing):
    """Point `thing` at its code in the flash, if it is a function or has some."""
    address = id(thing)
    kind = type(thing)
    if not _in_ram(address) or address in _kept:
        return
    if kind is type:
        content = thing.__dict__
        for key in content:
            _move(content[key])
    elif kind is property:
        for i in (4, 8, 12):
            _move_at(_word(address + i))
    elif kind is staticmethod or kind is classmethod:
        _move_at(_word(address + 4))
    else:
        _move_at(address)


def _move_at(address):
    """Move the function object at `address`, if one is there."""
    if not _in_ram(address):
        return
    kind = _kinds.get(_word(address), -1)
    code = _word(address + 12)
    if kind < 0 or not _in_ram(code):
        return
    if kind == _NATIVE and _word(code):
        return  # it has functions inside, and its children are where it finds its prelude
    place = _find(_places, len(_places), code)
    if not place:
        return
    if kind == _NATIVE:
        _put(address + 8, place + _word(address + 8) - code)  # its prelude is behind its code
    _put(address + 12, place)
    _moved[0] += 1
