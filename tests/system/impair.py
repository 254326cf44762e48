#!/usr/bin/env python3
"""A bad network between a QEMU guest and a tap interface.

    qemu … -netdev dgram,id=n0,local.type=inet,local.host=127.0.0.1,local.port=GUEST,
                   remote.type=inet,remote.host=127.0.0.1,remote.port=OURS
    impair.py TAP OURS GUEST --loss 0.05 --duplicate 0.05 --reorder 0.05 --delay 0.01 --seed 7

Every Ethernet frame is one UDP datagram on the guest's side. What is lost, sent twice, held back,
delayed or corrupted is decided by a seeded generator, for each direction on its own, so that a run
can be repeated. The tap is created if it does not exist; addresses and the namespace are the
caller's. On SIGTERM it prints what it has done as one JSON line.

As a module: Impairment says what happens, Bridge(...).start() runs it in a process.
"""

import argparse
import dataclasses
import fcntl
import heapq
import json
import os
import random
import selectors
import signal
import socket
import struct
import time

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
ETHERNET_HEADER = 14
BATCH = 64


@dataclasses.dataclass
class Impairment:
    """Probabilities from 0 to 1, times in seconds, rate in bytes per second."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0    # held back by `hold`
    corrupt: float = 0.0    # one bit, behind the Ethernet header
    delay: float = 0.0
    jitter: float = 0.0     # up to so much more delay
    hold: float = 0.003
    rate: float = 0.0       # 0: as fast as it comes
    queue: int = 0          # frames that wait for the rate; more are lost. 0: any number
    lose: str = ""          # "100,200": these frames of a direction, counted from 1, are lost too
    only: str = ""          # "to-guest" or "from-guest": the other direction is perfect
    seed: int = 1


class Direction:
    """One way through the bridge: takes frames, says when each copy of them is due."""

    def __init__(self, name, impairment):
        self.counts = {"frames": 0, "lost": 0, "duplicated": 0, "reordered": 0, "corrupted": 0}
        self._impairment = impairment
        self._random = random.Random(f"{name} {impairment.seed}")
        self._free_at = 0.0     # when the line has sent what it was given
        self._perfect = impairment.only not in ("", name)
        self._lose = {int(number) for number in impairment.lose.split(",") if number}

    def _happens(self, probability, what):
        if self._random.random() >= probability:
            return False
        self.counts[what] += 1
        return True

    def take(self, frame, now):
        """A list of (due, frame)."""
        impairment = self._impairment
        self.counts["frames"] += 1
        if self._perfect:
            return [(now, frame)]
        due = now
        if impairment.rate:
            waiting = max(self._free_at - now, 0) * impairment.rate / max(len(frame), 1)
            if impairment.queue and waiting > impairment.queue:
                self.counts["lost"] += 1
                return []
            due = self._free_at = max(self._free_at, now) + len(frame) / impairment.rate
        if self.counts["frames"] in self._lose:
            self.counts["lost"] += 1
            return []
        if self._happens(impairment.loss, "lost"):
            return []
        due += impairment.delay + self._random.random() * impairment.jitter
        if self._happens(impairment.reorder, "reordered"):
            due += impairment.hold
        if len(frame) > ETHERNET_HEADER and self._happens(impairment.corrupt, "corrupted"):
            damaged = bytearray(frame)
            damaged[self._random.randrange(ETHERNET_HEADER, len(frame))] ^= \
                1 << self._random.randrange(8)
            frame = bytes(damaged)
        copies = [(due, frame)]
        if self._happens(impairment.duplicate, "duplicated"):
            copies.append((due, frame))
        return copies


def open_tap(name):
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    # A tap that outlives its QEMU still leaves checksums to it, which nobody would fill in here.
    fcntl.ioctl(tap, TUNSETOFFLOAD, 0)
    return tap


class Bridge:
    """Frames between the tap and the guest's UDP port."""

    def __init__(self, tap, local_port, guest_port, impairment):
        self._tap = open_tap(tap)
        self._guest = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._guest.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._guest.bind(("127.0.0.1", local_port))
        self._guest.connect(("127.0.0.1", guest_port))
        self._guest.setblocking(False)
        self._directions = {"to-guest": Direction("to-guest", impairment),
                            "from-guest": Direction("from-guest", impairment)}
        self._queue, self._order, self._stopping = [], 0, False

    def counts(self):
        return {name: direction.counts for name, direction in self._directions.items()}

    def start(self):
        """Runs in a child process; returns its id. It ends at SIGTERM."""
        child = os.fork()
        if child == 0:
            self.run()
            os._exit(0)
        return child

    def stop(self, *_):
        self._stopping = True

    def _pull(self, name, read):
        for _ in range(BATCH):
            try:
                frame = read(65536)
            except (BlockingIOError, ConnectionRefusedError):
                return
            for due, copy in self._directions[name].take(frame, time.monotonic()):
                heapq.heappush(self._queue, (due, self._order, name, copy))
                self._order += 1

    def _push_due(self):
        now = time.monotonic()
        while self._queue and self._queue[0][0] <= now:
            _, _, name, frame = heapq.heappop(self._queue)
            try:
                if name == "to-guest":
                    self._guest.send(frame)
                else:
                    os.write(self._tap, frame)
            except OSError:
                pass    # no guest yet, or its queue is full: lost, like on any wire

    def run(self):
        signal.signal(signal.SIGTERM, self.stop)
        selector = selectors.DefaultSelector()
        selector.register(self._tap, selectors.EVENT_READ,
                          ("to-guest", lambda size: os.read(self._tap, size)))
        selector.register(self._guest, selectors.EVENT_READ, ("from-guest", self._guest.recv))
        while not self._stopping:
            wait = 0.2
            if self._queue:
                wait = min(max(self._queue[0][0] - time.monotonic(), 0), wait)
            for key, _ in selector.select(wait):
                self._pull(*key.data)
            self._push_due()
        print(json.dumps(self.counts()), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tap")
    parser.add_argument("local_port", type=int)
    parser.add_argument("guest_port", type=int)
    for field in dataclasses.fields(Impairment):
        parser.add_argument(f"--{field.name}", type=field.type, default=field.default)
    arguments = vars(parser.parse_args())
    tap, local_port, guest_port = (arguments.pop(name)
                                   for name in ("tap", "local_port", "guest_port"))
    Bridge(tap, local_port, guest_port, Impairment(**arguments)).run()


if __name__ == "__main__":
    main()
