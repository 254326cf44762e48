"""Programs: the guest tests in one boot, every way to die, and what execve(2) must refuse."""

import os
import re
import shutil
import subprocess

import pytest

import malformed_elf
from harness import BUILD, Guest, boot, make_root

PROGRAMS = os.path.join(BUILD, "guest")
# What does not take part in a boot's list of tests.
TOOLS = {"suite", "die", "agent", "malformed", "fill", "heap", "oom", "picture", "fuzz"}
FIRST, LAST = "startup", "exec_loop"  # the last one counts frames after all the others


def programs():
    """The guest tests that have been built, in the order in which they are run."""
    assert os.path.exists(os.path.join(PROGRAMS, "suite")), "build/guest/: run `make guest-programs`"
    names = sorted(set(os.listdir(PROGRAMS)) - TOOLS - {FIRST, LAST})
    return [FIRST, *names, LAST]


@pytest.fixture
def guest_root(tmp_path):
    root = make_root(tmp_path / "root", stamped=True)
    guest = root / "guest"
    guest.mkdir()
    for name in [*programs(), "suite", "die"]:
        shutil.copy(os.path.join(PROGRAMS, name), guest / name)
    malformed_elf.write(guest / "malformed", "/guest/malformed")
    (guest / "list").write_text("".join(f"/guest/{name}\n" for name in programs()))
    return root


@pytest.mark.parametrize("cpu,mem,kernel", [
    ("max", 64, "hawser"), ("qemu64", 64, "hawser"), ("max", 16, "hawser"),
    ("max", 64, "debug/hawser"),  # asserts the order of locks
])
def test_guest_programs_pass(guest_root, cpu, mem, kernel):
    log = boot("/guest/suite /guest/list", root=guest_root, cpu=cpu, mem=mem, timeout=120,
               kernel=os.path.join(BUILD, kernel))
    bad = re.findall(r"^not ok.*", log, re.M)
    assert not bad, "\n".join(bad)
    assert "# all tests done, 0 failed" in log
    assert len(re.findall(r"^ok ", log, re.M)) == sum(
        int(count) for count in re.findall(r"^1\.\.(\d+)", log, re.M))
    for name in programs():
        assert f"# /guest/{name}\n" in log or f"# {name}\n" in log, f"{name} was not run"


def ways_to_die():
    listed = subprocess.run([os.path.join(PROGRAMS, "die")], check=True, capture_output=True,
                            text=True).stdout
    return [(way, int(signal)) for way, signal in re.findall(r"^(\S+) (\d+)$", listed, re.M)]


def test_every_way_to_die_gives_its_signal(guest_root):
    """A user's mistake ends the program with Linux's signal; the kernel says so, and lives to."""
    for way, signal in ways_to_die():
        here = subprocess.run([os.path.join(PROGRAMS, "die"), way], check=False,
                              capture_output=True).returncode
        assert here == -signal, f"{way} on Linux"
        log = boot(f"/guest/die {way}", root=guest_root, status=128 + signal)
        assert re.search(r"die\[1\]: ended by SIG\w+$", log, re.M), f"{way}:\n{log}"
        assert "panic" not in log


def test_a_fault_is_told_with_address_and_registers(guest_root):
    log = boot("/guest/die read-null", root=guest_root, status=128 + 11)
    assert re.search(r"die\[1\]: SIGSEGV at 0x8 ip 0x[0-9a-f]+ sp 0x7f[0-9a-f]+ \(.*\)", log)


def test_a_flat_binary_runs(guest_root):
    content = malformed_elf.flat()
    (guest_root / "flat").write_bytes(content)
    (guest_root / "flat").chmod(0o755)
    boot("/flat", root=guest_root, status=42)


def test_a_script_is_a_first_program(guest_root):
    script = guest_root / "script"
    script.write_text("#!/bin/busybox sh\necho $0 \"$@\"\nexit 7\n")
    script.chmod(0o755)
    log = boot("/script one two", root=guest_root, status=7, append="quiet")
    assert log == "/script one two\n"


def test_control_c_ends_the_one_program(guest_root):
    with Guest("/bin/busybox cat", root=guest_root, append="quiet") as guest:
        guest.type("a line\r")
        guest.expect(r"a line\s+a line\s")
        guest.type("\x03")
        assert guest.finish(10) == 128 + 2


def test_norandmaps_puts_everything_in_its_place(guest_root):
    show = "/bin/busybox cat /proc/self/maps"
    first, second = (boot(show, root=guest_root, append="quiet norandmaps") for _ in range(2))
    assert first == second and "7ffffffff000" in first
    first, second = (boot(show, root=guest_root, append="quiet") for _ in range(2))
    assert first != second
