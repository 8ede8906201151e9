"""Objects of a running MicroPython copied out of its RAM, for an address in its flash.

Snapshot walks from modules to all that they hold, in the memory of a board that has imported them,
and lays out copies that point at each other. MicroPython never writes into a function, a class, a
tuple or a dict that is marked as fixed; so such objects may stand in flash, as they do in what is
written in C. What does change, gets one of a few places in RAM with a known address, where
ports/rp2/resident.py puts a copy of it at start: a list, an array, and a dict that is no fixed one
(those of packages, into which imports write, and of what is stored into).

The copies hold no pointer into RAM but into these places: whatever else would need one is refused,
and said by name.

Layouts are those of MicroPython 1.25 on 32 bits (py/obj.h: representation A), every object four
octets aligned, its type's address first:

    module      globals, constants (py/bc.h: two pointers)
    function    context (a module), child table, code, default arguments (py/objfun.h); a generator
                is the same with another type; one in assembler: n_args, code, signature
    dict        used << 3 | ordered << 2 | fixed << 1 | only qstrs, alloc, table of (key, value)
    type        flags << 0 | name << 16, twelve octets of slot indices, slots (py/obj.h)
    tuple       n, items;   list: alloc, n, items' address;   slice: three objects
    array       typecode | free << 8, n, address of the elements; a bytearray's typecode is 1
    str, bytes  hash, n, octets' address
    int         flags, n, address of n digits of 16 bits (py/mpz.h);    float: its 32 bits
    property    getter, setter, deleter;   staticmethod, classmethod: function
    closure     function, n, cells;   cell: object
"""

import struct
from collections import namedtuple

RAM, RAM_END = 0x20000000, 0x20042000
FLASH, FLASH_END = 0x10000000, 0x11000000
LINE = 8  # octets of a line of the flash's cache
PLACE = 16  # octets of a place, a heap block: the head of a dict or a list
_FIXED, _ORDERED, _ONLY_QSTRS = 2, 4, 1  # of a dict
# Of a type. mp_obj_new_type() writes it into the classes of a new class: an RP2040 takes a store
# at these addresses for a word that its cache is to forget, and here it would change nothing.
_SUBCLASSED = 1
_SLOTS = 20  # where a type's slots begin
_LOCALS = 9  # the slot of a class's dict
_CHANGING = ("dict", "list", "array", "bytearray")
_WIDTHS = dict(zip("\x01BbHhIiLl", (1, 1, 1, 2, 2, 4, 4, 4, 4)))  # octets of an array's elements
_EMPTY, _DELETED = 0, 4  # keys of a dict's table that are none

Ref = namedtuple("Ref", "address what")  # to an object in RAM


MAGIC = b"SMO1RES1"


class Refused(Exception):
    """Something cannot be in flash."""


class Memory:
    """A board's RAM and flash, and its firmware's symbols, {name: address}."""

    def __init__(self, ram, flash, symbols):
        self.ram, self.flash, self.symbols = ram, flash, symbols
        self.types = {
            address: name[8:] for name, address in symbols.items() if name.startswith("mp_type_")
        }
        state = symbols["mp_state_ctx"]
        self._blocks, self._pool = self._heap(state)
        self._qstrs = self._last_pool(state)

    def octets(self, address, n):
        of, base = (self.ram, RAM) if address >= RAM else (self.flash, FLASH)
        return of[address - base : address - base + n]

    def words(self, address, n):
        return struct.unpack(f"<{n}I", self.octets(address, 4 * n))

    def word(self, address):
        return self.words(address, 1)[0]

    def kind(self, address):
        """The name of an object's type, "instance" if that was made by `class`."""
        of = self.word(address)
        return self.types.get(of, "instance" if RAM <= of < RAM_END else "")

    def size(self, address):
        """The octets of what was allocated at `address`, a multiple of 16."""
        first = block = (address - self._pool) // 16
        if address & 15 or self._block(block) != 1:
            raise Refused(f"0x{address:08x} was not allocated")
        while self._block(block + 1) == 2:
            block += 1
        return 16 * (block + 1 - first)

    def qstr(self, n):
        pool = self._qstrs
        while True:
            former, before, _, _, _, lengths = self.words(pool, 6)
            before &= 0x7FFFFFFF
            if n >= before:
                at = self.word(pool + 24 + 4 * (n - before))
                return self.octets(at, self.octets(lengths + n - before, 1)[0]).decode()
            pool = former

    def is_lasting(self, n):
        """Is qstr `n` in the firmware?"""
        pool = self._qstrs
        while pool >= RAM:
            before = self.word(pool + 4) & 0x7FFFFFFF
            if n >= before:
                return False
            pool = self.word(pool)
        return True

    def items(self, at):
        """(key, value) of a dict."""
        _, _, alloc, table = self.words(at, 4)
        words = self.words(table, 2 * alloc)
        pairs = zip(words[::2], words[1::2])
        return [(key, value) for key, value in pairs if key not in (_EMPTY, _DELETED)]

    def text(self, value):
        """A name or a number, as far as it is one."""
        if value & 1:
            return str((value - (value >> 31 << 32)) >> 1)
        if value & 7 == 2:
            return self.qstr(value >> 3)
        if self.kind(value) == "str":
            _, _, n, at = self.words(value, 4)
            return self.octets(at, n).decode()
        return f"0x{value:08x}"

    def modules(self, at):
        """{name: address} of the dict sys.modules at `at`."""
        return {self.text(key): value for key, value in self.items(at)}

    def _block(self, n):
        return self.octets(self._blocks + n // 4, 1)[0] >> 2 * (n % 4) & 3

    def _heap(self, state):
        """(the heap's table of blocks, its first block): py/mpstate.h, mp_state_mem_area_t."""
        for at in range(state, state + 4096, 4):
            blocks, n, finalisers, pool, end = self.words(at, 5)
            if RAM < blocks < finalisers < pool < end < RAM_END and end - pool == 64 * n:
                return blocks, pool
        raise Refused("no heap was found")

    def _last_pool(self, state):
        """The newest pool of qstrs: the firmware's, or one in RAM behind that."""
        for at in range(state, state + 512, 4):
            pool, n = self.word(at), 0
            while RAM < pool < RAM_END and not pool & 15 and n < 64:
                pool, n = self.word(pool), n + 1
            if pool == self.symbols["mp_qstr_frozen_const_pool"]:
                return self.word(at)
        raise Refused("no pool of qstrs was found")


class Snapshot:
    """Copies of modules and of what they hold, {object in RAM: words of its copy}.

    Modules come in groups, each one beside those before it: what a group's import changed in the
    dicts and lists of the former ones is in effect with that group only. places: the address of
    the places in RAM and how many there are.
    """

    def __init__(self, places):
        self.first_place, self.most_places = places
        self.moved = []  # what else goes to RAM, before the places
        self.places = {}  # object in RAM that has one -> (name, its words, Ref to the prototype)
        self.records = {}  # object in RAM -> words: numbers, Refs; or octets
        self.fixed = {}  # dict in RAM that is fixed in its copy -> (name, its words)
        self.groups = []  # (prototypes of what goes to the places, {name: module}), as Refs
        self._stored = set()  # classes that are stored into
        self._modules = []  # words: name, module, ...
        self._waiting = []
        self._new = -4  # made up "addresses" of what is not in RAM

    def add(self, memory, modules, changing=(), stored=(), moved=()):
        """A group: `modules`, {name: address}, as they are in `memory` now; `changing`: the names
        of those whose globals change. Packages' always do. stored: (module, name there) of what
        is stored into, if it is a class. moved: (module, name of a function or
        "class.method"): these go to RAM, with the heads of the dicts they are found in, where the
        address of code or of a table can be changed."""
        self.memory = memory
        found = {address for names in moved for address in self._on_the_way(modules, *names)}
        for name, address in modules.items():
            kind, globals_, qstrs, objects = self._words(address, 4)
            if not all(word == 0 or _in_flash(word) for word in (qstrs, objects)):
                raise Refused(f"{name}: not frozen")
            self.records[address] = [kind, Ref(globals_, name), qstrs, objects]
        self._look_at_the_former()
        self._look_for_classes(modules, stored)
        for name, address in modules.items():
            globals_ = self._words(address, 2)[1]
            if name in changing or self._is_package(globals_):
                self._place(globals_, name)
            else:
                self._fix(globals_, name)
        self._walk()
        self.moved += sorted(found - set(self.moved) - set(self.places))
        known = set(modules.values())
        for key, value in memory.items(memory.symbols["sys.modules"]):
            if value in known:
                self._modules += [self._value(key, "sys.modules"), Ref(value, "")]
        prototypes = self._tuple_of([prototype for _, _, prototype in self.places.values()])
        self.groups.append((prototypes, self._dict_from(self._modules)))

    def _on_the_way(self, modules, module, name):
        """The addresses of a module's globals, of a class's dict, and of what is called `name`
        there, "class.method": as far as they are in RAM."""
        if module not in modules:
            return
        names = self._words(modules[module], 2)[1]
        yield names
        for part in name.split("."):
            items = {self.memory.text(key): value for key, value in self.memory.items(names)}
            found = items.get(part, 0)
            if not RAM <= found < RAM_END:
                return
            if self.memory.kind(found) == "type":
                found = names = self._words(found + _SLOTS + 4 * _LOCALS, 1)[0]
            yield found

    def _look_at_the_former(self):
        """What became of the former groups' dicts and lists."""
        for at, (what, words) in self.fixed.items():
            if self._raw(at) != words:
                raise Refused(f"{what}: written to by what was imported later")
        for at, (what, words, _) in self.places.items():
            if self._raw(at) != words:
                self._place(at, what)

    def _look_for_classes(self, modules, stored):
        for module, name in stored:
            for key, value in self.memory.items(self._words(modules[module], 2)[1]):
                if self.memory.text(key) != name or value & 3 or not RAM <= value < RAM_END:
                    continue
                if self.memory.kind(value) == "type":
                    if value in self.records and value not in self._stored:
                        raise Refused(f"{module}.{name}: of a former group, and stored into")
                    self._stored.add(value)

    def _raw(self, address):
        """The head of what changes, and all words of a dict or a list."""
        head = self._words(address, 4)
        n = {"list": head[1], "dict": 2 * head[2]}.get(self.memory.kind(address), 0)
        return head + (self._words(head[3], n) if n else ())

    def _is_package(self, globals_):
        items = self.memory.items(globals_)
        return any(self.memory.text(key) == "__path__" for key, _ in items)

    # The walk.

    def _words(self, address, n):
        return self.memory.words(address, n)

    def _value(self, word, what):
        """What stands for the object `word` in a copy."""
        if word & 7 == 2:
            if not self.memory.is_lasting(word >> 3):
                raise Refused(f"{what}: the name {self.memory.text(word)} is not in the firmware")
            return word
        if word & 3 or not RAM <= word < RAM_END:
            return word
        self._waiting.append(Ref(word, what))
        return self._waiting[-1]

    def _all(self, address, n, what):
        words = enumerate(self._words(address, n))
        return [self._value(word, f"{what}[{i}]") for i, word in words]

    def _walk(self):
        while self._waiting:
            address, what = self._waiting.pop()
            if address in self.records or address in self.places:
                continue
            kind = self.memory.kind(address)
            if kind == "module":
                raise Refused(f"{what}: a module that stays in RAM")
            if kind in _CHANGING:
                self._place(address, what)
                continue
            copy = getattr(self, f"_{kind}", None)
            if copy is None:
                raise Refused(f"{what}: {kind or 'something'} cannot be in flash")
            self.records[address] = copy(address, what)

    def _keep(self, words):
        """A record that has no object in RAM."""
        self._new -= 4
        self.records[self._new] = words
        return Ref(self._new, "")

    def _place(self, address, what):
        """What changes: at start it is a copy of a fixed dict, of a tuple, or of an array."""
        kind = self.memory.kind(address)
        if kind == "list":
            _, _, n, items = self._words(address, 4)
            prototype = self._tuple_of(self._all(items, n, what))
        elif kind in ("array", "bytearray"):
            of, code, n, items = self._words(address, 4)
            width = _WIDTHS.get(chr(code & 0xFF))
            if width is None:
                raise Refused(f"{what}: an array of this kind")
            octets = self.memory.octets(items, n * width)
            prototype = self._keep([of, code & 0xFF, n, self._keep(octets)])
        else:
            prototype = self._keep(self._dict_of(address, what))
        self.places[address] = (what, self._raw(address), prototype)

    def _fix(self, address, what):
        """A dict that never changes."""
        self.fixed[address] = (what, self._raw(address))
        self.records[address] = self._dict_of(address, what)

    def _dict_of(self, address, what):
        """A fixed copy of the dict."""
        kind, bits, alloc, table = self._words(address, 4)
        words = self._words(table, 2 * alloc) if alloc else ()
        copies = []
        for key, value in zip(words[::2], words[1::2]):
            if key in (_EMPTY, _DELETED):
                copies += [key, 0]
            else:
                name = f"{what}.{self.memory.text(key)}"
                copies += [self._value(key, name), self._value(value, name)]
        return [kind, bits | _FIXED, alloc, self._keep(copies)]

    def _fun_bc(self, address, what):
        kind, context, children, code = self._words(address, 4)
        if not all(word == 0 or _in_flash(word) for word in (children, code)):
            raise Refused(f"{what}: code in RAM")
        if context not in self.records:
            raise Refused(f"{what}: a function of a module that stays in RAM")
        rest = self._all(address + 16, self.memory.size(address) // 4 - 4, what)
        while rest and rest[-1] == 0:
            rest.pop()
        return [kind, Ref(context, what), children, code, *rest]

    _fun_native = _fun_viper = _gen_wrap = _native_gen_wrap = _fun_bc

    def _fun_asm(self, address, what):
        words = self._words(address, 4)
        if not _in_flash(words[2]):
            raise Refused(f"{what}: code in RAM")
        return list(words)

    def _type(self, address, what):
        kind, names, *indices = self._words(address, 5)
        slots = self._all(address + _SLOTS, self.memory.size(address) // 4 - 5, what)
        keep = self._place if address in self._stored else self._fix
        keep(slots[_LOCALS].address, what)
        return [kind, names | _SUBCLASSED, *indices, *slots]

    def _tuple(self, address, what):
        kind, n = self._words(address, 2)
        return [kind, n, *self._all(address + 8, n, what)]

    def _slice(self, address, what):
        return [self._words(address, 1)[0], *self._all(address + 4, 3, what)]

    _property = _slice

    def _staticmethod(self, address, what):
        return [self._words(address, 1)[0], *self._all(address + 4, 1, what)]

    _classmethod = _staticmethod

    def _closure(self, address, what):
        kind, _, n = self._words(address, 3)
        return [kind, self._all(address + 4, 1, what)[0], n, *self._all(address + 12, n, what)]

    def _cell(self, address, what):
        # One that is rebound would be written into; the class that super() asks for is not.
        kind, value = self._words(address, 2)
        if self.memory.kind(value) != "type":
            raise Refused(f"{what}: a variable of a function's surroundings")
        return [kind, self._value(value, what)]

    def _str(self, address, what):
        kind, hash_, n, at = self._words(address, 4)
        return [kind, hash_, n, self._octets(at, n + 1)]

    _bytes = _str

    def _int(self, address, what):
        kind, bits, n, at = self._words(address, 4)
        return [kind, bits, n, self._octets(at, 2 * n)]

    def _float(self, address, what):
        return list(self._words(address, 2))

    def _octets(self, address, n):
        if _in_flash(address):
            return address
        return self._keep(self.memory.octets(address, n))

    def _tuple_of(self, values):
        return self._keep([self.memory.symbols["mp_type_tuple"], len(values), *values])

    def _dict_from(self, pairs):
        bits = len(pairs) // 2 << 3 | _ORDERED | _FIXED | _ONLY_QSTRS
        kind = self.memory.symbols["mp_type_dict"]
        return self._keep([kind, bits, len(pairs) // 2, self._keep(list(pairs))])

    # The image.

    def image(self, base, struct_address, identity):
        """The octets for address `base`. First a head of eight words: MAGIC (two), the firmware's
        identity (two), where its structure is that has that, too (firmware/resident.c), the
        address of a tuple of the groups; and how many words follow the head that belong to where
        the places are in RAM, and the address of the first place behind them."""
        root = self._tuple_of([self._tuple_of(group) for group in self.groups])
        at, where = self.first_place, {}
        for address in self.moved:
            where[address] = at
            at += 4 * len(self.records[address])
        first = at
        for address in self.places:
            where[address] = at
            at += PLACE
        if at > self.first_place + PLACE * self.most_places:
            raise Refused(f"{at - self.first_place} octets are needed in RAM, there are too few")
        self.used = at - self.first_place
        at = base + 32 + first - self.first_place + LINE - 1 & -LINE
        for address, record in self.records.items():
            if address not in where:
                where[address] = at
                at += (len(record) if isinstance(record, bytes) else 4 * len(record)) + LINE - 1
                at &= -LINE
        words = (first - self.first_place) // 4
        head = (identity, struct_address, where[root.address], words, first)
        out = bytearray(MAGIC + struct.pack("<8s4I", *head))
        kept = [address for address in self.records if address not in self.moved]
        for address in self.moved + kept:
            record = self.records[address]
            if not isinstance(record, bytes):
                words = (where[w.address] if isinstance(w, Ref) else w for w in record)
                record = struct.pack(f"<{len(record)}I", *words)
            if address not in self.moved:
                out += bytes(where[address] - base - len(out))
            out += record
        return bytes(out)


def _in_flash(address):
    return FLASH <= address < FLASH_END
