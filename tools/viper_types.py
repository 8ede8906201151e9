"""A mypy plugin for MicroPython sources. See tools/lint.py.

A parameter annotated ptr8 (ptr16, ptr32, ptr) takes any buffer, or an address: viper converts it
on the call. In annotations the pointer types are therefore Any; where they are called,
`p = ptr8(x)`, they stay the classes of the stubs.

An attribute that a class only ever sets to None is filled from outside: it is Any, not None.
"""

from mypy.plugin import Plugin
from mypy.types import AnyType, NoneType, TypeOfAny, get_proper_type

_POINTERS = frozenset("builtins." + name for name in ("ptr", "ptr8", "ptr16", "ptr32"))


class ViperTypes(Plugin):
    def get_type_analyze_hook(self, fullname):
        if fullname in _POINTERS:
            return lambda context: AnyType(TypeOfAny.explicit)
        return None

    def get_attribute_hook(self, fullname):
        return any_for_none


def any_for_none(context):
    if isinstance(get_proper_type(context.default_attr_type), NoneType):
        return AnyType(TypeOfAny.special_form)
    return context.default_attr_type


def plugin(version):
    return ViperTypes
