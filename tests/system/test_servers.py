"""Files from every kind of server, compared byte for byte; and the project's own server set-up."""

import hashlib
import os
import random
import re
import subprocess

import pytest

from harness import ADDRESS, LEASE, SERVER, TAP, TOP, Guest, Segment, boot

# Around every block size that is negotiated: 512, 1428 (libslirp) and 1468 (a 1500-byte MTU).
SIZES = [0, 1, 511, 512, 513, 1428, 1468 * 3, 1468 * 3 + 1, 4096, 65536, 1_000_003]
TAP_GUEST = {"net": f"tap:{TAP}", "append": f"quiet {LEASE} root=tftp://{SERVER}/root"}


def fill(root, sizes):
    """Files of random contents; the busybox command that sums them, and what it must print."""
    generator = random.Random(1)
    expected = []
    for size in sizes:
        path = root / f"data-{size}"
        path.write_bytes(generator.randbytes(size))
        expected.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  /data-{size}")
    names = " ".join(f"/data-{size}" for size in sizes)
    return f"/bin/busybox sha256sum {names}", expected


@pytest.fixture
def stage(tmp_path, root):
    """A TFTP directory with the root in it, for servers that are not ours."""
    directory = tmp_path / "stage"
    directory.mkdir()
    (directory / "root").symlink_to(root)
    return directory


def test_files_from_qemus_server(root):
    command, expected = fill(root, SIZES)
    assert boot(command, root=root, append="quiet").splitlines() == expected


def test_files_from_dnsmasq(segment, root, stage, tmp_path):
    command, expected = fill(root, SIZES)
    server = segment.dnsmasq(stage, root, tmp_path / "dnsmasq.log")
    assert boot(command, segment=segment, **TAP_GUEST).splitlines() == expected
    assert "/data-1000003 to " in server.log


def test_files_from_atftpd_with_a_window(segment, root, stage, tmp_path):
    command, expected = fill(root, SIZES)
    server = segment.atftpd(stage, tmp_path / "atftpd.log", "--verbose=7", "--trace")
    assert boot(command, segment=segment, **TAP_GUEST).splitlines() == expected
    assert re.search(r"windowsize", server.log), server.log[-2000:]


@pytest.mark.parametrize("refused", ["--no-blksize", "--no-tsize", "--no-timeout",
                                     "--no-windowsize"])
def test_files_from_a_server_that_refuses_an_option(segment, root, stage, tmp_path, refused):
    command, expected = fill(root, SIZES)
    segment.atftpd(stage, tmp_path / "atftpd.log", refused)
    assert boot(command, segment=segment, **TAP_GUEST).splitlines() == expected


def test_files_from_tftpd_hpa(segment, root, stage, tmp_path):
    command, expected = fill(root, SIZES)
    # tftpd-hpa stays inside of its root and follows links there.
    (stage / "root").unlink()
    root.rename(stage / "root")
    segment.tftpd_hpa(stage, tmp_path / "hpa.log")
    assert boot(command, segment=segment, **TAP_GUEST).splitlines() == expected


def test_a_file_of_more_than_65535_blocks(segment, root, stage, tmp_path):
    """Blocks of 512 bytes, so that the block number wraps after 32 MiB."""
    size = 65535 * 512 + 512 * 3 + 17
    command, expected = fill(root, [size])
    segment.atftpd(stage, tmp_path / "atftpd.log", "--no-blksize")
    log = boot(command, segment=segment, mem=128, timeout=150, **TAP_GUEST)
    assert log.splitlines() == expected


def test_a_small_mtu(root, tmp_path, stage):
    """The server's answers have to fit the path."""
    command, expected = fill(root, SIZES)
    with Segment(mtu=900) as segment:
        segment.dnsmasq(stage, root, tmp_path / "dnsmasq.log")
        assert boot(command, segment=segment, timeout=90, **TAP_GUEST).splitlines() == expected


# --- tools/serve ----------------------------------------------------------------------------------

def plug_in(lab, other, name):
    """A cable from the lab's switch to `name` in another namespace."""
    for where, command in ((lab, f"ip link add port-{name} type veth peer name {name}"),
                           (lab, f"ip link set port-{name} master br0"),
                           (lab, f"ip link set port-{name} up"),
                           (lab, f"ip link set {name} netns {other.holder.pid}"),
                           (other, f"ip link set {name} up")):
        subprocess.run([*where.inside, *command.split()], check=True)


def dhcp_answer(lab, options, own=None, tries=5):
    """Asks as firmware would, from a machine of its own on the lab's wire; returns the boot file."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dhcp_client.py")
    with Segment(address=None) as machine:
        plug_in(lab, machine, "client")
        if own:
            subprocess.run([*machine.inside, "ip", "addr", "add", f"{own}/24", "dev", "client"],
                           check=True)
            options += f",own={own}"
        for _ in range(tries):
            done = subprocess.run([*machine.inside, "/usr/bin/python3", script, "client", options],
                                  capture_output=True, text=True, timeout=20, check=False)
            if done.returncode == 0:
                return done.stdout.strip()
    raise AssertionError(f"no DHCP answer: {done.stderr}")


@pytest.fixture
def lab():
    """A segment whose tap is a port of a switch; the server's address is the switch's own."""
    with Segment(address=None) as segment:
        for command in ("ip link add br0 type bridge", f"ip link set {TAP} master br0",
                        "ip link set br0 up", f"ip addr add {SERVER}/24 dev br0"):
            subprocess.run([*segment.inside, *command.split()], check=True)
        yield segment


def serve(lab, root, tmp_path, *more):
    return lab.start([os.path.join(TOP, "tools/serve"), *more, "br0", str(root)],
                     tmp_path / "serve.log")


@pytest.mark.parametrize("client,boot_file", [
    ("arch=0", "undionly.kpxe"), ("arch=7", "ipxe.efi"), ("arch=9", "ipxe.efi"),
    ("arch=0,class=iPXE", "boot.ipxe"), ("arch=7,class=iPXE", "boot.ipxe"),
    ("arch=0,option=175", "boot.ipxe"),
])
def test_serve_gives_ipxe_to_firmware_and_the_script_to_ipxe(lab, root, tmp_path, client,
                                                             boot_file):
    serve(lab, root, tmp_path)
    assert dhcp_answer(lab, client) == boot_file


def test_serve_boots_a_machine_from_its_firmware_to_a_program(lab, root, tmp_path):
    server = serve(lab, root, tmp_path)
    log = boot_from_the_wire(lab)
    assert "served by the lab" in log
    assert "boot.ipxe" in server.log and "/root/bin/sh to" in server.log


def boot_from_the_wire(lab):
    """A machine that knows nothing: its iPXE asks for everything."""
    with Guest(boot="ipxe", net=f"tap:{TAP}", segment=lab, timeout=90) as guest:
        guest.shell()
        guest.type("echo served by the ''lab\r")
        guest.expect("served by the lab")
        return guest.log


def test_serve_beside_an_existing_dhcp_server(lab, root, tmp_path):
    """Proxy-DHCP: another server gives the address and knows nothing of booting."""
    with Segment(address=None) as other:
        plug_in(lab, other, "far")
        subprocess.run([*other.inside, "ip", "addr", "add", "10.0.2.1/24", "dev", "far"], check=True)
        other.start(["dnsmasq", "--keep-in-foreground", "--port=0", "--log-facility=-",
                     "--pid-file=", "--user=root", "--no-ping", "--interface=far",
                     f"--dhcp-leasefile={tmp_path}/leases", "--log-dhcp",
                     f"--dhcp-range={ADDRESS},{ADDRESS}"], tmp_path / "other.log", port=67)
        serve(lab, root, tmp_path, "--proxy", "10.0.2.0")
        assert "served by the lab" in boot_from_the_wire(lab)


@pytest.mark.parametrize("client,boot_file", [
    ("arch=0", "undionly.kpxe"), ("arch=7", "ipxe.efi"), ("arch=9", "ipxe.efi"),
    ("arch=0,class=iPXE", "boot.ipxe"), ("arch=7,option=175", "boot.ipxe"),
])
def test_serve_as_a_proxy_gives_each_client_its_file(lab, root, tmp_path, client, boot_file):
    serve(lab, root, tmp_path, "--proxy", "10.0.2.0")
    assert dhcp_answer(lab, client, own="10.0.2.77") == boot_file


def test_serve_names_what_it_cannot_do(root):
    for arguments, reason in ((["nosuch0", str(root)], "no interface nosuch0"),
                              (["lo", "/no/such/root"], "not a directory")):
        run = subprocess.run([os.path.join(TOP, "tools/serve"), *arguments], capture_output=True,
                             text=True, timeout=20, check=False)
        assert run.returncode == 1 and reason in run.stderr
