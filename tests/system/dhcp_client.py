"""A PXE client's first question: sends one DHCPDISCOVER, prints the boot files that are offered.

    dhcp_client.py INTERFACE arch=N[,class=TEXT][,option=N]

As firmware does, without an address: on a packet socket, with the broadcast flag set.
"""

import os
import socket
import struct
import sys
import time

BROADCAST = b"\xff" * 6
MAC = bytes.fromhex("525400abcdef")
COOKIE = b"\x63\x82\x53\x63"


def option(code, value):
    return bytes([code, len(value)]) + value


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def discover(transaction, wanted):
    options = option(53, b"\1") + option(55, bytes([1, 3, 43, 60, 66, 67]))
    arch = int(wanted.get("arch", 0))
    options += option(60, f"PXEClient:Arch:{arch:05d}:UNDI:002001".encode())
    options += option(93, struct.pack("!H", arch)) + option(94, b"\1\2\1")
    options += option(97, b"\0" + MAC + bytes(10))
    if "class" in wanted:
        options += option(77, wanted["class"].encode())
    if "option" in wanted:
        options += option(int(wanted["option"]), b"\x13\x01\x01")
    bootp = struct.pack("!BBBBIHH4s4s4s4s16s64s128s", 1, 1, 6, 0, transaction, 0, 0x8000, bytes(4),
                        bytes(4), bytes(4), bytes(4), MAC, b"", b"")
    payload = bootp + COOKIE + options + b"\xff"
    udp = struct.pack("!HHHH", 68, 67, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes(4),
                         b"\xff" * 4)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return BROADCAST + MAC + b"\x08\x00" + header + udp


def boot_file(frame, transaction):
    """The boot file of an offer that answers us, or None."""
    if len(frame) < 300 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return None
    bootp = frame[14 + (frame[14] & 15) * 4 + 8:]
    if bootp[0] != 2 or struct.unpack_from("!I", bootp, 4)[0] != transaction:
        return None
    name, options = bootp[108:236].split(b"\0")[0], bootp[240:]
    while options and options[0] != 255:
        if options[0] == 0:
            options = options[1:]
            continue
        if options[0] == 67:
            name = options[2:2 + options[1]].rstrip(b"\0")
        options = options[2 + options[1]:]
    return name.decode()


def main():
    interface, words = sys.argv[1], dict(word.split("=") for word in sys.argv[2].split(","))
    transaction = struct.unpack("!I", os.urandom(4))[0]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as wire:
        wire.bind((interface, 0))
        wire.settimeout(0.2)
        wire.send(discover(transaction, words))
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            try:
                name = boot_file(wire.recv(2048), transaction)
            except socket.timeout:
                continue
            if name:
                print(name)
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
