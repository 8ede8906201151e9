"""Error numbers that MicroPython's errno has not are those of the port's C library."""

import errno
import sys

from smolmp import errors
from tests.unit.net.net_support import Host

# On Linux; and as newlib's <sys/errno.h> has them.
FAMILIES = {
    115: (99, 97, 89, 106, 90, 101, 92),
    119: (125, 106, 121, 127, 122, 114, 109),
}
NAMES = (
    "EADDRNOTAVAIL",
    "EAFNOSUPPORT",
    "EDESTADDRREQ",
    "EISCONN",
    "EMSGSIZE",
    "ENETUNREACH",
    "ENOPROTOOPT",
)


class Port:
    """As if `errno` were that of another port, for modules that are imported meanwhile: `names`,
    which are as before at the end."""

    def __init__(self, in_progress, *names):
        self.in_progress = in_progress
        self.names = names

    def __enter__(self):
        class Errno:
            pass

        for name in dir(errno):
            if name[0] == "E":
                setattr(Errno, name, getattr(errno, name))
        Errno.EINPROGRESS = self.in_progress
        self.kept = [sys.modules.pop(name, None) for name in self.names]
        self.errno = sys.modules.get("errno")
        sys.modules["errno"] = Errno
        return self

    def __exit__(self, *_):
        del sys.modules["errno"]
        if self.errno is not None:
            sys.modules["errno"] = self.errno
        for name, kept in zip(self.names, self.kept):
            sys.modules[name] = kept
            parent, _, own = name.rpartition(".")
            setattr(sys.modules[parent], own, kept)


def test_the_numbers_are_of_one_family():
    assert tuple(getattr(errors, name) for name in NAMES) == FAMILIES[errno.EINPROGRESS]


def test_the_family_is_that_of_the_port():
    for in_progress, numbers in FAMILIES.items():
        with Port(in_progress, "smolmp.errors"):
            from smolmp.errors import EISCONN

            module = sys.modules["smolmp.errors"]
            assert module is not errors and EISCONN == numbers[3]
            assert tuple(getattr(module, name) for name in NAMES) == numbers
    assert sys.modules["smolmp.errors"] is errors


# not on a board: two modules twice
def test_a_call_tells_the_number_of_the_port():
    host = Host()
    for in_progress, numbers in FAMILIES.items():
        with Port(in_progress, "smolmp.errors", "smolmp.net.stream", "smolmp.net.datagram"):
            from smolmp.net.datagram import Datagram
            from smolmp.net.stream import Stream

            told = []
            end, other = Stream(host.net), Datagram(host.net)
            for call, *arguments in (
                (end.bind, ("192.168.69.99", 80)),
                (end.set, 0x1FE, 1),
                (other.bind, ("192.168.69.99", 80)),
                (other.transmit, b"x", 0, 1, None),
                (other.set, 0x1FE, 1),
            ):
                try:
                    call(*arguments)
                except OSError as e:
                    told.append(e.errno)
            end.listen(1)
            try:
                end.connect(("192.168.69.2", 80))
            except OSError as e:
                told.append(e.errno)
            end.close()
            other.close()
        no_address, _, no_target, connected, _, _, no_option = numbers
        expected = [no_address, no_option, no_address, no_target, no_option, connected]
        assert told == expected, told
    host.close()
