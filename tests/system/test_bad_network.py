"""Networks that lose, repeat, mix up and damage, and servers that misbehave or die.

The servers are real ones behind a bridge that impairs the wire (impair.py), or one that does as it
is told (tftp_server.py). Whatever they do, the machine's programs get the right bytes or an errno,
the log says which server, file and block, and no frame is lost.
"""

import errno
import hashlib
import json
import os
import random
import re
import signal
import statistics
import time

import pytest

from agent import PATH, Agent, Version, crc
from capture import ACK, DATA, ERROR, VIRTIO_NET_HEADER, Capture
from harness import ADDRESS, LEASE, MAC, PROMPT, SERVER, TAP, Guest, boot

HERE = os.path.dirname(os.path.abspath(__file__))
BRIDGE_PORT, GUEST_PORT = 5001, 5002  # in the test's own namespace
BLOCK = 1468
CONTENT = random.Random(3).randbytes(200_003)
WHOLE = f"{len(CONTENT)} bytes {crc(CONTENT)}"


class Network:
    """One machine's network, its root, its servers, and what went over the wire."""

    def __init__(self, segment, root, directory):
        self.segment, self.root, self.directory = segment, root, directory
        self.capture = Capture(directory / "wire.pcap")
        self.capture.frame_offset = VIRTIO_NET_HEADER
        self.stage = directory / "stage"
        self.stage.mkdir()
        (self.stage / "root").symlink_to(root)
        Version(1).put(root)
        self.machine = {"net": f"tap:{TAP}", "segment": segment,
                        "append": f"{LEASE} root=tftp://{SERVER}/root",
                        "extra": self.capture.arguments}

    def atftpd(self, *more):
        return self.segment.atftpd(self.stage, self.directory / "atftpd.log", *more)

    def dnsmasq(self):
        return self.segment.dnsmasq(self.stage, self.root, self.directory / "dnsmasq.log")

    def scripted(self, *rules):
        """The server that misbehaves; a rule's file is below the root."""
        words = [word for rule in rules for word in ("--rule", f"root/{rule}")]
        return self.segment.start(["/usr/bin/python3", os.path.join(HERE, "tftp_server.py"),
                                   "--root", str(self.directory), "--bind", SERVER, *words],
                                  self.directory / "scripted.log")

    def impair(self, **impairment):
        """Puts a bad wire between the servers and the machine."""
        words = [word for name, value in impairment.items() for word in (f"--{name}", str(value))]
        bridge = self.segment.start(["/usr/bin/python3", os.path.join(HERE, "impair.py"), TAP,
                                     str(BRIDGE_PORT), str(GUEST_PORT), *words],
                                    self.directory / "bridge.log", port=BRIDGE_PORT)
        end = "{}.type=inet,{}.host=127.0.0.1,{}.port={}"
        self.capture.frame_offset = 0
        self.machine["net"] = "none"
        self.machine["extra"] = [
            "-netdev", "dgram,id=net0," + end.format("local", "local", "local", GUEST_PORT) + "," +
            end.format("remote", "remote", "remote", BRIDGE_PORT),
            "-device", f"virtio-net-pci,netdev=net0,mac={MAC},romfile=", *self.capture.arguments]
        return bridge

    def agent(self, **keywords):
        return Agent(**{**self.machine, **keywords})

    def put(self, name, content=CONTENT):
        (self.root / name).write_bytes(content)
        return f"/{name}"


@pytest.fixture
def network(segment, root, tmp_path):
    return Network(segment, root, tmp_path)


def transfers(server):
    """What the scripted server says of transfers that have ended."""
    return [line for line in map(json.loads, server.log.splitlines()) if "path" in line]


def done(bridge):
    """What a bridge has done to the frames of both directions together."""
    bridge.stop()
    both = json.loads(bridge.log.splitlines()[-1]).values()
    return {what: sum(counts[what] for counts in both) for what in next(iter(both))}


# --- bad wires ------------------------------------------------------------------------------------

WIRES = {
    "loss": {"loss": 0.05},
    "duplicates": {"duplicate": 0.2},
    "disorder": {"reorder": 0.1},
    "delay": {"delay": 0.01, "jitter": 0.005},
    "damage": {"corrupt": 0.05},
    "everything": {"loss": 0.02, "duplicate": 0.05, "reorder": 0.05, "corrupt": 0.02,
                   "delay": 0.002, "jitter": 0.002},
}
DOES = {"loss": "lost", "duplicates": "duplicated", "disorder": "reordered", "damage": "corrupted"}


def fill(network, sizes):
    """Files of these sizes: name and content of each."""
    generator = random.Random(7)
    contents = [generator.randbytes(size) for size in sizes]
    return [(network.put(f"data-{len(content)}", content), content) for content in contents]


def check(bridge, wire):
    """The wire was as bad as it was meant to be."""
    happened = done(bridge)
    assert wire not in DOES or happened[DOES[wire]] > 0
    assert happened["frames"] > 400


@pytest.mark.parametrize("wire,seed", [(wire, 1) for wire in WIRES] +
                         [("loss", 2), ("everything", 2), ("everything", 3)])
def test_contents_arrive_from_atftpd_over_a_bad_wire(network, wire, seed):
    network.atftpd()
    bridge = network.impair(seed=seed, **WIRES[wire])
    files = fill(network, [0, 1, BLOCK * 3, 1_000_003])
    # Debian's busybox, which has come over the same wire.
    log = boot("/bin/busybox sha256sum " + " ".join(name for name, _ in files), timeout=90,
               **network.machine)
    for name, content in files:
        assert f"{hashlib.sha256(content).hexdigest()}  {name}" in log.splitlines(), log
    check(bridge, wire)


@pytest.mark.parametrize("wire", ["duplicates", "disorder", "everything"])
def test_contents_arrive_from_dnsmasq_over_a_bad_wire(network, wire):
    """It waits two seconds before it repeats a block, so less is lost here."""
    network.dnsmasq()
    impairment = dict(WIRES[wire])
    for what in {"loss", "corrupt"} & set(impairment):
        impairment[what] = 0.002
    bridge = network.impair(**impairment)
    files = fill(network, [0, 1, BLOCK * 3, 150_003])
    with network.agent() as guest:
        for name, content in files:
            assert guest.ask(f"sum {name}") == f"{len(content)} bytes {crc(content)}"
        guest.end()
    check(bridge, wire)


def test_a_lost_block_is_made_good_at_once(network):
    """By a rewind in mid-window, not by a time-out: less than 50 ms of virtual time."""
    path = network.put("large", random.Random(4).randbytes(1_500_000))
    network.atftpd()
    with network.agent() as guest:
        booted = sum(packet.destination is not None and packet.destination[0] == ADDRESS
                     for packet in network.capture.packets())
        guest.end()
    bridge = network.impair(only="to-guest",
                            lose=",".join(str(booted + number) for number in (150, 400, 700)))
    with network.agent() as guest:
        since = network.capture.count()
        assert guest.ask(f"sum {path}").startswith("1500000 bytes")
        guest.end()
    assert done(bridge)["lost"] == 3
    (transfer,) = network.capture.transfers(since)
    first = {}
    for packet in transfer.of(DATA):
        first.setdefault(packet.block, packet.when)
    late = [first[block] - first[block + 1] for block in first
            if block + 1 in first and first[block] > first[block + 1]]
    assert len(late) == 3, late
    # A busy host may stop the machine for a while, but not each time.
    assert statistics.median(late) < 0.050, late


def test_a_repeated_block_is_not_acknowledged_again(network):
    """The sorcerer's apprentice (RFC 1123 4.2.3.1), block by block and with a window."""
    paths = [network.put(name) for name in ("by-block", "by-window")]
    network.scripted("by-block:duplicate,max_window=1", "by-window:duplicate")
    with network.agent() as guest:
        for path in paths:
            since = network.capture.count()
            assert guest.ask(f"sum {path}") == WHOLE
            (transfer,) = network.capture.transfers(since)
            acknowledged = [packet.block for packet in transfer.of(ACK)]
            blocks = len(CONTENT) // BLOCK + 1
            assert len(transfer.of(DATA)) >= 2 * blocks - 2
            # The last one's acknowledgement may be repeated: nobody else would.
            repeated = [block for block in set(acknowledged)
                        if acknowledged.count(block) > 1 and block != blocks]
            assert not repeated, repeated
            assert not transfer.of(ERROR)
        guest.end()


# --- servers that misbehave -----------------------------------------------------------------------

# What is put right: the file arrives whole.
PUT_RIGHT = ["drop=7", "duplicate", "reorder", "drop=5,reorder,duplicate", "stranger",
             "single_port", "single_port,no_tsize", "no_options", "refuse_options", "no_tsize",
             "max_blksize=100", "max_window=1", "max_window=0", "max_window=3,drop=4", "deaf=1",
             "vanish=1000", "drop=100,deaf_to_repeats,max_window=1",
             "tsize=18446744073709551615"]  # no size that a file can have: as if it said none
# What cannot be: the errno of open or read, and what the log says.
REFUSED = [
    ("error=0", errno.EIO, "server says error 0 .told to refuse."),
    ("error=1", errno.ENOENT, None),
    ("error=2", errno.EACCES, "server says error 2"),
    ("error=3", errno.EIO, "server says error 3"),
    ("error=4", errno.EIO, "server says error 4"),
    ("error=5", errno.EIO, "server says error 5"),
    ("error=6", errno.EIO, "server says error 6"),
    ("error=7", errno.EACCES, "server says error 7"),
    ("error=8", errno.EIO, "server says error 8"),
    ("error=65535", errno.EIO, "server says error 65535"),
    ("error_after=20", errno.EIO, "server says error 0 .told to fail., last block 20"),
    # Some servers announce a directory's size and then find that they cannot read it.
    ("error_after=0", errno.EISDIR, "server says error 0 .told to fail., last block 0"),
    ("tsize_add=1000", errno.EIO, "announced 201003 bytes, but block 137 ends at 200003"),
    ("tsize_add=-1000", errno.EIO, "announced 199003 bytes, but block 136 ends at 199648"),
    ("tsize=1000000000000000", errno.EIO, "announced 1000000000000000 bytes, but block 137"),
    ("truncate=100000", errno.EIO, "announced 200003 bytes, but block 69 ends at 100000"),
    ("truncate=0", errno.EISDIR, "sent an empty file .a directory?."),
    ("oack=blksize;9000", errno.EIO, "server contradicts itself"),
    ("oack=windowsize;65535", errno.EIO, "server contradicts itself"),
    ("oack=nonsense;1", errno.EIO, "server contradicts itself"),
    ("oack=tsize;many", errno.EIO, "server contradicts itself"),
]


def test_what_a_server_does_wrong_is_put_right(network):
    paths = {fault: network.put(f"f{number}") for number, fault in enumerate(PUT_RIGHT)}
    network.scripted(*[f"{path[1:]}:{fault}" for fault, path in paths.items()])
    with network.agent() as guest:
        for fault, path in paths.items():
            assert guest.ask(f"sum {path}") == WHOLE, guest.failure(fault)
        free = guest.census()
        for path in list(paths.values())[:10]:
            assert guest.ask(f"sum {path}") == WHOLE
        assert guest.census() == free
        guest.end()


def test_what_cannot_be_put_right_is_an_errno_and_a_line_that_says_why(network):
    paths = {fault: network.put(f"f{number}") for number, (fault, *_) in enumerate(REFUSED)}
    network.scripted(*[f"{path[1:]}:{fault}" for fault, path in paths.items()])
    with network.agent() as guest:
        # The second time no name is new, so nothing is left over.
        for free in (None, guest.census):
            free = free and free()
            for fault, number, line in REFUSED:
                path, log = paths[fault], len(guest.log)
                assert guest.errno(f"sum {path}") == number, guest.failure(fault)
                said = guest.log[log:]
                if line is None:
                    assert "tftp://" not in said
                else:
                    assert re.search(rf"tftp://{SERVER}/root{path}: .*{line}", said), (fault, said)
                expected = errno.EACCES if number == errno.EISDIR else number
                assert guest.errno(f"exec {path}") in (expected, errno.ENOEXEC), fault
        assert free == guest.census()
        assert guest.is_version(Version(1))
        guest.end()


def test_a_program_that_comes_short_is_not_run(network):
    """Bytes != tsize, amid what a segment needs: EIO to execve, and the caller lives."""
    version = Version(2)
    for name in ("bin/short", "bin/stopped", "bin/long"):
        network.put(name, version.bytes)
    network.scripted("bin/short:truncate=200000", "bin/stopped:error_after=100",
                     "bin/long:tsize_add=-200000")
    with network.agent() as guest:
        for _ in range(2):
            for name in ("short", "stopped", "long"):
                assert guest.errno(f"exec /bin/{name}") == errno.EIO, name
            free = guest.census()
        assert guest.is_version(Version(1))
        assert guest.census() == free
        guest.end()


def test_strangers_are_told_so_and_change_nothing(network):
    """RFC 1350 4: ERROR 5 to who is not in the transfer, which goes on."""
    path = network.put("file")
    server = network.scripted("file:stranger")
    with network.agent() as guest:
        since = network.capture.count()
        assert guest.ask(f"sum {path}") == WHOLE
        guest.end()
    packets = network.capture.packets()[since:]
    peer = next(packet.source for packet in packets if packet.opcode == DATA and
                not packet.payload.startswith(b"\xee\xee\xee\xee"))
    errors = [packet for packet in packets if packet.opcode == ERROR]
    assert errors and all(packet.block == 5 and packet.destination != peer for packet in errors)
    assert transfers(server)[-1]["outcome"] == "complete"
    assert not transfers(server)[-1]["errors"]


def test_more_files_than_transfers_are_half_read(network):
    """Each in its place: those beyond the cap are stopped and asked for again."""
    contents = [random.Random(number).randbytes(900_000) for number in range(12)]
    for number, content in enumerate(contents):
        network.put(f"big{number}", content)
    network.atftpd()
    with network.agent() as guest:
        descriptors = []
        for number, content in enumerate(contents):
            descriptors.append(guest.ask(f"open /big{number}"))
            assert guest.ask(f"read {descriptors[-1]} 5000") == f"5000 bytes {crc(content[:5000])}"
        for descriptor, content in zip(reversed(descriptors), reversed(contents)):
            assert guest.ask(f"read {descriptor}") == f"895000 bytes {crc(content[5000:])}"
        guest.end()


# --- directories (they answer, and are no files) --------------------------------------------------

@pytest.mark.parametrize("server", ["qemu", "atftpd", "dnsmasq", "tftpd-hpa"])
def test_a_directory_is_not_taken_for_a_file(network, server):
    directory = network.root / "directory"
    directory.mkdir()
    (directory / "file").write_bytes(CONTENT)
    if server == "qemu":
        network.machine = {"root": network.root}
    elif server == "tftpd-hpa":
        (network.stage / "root").unlink()
        network.root.rename(network.stage / "root")
        network.segment.tftpd_hpa(network.stage, network.directory / "hpa.log")
    else:
        getattr(network, server)()
    with network.agent() as guest:
        for command in ("exec /directory", "sum /directory"):
            number = guest.errno(command, timeout=30)
            assert number in (errno.EISDIR, errno.EACCES, errno.ENOENT), errno.errorcode[number]
        assert guest.ask("sum /directory/file") == WHOLE
        assert guest.ask("version") == Version(1).name
        guest.end()


# --- servers that die -----------------------------------------------------------------------------

def wait_for_block(network, since, number):
    network.capture.wait(lambda packets: any(
        packet.opcode == DATA and packet.block == number for packet in packets[since:]))


def fails_at(guest, path, block):
    """The errno of the command that has been typed; the log names server, file and block."""
    guest.expect(rf"tftp://{SERVER}/root{path}: timed out after \d+ tries, last block {block}\r")
    guest.expect(r"\nerrno (\d+)(?: after \d+ bytes)?\r")
    number = int(guest.match[1])
    guest.expect(PROMPT)
    return number


def test_a_server_that_dies_in_mid_transfer_and_comes_back(network):
    """ETIMEDOUT to execve and to read, and no frame is lost."""
    path = network.put("file")
    version = Version(2)
    network.put("bin/other", version.bytes)
    server = network.scripted()
    with network.agent() as guest:
        assert guest.ask(f"sum {path}") == WHOLE
        assert guest.ask("sum /bin/other") == version.sum
        free = guest.census()

        server.stop(signal.SIGKILL)
        server = network.scripted("file:stop=4", "bin/other:stop=130")
        descriptor = guest.ask(f"open {path}")
        assert guest.ask(f"read {descriptor} 4096") == f"4096 bytes {crc(CONTENT[:4096])}"
        since = network.capture.count()
        guest.type("exec /bin/other\r")
        wait_for_block(network, since, 130)
        server.stop(signal.SIGKILL)
        assert fails_at(guest, "/bin/other", 130) == errno.ETIMEDOUT
        assert guest.is_version(Version(1))

        server = network.scripted("file:stop=4")
        since = network.capture.count()
        guest.type(f"read {descriptor} 1\r")
        wait_for_block(network, since, 4)
        server.stop(signal.SIGKILL)
        assert fails_at(guest, path, 4) == errno.ETIMEDOUT
        assert guest.ask(f"close {descriptor}") == "0"
        assert guest.census() == free

        network.scripted()
        assert guest.ask(f"sum {path}") == WHOLE
        guest.execute("/bin/other")
        assert guest.is_version(version)
        guest.end()


def test_a_server_that_is_gone_is_named_and_its_return_noticed(network):
    """The shell, Debian's ash, lives through it."""
    server = network.atftpd()
    with Guest("/bin/sh", **{**network.machine, "extra": []}) as guest:
        guest.shell()
        server.stop(signal.SIGKILL)
        started = time.monotonic()
        said = guest.run(f"read line <{PATH}; echo status $?", timeout=40)
        assert time.monotonic() - started < 30
        assert f"tftp://{SERVER}/root{PATH}: no answer, trying again" in said
        assert re.search(rf"tftp://{SERVER}/root{PATH}: timed out after \d+ tries, last block 0",
                         said), said
        assert "imed out" in said and "status 1" in said
        network.atftpd()
        guest.type(f"exec {PATH}\r")
        guest.expect("\n" + PROMPT)
        guest.type("exit 0\r")
        assert guest.finish() == 0


def test_a_server_that_returns_during_a_transfer_finishes_it(network):
    """Dead for two seconds in mid-file: the transfer is taken up again, and nobody notices."""
    path = network.put("file")
    server = network.scripted("file:stop=64")
    with network.agent() as guest:
        since = network.capture.count()
        guest.type(f"sum {path}\r")
        wait_for_block(network, since, 64)
        server.stop(signal.SIGKILL)
        network.scripted()
        guest.expect(rf"\n{WHOLE}\r")
        guest.expect(PROMPT)
        assert len(network.capture.transfers(since)) == 2
        assert "timed out" not in guest.log
        guest.end()


def test_a_file_that_changes_while_its_server_restarts_is_not_a_mixture(network):
    path = network.put("file")
    server = network.scripted("file:stop=64")
    with network.agent() as guest:
        since = network.capture.count()
        guest.type(f"sum {path}\r")
        wait_for_block(network, since, 64)
        server.stop(signal.SIGKILL)
        changed = b"\xaa" + CONTENT[1:]
        network.put("file", changed)
        network.scripted()
        guest.expect(rf"\nerrno {errno.EIO} after \d+ bytes\r")
        guest.expect(PROMPT)
        assert "changed on the server during the transfer" in guest.log
        assert guest.ask(f"sum {path}") == f"{len(changed)} bytes {crc(changed)}"
        guest.end()


# --- junk -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", [1, 2])
def test_junk_from_the_wire_changes_nothing(network, seed):
    path = network.put("file", random.Random(6).randbytes(2_000_000))
    network.atftpd()
    with network.agent() as guest:
        whole = guest.ask(f"sum {path}")
        assert whole.startswith("2000000 bytes")
        free, buffers = guest.census(), guest.number("nr_kind_net", "/proc/census")
        flood = network.segment.start(
            ["/usr/bin/python3", os.path.join(HERE, "junk.py"), TAP, MAC, ADDRESS, SERVER,
             "--seed", str(seed)], network.directory / "junk.log")
        rounds = 0
        while flood.process.poll() is None:
            assert guest.ask(f"sum {path}", timeout=30) == whole
            rounds += 1
        assert flood.process.returncode == 0, flood.log
        assert rounds > 1
        assert guest.ask(f"sum {path}", timeout=30) == whole
        assert guest.census() == free
        assert guest.number("nr_kind_net", "/proc/census") == buffers
        assert guest.is_version(Version(1))
        guest.end()
