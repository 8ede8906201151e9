"""Watching a network laboratory: captures, what tshark says of them, what programs print.

Part of netlab.py, whose users find everything here under its name.
"""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Failed(Exception):
    """A command did not do what it should; the text holds its output."""


def search_path():
    """PATH, the folders that a plain user's lacks, and the programs that tools/setup unpacked."""
    own = os.path.join(ROOT, "build", "system", "bin")
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin:" + own


def has(tool):
    return shutil.which(tool, path=search_path()) is not None


def end(process, seconds=5):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Lines:
    """Collects a pipe's output so that it never blocks, and waits for a pattern in it."""

    def __init__(self, pipe, copy=None):
        self._data = bytearray()
        self._event = threading.Condition()
        self._ended = False

        def body():
            while True:
                block = os.read(pipe.fileno(), 65536)
                if copy is not None and block:
                    copy.write(block)
                    copy.flush()
                with self._event:
                    self._data += block
                    self._ended = not block
                    self._event.notify_all()
                if not block:
                    pipe.close()
                    if copy is not None:
                        copy.close()
                    return

        self._thread = threading.Thread(target=body, daemon=True)
        self._thread.start()

    def wait(self, pattern, seconds):
        """the match in whole lines, or None when time is over or the program ended without it"""
        expression = re.compile(pattern, re.MULTILINE)
        end = time.monotonic() + seconds
        with self._event:
            while True:
                whole = len(self._data) if self._ended else self._data.rfind(b"\n") + 1
                found = expression.search(bytes(self._data[:whole]))
                left = end - time.monotonic()
                if found or self._ended or left <= 0:
                    return found
                self._event.wait(left)

    def text(self):
        with self._event:
            return bytes(self._data)

    def join(self):
        self._thread.join(5)


class Capture:
    """dumpcap or tcpdump where they are, else a thread on an AF_PACKET socket."""

    def __init__(self, namespace, device, path, snap=0):
        self.path = os.path.join(ROOT, path)
        self.process = self.thread = None
        self.dropped = 0
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        if os.path.exists(self.path):
            os.unlink(self.path)
        for argv in (
            ["dumpcap", "-q", "-P", "-B", "64", "-s", snap, "-i", device, "-w", self.path],
            ["tcpdump", "--immediate-mode", "-Z", "root", "-U", "-n", "-B", "65536", "-s", snap]
            + ["-i", device, "-w", self.path],
        ):
            if has(argv[0]) and self._start(namespace, argv):
                return
        self._start_thread(namespace, device, snap or 65535)

    def _start(self, namespace, argv):
        try:
            process = namespace.popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except OSError:  # a dumpcap that only its group may execute
            return False
        reader = Lines(process.stderr)
        if not reader.wait(rb"^File: |listening on ", 10):
            end(process)
            return False
        self.process, self._reader = process, reader
        return True

    def _start_thread(self, namespace, device, snap):
        import select

        sock = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.bind((device, 3))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._running = True

        def body():
            link = 1 if sock.getsockname()[3] == 1 else 101
            with open(self.path, "wb") as f, sock:
                f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snap, link))
                idle = 0
                while self._running or not idle:
                    idle = not select.select([sock], [], [], 0.05)[0]
                    if idle:
                        continue
                    frame = sock.recv(65535)
                    now = time.time()
                    kept = frame[:snap]
                    f.write(struct.pack("<II", int(now), int(now % 1 * 1e6)))
                    f.write(struct.pack("<II", len(kept), len(frame)) + kept)

        self.thread = threading.Thread(target=body, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process is not None:
            if self.process.poll() is None:
                # the capturing program reads its socket in blocks: let it see the last one
                time.sleep(0.3)
                self.process.send_signal(signal.SIGINT)
            end(self.process, 10)
            self._reader.join()
            text = self._reader.text().decode(errors="replace")
            found = re.search(
                r"received/dropped.*: *\d+/(\d+)|(\d+) packets dropped by kernel", text
            )
            if found:
                self.dropped = int(found.group(1) or found.group(2))
            self.process = None
        elif self.thread is not None:
            self._running = False
            self.thread.join()
            self.thread = None
        return self.path


# Checksums are verified; what TCP and UDP carry is data, not a protocol to be guessed at.
_STRICT = ["-d", "tcp.port==0-65535,data", "-d", "udp.port==0-65535,data"]
for _name in ("ip", "tcp", "udp"):
    _STRICT += ["-o", _name + ".check_checksum:TRUE"]


def tshark(path, display_filter, *fields, timeout=300, dissect=False):
    """Lines that tshark prints for the frames of a capture which match a display filter.

    dissect: look into what TCP and UDP carry, as DHCP and DNS, too."""
    argv = ["tshark", "-n", "-r", path] + (_STRICT[4:] if dissect else _STRICT)
    if display_filter:
        argv += ["-Y", display_filter]
    if fields:
        argv += ["-T", "fields"]
        for field in fields:
            argv += ["-e", field]
    environment = dict(os.environ, PATH=search_path())
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, env=environment)
    if done.returncode:
        raise Failed("tshark: " + done.stderr)
    return done.stdout.splitlines()


BAD = "_ws.malformed || _ws.expert.severity == error || ip.checksum.status == Bad"
BAD += (
    " || tcp.checksum.status == Bad || udp.checksum.status == Bad || icmp.checksum.status == Bad"
)


LINUX_FFFF = "tcp.checksum.ffff && ip.src == 192.168.69.100"


def bad_frames(path, but=""):
    """What tshark's expert finds wrong in a capture, checksums verified: a list of lines.
    but: a display filter of frames that are meant to be so.

    Not counted: a TCP checksum of 0xffff where RFC 1624 has 0x0000, in one of 65,000 segments that
    Linux sends (smolmp's own are counted: it never sends that)."""
    but = "(%s)%s" % (LINUX_FFFF, " || (%s)" % but if but else "")
    return tshark(path, "(%s) && !(%s)" % (BAD, but))
