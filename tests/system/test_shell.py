"""A person at the prompt: Debian's unmodified ash, on a pseudo-terminal."""

import hashlib
import os
import random

import pytest

from harness import BUSYBOX, Guest, boot, census


@pytest.fixture
def guest(root):
    (root / "note").write_text("one\ntwo\nthree\n")
    (root / "script").write_text("#!/bin/sh\necho script $0 with $# arguments: $*\n")
    with Guest(root=root) as machine:
        yield machine.shell()


def lines(text):
    return [line for line in text.splitlines() if line]


def test_a_session(guest):
    assert lines(guest.run("echo hello, $USER world"))[-1] == "hello, world"
    assert lines(guest.run("pwd")) == ["/"]
    assert lines(guest.run("cd /bin; pwd; cd /")) == ["/bin"]
    assert lines(guest.run("while read l; do echo \"<$l>\"; done </note")) == \
        ["<one>", "<two>", "<three>"]
    guest.run("echo kept >/tmp/file; echo more >>/tmp/file")
    assert lines(guest.run("while read l; do echo \"<$l>\"; done </tmp/file")) == \
        ["<kept>", "<more>"]
    assert lines(guest.run("test -e /bin/sh && echo there; test -e /no/such || echo not there")) == \
        ["there", "not there"]
    assert "no such file" in guest.run("read x </no/such").lower()
    assert lines(guest.run("f() { echo f $1; return 3; }; f x; echo $?")) == ["f x", "3"]
    assert lines(guest.run("kill -l 15; umask; ulimit -s")) == ["TERM", "0022", "8192"]
    guest.type("exit 4\r")
    assert guest.finish() == 4


def test_an_exec_that_fails_leaves_the_shell_to_say_so(guest):
    """ash then ends by itself, as it does on Linux."""
    guest.type("exec /no/such\r")
    assert guest.finish() == 127
    assert "exec: line 2: /no/such: not found" in guest.log


def test_line_editing(guest):
    """ash's own: it needs a raw terminal, and the keys as they come."""
    guest.type("echo wrod\x1b[D\x1b[D\x1b[D\x7fw\x1b[C\x1b[C")
    guest.type("\x15\x0becho edited\r")
    guest.expect(r"\nedited\s")
    guest.expect("hawser-prompt> ")
    guest.type("\x1b[A\r")  # the line before, once more
    guest.expect(r"\nedited\s")


def test_end_of_file_ends_the_shell_and_the_machine(guest):
    guest.type("\x04")
    assert guest.finish(20) == 0


def test_an_applet_by_exec(guest):
    guest.type("exec cat /note\r")
    assert guest.finish(20) == 0
    assert "one\ntwo\nthree\n" in guest.log


def test_a_listing_by_exec(guest):
    """Without a manifest a directory shows what has been asked for."""
    guest.run("test -e /note; test -e /script; echo >/tmp/own")
    guest.type("exec ls -l / /tmp\r")
    assert guest.finish(20) == 0
    for name in ("bin", "dev", "tmp", "note", "script", "own"):
        assert name in guest.log.split("exec ls")[1]


def test_a_directory_of_the_servers_is_one_before_any_name_in_it_is_known(root):
    """QEMU's server speaks of it as most do: it announces a size, and sends nothing."""
    (root / "deep/er").mkdir(parents=True)
    (root / "deep/er/file").write_text("found\n")
    log = boot("/bin/busybox sh -c 'test -d /deep/er && cd /deep && pwd && cat er/file'", root=root,
               append="quiet")
    assert log.endswith("/deep\nfound\n")


def test_a_script_by_exec(guest):
    guest.type("exec /script a b\r")
    assert guest.finish(20) == 0
    assert "script /script with 2 arguments: a b\n" in guest.log


def test_checksum_of_itself(guest):
    guest.type("exec cmp /proc/self/exe /bin/busybox\r")
    assert guest.finish(20) == 0
    assert os.path.getsize(BUSYBOX) > 1 << 20


def test_a_thousand_shells_one_after_another_lose_no_frame(root):
    """Each replaces the one before it through execve(2), and asks the server whether it is new."""
    (root / "loop").write_text(
        "#!/bin/sh\n"
        "case $1 in 3|1000) while read n v; do case $n in nr_free_frames) echo $n $v;; esac; done"
        " </proc/vmstat;; esac\n"
        "[ $1 -ge 1003 ] && exit 0\n"
        "exec /bin/sh /loop $(($1 + 1))\n")
    with Guest("/bin/sh /loop 0", root=root, append="quiet norandmaps", timeout=200) as guest:
        assert guest.finish() == 0
        free = census(guest.log)
        assert len(free) == 2 and free[0] == free[1], guest.log


@pytest.mark.parametrize("mem", [24, 64])
def test_sixteen_processes_fetch_twelve_files_at_once(root, mem):
    """More transfers than there may be at once, from a server that never repeats a lost block."""
    generator, sums = random.Random(16), set()
    for number in range(12):
        content = generator.randbytes(100_000 + 40_000 * number)
        (root / f"file{number}").write_bytes(content)
        sums.add(f"{hashlib.md5(content).hexdigest()}  /file{number}")
    # Each begins with a file of its own.
    (root / "fetch").write_text(
        "#!/bin/sh\n"
        "for first in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do\n"
        "  (for next in 0 1 2 3 4 5 6 7 8 9 10 11; do\n"
        "    md5sum /file$(((first + next) % 12))\n"
        "  done > /tmp/sums$first 2>&1) &\n"
        "done\n"
        "wait\n"
        "cat /tmp/sums*\n")
    log = boot("/bin/sh /fetch", root=root, append="quiet", mem=mem, timeout=120)
    assert set(log.splitlines()) == sums, log
    assert len(log.splitlines()) == 16 * 12
