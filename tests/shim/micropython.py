"""The module `micropython` for CPython: lets CPython import smolmp, and watches viper's pointers.

A microscope for hypothesis, coverage and fuzzing, not a target: what decides is MicroPython.
tests/conftest.py puts this folder in front of sys.path, so it wins over the wheel's module of the
same name.

What is emulated
- `ptr8(x)`, `ptr16(x)`, `ptr32(x)` of bytes, bytearray, memoryview (its offset respected), array,
  str, another pointer, or an address made by `int(pointer)`. Each load and store is checked
  against the buffer the pointer came from, and for alignment (buffers are taken to be 16-aligned,
  a memoryview stands where its offset puts it); a store into `bytes` is refused. A violation is an
  OutOfBounds (an AssertionError) naming kernel, index and buffer length.
- Addresses: `int(ptr8(b))` is a plain int in a made-up address space with gaps between buffers.
  `ptr8(int(ptr8(b)) + off)` finds b again and stays bounded to b, however far `off` leads.
- Machine words of 32 bits (default; as on boards and i386) or 64 (`set_word(64)`, or
  SMOLMP_WORD=64 in the environment): arguments, results, int() and uint() are cut to the word;
  ptr32 loads are signed on 32 and unsigned on 64; arithmetic wraps: the decorator compiles each
  kernel anew with its + - * << wrapped wherever the excess could be seen (comparisons, >>, //, %,
  tests, assignments, arguments). Shifts by a variable amount must be 0 <= n < word.
- Only positional arguments; None and floats are refused where viper refuses them.

What is not
- viper's static typing: mixing int and uint, a local that changes its type, big literals, slices
  by native ints. mpy-cross and the real targets tell those.
- Arithmetic on objects (not native ints) wraps here too; in viper it does not.
- A kernel that closes over a local variable, or whose source cannot be found, is run as it stands:
  pointers are checked, but intermediate results do not wrap.
- heap_lock() does nothing: allocation is tested on unix32.
"""

import ast
import builtins
import ctypes
import functools
import inspect
import os
import struct
import sys
import textwrap
import time
import traceback
from collections import OrderedDict

__all__ = ["const", "native", "viper", "heap_lock", "heap_unlock", "schedule", "OutOfBounds"]

_NAMES = ("int", "uint", "bool", "ptr", "ptr8", "ptr16", "ptr32")


def const(value):
    return value


def native(function):
    return function


def heap_lock():
    return None


def heap_unlock():
    return 0


def heap_locked():
    return 0


def alloc_emergency_exception_buf(size):
    return None


def opt_level(level=None):
    return 0 if level is None else None


def mem_info(verbose=None):
    return None


def qstr_info(verbose=None):
    return None


def stack_use():
    return 0


def kbd_intr(character):
    return None


def schedule(function, argument):
    function(argument)


# --- the made-up address space -----------------------------------------------------------------
# Segments of 64 KB; a buffer begins 4 KB into its first one, so that a little before and after
# it is still its own. Regions are forgotten, oldest first; the addresses are used in a circle.

_SEGMENT = 16  # bits
_FIRST, _LAST = 0x1000, 0x7000  # segment numbers: all addresses positive in 32 bits
_MARGIN = 0x1000
_MOST_REGIONS = 1024


class _Region:
    __slots__ = ("owner", "base", "segments", "skew")

    def __init__(self, owner, skew, segments):
        self.owner = owner  # kept: its id stays its own
        self.skew = skew
        self.segments = segments
        self.base = (segments[0] << _SEGMENT) + _MARGIN + skew


class _Space:
    def __init__(self):
        self.by_id = OrderedDict()
        self.by_segment = {}
        self.next = _FIRST

    def region(self, owner):
        region = self.by_id.get(id(owner))
        if region is None or region.owner is not owner:
            return self.enter(owner)
        self.by_id.move_to_end(id(owner))  # an address just made must outlive the next ones
        return region

    def enter(self, owner):
        size = _size(owner)
        count = ((size + 2 * _MARGIN) >> _SEGMENT) + 1
        if self.next + count > _LAST:
            self.next = _FIRST
        segments = range(self.next, self.next + count)
        self.next += count
        for segment in segments:
            old = self.by_segment.get(segment)
            if old is not None:
                self.forget(old)
        while len(self.by_id) >= _MOST_REGIONS:
            self.forget(next(iter(self.by_id.values())))
        region = _Region(owner, _skew(owner), segments)
        self.by_id[id(owner)] = region
        for segment in segments:
            self.by_segment[segment] = region
        return region

    def forget(self, region):
        self.by_id.pop(id(region.owner), None)
        for segment in region.segments:
            self.by_segment.pop(segment, None)


_space = _Space()


def _size(owner):
    kind = type(owner)
    if kind is bytes or kind is bytearray:
        return len(owner)
    return memoryview(owner).nbytes


class _PyBuffer(ctypes.Structure):
    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


def _real_address(thing):
    buffer = _PyBuffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(thing), ctypes.byref(buffer), 0x0)
    address = buffer.buf or 0
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
    return address


def _skew(owner):
    """How far a buffer stands from a 16-aligned address: a memoryview's offset in its object."""
    if type(owner) is memoryview and owner.nbytes:
        return (_real_address(owner) - _real_address(owner.obj)) & 15
    return 0


# --- pointers ----------------------------------------------------------------------------------


class OutOfBounds(AssertionError):
    """A kernel used a pointer outside of its buffer, or unaligned."""


class ptr8:
    """Viper's pointer to bytes. The base of the wider ones."""

    __slots__ = ("owner", "buffer", "offset", "limit", "length")
    _SIZE = 1

    def __init__(self, source):
        kind = type(source)
        if kind is bytearray or kind is bytes:
            owner, offset, length = source, 0, len(source)
        elif kind is int:
            owner, offset, length = _resolve(source)
        elif isinstance(source, ptr8):
            owner, offset, length = source.owner, source.offset, source.length
        elif kind is str:
            owner, offset = source.encode(), 0
            length = len(owner)
        elif kind is bool or source is None or kind is float:
            raise TypeError(f"can't convert {kind.__name__} to {type(self).__name__}")
        else:
            owner, offset, length = source, 0, memoryview(source).nbytes
        self.owner = owner
        self.offset = offset  # of index 0, in bytes
        self.length = length  # of the buffer, in bytes
        self._ready()

    def _ready(self):
        kind = type(self.owner)
        if kind is bytearray or kind is bytes:
            self.buffer = self.owner
        else:
            view = memoryview(self.owner)
            self.buffer = view if view.format == "B" else view.cast("B")
        self.limit = self.length - 1

    def __int__(self):
        return _space.region(self.owner).base + self.offset

    def __getitem__(self, index):
        at = self.offset + index
        if 0 <= at <= self.limit:
            return self.buffer[at]
        return self._fail("load", index)

    def __setitem__(self, index, value):
        at = self.offset + index
        if 0 <= at <= self.limit:
            try:
                self.buffer[at] = value & 0xFF
            except TypeError:
                self._refuse(index, value)
        else:
            self._fail("store", index)

    def __repr__(self):
        return f"<{type(self).__name__} at {self.offset} of {self.length} bytes>"

    def _refuse(self, index, value):
        if not isinstance(value, int):
            raise TypeError(f"{type(self).__name__}[{index}] = {value!r}: not an int") from None
        raise OutOfBounds(
            f"{_kernel()}: {type(self).__name__}[{index}] store into a read-only buffer "
            f"({type(self.owner).__name__} of {self.length} bytes)"
        ) from None

    def _fail(self, what, index):
        name, size = type(self).__name__, self._SIZE
        if not isinstance(index, int):
            raise TypeError(f"{name}[{index!r}]: the index is not an int")
        at = self.offset + index * size
        if 0 <= at <= self.length - size:
            where = f"unaligned {what}: address is {self._address_low()} modulo {size}"
        else:
            where = f"{what} out of range"
        raise OutOfBounds(
            f"{_kernel()}: {name}[{index}] {where}; byte {at} of a buffer of "
            f"{self.length} bytes (index 0 is at byte {self.offset})"
        )

    def _address_low(self):
        return (_owner_skew(self.owner) + self.offset) % self._SIZE


def _owner_skew(owner):
    return _space.region(owner).skew if type(owner) is memoryview else 0


class ptr16(ptr8):
    """Viper's pointer to unsigned 16-bit words, little endian."""

    __slots__ = ()
    _SIZE = 2
    _load = struct.Struct("<H").unpack_from
    _store = struct.Struct("<H").pack_into

    def _ready(self):
        self.buffer = self.owner
        aligned = not (_owner_skew(self.owner) + self.offset) & 1
        self.limit = self.length - 2 if aligned else -1

    def __getitem__(self, index):
        at = self.offset + (index << 1)
        if 0 <= at <= self.limit:
            return _load16(self.buffer, at)[0]
        return self._fail("load", index)

    def __setitem__(self, index, value):
        at = self.offset + (index << 1)
        if 0 <= at <= self.limit:
            try:
                _store16(self.buffer, at, value & 0xFFFF)
            except TypeError:
                self._refuse(index, value)
        else:
            self._fail("store", index)


class ptr32(ptr8):
    """Viper's pointer to 32-bit words, little endian: signed on 32-bit targets, unsigned on 64."""

    __slots__ = ()
    _SIZE = 4

    def _ready(self):
        self.buffer = self.owner
        aligned = not (_owner_skew(self.owner) + self.offset) & 3
        self.limit = self.length - 4 if aligned else -1

    def __getitem__(self, index):
        at = self.offset + (index << 2)
        if 0 <= at <= self.limit:
            return _load32(self.buffer, at)[0]
        return self._fail("load", index)

    def __setitem__(self, index, value):
        at = self.offset + (index << 2)
        if 0 <= at <= self.limit:
            try:
                _store32(self.buffer, at, value & 0xFFFFFFFF)
            except TypeError:
                self._refuse(index, value)
        else:
            self._fail("store", index)


class ptr(ptr8):
    """Viper's untyped pointer: an address only."""

    __slots__ = ()


_load16 = struct.Struct("<H").unpack_from
_store16 = struct.Struct("<H").pack_into
_load32 = struct.Struct("<i").unpack_from
_store32 = struct.Struct("<I").pack_into


def _resolve(address):
    region = _space.by_segment.get(address >> _SEGMENT)
    if region is None:
        raise OutOfBounds(f"{_kernel()}: address {address:#x} is in no buffer: a wild pointer")
    return region.owner, address - region.base, _size(region.owner)


def _kernel():
    """Where the kernel stands that did it: the nearest frame outside of this file."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename in (__file__, "<viper>"):
        frame = frame.f_back
    if frame is None:
        return "?"
    code = frame.f_code
    return f"{code.co_name} ({os.path.basename(code.co_filename)}:{frame.f_lineno})"


# --- machine words -----------------------------------------------------------------------------


def set_word(bits):
    """Choose the machine word, 32 or 64; returns the one that was in use."""
    global word, _load32
    if bits not in (32, 64):
        raise ValueError("a word has 32 or 64 bits")
    before, word = word, bits
    _load32 = struct.Struct("<i" if bits == 32 else "<I").unpack_from
    half, mask = 1 << (bits - 1), (1 << bits) - 1

    def wrap(value):
        """A result of native arithmetic, as a signed word. Objects pass."""
        if type(value) is int and not -half <= value < half:
            return ((value + half) & mask) - half
        return value

    def unsigned_wrap(value):
        return value & mask if type(value) is int else value

    def to_int(value):
        """int(x) in a kernel, and the conversion of an argument annotated int."""
        if type(value) is not int:
            value = _integer(value, "int")
        if -half <= value < half:
            return value
        return ((value + half) & mask) - half

    def to_uint(value):
        if type(value) is not int:
            value = _integer(value, "uint")
        return value & mask

    def shift(amount):
        if 0 <= amount < bits:
            return amount
        raise OutOfBounds(f"{_kernel()}: shift by {amount}: not in 0..{bits - 1}")

    builtins._viper_wrap = wrap
    builtins._viper_unsigned_wrap = unsigned_wrap
    builtins._viper_int = to_int
    builtins._viper_uint = to_uint
    builtins._viper_shift = shift
    builtins.uint = uint
    return before


def _integer(value, name):
    if isinstance(value, (int, ptr8)):
        return int(value)
    raise TypeError(f"can't convert {type(value).__name__} to native {name}")


def uint(value):
    """Viper's unsigned machine word."""
    return builtins._viper_uint(value)


# --- the decorator -----------------------------------------------------------------------------


def viper(function):
    """@micropython.viper: arguments and result converted as viper does it, arithmetic in words."""
    kernel = _rewrite(function) or function
    parameters = list(inspect.signature(function).parameters.values())
    arguments, converted = [], []
    scope = {"_kernel_": kernel, "_ptr8": ptr8, "_ptr16": ptr16, "_ptr32": ptr32, "_ptr": ptr}
    for parameter in parameters:
        name = parameter.name
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise SyntaxError(f"{function.__qualname__}: viper takes positional arguments only")
        if parameter.default is not parameter.empty:
            raise SyntaxError(f"{function.__qualname__}: viper has no default arguments")
        arguments.append(name)
        converted.append(_convert(_type_name(parameter.annotation, function), name))
    result = function.__annotations__.get("return", object)
    call = _convert(_type_name(result, function), f"_kernel_({', '.join(converted)})", True)
    signature = ", ".join([*arguments, "/"]) if arguments else ""
    exec(compile(f"def {function.__name__}({signature}): return {call}", "<viper>", "exec"), scope)
    return functools.wraps(function)(scope[function.__name__])


def _type_name(annotation, function):
    if annotation is inspect.Parameter.empty or annotation is object:
        return "object"
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "?")
    if name not in _NAMES:
        raise SyntaxError(f"{function.__qualname__}: viper does not know the type {annotation!r}")
    return name


def _convert(name, expression, leaving=False):
    if name in ("int", "uint"):
        return f"_viper_{name}({expression})"
    if name == "bool":
        return f"bool({expression})"
    if name.startswith("ptr"):
        return f"int({expression})" if leaving else f"_{name}({expression})"
    return expression


def _rewrite(function):
    """The function compiled again with its arithmetic in machine words; None if that cannot be."""
    if function.__closure__:
        return None
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return None
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        return None
    ast.increment_lineno(tree, first - 1)
    definition.decorator_list = []
    definition.returns = None
    names = _Names(definition, function.__globals__)
    for argument in definition.args.args:
        argument.annotation = None
    _Words(names).rewrite(definition)
    ast.fix_missing_locations(tree)
    scope = {}
    exec(compile(tree, function.__code__.co_filename, "exec"), function.__globals__, scope)
    return scope[function.__name__]


class _Names:
    """What the names of a kernel are, as far as it matters: unsigned, pointers, constants."""

    def __init__(self, definition, scope):
        self.unsigned, self.pointers, self.local = set(), set(), set()
        self.scope = scope
        for argument in definition.args.args:
            self.local.add(argument.arg)
            kind = argument.annotation.id if isinstance(argument.annotation, ast.Name) else ""
            self.note(argument.arg, kind)
        for node in ast.walk(definition):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.local.add(node.targets[0].id)
        for node in _in_order(definition):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.note(node.targets[0].id, self.kind(node.value))

    def note(self, name, kind):
        if kind == "uint":
            self.unsigned.add(name)
        elif kind.startswith("ptr"):
            self.pointers.add(name)

    def kind(self, node):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return node.func.id if node.func.id in _NAMES else ""
        if isinstance(node, ast.BinOp):  # viper: the type of the left operand
            return self.kind(node.left)
        if isinstance(node, ast.UnaryOp):
            return self.kind(node.operand)
        if isinstance(node, ast.Name):
            if node.id in self.unsigned:
                return "uint"
            return "ptr" if node.id in self.pointers else ""
        return ""

    def constant(self, node):
        """The value of a literal or a module's _CONSTANT; None for anything else."""
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        if isinstance(node, ast.Name) and node.id[0] == "_" and node.id not in self.local:
            value = self.scope.get(node.id)
            return value if type(value) is int else None
        return None


def _in_order(node):
    for child in ast.iter_child_nodes(node):
        yield child
        yield from _in_order(child)


_GROWING = (ast.Add, ast.Sub, ast.Mult, ast.LShift)
_BITWISE = (ast.BitAnd, ast.BitOr, ast.BitXor)


class _Words:
    """Rewrites a kernel so that its native arithmetic wraps at the machine word.

    + - * << & | ^ ~ give the right low bits even when their operands were never cut, so a result
    is cut only where its high bits would be seen.
    """

    def __init__(self, names):
        self.names = names

    def rewrite(self, node):
        """Rewrite what is below `node`, statements and expressions, in place."""
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                value[:] = [self.child(node, name, each) for each in value]
            elif isinstance(value, ast.AST):
                setattr(node, name, self.child(node, name, value))
        return node

    def child(self, parent, field, node):
        if not isinstance(node, ast.AST):
            return node
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            left = ast.copy_location(ast.Name(node.target.id, ast.Load()), node)
            value = ast.copy_location(ast.BinOp(left, node.op, node.value), node)
            target = ast.copy_location(ast.Name(node.target.id, ast.Store()), node)
            node = ast.copy_location(ast.Assign([target], value), node)
        needs = self.seen(parent, field) and self.loose(node)
        unsigned = self.names.kind(node) == "uint"
        self.rewrite(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("int", "uint"):
                node.func.id = "_viper_" + node.func.id
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.LShift, ast.RShift)):
            if self.names.constant(node.right) is None:
                node.right = self.call("_viper_shift", node.right)
        if needs:
            return self.call("_viper_unsigned_wrap" if unsigned else "_viper_wrap", node)
        return node

    def call(self, name, node):
        function = ast.copy_location(ast.Name(name, ast.Load()), node)
        return ast.copy_location(ast.Call(function, [node], []), node)

    def seen(self, parent, field):
        """Whether the high bits of a value would be seen in this place."""
        if isinstance(parent, ast.BinOp):
            if isinstance(parent.op, _GROWING) or isinstance(parent.op, _BITWISE):
                # a shift's amount and what bounds a mask are looked at, the rest is carried on
                return isinstance(parent.op, ast.LShift) and field == "right"
            return True
        if isinstance(parent, ast.UnaryOp):
            return isinstance(parent.op, ast.Not)
        if isinstance(parent, ast.Call):
            # these cut for themselves
            return not (isinstance(parent.func, ast.Name) and parent.func.id in _NAMES)
        if isinstance(parent, ast.Subscript):
            return not self.is_pointer(parent.value)
        if isinstance(parent, ast.Assign):
            target = parent.targets[0]
            return not (isinstance(target, ast.Subscript) and self.is_pointer(target.value))
        if isinstance(parent, ast.IfExp):
            return field == "test"
        return True

    def is_pointer(self, node):
        return self.names.kind(node).startswith("ptr")

    def loose(self, node):
        """Whether the value may not fit the word (or is negative where it is unsigned)."""
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, _GROWING):
                return True
            if isinstance(node.op, ast.BitAnd):
                for side in (node.left, node.right):
                    value = self.names.constant(side)
                    if value is not None and 0 <= value < 0x80000000:
                        return False
            if isinstance(node.op, _BITWISE):
                return self.loose(node.left) or self.loose(node.right)
            return isinstance(node.op, ast.FloorDiv)
        if isinstance(node, ast.UnaryOp):
            if isinstance(node.op, ast.USub):
                return self.names.constant(node.operand) is None
            if isinstance(node.op, ast.Invert):
                return self.names.kind(node) == "uint" or self.loose(node.operand)
            return False
        if isinstance(node, ast.IfExp):
            return self.loose(node.body) or self.loose(node.orelse)
        return False


# --- what MicroPython's other modules have and CPython's lack ----------------------------------

_TICKS = 1 << 30  # the period of boards


def _ticks_add(ticks, delta):
    return (ticks + delta) & (_TICKS - 1)


def _ticks_diff(end, start):
    half = _TICKS >> 1
    return ((end - start + half) & (_TICKS - 1)) - half


def _print_exception(error, file=None):
    traceback.print_exception(error, file=file or sys.stdout)


def _extend_modules():
    if not hasattr(sys, "print_exception"):
        sys.print_exception = _print_exception
    more = {
        "ticks_ms": lambda: time.monotonic_ns() // 1_000_000 & (_TICKS - 1),
        "ticks_us": lambda: time.monotonic_ns() // 1000 & (_TICKS - 1),
        "ticks_cpu": lambda: time.monotonic_ns() & (_TICKS - 1),
        "ticks_add": _ticks_add,
        "ticks_diff": _ticks_diff,
        "sleep_ms": lambda ms: time.sleep(ms / 1000),
        "sleep_us": lambda us: time.sleep(us / 1_000_000),
    }
    for name, function in more.items():
        if not hasattr(time, name):
            setattr(time, name, function)


word = 32
set_word(int(os.environ.get("SMOLMP_WORD", "32")))
builtins.ptr, builtins.ptr8, builtins.ptr16, builtins.ptr32 = ptr, ptr8, ptr16, ptr32
builtins.micropython = sys.modules[__name__]  # the decorators need no import
_extend_modules()
