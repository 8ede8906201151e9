"""An emulated Pico behind a serial port: mpremote, screen or a terminal talk to it as to a board.

    console.py [--firmware UF2] [--flash IMAGE] [--save] [--chip] LINK

LINK becomes a symbolic link to a pseudo terminal that is the board's USB serial port, as soon as
the board has booted; it is there until the program is ended (SIGTERM, SIGINT).

--firmware  what the board runs                      (default: build/rp2/stock.uf2)
--flash     the file system of its flash, a littlefs image; without one it is empty
--save      when it ends, write the flash's file system back to that file
--chip      a W5500 with its cable plugged in, wired as on a W5500-EVB-Pico

The board's time is held to the wall's: it sleeps when it is ahead. When it is behind it does not
catch up: the lost time is forgotten.
"""

import argparse
import os
import pty
import select
import signal
import sys
import time
import tty
from pathlib import Path

import pico as emulator

SLICE = 100_000  # ns of simulated time from one look at the port to the next
IDLE = emulator.MS  # the same when nothing has come or gone for
QUIET = 100  # slices
AHEAD = 2 * emulator.MS  # what the board may be ahead of the wall
MOST_QUEUED = 1 << 16  # octets that wait for a reader of the port; a board drops what is more


class Port:
    """The USB console of a board, emulator.Pico, as a pseudo terminal."""

    def __init__(self, board):
        self.board = board
        board.output = self.said
        self.master, self.slave = pty.openpty()  # both stay open: programs come and go
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)
        self.queue = bytearray()  # from the board
        self.quiet = 0

    def said(self, data):
        if len(self.queue) < MOST_QUEUED:
            self.queue += data
        self.quiet = 0
        self.write()

    def write(self):
        if self.queue:
            try:
                done = os.write(self.master, self.queue)
            except BlockingIOError:
                return
            del self.queue[:done]

    def read(self, seconds):
        """Hand on what the port's user sent; wait for it at most so long."""
        if select.select([self.master], [], [], seconds)[0]:
            self.board.write(os.read(self.master, 256))
            self.quiet = 0

    def run(self, ended):
        """Until the list `ended` has something in it."""
        board = self.board
        origin = time.monotonic_ns() - board.now
        while not ended:
            board.run(SLICE if self.quiet < QUIET else IDLE)
            self.quiet += 1
            self.write()
            ahead = board.now - (time.monotonic_ns() - origin)
            if ahead < 0:
                origin -= ahead
            if board.is_listening():
                self.read(ahead / emulator.SECOND if ahead > AHEAD else 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--firmware", default=emulator.STOCK)
    parser.add_argument("--flash", type=Path)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--chip", action="store_true")
    parser.add_argument("link")
    options = parser.parse_args()
    board = emulator.Pico(options.firmware)
    if options.flash:
        board.filesystem = options.flash.read_bytes()
    if options.chip:
        from ethernet import Ethernet

        Ethernet(board)
    ended = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.append(True))
    board.boot()
    port = Port(board)
    os.symlink(port.path, options.link)
    print(f"{options.link} -> {port.path}", flush=True)
    try:
        port.run(ended)
    finally:
        os.unlink(options.link)
        if options.save:
            options.flash.write_bytes(board.filesystem)
    return 0


if __name__ == "__main__":
    sys.exit(main())
