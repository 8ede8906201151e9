"""An emulated Pico behind a serial port: mpremote, screen or a terminal talk to it as to a board.

    console.py [--firmware UF2] [--flash IMAGE] [--save] LINK

LINK becomes a symbolic link to a pseudo terminal that is the board's USB serial port, as soon as
the board has booted; it is there until the program is ended (SIGTERM, SIGINT).

--firmware  what the board runs                      (default: build/rp2/stock.uf2)
--flash     the file system of its flash, a littlefs image; without one the board formats its own
--save      when it ends, write the flash's file system back to that file

The board's time is held to the wall's: it sleeps when it is ahead. When it is behind (a busy one
runs at half the speed of a real one) it does not catch up: the lost time is forgotten.
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

import pico
from rp2040py.memory_map import FLASH_START_ADDRESS

STOCK = Path(__file__).resolve().parents[2] / "build" / "rp2" / "stock.uf2"
TURN = 100_000  # ns of simulated time from one look at the port to the next
IDLE = 1_000_000  # the same when nothing has come or gone for
QUIET = 100  # turns
MOST_QUEUED = 1 << 16  # octets that wait for a reader of the port; a board drops what is more


class Port:
    """The board's USB console as a pseudo terminal, looked after as simulated time goes on."""

    def __init__(self, board):
        self.board = board
        self.master, self.slave = pty.openpty()  # both stay open: programs come and go
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)
        self.to_board, self.from_board = bytearray(), bytearray()
        self.clock = board.simulator.clock
        self.alarm = self.clock.create_alarm(self.turn)
        self.alarm.schedule(TURN)
        self.quiet = 0
        self.origin = time.monotonic() - self.clock.nanos / 1e9
        board.cdc.on_serial_data = self.said

    def said(self, data):
        if len(self.from_board) < MOST_QUEUED:
            self.from_board += data
        self.quiet = 0
        self.write()

    def turn(self):
        self.quiet += 1
        self.alarm.schedule(TURN if self.quiet < QUIET else IDLE)
        self.write()
        self.read(0)
        ahead = self.clock.nanos / 1e9 - (time.monotonic() - self.origin)
        if ahead < 0:
            self.origin -= ahead
        elif ahead > 0.002 and not self.to_board:
            self.read(ahead)

    def write(self):
        if self.from_board:
            try:
                done = os.write(self.master, self.from_board)
            except BlockingIOError:
                return
            del self.from_board[:done]

    def read(self, seconds):
        """Take what the port's user sent, or wait for it."""
        if not self.to_board and select.select([self.master], [], [], seconds)[0]:
            self.to_board += os.read(self.master, 4096)
            self.quiet = 0
        fifo = self.board.cdc.tx_fifo
        while self.to_board and not fifo.full:
            self.board.cdc.send_serial_byte(self.to_board.pop(0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--firmware", default=STOCK)
    parser.add_argument("--flash")
    parser.add_argument("--save", action="store_true")
    parser.add_argument("link")
    options = parser.parse_args()
    board = pico.device(options.firmware, options.flash)
    connected = []
    board.cdc.on_device_connected = lambda: connected.append(True)
    ended = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.append(True))
    simulator = board.simulator
    board.mcu.core.pc = FLASH_START_ADDRESS
    simulator.stopped = False
    while not connected and not ended:
        simulator._execute_batch()
    port = Port(board)
    os.symlink(port.path, options.link)
    print(f"{options.link} -> {port.path}", flush=True)
    try:
        while not ended:
            simulator._execute_batch()
    finally:
        os.unlink(options.link)
        if options.save:
            board.dump_flash_image(options.flash)
    return 0


if __name__ == "__main__":
    sys.exit(main())
