"""asyncio's waiting, by what the stack knows: our sockets need not be asked again and again.

MicroPython's IOQueue asks every stream that is no descriptor once a millisecond, and sleeps as
long even when a task is ready. A Queue in its place looks at a socket when a poll says that it
changed, sleeps where its device sleeps (TAP's descriptor, W5500's interrupt) until a frame or a
timer comes, and leaves to select.poll what is not ours. Tasks and streams are asyncio's own.

It comes by itself: a Net's first socket that does not block, once asyncio is imported, puts it in
the running loop's place; see join().
"""

import time
from asyncio import core  # type: ignore[attr-defined]

from micropython import const

from smolmp.net.socket import socket
from smolmp.net.stack import nets

_POLLIN = const(1)
_POLLOUT = const(4)


class Waiting:
    """Who waits for which sockets of one Net: tasks, by the slot of the socket."""

    def __init__(self, queue, net):
        slots = net.sockets.slots
        self.queue = queue
        self.readers = [None] * slots
        self.writers = [None] * slots
        self.ends = [None] * slots

    @micropython.native
    def put(self, end, tasks, event, deadline=-1):
        """The running task waits for `event` of `end`, with a `deadline` until then; tasks:
        readers or writers. The slot where it stands there, -1: it need not wait."""
        task = core.cur_task
        below = end.core or end.listener
        if below is None or end.events(event):
            core._task_queue.push(task)
            return -1
        slot = below.slot
        if slot >= len(tasks):  # the set has grown
            for each in (self.readers, self.writers, self.ends):
                each.extend([None] * (slot + 1 - len(each)))
        assert tasks[slot] is None
        tasks[slot] = task
        self.ends[slot] = end
        self.queue.count(1)
        if deadline >= 0:
            core._task_queue.push(task, deadline)
        else:
            task.data = self  # who is asked to forget it, should it be cancelled
        return slot

    def drop(self, tasks, slot, task):
        """It waits there no more."""
        if slot >= 0 and tasks[slot] is task:
            tasks[slot] = None
            if self.readers[slot] is None and self.writers[slot] is None:
                self.ends[slot] = None
            self.queue.count(-1)

    @micropython.native
    def note(self, changed):
        """A poll named these sockets."""
        ends = self.ends
        size = len(ends)
        for below in changed:
            slot = below.slot
            if slot < size and ends[slot] is not None:
                wanted = 0 if self.readers[slot] is None else _POLLIN
                if self.writers[slot] is not None:
                    wanted |= _POLLOUT
                wanted = ends[slot].events(wanted)
                if wanted:
                    self.wake(slot, wanted)

    def wake(self, slot, events):
        """As IOQueue has it: an error wakes both."""
        readers = self.readers
        writers = self.writers
        if events & -5 and readers[slot] is not None:
            self.push(readers[slot])
            readers[slot] = None
        if events & -2 and writers[slot] is not None:
            self.push(writers[slot])
            writers[slot] = None
        if readers[slot] is None and writers[slot] is None:
            self.ends[slot] = None

    def push(self, task):
        """It runs next. One with a deadline stands in asyncio's queue already, and one that was
        cancelled there shall keep that in mind."""
        self.queue.count(-1)
        if task.data is self:
            core._task_queue.push(task)
        elif task.data is None:
            core._task_queue.remove(task)
            core._task_queue.push(task)

    def gone(self, slot):
        """The socket is closed: who waits shall hear it from the next call."""
        if slot < len(self.ends) and self.ends[slot] is not None:
            self.wake(slot, -1)

    def remove(self, task):
        """It was cancelled."""
        for tasks in (self.readers, self.writers):
            for slot in range(len(tasks)):
                if tasks[slot] is task:
                    self.drop(tasks, slot, task)
                    return


class Queue(core.IOQueue):
    """asyncio's IOQueue, with all Nets that are up."""

    def __init__(self):
        super().__init__()
        self.waiting = 0  # tasks at sockets of ours
        self.bells = {}  # Net -> the descriptor of its device
        for net in nets:
            self.add(net)

    def add(self, net):
        """Drive `net`."""
        self.serve(net)
        try:
            bell = net.device.fileno()
            self.poller.register(bell, _POLLIN)  # ports with descriptors take their numbers
            self.bells[net] = bell
        except (AttributeError, OSError, TypeError):
            pass  # beside others it is asked every ms

    def leave(self, net):
        """Drive it no more."""
        bell = self.bells.pop(net, None)
        if bell is not None:
            self.poller.unregister(bell)

    def serve(self, net):
        """Have tasks wait for sockets of `net`."""
        if net.waiting is None or net.waiting.queue is not self:
            net.waiting = Waiting(self, net)

    def take_over(self, old):
        """The tasks that wait in an IOQueue so far."""
        for key, entry in old.map.items():
            reader, writer, stream = entry
            events = (_POLLIN if reader else 0) | (_POLLOUT if writer else 0)
            self.map[key] = entry
            self.poller.register(stream, events)
            for task in (reader, writer):
                if task:
                    task.data = self

    def count(self, n):
        """`map` is what asyncio looks at: is there anybody whom an event may wake?"""
        self.waiting += n
        if not self.waiting:
            self.map.pop(0, None)
        elif self.waiting == n:
            self.map[0] = None

    def queue_read(self, s):
        if isinstance(s, socket) and s._end is not None:
            waiting = s._net.waiting
            if waiting is not None:
                waiting.put(s._end, waiting.readers, _POLLIN)
                return
        self._enqueue(getattr(s, "pollable", s), 0)

    def queue_write(self, s):
        if isinstance(s, socket) and s._end is not None:
            waiting = s._net.waiting
            if waiting is not None:
                waiting.put(s._end, waiting.writers, _POLLOUT)
                return
        self._enqueue(getattr(s, "pollable", s), 1)

    def remove(self, task):
        for key in self.map:
            entry = self.map[key]
            if entry is not None and task in (entry[0], entry[1]):
                other = entry[1] if entry[0] is task else entry[0]
                if other is None:
                    self._dequeue(entry[2])
                else:
                    entry[0 if entry[0] is task else 1] = None
                    self.poller.modify(entry[2], _POLLOUT if entry[0] is None else _POLLIN)
                return

    def wait_io_event(self, dt):
        """Let sockets and streams wake their tasks; sleep until one does, at most `dt` ms. -1: no
        limit, and a task has to be ready in the end."""
        if not dt and len(self.map) <= (1 if self.waiting else 0):
            for net in nets:
                net.look()
            return
        self._look(dt)
        while dt < 0 and core._task_queue.peek() is None:
            self._look(dt)

    def _look(self, dt):
        if dt and len(nets) == 1 and len(self.map) <= (1 if self.waiting else 0):
            nets[0].wait(None if dt < 0 else dt)
            return
        for net in nets:
            net.poll()
        if dt:
            dt = self._delay(dt)
        if len(self.map) > (1 if self.waiting else 0):
            self._poll_others(dt)
        elif dt:
            self._sleep(dt)

    def _delay(self, dt):
        """How long there is nothing to do, of `dt` ms."""
        task = core._task_queue.peek()
        if task is not None and time.ticks_diff(task.ph_key, time.ticks_ms()) <= 0:
            return 0  # the polls have woken it
        for net in nets:
            delay = net.delay()
            if dt < 0 or delay < dt:
                dt = delay
        return dt

    def _sleep(self, dt):
        if len(nets) == 1:
            nets[0].device.wait(None if dt < 0 else dt)
        elif len(nets) > len(self.bells):
            nets[0].device.wait(1)
        else:
            for _ in self.poller.ipoll(dt):
                pass
        for net in nets:
            net.poll()

    def _poll_others(self, dt):
        """Streams that are not ours. select.poll sleeps a millisecond even when told not to, if
        one of them has no descriptor, unless one that has is ready: TAP can always be written."""
        poller = self.poller
        if not dt:
            for bell in self.bells.values():
                poller.modify(bell, _POLLIN | _POLLOUT)
        elif len(nets) > len(self.bells):
            dt = 1
        rung = False
        for stream, events in poller.ipoll(dt):
            entry = self.map.get(id(stream))
            if entry is None:
                rung = True
                continue
            if events & -5 and entry[0] is not None:
                core._task_queue.push(entry[0])
                entry[0] = None
            if events & -2 and entry[1] is not None:
                core._task_queue.push(entry[1])
                entry[1] = None
            if entry[0] is None and entry[1] is None:
                self._dequeue(stream)
            else:
                poller.modify(stream, _POLLOUT if entry[0] is None else _POLLIN)
        if not dt:
            for bell in self.bells.values():
                poller.modify(bell, _POLLIN)
        elif rung:
            for net in nets:
                net.poll()


def join(net):
    """From now on asyncio's loop drives `net`, and all that are up, and waits for their sockets in
    this way."""
    old = core._io_queue
    if not isinstance(old, Queue):
        core.IOQueue = Queue  # what asyncio.new_event_loop() makes
        core._io_queue = Queue()
        core._io_queue.take_over(old)
    core._io_queue.serve(net)  # it may be down


def came(net):
    """`net` is up."""
    if isinstance(core._io_queue, Queue):
        core._io_queue.add(net)


def went(net):
    """`net` is down."""
    if isinstance(core._io_queue, Queue):
        core._io_queue.leave(net)
