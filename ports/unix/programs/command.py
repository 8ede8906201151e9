"""What the programs share: arguments, the device, the interface, the loop.

Import it first: it lets a program that is started from anywhere find this repository.
"""

import os
import sys
import time

import micropython
from micropython import heap_lock, heap_unlock

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from smolmp.iface import Interface, steady
from smolmp.wire.address import is_unicast, parse_address

DEVICE_OPTIONS = """
options of the device:
  --fd N          the device is already open, at descriptor N (its name is then only a name)
  --tun           it is a TUN: bare IP packets
  --packet        it is an existing interface: AF_PACKET
  --offload       the kernel makes and checks the checksums of the TAP or TUN, cuts what we send
                  and joins what it sends, up to 64 KiB at a time (with --fault it does not)
  --mtu N         largest IP packet (default: what the kernel says)
  --mac ADDRESS   our Ethernet address (default 02:00:00:00:00:01)
  --gateway IP    where to send what is not for the subnet
  --pcap FILE     write every frame to FILE
  --fault SPEC    break the network: drop=3,reorder=3,duplicate=1,corrupt=1 (percent),
                  delay=20,jitter=5 (ms), size=N (octets), rate=N (octets/s); in.drop=3 and
                  out.drop=3: one direction only
  --seed N        of the faults and of the stack (default: at random)
  --spin US       look for frames this long before going to sleep (microseconds), always
  --sleep         go to sleep at once, even where frames follow each other closely"""

_DEFAULTS = {
    "fd": (-1, 0),
    "tun": False,
    "packet": False,
    "offload": False,
    "mtu": (0, 68, 65535),
    "mac": "02:00:00:00:00:01",
    "gateway": "",
    "pcap": "",
    "fault": "",
    "seed": (-1, 0),
    "spin": 0,
    "sleep": False,
}
_MOST = 1 << 29
_LOOKS = 16  # how often to poll before the clock is read and a signal is heard

_HINTS = {  # errno of an open that failed -> what to do
    1: "be root, or in a namespace of your own: tools/netlab.py shell",
    2: "is it there? for /dev/net/tun: modprobe tun",
    13: "be root, or in a namespace of your own: tools/netlab.py shell",
    16: "another program has it open",
    22: "a TUN wants --tun, a TAP wants to be without it, anything else --packet",
}


def fail(text):
    sys.stderr.write(text + "\n")
    sys.exit(1)


def arguments(usage, least, most, **defaults):
    """(list of positional arguments, Options). A default's type is the option's type; False: a
    flag; a number is given as (default, least) or (default, least, most), alone it is (n, 0).
    Ends the program with the usage text when something is wrong."""

    def wrong(text):
        sys.stderr.write("%s\n\n%s\n" % (text, usage.strip()))
        sys.exit(2)

    known = dict(_DEFAULTS)
    known.update(defaults)
    options = Options(wrong)
    for name, default in known.items():
        setattr(options, name, default[0] if isinstance(default, tuple) else default)
    given = []
    words = sys.argv[1:]
    while words:
        word = words.pop(0)
        if word in ("-h", "--help"):
            print(usage.strip())
            sys.exit(0)
        if not word.startswith("--"):
            given.append(word)
            continue
        name, equals, text = word[2:].partition("=")
        name = name.replace("-", "_")
        if name not in known:
            wrong("no such option: " + word)
        default = known[name]
        if default is False:
            setattr(options, name, True)
            continue
        if not equals:
            if not words:
                wrong("a value is missing behind " + word)
            text = words.pop(0)
        if isinstance(default, int):
            default = (default, 0)
        if isinstance(default, tuple):
            lowest, highest = (default + (_MOST,))[1:3]
            text = number(text, options, lowest, highest, word.partition("=")[0])
        setattr(options, name, text)
    if not least <= len(given) <= most:
        wrong("wrong number of arguments")
    return given, options


class Options:
    """The options' values, as attributes. wrong(text) ends the program with the usage text."""

    def __init__(self, wrong):
        self.wrong = wrong
        self.outgoing = False


def number(text, options, least=0, most=65535, what="port"):
    try:
        n = int(text)
    except ValueError:
        n = least - 1
    if not least <= n <= most:
        options.wrong("%s: a number from %d to %d, not %s" % (what, least, most, text))
    return n


def host(text, options):
    """the address of a host to talk to, as text"""
    try:
        address = parse_address(text)
    except ValueError:
        options.wrong("%s: an address such as 192.168.69.100, names are resolve.py's" % text)
    if len(address) != 4:
        options.wrong("%s: only IPv4 yet" % text)
    if not is_unicast(address):
        options.wrong("%s: not the address of one host" % text)
    return text


def open_device(name, options):
    """the Device that the arguments name, in the middleware that the options ask for"""
    from ports.unix import awake, kernels
    from ports.unix.descriptor import Descriptor

    kernels.install()
    mtu = options.mtu or None
    longest = 0 if options.sleep else awake.LONGEST
    if options.offload and (options.fd >= 0 or options.packet):
        options.wrong("--offload: we open the TAP or TUN ourselves then, without --fd or --packet")
    try:
        if options.fd >= 0:
            medium = 2 if options.tun else None
            device = Descriptor(options.fd, medium, mtu, longest=longest)
        elif options.packet:
            from ports.unix.packet_socket import PacketSocket

            device = PacketSocket(name, mtu, outgoing=options.outgoing, longest=longest)
        elif options.offload:
            from ports.unix.offload import Offload

            device = Offload(name, mtu, options.tun, longest)
        else:
            from ports.unix.tuntap import Tap, Tun

            device = (Tun if options.tun else Tap)(name, mtu, longest=longest)
    except ValueError as e:
        options.wrong("%s: %s" % (name, e))
    except OSError as e:
        cause = reason(e)
        if not cause.startswith(name + ": "):
            cause = "%s: %s" % (name, cause)
        hint = _HINTS.get(e.errno) if options.fd < 0 else None
        fail("%s (%s)" % (cause, hint) if hint else cause)
    if options.pcap:
        device = write_pcap(device, options.pcap)
    if options.fault:
        device = faults(device, options)
    return device


def write_pcap(device, path):
    """device in a PcapWriter that writes to the file `path`"""
    from smolmp.phy.pcap import PcapWriter

    stream = open_file(path, "wb")
    return PcapWriter(device, stream, microseconds, epoch=time.time_ns() // 1000000000)


def open_file(path, mode):
    try:
        return open(path, mode)
    except OSError as e:
        fail("%s: %s" % (path, reason(e)))


def microseconds():
    return time.ticks_us() & 0x3FFFFFFF


_FAULTS = ("drop", "corrupt", "duplicate", "reorder", "delay", "jitter", "size", "rate")


def faults(device, options):
    """device in a FaultInjector set up as --fault says"""
    from smolmp.phy.fault import FaultInjector

    injector = FaultInjector(device, seed=random_seed(options), clock=time.ticks_ms)
    for part in options.fault.split(","):
        key, equals, value = part.partition("=")
        directions = (injector.rx, injector.tx)
        if key.startswith("in."):
            key, directions = key[3:], directions[:1]
        elif key.startswith("out."):
            key, directions = key[4:], directions[1:]
        try:
            if key not in _FAULTS or not equals:
                raise ValueError
            value = float(value)
            if key in ("delay", "jitter", "size", "rate"):
                value = int(value)
            if key in ("size", "rate"):
                key += "_limit"
            for direction in directions:
                direction.set(**{key: value})
        except ValueError as e:
            options.wrong("--fault %s: %s" % (part, e.args[0] if e.args else "what is that?"))
    return injector


def random_seed(options):
    return options.seed if options.seed >= 0 else int.from_bytes(os.urandom(3), "big")


def interface(device, address, options, **more):
    try:
        return Interface(
            device,
            hardware_addr=options.mac,
            ip_addrs=(address,),
            gateway=options.gateway or None,
            seed=options.seed if options.seed >= 0 else os.urandom(16),  # of secrets, too
            **more,
        )
    except ValueError as e:
        options.wrong(str(e))


def fetcher(device):
    """fetch(buf, ms): wait(ms), then recv(buf), in one where the device has that"""
    if device.fetch:
        return device.fetch
    wait, recv = device.wait, device.recv

    def fetch(buf, ms):
        wait(ms)
        return recv(buf)

    return fetch


def turner(iface, sockets, fetch, ticks=time.ticks_ms):
    """turn(budget, times, ms, lock): wait for a frame up to `ms` if that is not 0, poll up to
    `times` times, until sockets changed, let their services run and send what they said. True:
    sockets changed. fetch: fetcher()'s.

    After a poll that found nothing the next frame most likely comes alone: the program shall have
    it before anybody looks for a second one. What is said goes out without looking for frames.
    """
    poll, answer = steady.bind(iface, sockets)

    @micropython.native
    def turn(
        budget,
        times,
        ms,
        lock,
        ticks=ticks,
        poll=poll,
        answer=answer,
        fetch=fetch,
        view=iface.view,
        hold=heap_lock,
        release=heap_unlock,
    ):
        n = 0
        if ms != 0:
            n = fetch(view, ms)
        now = ticks()
        if lock:
            hold()
        try:
            changed = poll(now, budget, n)
            while not changed and times > 1:
                now = ticks()
                changed = poll(now, 1)
                times -= 1
        finally:
            if lock:
                release()
        if not changed:
            return False
        for socket in changed:
            socket.service()
        if lock:
            hold()
        try:
            answer(now)
        finally:
            if lock:
                release()
        return True

    return turn


def loop(iface, sockets, device, spin=0, until=None, longest=None, budget=64):
    """Drives the stack: `socket.service()` of every socket that changed, until `until()`.

    longest: ms after which `until` is asked at the latest, or a function that tells. spin: us to
    poll again and again before going to sleep, since a frame came or something woke us.

    Where one frame came since the last sleep, the one that ends the next sleep most likely comes
    alone, too: it is answered before anybody looks for another.

    A poll allocates nothing, and the heap is locked to tell MicroPython so: it then takes the
    frames of large functions from the C stack, whereas finding room for them in a heap with
    much on it was measured to cost ten times what all the rest does. For one frame that is
    not worth it."""
    lock = not getattr(device, "allocates", False)
    ticks = time.ticks_ms
    delay = iface.poll_delay
    turn = turner(iface, sockets, fetcher(device))
    clock = time.ticks_us
    counters = iface.counters
    frames = counters[0]
    times = _LOOKS if spin else 1  # to poll is the cheapest way to look
    since = clock()
    first = budget
    ms = 0
    while until is None or not until():
        if turn(first, times, ms, lock and first > 1):
            first = budget
            if not spin:
                ms = 0
                continue
        if spin:
            if ms != 0:
                since = clock()
            ms = 0
            if counters[0] != frames:
                frames = counters[0]
                since = clock()
                continue
            if time.ticks_diff(clock(), since) < spin:
                continue
        first = budget
        ms = delay(ticks(), sockets)
        if longest is not None:
            most = longest if isinstance(longest, int) else longest()
            if ms is None or ms > most:
                ms = most
        if ms != 0 and not spin:
            if counters[0] - frames <= 1:
                first = 1
            frames = counters[0]


def converse(iface, sockets, device, client, endpoint, options):
    """Opens services.Client `client`'s connection and drives the stack until it is done; then its
    socket has two seconds to say goodbye. Ends the program when the connection breaks."""
    socket = client.socket
    try:
        socket.connect(iface, endpoint)
    except OSError as e:
        client.error = e
    else:
        loop(iface, sockets, device, options.spin, lambda: client.done, 1000)
    end = time.ticks_add(time.ticks_ms(), 2000)

    def gone():
        return not socket.is_open() or time.ticks_diff(end, time.ticks_ms()) <= 0

    loop(iface, sockets, device, 0, gone, 100)
    if client.error:
        fail("%s:%d: %s" % (endpoint + (reason(client.error),)))


def reason(error):
    """an OSError in words"""
    import errno

    code = error.args[-1]
    if isinstance(code, str):
        return code
    return "%s (%d)" % (errno.errorcode.get(code, "error"), code)


def run(main):
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
