#!/usr/bin/env python3
"""A TFTP server that can be told to misbehave, file by file.

It serves a directory properly (RFC 1350, 2347, 2348, 2349, 7440) except where a rule matches the
name that is asked for. A rule is a glob and a list of faults:

    tftp_server.py --root DIR --bind 10.9.0.1 --rule 'bin/x:drop=7,duplicate' --rule 'y:stop=20'

A name of the form pattern/SIZE needs no file: its bytes are those of pattern_bytes(SIZE).

As a module:

    with TftpServer(root, rules=[Rule("bin/x", drop=7)]) as server:
        ...
        assert server.transfers[-1].blocks_sent < 100

As a command it prints one JSON line for each transfer that ends.
"""

import argparse
import dataclasses
import fnmatch
import json
import os
import socket
import struct
import sys
import threading
import time

RRQ, DATA, ACK, ERROR, OACK = 1, 3, 4, 5, 6
SHORTEST_PACKET = 4
DEFAULT_BLOCK = 512
TRIES = 6


def pattern_bytes(size):
    """Bytes in which every aligned eight differ from all others."""
    return b"".join(struct.pack("<Q", i * 0x9E3779B97F4A7C15 % 2**64)
                    for i in range((size + 7) // 8))[:size]


@dataclasses.dataclass
class Rule:
    """What happens to files whose name matches `glob`. Counts begin with the transfer."""

    glob: str = "*"
    no_options: bool = False        # answer with the first block, as in RFC 1350
    refuse_options: bool = False    # answer options with ERROR 8
    no_tsize: bool = False
    max_blksize: int = 65464
    max_window: int = 65535         # 0: the option is not known
    tsize: int = None               # announce this size
    tsize_add: int = 0              # announce so much more (or less) than there is
    truncate: int = None            # send only so many bytes
    oack: str = ""                  # a;b;c;d: these options and values are added to the OACK
    deaf: int = 0                   # do not answer the first n requests for it
    error: int = None               # answer with this code
    error_after: int = None         # ERROR 0 in place of block n
    silent: bool = False            # send the OACK and nothing else
    stop: int = None                # send no block above n, answer nothing then
    forget: int = None              # after block n forget the transfer: answer ERROR 5
    drop: int = 0                   # lose every nth block, once each
    duplicate: bool = False         # send every datagram twice
    reorder: bool = False           # exchange every two neighbouring blocks of a window
    stranger: bool = False          # send a wrong block from another port before every block
    vanish: int = 0                 # datagrams with more bytes than this do not arrive
    single_port: bool = False       # answer from the port of the request, as QEMU does
    deaf_to_repeats: bool = False   # ignore an acknowledgement that comes again, as dnsmasq 2.90
    retransmit: float = 1.0         # seconds

    @classmethod
    def parse(cls, text):
        """Reads "GLOB:fault,fault=value"."""
        glob, _, faults = text.rpartition(":")
        fields = {field.name: field.type for field in dataclasses.fields(cls)}
        values = {}
        for fault in filter(None, faults.split(",")):
            name, _, value = fault.partition("=")
            name = name.replace("-", "_")
            if name not in fields or name == "glob":
                raise ValueError(f"no such fault: {name}")
            values[name] = fields[name](value) if value else True
        return cls(glob=glob or "*", **values)


class Transfer:
    """One file on its way to one client."""

    def __init__(self, server, client, path, options, content, rule):
        self.path, self.client, self.options = path, client, dict(options)
        self.requested = time.monotonic()
        self.blocks_sent = self.acks = self.repeated_acks = 0
        self.errors = []            # (code, text) that the client has sent
        self.outcome = "running"
        self._server, self._rule = server, rule
        self._content = content
        self._blksize, self._window = DEFAULT_BLOCK, 1
        self._dropped = set()
        self._acknowledged, self._sent = 0, 0
        if rule.single_port:
            self._socket = server.socket
        else:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind((server.address[0], 0))
        self._stranger = None
        if rule.stranger:
            self._stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._stranger.bind((server.address[0], 0))

    def as_dict(self):
        return {"path": self.path, "client": list(self.client), "options": self.options,
                "blocks_sent": self.blocks_sent, "acks": self.acks,
                "repeated_acks": self.repeated_acks, "errors": self.errors,
                "outcome": self.outcome,
                "seconds": round(time.monotonic() - self.requested, 6)}

    # --- sending ---------------------------------------------------------------------------

    def _send(self, packet):
        if self._rule.vanish and len(packet) > self._rule.vanish:
            return
        for _ in range(2 if self._rule.duplicate else 1):
            self._socket.sendto(packet, self.client)

    def _send_error(self, code, text):
        self._socket.sendto(struct.pack(">HH", ERROR, code) + text.encode() + b"\0", self.client)

    def _last(self):
        return len(self._content) // self._blksize + 1

    def _send_block(self, number):
        start = (number - 1) * self._blksize
        packet = struct.pack(">HH", DATA, number & 0xFFFF) + \
            self._content[start:start + self._blksize]
        if self._stranger:
            self._stranger.sendto(struct.pack(">HH", DATA, number & 0xFFFF) +
                                  b"\xee" * self._blksize, self.client)
        if self._rule.drop and number % self._rule.drop == 0 and number not in self._dropped:
            self._dropped.add(number)
            return
        self.blocks_sent += 1
        self._send(packet)

    def _send_window(self):
        """Sends what follows the last acknowledgement. False if the transfer ends here."""
        rule = self._rule
        numbers = list(range(self._acknowledged + 1,
                             min(self._acknowledged + self._window, self._last()) + 1))
        if rule.reorder:
            for i in range(0, len(numbers) - 1, 2):
                numbers[i], numbers[i + 1] = numbers[i + 1], numbers[i]
        for number in numbers:
            if rule.error_after is not None and number > rule.error_after:
                self._send_error(0, "told to fail")
                self.outcome = "failed as told"
                return False
            if rule.stop is not None and number > rule.stop:
                continue
            self._send_block(number)
            self._sent = max(self._sent, number)
        if rule.forget is not None and self._sent >= rule.forget:
            self.outcome = "forgotten"
            return False
        return True

    # --- the course of it ------------------------------------------------------------------

    def _negotiate(self):
        """The OACK's bytes, or None if there is nothing to agree on."""
        rule, size, agreed = self._rule, len(self._content), []
        for name, value in self.options.items():
            if name == "blksize":
                self._blksize = min(int(value), rule.max_blksize)
                agreed += [name, str(self._blksize)]
            elif name == "windowsize" and rule.max_window:
                self._window = min(int(value), rule.max_window)
                agreed += [name, str(self._window)]
            elif name == "timeout":
                agreed += [name, value]
            elif name == "tsize" and not rule.no_tsize:
                agreed += [name, str(rule.tsize if rule.tsize is not None
                                     else size + rule.tsize_add)]
        if rule.oack:
            agreed += rule.oack.split(";")
        if not agreed:
            return None
        return struct.pack(">H", OACK) + b"".join(s.encode() + b"\0" for s in agreed)

    def run(self):
        """The whole transfer, on a thread of its own."""
        try:
            self._run()
        finally:
            if self._socket is not self._server.socket:
                self._socket.close()
            if self._stranger:
                self._stranger.close()
            self._server.ended(self)

    def _run(self):
        rule = self._rule
        if rule.error is not None:
            self._send_error(rule.error, "told to refuse")
            self.outcome = "refused as told"
            return
        if self._content is None:
            self._send_error(1, "File not found")
            self.outcome = "not found"
            return
        if self.options and rule.refuse_options:
            self._send_error(8, "no options")
            self.outcome = "options refused"
            return
        tsize_content = self._content
        oack = None if rule.no_options else self._negotiate()
        if rule.truncate is not None:
            self._content = tsize_content[:rule.truncate]
        waiting_for_oack = oack is not None
        if waiting_for_oack:
            self._send(oack)
        elif not self._send_window():
            return
        tries, deadline = 0, time.monotonic() + rule.retransmit
        while True:
            packet = self._receive(deadline)
            if packet is None:
                deadline = time.monotonic() + rule.retransmit
                tries += 1
                if tries == TRIES:
                    self.outcome = "timed out"
                    return
                if waiting_for_oack:
                    self._send(oack)
                elif not rule.silent and not self._send_window():
                    return
                continue
            opcode, number = struct.unpack(">HH", packet[:SHORTEST_PACKET])
            if opcode == ERROR:
                self.errors.append((number, packet[4:].split(b"\0")[0].decode("latin-1")))
                self.outcome = "stopped by the client"
                return
            if opcode != ACK:
                continue
            self.acks += 1
            block = self._acknowledged + ((number - self._acknowledged) & 0xFFFF)
            if block > self._sent:
                continue
            if not waiting_for_oack and block == self._acknowledged:
                self.repeated_acks += 1
                if rule.deaf_to_repeats:
                    continue
            waiting_for_oack = False
            tries = 0
            deadline = time.monotonic() + rule.retransmit
            self._acknowledged = block
            if block == self._last():
                self.outcome = "complete"
                return
            if not rule.silent and not self._send_window():
                return

    def _receive(self, deadline):
        if self._rule.single_port:
            return self._server.next_for(self.client, deadline)
        while True:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                packet, sender = self._socket.recvfrom(65536)
            except socket.timeout:
                return None
            if sender == self.client and len(packet) >= SHORTEST_PACKET:
                return packet


class TftpServer:
    """Listens on a thread; every transfer has a thread of its own."""

    def __init__(self, root=None, rules=(), bind="127.0.0.1", port=69, on_end=None):
        self.root = os.path.realpath(root) if root else None
        self.rules = list(rules)
        self.transfers = []         # in the order of their requests
        self.requests = []          # the names, whether answered or not
        self._on_end = on_end
        self._queues, self._changed = {}, threading.Condition()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((bind, port))
        self.address = self.socket.getsockname()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._stopping = False

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping = True
        # A thread in recvfrom() does not notice that its socket is closed.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.address)
        self._thread.join()
        self.socket.close()

    def _rule_for(self, path):
        return next((rule for rule in self.rules if fnmatch.fnmatch(path, rule.glob)), Rule())

    def _content(self, path):
        if path.startswith("pattern/") and path[8:].isdigit():
            return pattern_bytes(int(path[8:]))
        if self.root is None:
            return None
        full = os.path.realpath(os.path.join(self.root, path))
        if not full.startswith(self.root + os.sep) or not os.path.isfile(full):
            return None
        with open(full, "rb") as file:
            return file.read()

    def _listen(self):
        while not self._stopping:
            packet, client = self.socket.recvfrom(65536)
            if len(packet) < SHORTEST_PACKET:
                continue
            if struct.unpack(">H", packet[:2])[0] == RRQ:
                self._take_request(packet, client)
            else:
                with self._changed:
                    if client in self._queues:
                        self._queues[client].append(packet)
                        self._changed.notify_all()

    def _take_request(self, packet, client):
        fields = packet[2:].split(b"\0")
        if len(fields) < 3:
            return
        path = fields[0].decode("latin-1").lstrip("/")
        names = [name.decode("latin-1").lower() for name in fields[2:-1:2]]
        values = [value.decode("latin-1") for value in fields[3:-1:2]]
        rule = self._rule_for(path)
        self.requests.append(path)
        if self.requests.count(path) <= rule.deaf:
            return
        transfer = Transfer(self, client, path, zip(names, values), self._content(path), rule)
        self.transfers.append(transfer)
        with self._changed:
            self._queues[client] = []
        threading.Thread(target=transfer.run, daemon=True).start()

    def next_for(self, client, deadline):
        """The next packet of a client whose transfer is on the port of the requests, or None."""
        with self._changed:
            while not self._queues.get(client):
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return None
            return self._queues[client].pop(0)

    def ended(self, transfer):
        if self._on_end:
            self._on_end(transfer)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="the directory to serve")
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=69)
    parser.add_argument("--rule", action="append", default=[], type=Rule.parse,
                        metavar="GLOB:FAULT[=VALUE],…")
    arguments = parser.parse_args()

    def report(transfer):
        print(json.dumps(transfer.as_dict()), flush=True)

    with TftpServer(arguments.root, arguments.rule, arguments.bind, arguments.port,
                    report) as server:
        print(json.dumps({"listening": list(server.address)}), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.exit(0)


if __name__ == "__main__":
    main()
