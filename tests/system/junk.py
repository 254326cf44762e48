#!/usr/bin/env python3
"""Sends frames that no honest machine would send out of an interface: junk, by a seeded generator.

    junk.py INTERFACE MAC ADDRESS SERVER --seed 1 --count 4000

ADDRESS is the machine that gets them, SERVER the one it talks to, in whose name some of them come:
never from a port, or with an answer for ARP, that an honest client would have to believe.
"""

import argparse
import random
import socket
import struct
import time

MTU = 1500
BATCH, PAUSE = 40, 0.01     # frames, seconds: the victim's ring should see most of them
IP, ARP, IPV6, VLAN = 0x0800, 0x0806, 0x86DD, 0x8100
ICMP, IGMP, TCP, UDP = 1, 2, 6, 17
BROADCAST = b"\xff" * 6


def checksum(content):
    if len(content) % 2:
        content += b"\0"
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Junk:
    def __init__(self, mac, address, server, seed):
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.address, self.server = socket.inet_aton(address), socket.inet_aton(server)
        self.random = random.Random(seed)

    def bytes(self, most):
        return self.random.randbytes(self.random.randrange(most + 1))

    def stranger(self):
        return socket.inet_aton(f"10.0.2.{self.random.randrange(100, 250)}")

    def ethernet(self, kind, payload):
        to = self.mac if self.random.random() < 0.8 else BROADCAST
        return to + b"\x02" + self.random.randbytes(5) + struct.pack("!H", kind) + payload[:MTU]

    def ip(self, protocol, payload, source=None):
        """Mostly valid, so that what is inside is looked at."""
        length, fragment, header = 20 + len(payload), 0x4000, 0x45
        if self.random.random() < 0.1:
            length = self.random.randrange(65536)
        if self.random.random() < 0.1:
            header = self.random.randrange(256)
        if self.random.random() < 0.2:
            fragment = self.random.randrange(65536)
        packet = struct.pack("!BBHHHBBH4s4s", header, 0, length, self.random.randrange(16),
                             fragment, self.random.choice([0, 1, 64]), protocol, 0,
                             source or self.stranger(), self.address)
        total = checksum(packet) if self.random.random() < 0.9 else self.random.randrange(65536)
        packet = packet[:10] + struct.pack("!H", total) + packet[12:]
        return self.ethernet(IP, packet + payload)

    def udp(self, payload, port, source_port, source):
        length = 8 + len(payload)
        if self.random.random() < 0.1:
            length = self.random.randrange(65536)
        total = 0 if self.random.random() < 0.9 else self.random.randrange(65536)
        return self.ip(UDP, struct.pack("!HHHH", source_port, port, length, total) + payload,
                       source)

    # --- kinds -------------------------------------------------------------------------------

    def any_frame(self):
        kind = self.random.choice([0, 46, 1500, 1501, VLAN, IPV6, IP, ARP,
                                   self.random.randrange(65536)])
        return self.ethernet(kind, self.bytes(MTU))

    def arp(self):
        packet = struct.pack("!HHBBH6s4s6s4s", self.random.choice([1, 6, 65535]),
                             self.random.choice([IP, 0, IPV6]), self.random.choice([6, 0, 255]),
                             self.random.choice([4, 0, 16, 255]), self.random.randrange(4),
                             self.random.randbytes(6), self.stranger(), self.mac,
                             self.random.choice([self.address, self.stranger()]))
        return self.ethernet(ARP, packet[:self.random.randrange(len(packet) + 1)])

    def good_arp(self):
        """From more machines than a table can hold."""
        return self.ethernet(ARP, struct.pack("!HHBBH6s4s6s4s", 1, IP, 6, 4, 1,
                                              self.random.randbytes(6), self.stranger(), b"\0" * 6,
                                              self.address))

    def icmp(self):
        body = struct.pack("!BBH", self.random.choice([0, 3, 5, 8, 8, 8, 11, 13, 255]),
                           self.random.randrange(16), 0) + self.bytes(1400)
        return self.ip(ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:])

    def other_protocol(self):
        return self.ip(self.random.choice([IGMP, TCP, 0, 255]), self.bytes(200))

    def datagram(self):
        return self.udp(self.bytes(1400), self.random.randrange(65536),
                        self.random.randrange(65536), None)

    def tftp(self):
        """To where transfers might be, from the server's address and a port that is not theirs."""
        body = struct.pack("!HH", self.random.choice([1, 2, 3, 3, 4, 5, 6, 7]),
                           self.random.randrange(65536)) + self.bytes(600)
        return self.udp(body, self.random.randrange(49152, 65536), self.random.randrange(1, 60),
                        self.random.choice([self.server, None]))

    def dhcp(self):
        body = struct.pack("!BBBBI", 2, 1, 6, 0, self.random.getrandbits(32)) + bytes(20) + \
            self.mac + bytes(202) + b"\x63\x82\x53\x63" + self.bytes(300)
        return self.udp(body[:self.random.randrange(len(body) + 1)], 68, 67, None)

    def fragments(self):
        """Pieces of datagrams that never become whole, or would be too long."""
        piece = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + 256, self.random.randrange(65536),
                            self.random.choice([0x2000, 0x3FFF, 0x1FFF, 0x2001]), 64, UDP, 0,
                            self.stranger(), self.address)
        piece = piece[:10] + struct.pack("!H", checksum(piece)) + piece[12:]
        return self.ethernet(IP, piece + self.random.randbytes(256))

    def __iter__(self):
        kinds = [self.any_frame, self.arp, self.good_arp, self.icmp, self.other_protocol,
                 self.datagram, self.tftp, self.dhcp, self.fragments]
        while True:
            yield self.random.choice(kinds)()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("interface", "mac", "address", "server"):
        parser.add_argument(name)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=4000)
    options = parser.parse_args()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((options.interface, 0))
        junk = Junk(options.mac, options.address, options.server, options.seed)
        for number, frame in zip(range(options.count), junk):
            out.send(frame)
            if number % BATCH == BATCH - 1:
                time.sleep(PAUSE)
    print(options.count)


if __name__ == "__main__":
    main()
