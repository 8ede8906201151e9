"""Bulk data between Linux and a stack's peer.py, each octet looked at."""

import hashlib
import random
import socket

MB = 1000 * 1000


def pattern(start, n):
    block = bytes(range(256)) * (n // 256 + 2)
    return block[start & 255 : (start & 255) + n]


def upload(wire, size, port=5001, timeout=20):
    """size octets to peer.py's digest; True when it saw exactly these"""
    data = random.Random(size).randbytes(min(size, 1 << 20))
    hash_, sent = hashlib.sha256(), 0
    with wire.connect(port, timeout) as s:
        while sent < size:
            block = data[: size - sent]
            s.sendall(block)
            hash_.update(block)
            sent += len(block)
        s.shutdown(socket.SHUT_WR)
        answer = b""
        while True:
            piece = s.recv(1000)
            if not piece:
                break
            answer += piece
    assert answer.decode().split() == [str(size), hash_.hexdigest()]


def download(wire, size, port=5001, timeout=20):
    """size octets from peer.py's source, each compared"""
    got = 0
    with wire.connect(port, timeout) as s:
        buffer = bytearray(1 << 18)
        view = memoryview(buffer)
        want = pattern(0, (1 << 18) + 256)
        while got < size:
            n = s.recv_into(buffer)
            assert n, "closed after %d octets" % got
            phase = got & 255
            assert view[:n] == want[phase : phase + n], "wrong within octets %d+%d" % (got, n)
            got += n
