"""Every way in which a machine comes up, and what the terminal shows of it."""

import hashlib
import os
import re
import shutil
import struct
import subprocess

import pytest

from harness import ADDRESS, BUILD, BUSYBOX, LEASE, SERVER, TAP, TOP, Guest, Monitor, boot, make_root

SAY_HELLO = "/bin/busybox echo hello from a program"


def test_ipxe_with_qemus_servers_reaches_a_shell():
    with Guest("/bin/sh", boot="ipxe") as guest:
        guest.shell()
        assert "42" in guest.run("echo $((6*7))")
        assert "ipxe.org" not in guest.log  # firmware is not on the serial line
        guest.type("exit 5\r")
        assert guest.finish() == 5


def test_ipxe_with_dnsmasq_on_a_tap_reaches_a_shell():
    with Guest(boot="ipxe", net="dnsmasq", timeout=90) as guest:
        guest.shell()
        assert "42" in guest.run("echo $((6*7))")
        guest.type("exit\r")
        assert guest.finish() == 0


@pytest.mark.parametrize("nic", ["modern", "legacy", "transitional"])
def test_each_virtio_variant_carries_a_program(nic):
    log = boot("/bin/busybox sha256sum /bin/busybox", nic=nic, append="quiet")
    with open(BUSYBOX, "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() in log


@pytest.mark.parametrize("nic", ["legacy", "transitional"])
def test_each_virtio_variant_boots_through_ipxe(nic):
    assert "hello from a program" in boot(SAY_HELLO, nic=nic, boot="ipxe", append="quiet")


@pytest.mark.parametrize("cpu", ["qemu64", "max", "Nehalem"])
def test_processors_with_and_without_xsave(cpu):
    assert "hello from a program" in boot(SAY_HELLO, cpu=cpu, append="quiet")


def test_every_stack_in_the_image_lies_above_a_page_that_is_not_mapped(tmp_path):
    """As QEMU sees it through the page tables: kernel/x86_64/stack_guard.h."""
    symbols = dict(reversed(line.split()[::2]) for line in subprocess.run(
        ["nm", os.path.join(BUILD, "kernel.elf")], check=True, capture_output=True,
        text=True).stdout.splitlines())
    names = [name.removesuffix("_guard") for name in symbols
             if name.endswith("stack_guard") and name != "boot_stack_guard"]
    guards = {name: int(symbols[name], 16) for name in names}
    guards["boot_stack"] = int(symbols["boot_stack_guard"], 16)
    assert {"nmi_stack", "double_fault_stack", "reaper_stack", "boot_stack"} <= set(guards)
    path = str(tmp_path / "qmp")
    with Guest(append="norandmaps", extra=("-qmp", f"unix:{path},server,nowait")) as guest:
        guest.shell()
        with Monitor(path) as monitor:
            for name, guard in guards.items():
                assert "Cannot access memory" in monitor.ask(f"x /1xb {guard + 4095:#x}"), name
                assert monitor.ask(f"x /1xb {guard + 4096:#x}").split(":")[1].startswith(" 0x"), name


def test_grub_boots_the_image_and_the_kernel_finds_its_own_address(tmp_path):
    """GRUB's linux command uses the 32-bit entry; without ip= the kernel asks DHCP itself."""
    tree = tmp_path / "iso"
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copy(os.path.join(BUILD, "hawser"), tree / "hawser")
    (tree / "boot/grub/grub.cfg").write_text(
        "set timeout=0\nmenuentry hawser {\n"
        f" linux /hawser root=tftp://{SERVER}/root exitport=0xe9 quiet"
        " init=/bin/busybox -- echo hello through GRUB\n}\n")
    image = tmp_path / "grub.iso"
    subprocess.run(["grub-mkrescue", "-o", str(image), str(tree)], check=True,
                   capture_output=True)
    log = boot(boot="ipxe", extra=["-boot", "d", "-cdrom", str(image)])
    assert "hello through GRUB" in log


def test_dhcp_hands_over_when_nothing_else_does(segment, root, tmp_path):
    """No ip=: address, server and mask come from a real DHCP server."""
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / "root").symlink_to(root)
    segment.dnsmasq(stage, root, tmp_path / "dnsmasq.log")
    log = boot(SAY_HELLO, net=f"tap:{TAP}", segment=segment,
               append=f"root=tftp://{SERVER}/root")
    assert ADDRESS in log and "hello from a program" in log


def payload_of(image):
    """Where the packed kernel begins and ends in the file, as the setup header says."""
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1f1] + 1) * 512 + offset
    return start, start + length


@pytest.mark.parametrize("byte, message", [
    (lambda start, end: start + 4, "is not packed as it should be"),  # the frame's flags
    (lambda start, end: start + 12, "is not packed as it should be"),  # the content's size
    (lambda start, end: (start + end) // 2, "has a wrong checksum"),  # in the block
    (lambda start, end: end - 1, "has a wrong checksum")],
    ids=["flags", "size", "block", "checksum"])
def test_an_image_with_a_wrong_byte_says_so_and_stops(byte, message, tmp_path):
    with open(os.path.join(BUILD, "hawser"), "rb") as file:
        image = bytearray(file.read())
    start, end = payload_of(image)
    assert end <= len(image) < end + 16
    image[byte(start, end)] ^= 0x40
    damaged = tmp_path / "hawser"
    damaged.write_bytes(image)
    path = str(tmp_path / "qmp")
    with Guest(kernel=damaged, extra=("-qmp", f"unix:{path},server,nowait")) as guest:
        guest.expect(rf"Hawser: the image is damaged: its kernel {message}")
        with Monitor(path) as monitor:
            assert "HLT=1" in monitor.ask("info registers")


@pytest.mark.parametrize("mem", [32, 16, 8])
def test_little_memory_is_enough_for_a_prompt(mem):
    with Guest(mem=mem, boot="ipxe") as guest:
        guest.shell()
        assert "42" in guest.run("echo $((6*7))")


def seconds_to_fetch(mem):
    """From the network's being up to the first program's being there, by the kernel's clock; the best of three."""
    times = []
    for _ in range(3):
        log = boot("/bin/busybox true", mem=mem)
        up, there = (float(re.search(rf"\[ *([\d.]+)\] {line}", log)[1]) for line in ("net: ", "first program: "))
        times.append(there - up)
    return min(times)


def test_little_memory_makes_nothing_slow():
    """What firmware has left in memory once made QEMU twenty times slower, on machines of up to 28 MiB."""
    plenty = seconds_to_fetch(64)
    for mem in (16, 20, 24, 28):
        assert seconds_to_fetch(mem) < 8 * plenty


def test_too_little_memory_is_said_and_is_no_hang(root):
    """A file for which there is no room, in a machine that has next to none."""
    (root / "big").write_bytes(bytes(16 << 20))
    with Guest("/big", root=root, mem=4, append="panic=1", extra=["-no-reboot"]) as guest:
        guest.expect(r"/big: not an executable")
        assert guest.finish(20) == 125
    log = boot("/bin/sh -c 'exec cat /big >/dev/null'", status=1, root=root, mem=6)
    assert "cat: read error: Cannot allocate memory" in log


def test_icount_boots():
    assert "hello from a program" in boot(SAY_HELLO, icount=True, append="quiet")


def test_quiet_shows_nothing_but_the_programs_output():
    assert boot(SAY_HELLO, append="quiet", boot="ipxe") == "hello from a program\n"


def test_log_says_what_was_done():
    log = boot(SAY_HELLO)
    assert ADDRESS in log and "virtio" in log and "/bin/busybox" in log


@pytest.mark.parametrize("init,status", [
    ("/bin/busybox true", 0), ("/bin/busybox false", 1), ("/bin/sh -c 'exit 200'", 200),
    ("/bin/sh -c 'kill -9 $$'", 128 + 9), ("/bin/sh -c 'kill -TERM $$'", 128 + 15),
])
def test_exit_status_is_the_first_programs(init, status):
    boot(init, status=status, append="quiet")


def test_arguments_come_through_as_they_were():
    log = boot("""/bin/busybox printf "<%s>\\n" 'two words' '' '#3' '&&' '-- x'""", append="quiet",
               boot="ipxe")
    assert log.splitlines() == ["<two words>", "<>", "<#3>", "<&&>", "<-- x>"]


def test_arguments_in_init_itself_as_linux_takes_them():
    assert boot(append='quiet init="/bin/busybox echo one two"') == "one two\n"


def test_a_pipe_is_typed_and_its_end_changes_nothing():
    run = subprocess.run([os.path.join(TOP, "tools/qemu"), "--boot", "direct", "--init", "/bin/sh",
                          "--timeout", "50", "--append", "quiet"],
                         input="echo first; read x\nsome line\necho got $x\nexit 9\n", text=True,
                         capture_output=True, timeout=70)
    assert run.returncode == 9, run.stdout + run.stderr
    assert "first" in run.stdout and "got some line" in run.stdout


def test_a_long_pipe_loses_nothing():
    """What is typed ahead is echoed amid what programs say: they say it once all has been typed."""
    lines = [f"echo said {number} >>/tmp/said" for number in range(400)]
    run = subprocess.run([os.path.join(TOP, "tools/qemu"), "--boot", "direct", "--timeout", "80",
                          "--append", "quiet"],
                         input="\n".join(lines) + "\ncat /tmp/said\nexit 0\n", text=True,
                         capture_output=True, timeout=90)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr
    seen = re.findall(r"^said (\d+)$", run.stdout.replace("\r", ""), re.M)
    assert seen == [str(number) for number in range(400)]


def test_no_standard_input_is_no_hindrance():
    run = subprocess.run([os.path.join(TOP, "tools/qemu"), "--boot", "direct", "--timeout", "50",
                          "--append", "quiet", "--init", SAY_HELLO], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=60)
    assert run.returncode == 0
    assert run.stdout == "hello from a program\n"  # text mode takes CR NL for NL
    assert run.stderr == ""


@pytest.mark.parametrize("command,status", [
    ("poweroff", 0), ("poweroff -f", 0), ("halt", 0), ("exit", 0), ("reboot", 125)])
def test_the_default_root_has_an_init_that_ends_the_machine(command, status):
    """busybox's, with /etc/inittab from the server; 125: it would have come up again."""
    with Guest(append="quiet", extra=["-no-reboot"]) as guest:
        guest.shell()
        assert guest.run("cat /proc/1/comm; tty; kill -KILL 1; kill -HUP 1").split() == \
            ["init", "/dev/console"]
        guest.type(command + "\r")
        assert guest.finish(20) == status
        assert "panic" not in guest.log.lower()


def test_without_a_card_it_says_so_and_obeys_panic():
    with Guest(net="none", append=f"{LEASE} root=tftp://{SERVER}/root panic=3",
               extra=["-no-reboot"]) as guest:
        guest.expect(r"(?i)no network card")
        assert guest.finish(30) == 125


def test_without_dhcp_it_says_so_and_goes_on_asking(segment, root, tmp_path):
    """And once a server appears, it boots."""
    with Guest(SAY_HELLO, net=f"tap:{TAP}", segment=segment,
               append=f"root=tftp://{SERVER}/root", timeout=90) as guest:
        guest.expect(r"(?i)dhcp")
        guest.expect(r"(?i)dhcp[^\n]*(again|retry|no answer|still)")
        stage = tmp_path / "stage"
        stage.mkdir()
        (stage / "root").symlink_to(root)
        segment.dnsmasq(stage, root, tmp_path / "dnsmasq.log")
        guest.expect("hello from a program")
        assert guest.finish() == 0


def test_without_an_init_it_says_what_it_tried_and_obeys_panic(tmp_path):
    empty = tmp_path / "root"
    empty.mkdir()
    with Guest(root=empty, append="panic=2", extra=["-no-reboot"]) as guest:
        for tried in ("/sbin/init", "/etc/init", "/bin/init", "/bin/sh"):
            guest.expect(tried + r"[^\n]*not on the server")
        assert guest.finish(30) == 125
        assert SERVER in guest.log


def test_an_init_that_appears_later_is_found(root):
    busybox = root / "bin/busybox"
    hidden = root / "bin/hidden"
    busybox.rename(hidden)
    with Guest(SAY_HELLO, root=root) as guest:
        guest.expect("/bin/busybox[^\n]*not on the server")
        guest.expect("trying again")
        hidden.rename(busybox)
        guest.expect("hello from a program")
        assert guest.finish() == 0


def test_a_named_init_is_the_only_one_tried():
    with Guest("/no/such", append="panic=-1", extra=["-no-reboot"]) as guest:
        guest.expect("/no/such[^\n]*not on the server")
        assert guest.finish(30) == 125
        assert "/sbin/init" not in guest.log


def test_make_run_passes_its_variables(tmp_path):
    root = make_root(tmp_path / "root")
    (root / "greeting").write_text("from a root of its own\n")
    run = subprocess.run(["make", "--no-print-directory", "run", f"ROOT={root}", "MEM=48",
                          "BOOT=direct", "NIC=legacy", "APPEND=quiet",
                          "INIT=/bin/sh -c 'read line </greeting; echo \"$$line\"; exit 3'",
                          "QEMU_ARGS=-name 'two words'"],
                         cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=120)
    assert "from a root of its own" in run.stdout, run.stdout + run.stderr
    assert "Error 3" in run.stderr
