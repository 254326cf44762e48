"""Reading what went over the wire from QEMU's filter-dump, also while it is still written.

    capture = Capture(tmp_path / "wire.pcap")
    with Guest(extra=capture.arguments) as guest: ...
    packets = capture.packets()

The times are the machine's (its virtual clock), in seconds.
"""

import os
import struct
import time

RRQ, DATA, ACK, ERROR, OACK = 1, 3, 4, 5, 6
FILE_HEADER, RECORD_HEADER = 24, struct.Struct("<IIII")
ETHERNET_HEADER, UDP_HEADER = 14, 8
ETHERTYPE_IP, PROTOCOL_UDP = 0x0800, 17
VIRTIO_NET_HEADER = 12


class Packet:
    """One Ethernet frame; `opcode` is None if it is not TFTP's."""

    def __init__(self, when, frame):
        self.when, self.size = when, len(frame)
        self.opcode = self.block = self.name = None
        self.source = self.destination = None
        self.payload = b""
        if len(frame) < ETHERNET_HEADER + 20 + UDP_HEADER or \
                struct.unpack_from("!H", frame, 12)[0] != ETHERTYPE_IP or \
                frame[ETHERNET_HEADER + 9] != PROTOCOL_UDP:
            return
        header = ETHERNET_HEADER + (frame[ETHERNET_HEADER] & 15) * 4
        source, destination, length = struct.unpack_from("!HHH", frame, header)
        self.source = (".".join(map(str, frame[26:30])), source)
        self.destination = (".".join(map(str, frame[30:34])), destination)
        datagram = frame[header + UDP_HEADER:header + length]
        if {67, 68} & {source, destination} or len(datagram) < 4:
            return
        self.opcode, self.block = struct.unpack_from("!HH", datagram)
        self.payload = datagram[4:]
        if self.opcode == RRQ:
            self.name = datagram[2:].split(b"\0")[0].decode("latin-1").lstrip("/")


class Transfer:
    """The packets between the port of one request and the server."""

    def __init__(self, name, port):
        self.name, self.port, self.packets = name, port, []

    def of(self, opcode):
        return [packet for packet in self.packets if packet.opcode == opcode]

    @property
    def data(self):
        """Bytes of the file, every copy counted."""
        return sum(len(packet.payload) for packet in self.of(DATA))


class Capture:
    def __init__(self, path):
        self.path = str(path)
        self.arguments = ["-object", f"filter-dump,id=dump,netdev=net0,file={path}"]
        # A tap carries virtio's own header before each frame, and the dump shows it.
        self.frame_offset = 0

    def packets(self):
        """All that is complete in the file by now."""
        if not os.path.exists(self.path):
            return []
        with open(self.path, "rb") as dump:
            content = dump.read()
        found, at = [], FILE_HEADER
        while at + RECORD_HEADER.size <= len(content):
            seconds, microseconds, length, _ = RECORD_HEADER.unpack_from(content, at)
            at += RECORD_HEADER.size
            if at + length > len(content):
                break
            found.append(Packet(seconds + microseconds / 1e6,
                                content[at + self.frame_offset:at + length]))
            at += length
        return found

    def count(self):
        """A place in the dump, for transfers()."""
        return len(self.packets())

    def transfers(self, since=0):
        """The reads whose requests came after the first `since` packets, in their order."""
        found, by_port = [], {}
        for packet in self.packets()[since:]:
            if packet.opcode == RRQ:
                port = packet.source[1]
                if port not in by_port or by_port[port].name != packet.name:
                    by_port[port] = Transfer(packet.name, port)
                    found.append(by_port[port])
                by_port[port].packets.append(packet)
            elif packet.opcode is not None:
                for _, port in (packet.source, packet.destination):
                    if port in by_port:
                        by_port[port].packets.append(packet)
                        break
        return found

    def wait(self, condition, seconds=20):
        """Until condition(packets) holds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition(self.packets()):
                return
            time.sleep(0.02)
        raise AssertionError("what was waited for did not come over the wire")
