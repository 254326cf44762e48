"""Reading a QEMU filter-dump while it grows: each packet with the host's time at which it came.

The dump's own time stamps are of the virtual clock; the serial line is read on the host's. So the
packets are stamped here, as the file grows, to within a millisecond.
"""

import os
import struct
import threading
import time

FILE_HEADER, RECORD_HEADER = 24, struct.Struct("<IIII")
RRQ, DATA, ACK, OACK = 1, 3, 4, 6


class Packet:
    """One Ethernet frame. For TFTP packets, `opcode`, and `name` of a request."""

    def __init__(self, when, length, frame):
        self.when, self.length = when, length
        self.opcode = self.name = self.ports = self.source = self.payload = None
        if frame[12:14] != b"\x08\x00" or len(frame) < 42 or frame[23] != 17:
            return
        header = 14 + (frame[14] & 15) * 4
        self.ports = struct.unpack_from("!HH", frame, header)
        self.source = frame[26:30]
        payload = frame[header + 8:header + struct.unpack_from("!H", frame, header + 4)[0]]
        self.payload = len(payload) - 4
        if {67, 68} & set(self.ports) or len(payload) < 4:
            return
        self.opcode = struct.unpack_from("!H", payload)[0]
        if self.opcode == RRQ:
            self.name = payload[2:].split(b"\0")[0].decode(errors="replace").lstrip("/")


class Wire(threading.Thread):
    """Follows a dump file. `packets` are complete once stop() has returned."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.packets, self.stopping = path, [], False
        if os.path.exists(path):
            os.unlink(path)

    def run(self):
        pending = b""
        while not os.path.exists(self.path):
            if self.stopping:
                return
            time.sleep(0.005)
        with open(self.path, "rb", buffering=0) as dump:
            skipped = False
            while True:
                last_round = self.stopping
                pending += dump.read(1 << 20) or b""
                now = time.monotonic()
                if not skipped and len(pending) >= FILE_HEADER:
                    pending, skipped = pending[FILE_HEADER:], True
                offset = 0
                while skipped and len(pending) - offset >= RECORD_HEADER.size:
                    _, _, captured, length = RECORD_HEADER.unpack_from(pending, offset)
                    end = offset + RECORD_HEADER.size + captured
                    if end > len(pending):
                        break
                    frame = pending[offset + RECORD_HEADER.size:end]
                    self.packets.append(Packet(now, length, frame))
                    offset = end
                pending = pending[offset:]
                if last_round:
                    return
                time.sleep(0.0005)

    def stop(self):
        self.stopping = True
        self.join()

    def transfers(self):
        """Each TFTP read in the order of its request: (name, first, last DATA, bytes)."""
        found = []
        for packet in self.packets:
            if packet.opcode == RRQ:
                if not found or found[-1]["port"] != packet.ports[0]:
                    found.append({"name": packet.name, "port": packet.ports[0],
                                  "start": packet.when, "end": packet.when, "bytes": 0})
            elif packet.opcode == DATA:
                for transfer in reversed(found):
                    if transfer["port"] == packet.ports[1]:
                        transfer["end"] = packet.when
                        transfer["bytes"] += packet.payload
                        break
        return found
