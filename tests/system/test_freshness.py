"""A machine runs what is on its server now, and keeps what it runs.

Every test runs twice where it can: with a stamp in the root, which tools/publish rewrites, and
without one, where the kernel streams and compares. What a check costs is counted on the wire.
"""

import errno
import os
import random
import subprocess
import sys
import time

import pytest

from agent import PATH, Agent, Version, put
from capture import ACK, DATA, RRQ, Capture
from harness import LEASE, SERVER, TAP, TOP, Guest, make_root

STAMP = "root/.hawser/stamp"
AGENT = "root" + PATH
PAGE = 4096
# What may be under way when a transfer is stopped (TFTP_REACH_MAX in net/tftp.h, in whole pages), and
# what is fetched in any case rather than stopped.
REACH = 64 * 1468 + 2 * PAGE
SETTLE = 64 * 1024


class Served:
    """A root that QEMU's server serves, and how a file gets into it."""

    def __init__(self, directory, stamped):
        self.stamped = stamped
        self.root = make_root(directory / "root", stamped=stamped)
        self._scratch = directory / "to-publish"

    def publish(self, version, path=PATH):
        """Returns when the next execve() must see it."""
        self._scratch.write_bytes(version.bytes)
        self._scratch.chmod(0o755)
        subprocess.run([os.path.join(TOP, "tools/publish"), "--root", str(self.root),
                        str(self._scratch), path], check=True, capture_output=True)
        return version

    def remove(self, path=PATH):
        os.unlink(self.root / path.lstrip("/"))
        if self.stamped:
            stamp_once(self.root)


def stamp_once(root):
    subprocess.run([os.path.join(TOP, "tools/stamp"), "--once", str(root)], check=True)


@pytest.fixture(params=[False, True], ids=["no-stamp", "stamp"])
def served(request, tmp_path):
    return Served(tmp_path, request.param)


@pytest.fixture
def capture(tmp_path):
    return Capture(tmp_path / "wire.pcap")


def machine(served, capture, **keywords):
    return Agent(root=served.root, extra=capture.arguments, **keywords)


def names(transfers):
    return [transfer.name for transfer in transfers]


def only_the_stamp(capture, since):
    """The stamp is asked for and comes, and not a packet more."""
    packets = capture.packets()[since:]
    transfers = capture.transfers(since)
    assert names(transfers) == [STAMP]
    assert len(packets) == len(transfers[0].packets)
    assert [packet.opcode for packet in packets] == [RRQ, DATA, ACK]
    return True


# --- the new one runs, the old one stays ----------------------------------------------------------

def test_next_execve_runs_the_new_one_and_who_runs_keeps_the_old(served, capture):
    first = served.publish(Version(1))
    with machine(served, capture) as guest:
        assert guest.ask("version") == first.name
        second = served.publish(Version(2))
        assert guest.ask(f"sum {PATH}") == second.sum
        # The late pages are looked at for the first time now.
        assert guest.is_version(first)
        assert guest.ask("sum /proc/self/exe") == first.sum
        guest.execute()
        assert guest.is_version(second)
        assert guest.ask("sum /proc/self/exe") == second.sum
        guest.end()


def test_versions_leave_no_frame_behind(served, capture):
    served.publish(Version(1))
    with machine(served, capture) as guest:
        guest.execute()
        free = guest.census()
        for number in range(2, 6):
            version = served.publish(Version(number))
            guest.execute()
            assert guest.is_version(version)
        # One that has touched no late page, like the first.
        guest.execute()
        assert guest.census() == free
        guest.end()


def test_a_difference_in_the_last_block_alone_is_seen(served, capture):
    old, new = (Version(1, tail=b"the last bytes: %d" % number) for number in (1, 2))
    assert len(old.bytes) == len(new.bytes) and old.bytes[:-1] == new.bytes[:-1]
    served.publish(old)
    with machine(served, capture) as guest:
        assert guest.ask("sum /proc/self/exe") == old.sum
        served.publish(new)
        guest.execute()
        assert guest.ask("sum /proc/self/exe") == new.sum
        guest.end()


@pytest.mark.parametrize("old_tail,new_tail", [
    (b"", b"x"), (b"x", b""), (b"", b"more" * 3000), (b"much more" * 9999, b"less"),
], ids=["one-byte-more", "one-byte-less", "more", "less"])
def test_another_size_is_seen(served, capture, old_tail, new_tail):
    old = served.publish(Version(1, old_tail))
    with machine(served, capture) as guest:
        descriptor = guest.ask(f"open {PATH}")
        assert guest.ask(f"sum {PATH}") == old.sum
        new = served.publish(Version(1, new_tail))
        assert guest.ask(f"sum {PATH}") == new.sum
        guest.execute()
        assert guest.ask("sum /proc/self/exe") == new.sum
        assert guest.ask(f"read {descriptor}") == old.sum
        assert int(guest.ask(f"stat {PATH}")) == len(new.bytes)
        guest.end()


def test_a_file_that_has_gone_is_gone_but_not_for_who_holds_it(served, capture):
    first = served.publish(Version(1))
    with machine(served, capture) as guest:
        descriptor = guest.ask(f"open {PATH}")
        served.remove()
        assert guest.errno(f"exec {PATH}") == errno.ENOENT
        assert guest.errno(f"open {PATH}") == errno.ENOENT
        assert guest.errno(f"stat {PATH}") == errno.ENOENT
        assert guest.is_version(first)
        packets = capture.count()
        guest.execute("/proc/self/exe")
        assert guest.is_version(first)
        assert "errno" not in guest.ask(f"fexec {descriptor}")
        assert guest.is_version(first)
        assert capture.count() == packets
        second = served.publish(Version(2))
        guest.execute()
        assert guest.is_version(second)
        guest.end()


def test_a_program_becomes_a_script_and_back(served, capture):
    served.publish(Version(1))
    served.publish(Version(2), "/bin/other")
    with machine(served, capture) as guest:
        script = Version(0)
        script.bytes = b"#!/bin/other\n"
        served.publish(script)
        guest.execute()
        assert guest.is_version(Version(2))
        served.publish(Version(3))
        guest.execute()
        assert guest.is_version(Version(3))
        guest.end()


def test_an_unmodified_shell_sees_what_is_new(served):
    """Debian's ash, started before: redirections, scripts and programs."""
    put(served.root, "/note", b"first\n")
    with Guest(root=served.root) as guest:
        guest.shell()
        assert "first" in guest.run("read line </note; echo $line")
        note = Version(0)
        note.bytes = b"second\n"
        served.publish(note, "/note")
        assert "second" in guest.run("read line </note; echo $line")
        note.bytes = b"echo a script\n"
        served.publish(note, "/note")
        assert "a script" in guest.run(". /note")
        version = served.publish(Version(1))
        guest.type(f"exec {PATH}\r")
        guest.expect("\nhawser-prompt> ")
        assert version.name in guest.run("version")
        guest.type("exit 0\r")
        assert guest.finish() == 0


# --- what it costs --------------------------------------------------------------------------------

def test_an_unchanged_stamp_is_all_that_a_second_execve_costs(tmp_path, capture):
    served = Served(tmp_path, stamped=True)
    served.publish(Version(1))
    with machine(served, capture) as guest:
        for _ in range(3):
            since = capture.count()
            guest.execute()
            assert only_the_stamp(capture, since)
        since = capture.count()
        assert guest.ask(f"sum {PATH}") == Version(1).sum
        assert only_the_stamp(capture, since)
        # Another file's change costs the stamp, and then what is asked for.
        served.publish(Version(2), "/bin/other")
        since = capture.count()
        guest.execute()
        assert names(capture.transfers(since)) == [STAMP, AGENT]
        since = capture.count()
        guest.execute()
        assert only_the_stamp(capture, since)
        guest.end()


def test_without_a_stamp_the_file_is_compared_and_its_frames_shared(tmp_path, capture):
    served = Served(tmp_path, stamped=False)
    version = served.publish(Version(1))
    with machine(served, capture) as guest:
        frames = guest.number("nr_kind_object")
        free = guest.number("nr_free_frames")
        for _ in range(3):
            since = capture.count()
            guest.execute()
            transfers = capture.transfers(since)
            assert names(transfers) == [AGENT]
            assert transfers[0].data == len(version.bytes)
        assert guest.number("nr_kind_object") == frames
        assert guest.number("nr_free_frames") == free
        descriptor = guest.ask(f"open {PATH}")
        assert guest.number("nr_kind_object") == frames
        # And a change costs the frames of the new version as long as the old one is held.
        served.publish(Version(2))
        guest.execute()
        pages = (len(version.bytes) + PAGE - 1) // PAGE
        assert frames + pages <= guest.number("nr_kind_object") <= frames + pages + 1
        assert guest.ask(f"close {descriptor}") == "0"
        guest.end()


def test_names_of_what_is_held_cost_no_packet(served, capture):
    served.publish(Version(1))
    with machine(served, capture) as guest:
        descriptor = guest.ask(f"open {PATH}")
        since = capture.count()
        for _ in range(3):
            guest.execute("/proc/self/exe")
        assert guest.ask("sum /proc/self/exe") == Version(1).sum
        assert "errno" not in guest.ask(f"fexec {descriptor}")
        assert guest.ask(f"read {descriptor}") == Version(1).sum
        assert guest.is_version(Version(1))
        assert capture.count() == since
        guest.end()


def test_fresh_is_how_old_an_answer_may_be(tmp_path, capture):
    served = Served(tmp_path, stamped=False)
    served.publish(Version(1))
    with machine(served, capture, append="fresh=2") as guest:
        since, deadline = capture.count(), time.monotonic() + 20
        second = served.publish(Version(2))
        rounds = 0
        while guest.ask("version") != second.name and time.monotonic() < deadline:
            guest.execute()
            rounds += 1
        assert guest.is_version(second)
        # Of all these, only the last one asked.
        assert rounds > 1
        assert names(capture.transfers(since)) == [AGENT]
        guest.end()


# --- who keeps the stamp --------------------------------------------------------------------------

def test_the_qemu_runner_keeps_the_stamp_for_who_only_renames(tmp_path, capture):
    served = Served(tmp_path, stamped=True)
    put(served.root, PATH, Version(1).bytes)
    stamp = served.root / ".hawser/stamp"
    with machine(served, capture) as guest:
        before = stamp.read_bytes()
        second = Version(2).put(served.root)
        for _ in range(500):
            if stamp.read_bytes() != before:
                break
            guest.run("sum /proc/self/maps")
        guest.execute()
        assert guest.is_version(second)
        guest.end()


def test_a_stamp_beside_another_server_is_believed_until_it_is_rewritten(segment, tmp_path,
                                                                         capture):
    root = make_root(tmp_path / "root", stamped=True)
    first = Version(1).put(root)
    segment.start([sys.executable, os.path.join(TOP, "tests/system/tftp_server.py"),
                   "--root", str(root), "--bind", SERVER], tmp_path / "server.log")
    with Agent(net=f"tap:{TAP}", segment=segment, append=f"{LEASE} root=tftp://{SERVER}/",
               extra=capture.arguments) as guest:
        second = Version(2).put(root)
        guest.execute()
        assert guest.ask("version") == first.name
        stamp_once(root)
        guest.execute()
        assert guest.is_version(second)
        guest.end()


def test_a_stamp_may_appear_and_vanish(tmp_path, capture):
    """Without its directory nobody keeps the stamp; what is then published must not be missed."""
    served = Served(tmp_path, stamped=True)
    served.publish(Version(1))
    with machine(served, capture) as guest:
        os.unlink(served.root / ".hawser/stamp")
        second = Version(2).put(served.root)
        # The runner's own watcher puts a stamp back for the rename.
        guest.execute()
        assert guest.is_version(second)
        third = served.publish(Version(3))
        guest.execute()
        assert guest.is_version(third)
        guest.end()


# --- prefixes -------------------------------------------------------------------------------------

TAIL = random.Random(5).randbytes(1 << 20)


def test_what_no_segment_needs_is_not_fetched_until_it_is_read(served, capture):
    version = served.publish(Version(1, TAIL))
    assert version.needed < len(version.bytes) - len(TAIL)
    with machine(served, capture) as guest:
        fetched = sum(transfer.data for transfer in capture.transfers() if transfer.name == AGENT)
        assert version.needed <= fetched <= version.needed + PAGE + REACH
        assert guest.is_version(version)
        since = capture.count()
        assert guest.ask("sum /proc/self/exe") == version.sum
        transfers = [transfer for transfer in capture.transfers(since) if transfer.name == AGENT]
        assert [transfer.data for transfer in transfers] == [len(version.bytes)]
        since = capture.count()
        assert guest.ask("sum /proc/self/exe") == version.sum
        assert capture.count() == since
        guest.end()


def test_a_prefix_is_compared_no_further_than_it_reaches(tmp_path, capture):
    served = Served(tmp_path, stamped=False)
    version = served.publish(Version(1, TAIL))
    with machine(served, capture) as guest:
        for _ in range(3):
            since = capture.count()
            guest.execute()
            transfers = capture.transfers(since)
            assert names(transfers) == [AGENT]
            assert transfers[0].data <= version.needed + PAGE + REACH
        changed = served.publish(Version(2, TAIL))
        guest.execute()
        assert guest.is_version(changed)
        assert guest.ask("sum /proc/self/exe") == changed.sum
        guest.end()


def test_a_short_rest_is_fetched_at_once(served, capture):
    version = served.publish(Version(1, TAIL[:SETTLE // 2]))
    with machine(served, capture) as guest:
        since = capture.count()
        assert guest.ask("sum /proc/self/exe") == version.sum
        assert capture.count() == since
        guest.end()


@pytest.mark.parametrize("change", ["prefix", "tail", "longer", "shorter", "gone"])
def test_the_rest_of_a_prefix_that_has_changed_is_an_error(served, capture, change):
    old = served.publish(Version(1, TAIL))
    with machine(served, capture) as guest:
        new = {"prefix": Version(2, TAIL), "tail": Version(1, TAIL[:-1] + b"?"),
               "longer": Version(1, TAIL + b"?"), "shorter": Version(1, TAIL[:-1]),
               "gone": None}[change]
        if new:
            served.publish(new)
        else:
            served.remove()
        answer = guest.ask("sum /proc/self/exe")
        if change == "tail":
            # The old one was never seen, so nothing contradicts the new one.
            assert answer == new.sum
        else:
            assert answer.startswith(f"errno {errno.EIO} "), answer
            assert "bin/agent" in guest.log.split("sum /proc/self/exe")[1]
        assert guest.is_version(old)
        assert guest.ask(f"sum {PATH}") == (new.sum if new else f"errno {errno.ENOENT}")
        if new:
            guest.execute()
            assert guest.ask("sum /proc/self/exe") == new.sum
        guest.end()


# --- the server's list of links ------------------------------------------------------------------------

def test_links_are_those_of_the_list_now(tmp_path):
    """One list instead of a copy of the program for every name; a published file wins at once."""
    root = make_root(tmp_path / "root", stamped=True)
    links = root / ".hawser/links"
    links.write_text("/bin/busybox bin/cat usr/bin/wc bin/ls ../up bin/./dot dev/shadow\n"
                     "/no/such bin/dangling\n")
    stamp_once(root)
    script = tmp_path / "cat"
    script.write_text("#!/bin/sh\necho not the applet\n")
    script.chmod(0o755)
    capture = Capture(tmp_path / "wire.pcap")
    with Guest("/bin/sh", root=root, append="quiet", extra=capture.arguments) as guest:
        guest.shell()
        assert guest.run("/bin/cat /proc/self/comm; echo 1 2 3 | /usr/bin/wc -w").split() == \
            ["cat", "3"]
        assert guest.run("ls /bin; ls /dev/shadow /up 2>/dev/null; readlink /bin/cat").split() == \
            ["busybox", "cat", "dangling", "ls", "sh", "/bin/busybox"]
        assert "not found" in guest.run("/bin/dangling")
        subprocess.run([os.path.join(TOP, "tools/publish"), "--root", str(root), str(script)],
                       check=True, capture_output=True)
        assert guest.run("/bin/cat").split() == ["not", "the", "applet"]
        links.write_text("/bin/busybox bin/echo bin/ls\n")
        stamp_once(root)
        assert "not found" in guest.run("/usr/bin/wc")
        assert guest.run("/bin/echo new").split() == ["new"]
        guest.run("rm /bin/ls")
        links.write_text("/bin/busybox bin/echo bin/ls usr/bin/wc\n")
        stamp_once(root)
        # A name that is new is looked for where the last stamp said; any program brings a new one.
        assert guest.run("/bin/echo a b | cat; echo a b | /usr/bin/wc -w").split() == ["a", "b", "2"]
        assert "not found" in guest.run("/bin/ls")  # removed here
    asked = [packet.name for packet in capture.packets() if packet.opcode == RRQ]
    assert asked.count("root/.hawser/links") == 4
    assert asked.count("root/bin/cat") == 1  # once it is no link any more
