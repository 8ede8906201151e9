"""The clock by SNTP: sync(net) asks, sets it where the port lets one, and tells what it showed.

from smolmp.net import sntp

found = sntp.sync(net)              # servers of the DHCP lease; or: sync(net, ("pool.ntp.org",))
print(found.datetime(), found.offset)
"""

import time
from errno import ETIMEDOUT

from micropython import const

from smolmp.net import names
from smolmp.socket.sntp import NOBODY, Query  # noqa: F401

POOL = ("pool.ntp.org",)  # whom to ask if nobody was named
_DAYS_1970 = const(10957)
_ADDRESSES = const(4)  # addresses that are asked


def servers_of(net, named=()):
    """Addresses to ask: of `named`; without any, of the DHCP lease (option 42), else of POOL."""
    if not named and net.dhcp is not None and net.dhcp.lease is not None:
        named = net.dhcp.lease.ntp
    found = []
    for name in named or POOL:
        try:
            found += names.resolve(net, name)
        except OSError:
            continue  # there may be others
    return found[:_ADDRESSES]


def query(net, servers):
    """A Query of `net` that has begun: the program polls until it is done, then calls end()."""
    found = net.sockets.add(Query(net.iface, servers))
    net.poll()
    found.start()
    net.dirty = True
    return found


def sync(net, servers=(), set_clock=True):
    """Wait for the time, and set the clock to it if it can be set: at a full second, so that ports
    whose clock knows no fractions are right, too. The Query, with more attributes: `offset`, ms by
    which the clock was behind (negative: ahead); `is_set`. OSError(ETIMEDOUT): nobody has told."""
    found = query(net, servers_of(net, servers))
    try:
        while not found.done:
            net.wait()
    finally:
        net.sockets.remove(found)
    if found.error:
        raise OSError(ETIMEDOUT)
    return settle(net, found, set_clock)


def settle(net, found, set_clock=True):
    """Compare the clock with what a Query found, and set it."""
    found.offset = offset(found, net.clock())
    found.is_set = False
    if set_clock and has_clock():
        net.sleep(1000 - found.moment(net.clock())[1] % 1000)
        found.is_set = set_rtc(found.datetime(net.clock()))
    return found


def offset(found, now) -> int:
    """ms by which the port's clock is behind at the stack's time `now`."""
    days, ms = found.moment(now)
    if hasattr(time, "time_ns"):
        shown = time.time_ns() // 1000000
    else:
        shown = int(time.time()) * 1000
    epoch = _DAYS_1970 if time.gmtime(0)[0] == 1970 else 0
    return (days + epoch) * 86400000 + ms - shown


def has_clock() -> bool:
    try:
        from machine import RTC  # noqa: F401
    except ImportError:
        return False
    return True


def set_rtc(moment) -> bool:
    """Set the board's clock to (year, month, day, weekday, hours, minutes, seconds, ms)."""
    from machine import RTC

    # What the last number counts differs from port to port: it is 0 now.
    RTC().datetime(moment[:7] + (0,))
    return True
