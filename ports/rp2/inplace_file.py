"""Makes the file from which inplace.py has functions run, of the .mpy files on the flash."""

import gc
import os

from micropython import const

_MAGIC = const(0x1A7C0DE5)
_BLOCK = const(4096)
_HEADER = const(4)  # words of a page: _MAGIC, the file's own number, the page's, words in use
_BYTECODE = const(0)  # kinds of code in a .mpy file
_VIPER = const(2)
_ASM = const(3)


class _Mpy:
    """Finds the code in the octets of a .mpy file (version 6): `found` is [(at, size)]."""

    def __init__(self, data):
        self.data = data
        self.at = 4
        self.found = []
        if data[0] != 77 or data[1] != 6:
            return
        if data[2] & 0x40:
            self._number()
        names = self._number()
        objects = self._number()
        for _ in range(names):
            size = self._number()
            if not size & 1:
                self.at += (size >> 1) + 1
        for _ in range(objects):
            self._object()
        self._code(False)

    def _number(self):
        value = 0
        while True:
            octet = self.data[self.at]
            self.at += 1
            value = value << 7 | octet & 127
            if octet < 128:
                return value

    def _object(self):
        kind = self.data[self.at]
        self.at += 1
        if kind == 10:  # a tuple
            for _ in range(self._number()):
                self._object()
        elif kind >= 5:  # text and octets have a 0 behind them
            size = self._number()
            self.at += size + (kind < 7)

    def _code(self, wanted):
        size = self._number()
        kind = size & 3
        inner = size & 4
        size >>= 3
        if wanted and kind != _ASM:
            self.found.append((self.at, size))
        self.at += size
        if kind != _BYTECODE:
            flags = self._number()
            if kind == _ASM:
                self._number()
                self._number()
            elif kind == _VIPER:
                if flags & 0x70 and wanted:
                    self.found.pop()  # with data of its own, tied to the place where it was loaded
                self._sections(flags)
        if inner:
            for _ in range(self._number()):
                self._code(True)

    def _sections(self, flags):
        constants = self._number() if flags & 0x20 else 0
        if flags & 0x40:
            self._number()
        self.at += constants
        while flags & 0x10:
            op = self.data[self.at]
            self.at += 1
            if op == 0xFF:
                return
            if op & 1:
                self._number()
            if op >> 1 <= 5 and op >> 1 & 1:
                self._number()


class _Pages:
    """Writes the file: pages that fill littlefs's blocks, each one a header and pieces of code,
    its size in front of each."""

    def __init__(self, file, number):
        self.file = file
        self.number = number
        self.index = 0
        self.page = bytearray(_BLOCK)
        self.used = 0
        self.room = _BLOCK
        self._start()

    def _start(self):
        # littlefs keeps pointers in front of every block but the first, one more the more zeros
        # the block's number ends with (its SPEC, CTZ skip-lists).
        self.room = _BLOCK
        if self.index:
            n = self.index
            self.room -= 4
            while not n & 1:
                self.room -= 4
                n >>= 1
        self.used = 4 * _HEADER

    def add(self, code):
        size = len(code)
        whole = 4 + (size + 3 & ~3)
        if 4 * _HEADER + whole > _BLOCK - 4:
            return  # larger than a page: stays in the heap
        while self.used + whole > self.room:
            self.flush()  # after a page with more pointers in front comes one with a single one
        at = self.used
        self.page[at : at + 4] = size.to_bytes(4, "little")
        self.page[at + 4 : at + 4 + size] = code
        self.used += whole

    def flush(self):
        page = self.page
        page[0:4] = _MAGIC.to_bytes(4, "little")
        page[4:8] = self.number
        page[8:12] = self.index.to_bytes(4, "little")
        page[12:16] = (self.used >> 2).to_bytes(4, "little")
        for i in range(self.used, self.room):
            page[i] = 0xFF
        self.file.write(memoryview(page)[: self.room])
        self.index += 1
        self._start()


def _below(folder):
    for entry in os.ilistdir(folder):
        path = folder.rstrip("/") + "/" + entry[0]
        if entry[1] == 0x4000:
            yield from _below(path)
        elif path.endswith(".mpy"):
            yield path


def _another_number(name):
    """Blocks of an earlier file may still be in the flash: this one has another number."""
    try:
        with open(name, "rb") as file:
            old = int.from_bytes(file.read(8)[4:], "little")
        return (old + 1 & 0x3FFFFFFF).to_bytes(4, "little")
    except OSError:
        return os.urandom(4)


def write(name, folders):
    """Make the file `name` of all .mpy files below `folders`."""
    number = _another_number(name)
    with open(name, "wb") as file:
        pages = _Pages(file, number)
        for folder in folders:
            for path in _below(folder):
                gc.collect()
                with open(path, "rb") as source:
                    data = source.read()
                for at, size in _Mpy(data).found:
                    pages.add(memoryview(data)[at : at + size])
        pages.flush()
