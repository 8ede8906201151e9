#!/usr/bin/env python3
"""make demo: Linux talks to smolmp over a TAP, in a network namespace of its own.

  demo.py [--target unix64|unix32|unix64-wheel] [--mb 10]

Starts ports/unix/programs/server.py under MicroPython and lets Linux's own tools and TCP/IP talk
to it.  Prints what happened, leaves build/demo.pcap, and exits with 1 if anything failed.
"""

import argparse
import hashlib
import os
import random
import re
import socket
import sys
import time

import netlab

PCAP = os.path.join(netlab.BUILD, "demo.pcap")
IP = netlab.STACK_IP
MB = 1000 * 1000


class Wrong(Exception):
    """A step did not come out as it must."""


def indent(text):
    print("".join("      " + line + "\n" for line in text.rstrip().splitlines()), end="")


def require(condition, text):
    if not condition:
        raise Wrong(text)


class Demo:
    def __init__(self, kernel, size):
        self.kernel = kernel
        self.size = size
        self.failures = 0

    def step(self, title, function):
        print("\n== " + title, flush=True)
        start = time.monotonic()
        try:
            result = function()
        except (Wrong, netlab.Failed, OSError) as e:
            self.failures += 1
            print("   FAILED: %s" % e, flush=True)
        else:
            seconds = time.monotonic() - start
            print("   ok: %s (%.2f s)" % (result, seconds), flush=True)

    def command(self, *argv):
        print("   $ " + " ".join(argv), flush=True)
        return self.kernel.run(*argv, timeout=30)

    def connect(self, port):
        s = self.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(20)
        s.connect((IP, port))
        return s

    def ping(self):
        out = self.command("ping", "-c", "3", "-i", "0.2", IP)
        indent(out)
        require("3 received" in out, "an answer is missing")
        return "3 of 3 answered"

    def flood(self):
        count = 10000
        start = time.monotonic()
        out = self.command("ping", "-f", "-q", "-w", "30", "-c", str(count), IP)
        seconds = time.monotonic() - start
        require("%d received" % count in out, out)
        rtt = re.search(r"= [\d.]+/([\d.]+)/", out)
        each = ", %.0f us each" % (float(rtt[1]) * 1000) if rtt else ""
        return "%d pings, none lost, %.0f a second%s" % (count, count / seconds, each)

    def udp_echo(self):
        sizes = list(range(0, 1473, 8)) + [1472]
        with self.kernel.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.connect((IP, 6969))
            s.send(b"hello, smolmp")
            answer = s.recv(2000)
            print('   "hello, smolmp" -> "%s"' % answer.decode())
            require(answer == b"hello, smolmp"[::-1], "wrong answer")
            for size in sizes:
                message = os.urandom(size)
                s.send(message)
                require(s.recv(2000) == message[::-1], "wrong answer to %d octets" % size)
        return "%d datagrams of 0 to 1472 octets came back reversed" % len(sizes)

    def tcp_echo(self):
        with self.connect(6970) as s:
            stream = s.makefile("rb")
            s.sendall(b"hello, smolmp\n")
            answer = stream.readline()
            print('   "hello, smolmp" -> "%s"' % answer.decode().strip())
            require(answer == b"pmloms ,olleh\n", "wrong answer")
            count, times = 1000, []
            for i in range(count):
                line = b"line %d" % i
                start = time.perf_counter()
                s.sendall(line + b"\n")
                answer = stream.readline()
                times.append(time.perf_counter() - start)
                require(answer == line[::-1] + b"\n", "wrong answer to line %d" % i)
            times.sort()
        return "%d lines came back reversed, median %.0f us" % (count, times[count // 2] * 1e6)

    def http(self):
        if not netlab.has("curl"):
            print("   (no curl here: a plain socket instead)")
            with self.connect(80) as s:
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                out = s.makefile("rb").read().partition(b"\r\n\r\n")[2].decode()
        else:
            out = self.command("curl", "--silent", "--show-error", "http://%s/" % IP)
        indent(out)
        require(out.startswith("smolmp on "), "not the page")
        return "%d octets" % len(out)

    def upload(self):
        block = random.Random(1).randbytes(MB)
        digest = hashlib.sha256()
        start = time.monotonic()
        with self.connect(6971) as s:
            for _ in range(self.size // MB):
                s.sendall(block)
                digest.update(block)
            s.shutdown(socket.SHUT_WR)
            words = s.makefile("rb").read().decode().split()
        seconds = time.monotonic() - start
        print("   sent      %d octets, SHA-256 %s" % (self.size, digest.hexdigest()))
        print("   received  %s octets, SHA-256 %s" % tuple(words or ("no", "-")))
        require(words == [str(self.size), digest.hexdigest()], "the two differ")
        return "%d MB, %.0f Mbit/s" % (self.size // MB, self.size * 8e-6 / seconds)

    def download(self):
        sent, received = hashlib.sha256(), hashlib.sha256()
        got = 0
        start = time.monotonic()
        with self.connect(6972) as s:
            while got < self.size:
                piece = s.recv(min(1 << 18, self.size - got))
                require(piece, "closed after %d octets" % got)
                received.update(piece)
                got += len(piece)
        seconds = time.monotonic() - start
        sent.update((bytes(range(256)) * (self.size // 256 + 1))[: self.size])
        print("   sent      %d octets, SHA-256 %s" % (self.size, sent.hexdigest()))
        print("   received  %d octets, SHA-256 %s" % (got, received.hexdigest()))
        require(sent.digest() == received.digest(), "the two differ")
        return "%d MB, %.0f Mbit/s" % (got // MB, got * 8e-6 / seconds)

    def expert(self):
        frames = len(netlab.tshark(PCAP, "frame", "frame.number"))
        bad = netlab.bad_frames(PCAP)
        require(not bad, "%d frames are wrong:\n%s" % (len(bad), "\n".join(bad[:10])))
        return "%d frames: none malformed, every checksum right" % frames


def choose(wanted):
    for target in [wanted] if wanted else ["unix64", "unix32", "unix64-wheel"]:
        try:
            return target, netlab.interpreter(target)
        except netlab.Unavailable as e:
            reason = e
    sys.exit("demo: %s" % reason)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", default="", choices=["", "unix64", "unix32", "unix64-wheel"])
    parser.add_argument("--mb", type=int, default=10)
    options = parser.parse_args()
    begin = time.monotonic()
    target, path = choose(options.target)
    try:
        netlab.enter()
    except netlab.Unavailable as e:
        sys.exit("demo: %s" % e)
    with netlab.Namespace() as kernel:
        kernel.tap("tap0")
        capture = kernel.capture("tap0", PCAP)
        arguments, fds = ["tap0", "%s/%d" % (IP, netlab.PREFIX_LEN)], []
        if target == "unix64-wheel":  # it has no ffi to open a TAP with
            fds = [kernel.open_tap("tap0")]
            arguments += ["--fd", fds[0]]
        program = "ports/unix/programs/server.py"
        server = kernel.micropython(target, program, *arguments, fds=fds, log="demo-server.log")
        for fd in fds:
            os.close(fd)
        shown = os.path.relpath(path, netlab.ROOT) if path.startswith(netlab.ROOT) else path
        print("smolmp demo: Linux %s and %s share a wire" % (os.uname().release, shown))
        print("  Linux   %s on tap0, in a network namespace of its own" % netlab.KERNEL_IP)
        print("  smolmp  %s, the other end: %s" % (IP, program))
        demo = Demo(kernel, options.mb * MB)
        try:
            server.wait_line("^ready")
            kernel.settle("tap0")
        except netlab.Failed as e:
            sys.exit("demo: %s" % e)
        demo.step("ping", demo.ping)
        demo.step("flood of pings", demo.flood)
        demo.step("UDP echo, port 6969", demo.udp_echo)
        demo.step("TCP echo, port 6970", demo.tcp_echo)
        demo.step("HTTP GET, port 80", demo.http)
        demo.step("%d MB from Linux to smolmp, port 6971" % options.mb, demo.upload)
        demo.step("%d MB from smolmp to Linux, port 6972" % options.mb, demo.download)
        alive = server.alive()
        peak = server.peak_kib() if alive else 0
        capture.stop()
        server.stop()
        if netlab.has("tshark"):
            demo.step("what Wireshark's expert says (tshark)", demo.expert)
        else:
            print("\n   (no tshark here: open the capture in Wireshark yourself)")
        if not alive:
            demo.failures += 1
        if demo.failures:
            print("\nThe server's output (%s):" % server.log)
            indent(server.output)
    size = os.path.getsize(PCAP) if os.path.exists(PCAP) else 0
    print("\ncapture:  %s, %.1f MB" % (os.path.relpath(PCAP), size / MB))
    if peak:
        print("memory:   the MicroPython process, everything included: %.1f MiB" % (peak / 1024))
    print("time:     %.1f s" % (time.monotonic() - begin))
    print("FAILED: %d" % demo.failures if demo.failures else "all good")
    sys.exit(1 if demo.failures else 0)


if __name__ == "__main__":
    main()
