"""A PXE client's first question: sends one DHCPDISCOVER, prints the boot files that are offered.

    dhcp_client.py INTERFACE arch=N[,class=TEXT][,option=N][,own=ADDRESS]

As firmware does, without an address: on a packet socket, with the broadcast flag set. With own=, the
interface's address, it plays a PXE client beside a proxy (PXE specification 2.1, 2.2.5): the
offer has no boot file but a menu, and the proxy is asked on port 4011 for the menu's first entry.
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


def request(transaction, wanted, kind=b"\1", address=bytes(4), more=b""):
    """The BOOTP message: a DISCOVER, or of another kind with further options."""
    options = option(53, kind) + option(55, bytes([1, 3, 43, 60, 66, 67])) + more
    arch = int(wanted.get("arch", 0))
    options += option(60, f"PXEClient:Arch:{arch:05d}:UNDI:002001".encode())
    options += option(93, struct.pack("!H", arch)) + option(94, b"\1\2\1")
    options += option(97, b"\0" + MAC + bytes(10))
    if "class" in wanted:
        options += option(77, wanted["class"].encode())
    if "option" in wanted:
        options += option(int(wanted["option"]), b"\x13\x01\x01")
    flags = 0 if any(address) else 0x8000
    bootp = struct.pack("!BBBBIHH4s4s4s4s16s64s128s", 1, 1, 6, 0, transaction, 0, flags, address,
                        bytes(4), bytes(4), bytes(4), MAC, b"", b"")
    return bootp + COOKIE + options + b"\xff"


def broadcast(payload):
    """The whole frame, from no address to everyone."""
    udp = struct.pack("!HHHH", 68, 67, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes(4),
                         b"\xff" * 4)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return BROADCAST + MAC + b"\x08\x00" + header + udp


def answer(bootp, transaction):
    """(boot file, server, options) of a reply that answers us, or None."""
    if len(bootp) < 240 or bootp[0] != 2 or \
            struct.unpack_from("!I", bootp, 4)[0] != transaction:
        return None
    options, rest = {}, bootp[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2:2 + rest[1]]
        rest = rest[2 + rest[1]:]
    name = options.get(67, bootp[108:236]).split(b"\0")[0].decode()
    return name, socket.inet_ntoa(options.get(54, bootp[20:24])), options


def first_of_menu(options):
    """The type of the first entry of a PXE boot menu: option 43, suboption 9."""
    menu = options.get(43, b"")
    while menu and menu[0] != 255:
        if menu[0] == 9:
            return menu[2:4]
        menu = menu[2 + menu[1]:]
    return None


def ask_proxy(server, transaction, wanted):
    """The second step beside a proxy: a request to its port 4011."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.bind((wanted["own"], 68))
        asker.settimeout(1)
        more = b""
        for _ in range(4):
            asker.sendto(request(transaction, wanted, b"\3", socket.inet_aton(wanted["own"]), more),
                         (server, 4011))
            try:
                found = answer(asker.recv(2048), transaction)
            except socket.timeout:
                continue
            if found and found[0]:
                return found[0]
            entry = first_of_menu(found[2]) if found else None
            if entry:
                more = option(43, b"\x47\4" + entry + b"\0\0\xff")
    return None


def main():
    interface, words = sys.argv[1], dict(word.split("=") for word in sys.argv[2].split(","))
    transaction = struct.unpack("!I", os.urandom(4))[0]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as wire:
        wire.bind((interface, 0))
        wire.settimeout(0.2)
        wire.send(broadcast(request(transaction, words)))
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            try:
                frame = wire.recv(2048)
            except socket.timeout:
                continue
            if frame[12:14] != b"\x08\x00" or len(frame) < 42 or frame[23] != 17:
                continue
            found = answer(frame[14 + (frame[14] & 15) * 4 + 8:], transaction)
            if not found:
                continue
            name = found[0] or ("own" in words and ask_proxy(found[1], transaction, words))
            if name:
                print(name)
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
