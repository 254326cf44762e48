"""Memory that runs short, and files in it: what the machine does on few megabytes, and that it loses none."""

import hashlib
import os
import re
import shutil

import pytest

from harness import BUILD, boot, make_root

PROGRAMS = os.path.join(BUILD, "guest")


@pytest.fixture
def root(tmp_path):
    made = make_root(tmp_path / "root", stamped=True)
    (made / "guest").mkdir()
    for name in ["fill", "file_maps", "fork_loop", "oom"]:
        shutil.copy(os.path.join(PROGRAMS, name), made / "guest" / name)
    return made


def tap(command, **keywords):
    """Boots into a program that prints TAP; its log, when all is well."""
    log = boot(command, append="quiet", **keywords)
    assert not re.search(r"^not ok", log, re.M), log
    assert re.search(r"^1\.\.\d+$", log, re.M), log
    return log


def test_a_full_machine_says_so_and_ends_nobody(root):
    log = tap("/guest/fill", root=root, mem=16)
    assert "out of memory" not in log


def test_a_file_of_the_server_is_mapped_and_written(root):
    content = os.urandom(100_001)
    (root / "data").write_bytes(content)
    tap("/guest/file_maps /data", root=root)
    assert (root / "data").read_bytes() == content


def test_when_memory_runs_out_the_largest_is_ended(root):
    """Hogs, bombs of them, and forks without memory; 20 rounds later every frame is where it was."""
    log = tap("/guest/oom", root=root, mem=24)
    assert re.search(r"out of memory: killed oom\[\d+\], \d+ kB$", log, re.M)
    assert "killed oom[1]" not in log


def test_the_only_program_ends_when_there_is_nobody_else(root):
    log = boot("/guest/oom hog", root=root, mem=16, append="quiet", status=128 + 9)
    assert "out of memory: there is nobody to kill" in log
    assert "panic" not in log


def test_ten_thousand_programs_leave_every_frame_as_it_was(root):
    """fork, exec, exit and wait, 10,000 times, and a fourth of that with vfork and with pipes between two."""
    log = tap("/guest/fork_loop 10000", root=root, timeout=120)
    assert "fork and exec: 10000 rounds, 10000 good" in log


def test_files_that_nobody_uses_make_room_before_anybody_ends(root):
    """More files than memory go through a small machine; then a program takes what they had."""
    names = [f"f{i}" for i in range(12)]
    for name in names:
        (root / name).write_bytes(os.urandom(1 << 20))
    script = root / "script"
    script.write_text("#!/bin/busybox sh\nset -e\n"
                      f"for f in {' '.join(names)} f0; do busybox md5sum /$f; done\n"
                      "busybox dd if=/dev/zero of=/dev/null bs=5M count=1\n"
                      "busybox md5sum /f1\n")
    script.chmod(0o755)
    log = boot("/script", root=root, mem=10, append="quiet")
    for name in [*names, "f0", "f1"]:
        assert f"{hashlib.md5((root / name).read_bytes()).hexdigest()}  /{name}" in log
    assert "1+0 records out" in log
    assert "out of memory" not in log
