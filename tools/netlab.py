#!/usr/bin/env python3
"""Private network namespaces for the demo, the tests and the measurements.

  netlab.py check                 tells whether this machine can do it
  netlab.py shell [COMMAND...]    a TAP (tap0, 192.168.69.100/24) in a new namespace; runs a shell
                                  or COMMAND there; everything vanishes when it ends

As a module (CPython, standard library only):

    import netlab
    netlab.enter()                                  # root, or a user namespace of our own
    with netlab.Namespace() as kernel:
        kernel.tap("tap0", "192.168.69.100/24")
        with kernel.capture("tap0", "build/pcap/x.pcap"):
            with kernel.micropython("unix64", "ports/unix/programs/server.py", "tap0") as server:
                server.wait_line("ready")
                kernel.run("ping", "-c", "3", "192.168.69.1")
                s = kernel.socket(); s.connect(("192.168.69.1", 6969))

A namespace is kept by a descriptor, has no name and leaves nothing behind.  Children enter it
before they execute; Python sockets are made by a thread that stands in it (a socket stays in the
namespace where it was born).  Nothing outside is touched.
"""

import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from netwatch import (  # noqa: E402, F401
    ROOT,
    Capture,
    Failed,
    Lines,
    bad_frames,
    end,
    has,
    search_path,
    tshark,
)

BUILD = os.path.join(ROOT, "build")

KERNEL_IP = "192.168.69.100"
STACK_IP = "192.168.69.1"
PREFIX_LEN = 24

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_TAP, _IFF_NO_PI = 1, 2, 0x1000
_OFFLOADS = ("tx", "rx", "sg", "tso", "gso", "gro", "lro")

_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """This machine cannot do it; the text says what is missing."""


def _unshare(flags):
    if _libc.unshare(flags):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def enter():
    """Gives this process what it needs to make namespaces: nothing as root, else a user namespace
    in which it is root.  Call it before threads exist.  Raises Unavailable."""
    if not sys.platform.startswith("linux"):
        raise Unavailable("network namespaces need Linux")
    if os.geteuid() != 0:
        uid, gid = os.geteuid(), os.getegid()
        try:
            _unshare(_CLONE_NEWUSER)
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", "0 %d 1" % uid),
                ("gid_map", "0 %d 1" % gid),
            ):
                with open("/proc/self/" + name, "w") as f:
                    f.write(text)
        except OSError as e:
            raise Unavailable(
                "not root, and this kernel gives plain users no user namespace (%s): run it as"
                " root, or allow them (kernel.unprivileged_userns_clone=1,"
                " kernel.apparmor_restrict_unprivileged_userns=0)" % e
            ) from None
    for tool in ("ip", "ping"):
        if not shutil.which(tool, path=search_path()):
            raise Unavailable("the command %s is missing (packages iproute2, iputils-ping)" % tool)
    try:
        Namespace().close()
    except OSError as e:
        raise Unavailable("no network namespace can be made here: %s" % e) from None
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as e:
        raise Unavailable(
            "/dev/net/tun: %s: be root, or let users have it: chmod 666 /dev/net/tun" % e.strerror
        ) from None


class Namespace:
    """A network namespace, loopback up, IPv6 off unless wanted."""

    def __init__(self, ipv6=False):
        self.fd = -1
        self._closing = []

        def make():
            _unshare(_CLONE_NEWNET)
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

        self.fd = _in_thread(make)
        self.run("ip", "link", "set", "lo", "up")
        if not ipv6:
            self.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
            self.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        # Linux's limit of 1000 ICMP answers a second is meant for the open Internet
        self.sysctl("net.ipv4.icmp_ratelimit", 0)
        self.sysctl("net.ipv4.icmp_msgs_per_sec", 1000000)
        self.sysctl("net.ipv4.tcp_no_metrics_save", 1)
        self.sysctl("net.ipv4.tcp_congestion_control", "cubic")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        while self._closing:
            self._closing.pop().stop()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def call(self, function, *args):
        """Runs function in a thread that stands in the namespace; its result or exception."""

        def inside():
            _setns(self.fd)
            return function(*args)

        return _in_thread(inside)

    def socket(self, *args):
        """A Python socket that lives in the namespace."""
        return self.call(socket.socket, *args)

    def sysctl(self, name, value):
        """False where the kernel or a container does not let us."""

        def write():
            try:
                with open("/proc/sys/" + name.replace(".", "/"), "w") as f:
                    f.write(str(value))
                return True
            except OSError:
                return False

        return self.call(write)

    def popen(self, argv, pass_fds=(), env=None, **kw):
        fd = self.fd
        environment = dict(os.environ, PATH=search_path())
        if env:
            environment.update(env)

        def enter_namespace():
            _setns(fd)
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

        return subprocess.Popen(
            [str(a) for a in argv],
            preexec_fn=enter_namespace,
            pass_fds=tuple(pass_fds) + (fd,),
            env=environment,
            **kw,
        )

    def run(self, *argv, check=True, timeout=120, input=None):
        """Runs a command to its end: its output (both streams), Failed when it fails."""
        process = self.popen(
            argv,
            stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            output, _ = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            raise Failed("%s: not done in %g s\n%s" % (" ".join(argv), timeout, output)) from None
        if check and process.returncode:
            raise Failed(
                "%s: exit code %d\n%s" % (" ".join(map(str, argv)), process.returncode, output)
            )
        return output

    def quiet(self, device):
        """Offloads off: the wire carries what a wire would carry, checksums included."""
        if has("ethtool"):
            for feature in _OFFLOADS:  # one by one: what a device lacks is no error
                self.run("ethtool", "-K", device, feature, "off", check=False)

    def up(self, device, address=None, mtu=1500, quiet=True):
        if quiet:
            self.quiet(device)
        if address:
            self.run("ip", "addr", "add", address, "dev", device)
        self.run("ip", "link", "set", device, "mtu", str(mtu), "up")

    def tap(
        self,
        name="tap0",
        address="%s/%d" % (KERNEL_IP, PREFIX_LEN),
        mtu=1500,
        mode="tap",
        quiet=True,
    ):
        """Makes a persistent TAP (mode "tun": a TUN) that is up, the kernel's end with address.
        quiet False: a program may have the kernel offload what it can (--offload)."""
        self.run("ip", "tuntap", "add", "dev", name, "mode", mode)
        self.up(name, address, mtu, quiet)

    def open_tap(self, name="tap0", mode="tap", blocking=False):
        """A descriptor attached to the device, for a program that inherits it."""

        def attach():
            fd = os.open("/dev/net/tun", os.O_RDWR | (0 if blocking else os.O_NONBLOCK))
            flags = (_IFF_TUN if mode == "tun" else _IFF_TAP) | _IFF_NO_PI
            try:
                _ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
            except OSError:
                os.close(fd)
                raise
            return fd

        return self.call(attach)

    def settle(self, device):
        """Call it when a program has opened the device. The kernel notices a carrier some
        milliseconds late and drops what is sent before; being asked for the link's state, it
        looks at once (linkwatch_sync_dev)."""
        self.run("ip", "link", "show", "dev", device)

    def capture(self, device, path, snap=0):
        """Starts writing what passes the device to a pcap file; stop() or `with` ends it."""
        capture = Capture(self, device, path, snap)
        self._closing.append(capture)
        return capture

    def micropython(self, target, program, *args, fds=(), heap="16m", log=None, env=None, **more):
        """Starts a MicroPython program of this repository here."""
        name = os.path.basename(program).replace(".py", "")
        argv = [interpreter(target), "-X", "heapsize=" + heap, os.path.join(ROOT, program), *args]
        environment = {"MICROPYPATH": ROOT + ":.frozen", **(env or {})}
        return self.program(argv, log or "%s-%s.log" % (name, target), fds, environment, **more)

    def program(self, argv, log, fds=(), env=None, cwd=ROOT):
        """Starts any program here; log: a name in build/logs; cwd: where it stands."""
        process = Program(self, [str(a) for a in argv], log, fds, env, cwd)
        self._closing.append(process)
        return process

    def counters(self, device):
        """(received, sent, dropped received, dropped sent) frames, as the kernel counts them"""

        def read():
            with open("/proc/thread-self/net/dev") as f:
                return f.read()

        for line in self.call(read).splitlines():
            if line.strip().startswith(device + ":"):
                n = [int(x) for x in line.split(":", 1)[1].split()]
                return n[1], n[9], n[3], n[11]
        raise Failed("no device " + device)


def veth(a, b, name_a="veth0", name_b="veth0"):
    """Joins two namespaces by a veth pair (both ends down: call up())."""
    a.run(
        *("ip", "link", "add", name_a, "type", "veth"),
        *("peer", "name", name_b, "netns", "/proc/%d/fd/%d" % (os.getpid(), b.fd)),
    )


def _ioctl(fd, request, data):
    import fcntl

    fcntl.ioctl(fd, request, data)


def _in_thread(function):
    box = []

    def body():
        try:
            box.append((function(), None))
        except BaseException as e:  # handed to the caller
            box.append((None, e))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    result, error = box[0]
    if error is not None:
        raise error
    return result


_INTERPRETERS = {
    "unix64": "build/micropython/micropython-amd64",
    "unix32": "build/micropython/micropython-i386",
    "unix64-wheel": ".venv/bin/micropython",
}


def interpreter(target):
    """Path of the MicroPython of a target (unix64, unix32, unix64-wheel); Unavailable without."""
    variable = "SMOLMP_" + target.upper().replace("-", "_")
    path = os.environ.get(variable) or os.path.join(ROOT, _INTERPRETERS[target])
    if not os.path.exists(path):
        raise Unavailable("no MicroPython for target %s (%s): run make setup" % (target, path))
    return path


class Program:
    """A program that runs in a namespace; its output goes to build/logs/ too."""

    def __init__(self, namespace, argv, log, fds, env, cwd):
        self.log = log = os.path.join(BUILD, "logs", log)
        os.makedirs(os.path.dirname(log), exist_ok=True)
        out = open(log, "wb")
        out.write((" ".join(argv) + "\n").encode())
        out.flush()
        self.process = namespace.popen(
            argv,
            pass_fds=fds,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._lines = Lines(self.process.stdout, out)

    @property
    def pid(self):
        return self.process.pid

    def wait_line(self, pattern, seconds=20):
        """Waits until its output matches; Failed with the output when it does not."""
        if isinstance(pattern, str):
            pattern = pattern.encode()
        found = self._lines.wait(pattern, seconds)
        if not found:
            code = self.process.poll()
            raise Failed(
                "%r did not come; the program %s; its output (%s):\n%s"
                % (
                    pattern,
                    "still runs" if code is None else "ended: %s" % code,
                    self.log,
                    self.output,
                )
            )
        return found

    def wait(self, seconds=60):
        """Waits for its own end: the exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Failed("not done in %g s; its output:\n%s" % (seconds, self.output)) from None
        self._lines.join()
        return code

    @property
    def output(self):
        return self._lines.text().decode(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def peak_kib(self):
        """largest resident memory so far"""
        with open("/proc/%d/status" % self.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))

    def stop(self):
        end(self.process)
        self._lines.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def main():
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in ("check", "shell"):
        sys.exit(__doc__)
    try:
        enter()
    except Unavailable as e:
        sys.exit("no: %s" % e)
    if command == "check":
        print("yes")
        return
    with Namespace() as namespace:
        namespace.tap()
        argv = sys.argv[2:] or [os.environ.get("SHELL", "/bin/sh")]
        process = namespace.popen(argv, env={"MICROPYPATH": ROOT + ":.frozen"})
        while True:
            try:
                sys.exit(process.wait())
            except KeyboardInterrupt:
                pass  # meant for the command


if __name__ == "__main__":
    main()
