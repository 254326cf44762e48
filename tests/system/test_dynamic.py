"""Dynamically linked programs: our own in every way of making one, and the distribution's, with output
equal to Linux's; how they are published; what comes over the wire, and what is new at the next start."""

import os
import re
import subprocess

import pytest

import malformed_elf
from capture import Capture
from harness import BUILD, TOP, Guest, as_root, boot, make_root

DYNAMIC = os.path.join(BUILD, "dynamic")
KINDS = ["glibc/program", "glibc/fixed", "musl/program"]


def publish(root, *arguments, **keywords):
    return subprocess.run([os.path.join(TOP, "tools/publish"), "--root", str(root), *arguments],
                          check=True, capture_output=True, text=True, **keywords).stdout


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path / "root", stamped=True)


def add_programs(root):
    for kind in KINDS:
        libraries = os.path.join(DYNAMIC, os.path.dirname(kind), "lib")
        environment = os.environ | {"LD_LIBRARY_PATH": libraries}
        publish(root, "--with-libraries", os.path.join(DYNAMIC, kind), f"/dynamic/{kind}",
                env=environment)
        for name in ("libfirst.so", "libplugin.so"):
            publish(root, os.path.join(libraries, name), f"/dynamic/{os.path.dirname(kind)}/lib/{name}")
        # They are to be found by LD_LIBRARY_PATH.
        (root / "usr/lib/libfirst.so").unlink()


def script(directory):
    return "".join(f"LD_LIBRARY_PATH={directory}/{os.path.dirname(kind)}/lib {directory}/{kind} $1\n"
                   for kind in KINDS)


def failures(log):
    return re.findall(r"^not ok.*", log, re.M) + ([] if log.count("\n1..") == len(KINDS) else [log])


def test_our_programs_pass_on_linux(tmp_path):
    said = subprocess.run(["sh", "-c", script(DYNAMIC), "sh", str(tmp_path)], check=True,
                          capture_output=True, text=True).stdout
    assert not failures(said)


@pytest.mark.parametrize("cpu,mem,append", [("max", 32, "quiet"), ("qemu64", 64, "quiet norandmaps")])
def test_our_programs_pass(root, cpu, mem, append):
    add_programs(root)
    (root / "script").write_text(script("/dynamic"))
    log = boot("/bin/sh /script /tmp", root=root, cpu=cpu, mem=mem, append=append)
    assert not failures(log)


@pytest.mark.parametrize("where", [malformed_elf.TEXT, 0x10000000], ids=["on-top", "beside"])
def test_an_interpreter_may_have_addresses_of_its_own(tmp_path, where):
    """The interpreter is started and not the program, also where it lies on top of it, as on Linux."""
    root = make_root(tmp_path / "root", stamped=True)
    segments = [malformed_elf.text(vaddr=where), malformed_elf.data(vaddr=where + malformed_elf.PAGE)]

    def write(name, content):
        (root / name).write_bytes(content)
        (root / name).chmod(0o755)

    def program(interpreter):
        # mov edi, 42 becomes mov edi, 43: the status of the program's own start.
        content = malformed_elf.with_interpreter(os.fsencode(interpreter) + b"\0")
        return content.replace(b"\xbf\x2a", b"\xbf\x2b", 1)
    write("i", malformed_elf.elf(segments, entry=where + malformed_elf.HEADERS))
    write("p", program(root / "i"))
    assert subprocess.run([str(root / "p")], check=False).returncode == 42
    write("p", program("/i"))
    boot("/p", root=root, status=42)


COMMANDS = r"""
cd /; umask 022; export LC_ALL=C TZ=UTC0
mkdir -p /tmp/d/sub; cd /tmp/d
seq 1 2000 > numbers; echo text > file; ln -s file link; chmod 640 file; touch -hd '2020-02-03 04:05:06' *
ls -l --time-style=full-iso [!s]*
ls -la --block-size=1 /tmp/d | awk '{print $1, $3, $4, $9}'
sort -rn numbers | head -n 3; sort -R numbers | sort -n | cksum; shuf numbers | sort -n | md5sum
sort -S 100K --parallel=2 numbers | sha256sum
date -d @86400 '+%Y-%m-%d %H:%M:%S %Z'; date -ur file +%s
stat -c '%n %s %a %F %h' file link; stat -c '%n %a %F' sub; wc numbers; cut -c1-2 numbers | uniq -c | head -n 3
tr a-z A-Z < file; tac numbers | head -n 2; paste -sd+ numbers | head -c 20; echo
cp -a /tmp/d /tmp/e; diff -r /tmp/d /tmp/e && echo same; du -a --apparent-size /tmp/e/file | cut -f1
dd if=/dev/zero of=zeroes bs=1k count=64 2>/dev/null; stat -c %s zeroes; truncate -s 5 zeroes; od -c zeroes
readlink link; basename /a/b.c .c; expr 6 \* 7; printf '%05.1f|%-5s|\n' 2.5 x; nproc --ignore=0
env -i A=b env; id -u; whoami; pwd; test -L link; echo $?; timeout 0.1 sleep 5; echo $?
for i in 1 2 3; do (exit $i) & wait $!; echo $?; done; trap 'echo bye' EXIT
grep -c 7 numbers; sed -n '7{s/7/seven/p}' numbers; awk '{s += $1} END {print s}' numbers
coproc cat; echo through >&${COPROC[1]}; read -r line <&${COPROC[0]}; echo "$line"
rm -r /tmp/d /tmp/e; ls /tmp/d 2>&1; true
"""
PROGRAMS = ("/bin/bash /usr/bin/awk /usr/bin/grep /usr/bin/sed /usr/bin/diff".split() +
            [f"/usr/bin/{name}" for name in
             "mkdir seq ln chmod touch ls tail head sort cksum shuf md5sum sha256sum date stat wc cut uniq "
             "tr tac paste cp du dd truncate od readlink basename expr printf nproc env id whoami sleep "
             "timeout rm cat".split()])


def test_the_distributions_bash_and_utilities_say_what_they_say_on_linux(root):
    for program in PROGRAMS:
        publish(root, "--with-libraries", program, program)
    (root / "commands").write_text(COMMANDS)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (root / "etc/group").write_text("root:x:0:\n")
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/"}
    here = subprocess.run([*as_root("--mount"), "sh", "-c",
                           "mount -t tmpfs none /tmp && exec taskset -c 0 bash -c \"$0\"", COMMANDS],
                          check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    log = boot("/bin/bash /commands", root=root, mem=128, append="quiet", timeout=120)
    assert log.splitlines() == here.splitlines()


def test_an_interactive_bash_of_the_distribution(root):
    publish(root, "--with-libraries", "/bin/bash", "/bin/bash")
    for name in ("/bin/ls", "/bin/cat"):
        publish(root, "--with-libraries", name, name)
    with Guest("/bin/bash --norc", root=root, append="quiet") as guest:
        guest.expect(r"bash-5[^ ]* ")
        guest.type("bind 'set enable-bracketed-paste off'; PS1='hawser-''prompt> '\r")
        guest.expect("[\r\n]hawser-prompt> ")
        assert guest.run("ls /bin/b* | cat").split() == ["/bin/bash"]
        guest.type("bash -c 'echo be''gun; exec cat'\r")
        guest.expect("begun")
        guest.type("\x1a")
        guest.expect("Stopped")
        guest.expect("hawser-prompt> ")
        assert "Stopped" in guest.run("jobs")
        guest.run("kill -9 %1; wait")
        guest.type("exit 3\r")
        assert guest.finish() == 3


# --- the wire --------------------------------------------------------------------------------------------

def test_a_new_library_is_used_at_the_next_start_and_who_runs_keeps_the_old(root, tmp_path):
    library = tmp_path / "libfirst.so"
    add_programs(root)
    command = "LD_LIBRARY_PATH=/dynamic/glibc/lib /dynamic/glibc/program stay"
    with Guest("/bin/busybox sh", root=root, append="quiet") as guest:
        guest.shell()
        guest.run("mkfifo /tmp/lines; exec 9<>/tmp/lines")
        guest.run(f"{command} </tmp/lines >/tmp/said & sleep 0.2; cat /tmp/said")
        assert "version 1" in guest.run("until grep version /tmp/said; do sleep 0.05; done")
        subprocess.run(["gcc", "-fPIC", "-shared", "-DVERSION=\"2\"", "-Wl,-soname,libfirst.so", "-o",
                        str(library), os.path.join(TOP, "tests/dynamic/first.c")], check=True)
        publish(root, str(library), "/dynamic/glibc/lib/libfirst.so")
        assert "version 2" in guest.run(f"{command} </dev/null")
        guest.run("echo >&9; until [ $(grep -c . /tmp/said) = 2 ]; do sleep 0.05; done")
        assert guest.run("cat /tmp/said").split() == ["version", "1", "version", "1"]
        guest.run("kill %1")


def test_a_library_that_nobody_calls_crosses_the_wire_only_as_far_as_it_is_looked_at(root, tmp_path):
    """Debugging information at the end of a library stays on the server, as with a program."""
    capture = Capture(tmp_path / "wire.pcap")
    add_programs(root)
    for name in ("dynamic/glibc/lib/libfirst.so", "dynamic/glibc/program"):
        with open(root / name, "ab") as file:
            file.write(os.urandom(1 << 20))
    log = boot("/bin/busybox sh -c 'LD_LIBRARY_PATH=/dynamic/glibc/lib /dynamic/glibc/program stay"
               " </dev/null'", root=root, append="quiet", extra=capture.arguments)
    assert log == "version 1\n"
    for transfer in capture.transfers():
        if transfer.name.endswith(("libfirst.so", "dynamic/glibc/program")):
            assert transfer.data < 512 * 1024, transfer.name
