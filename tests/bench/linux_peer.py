"""The Linux to compare with: Debian's cloud kernel with a busybox initramfs, as small as it gets.

Its initramfs holds busybox, the modules of virtio-net, and a script that loads them, sets the
address that iPXE was given (no second DHCP), fetches the program with busybox's tftp and becomes
it. It is packed with what the kernel unpacks fastest in few bytes (zstd).
"""

import glob
import os
import re
import shutil
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODULES = ["virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
           "failover", "net_failover", "virtio_net"]  # in the order in which they depend

INIT = """#!/bin/sh
for module in {modules}; do insmod /$module.ko; done
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
tftp -g -b 1428 -r root/bin/hello -l /hello 10.0.2.2
chmod +x /hello
exec /hello
"""


def fetch(name, directory):
    subprocess.run([os.path.join(TOP, "tools/fetch-package"), name, directory], check=True)


def fetch_kernel(work):
    """Unpacks Debian's cloud kernel; returns (vmlinuz, directory of modules, version)."""
    meta = os.path.join(work, "linux-meta")
    fetch("linux-image-cloud-amd64", meta)
    with open(os.path.join(meta, ".fetched"), encoding="ascii") as fields:
        name = re.search(r"linux-image-[0-9][^ ,]*-cloud-amd64", fields.read()).group()
    tree = os.path.join(work, name)
    fetch(name, tree)
    version = name.removeprefix("linux-image-")
    (modules,) = glob.glob(os.path.join(tree, "lib/modules", version)) or \
        glob.glob(os.path.join(tree, "usr/lib/modules", version))
    return os.path.join(tree, "boot/vmlinuz-" + version), modules, version


def make_initramfs(work, modules, busybox):
    """Packs the initramfs; returns its path."""
    tree = os.path.join(work, "initramfs")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(os.path.join(tree, "bin"))
    shutil.copy(busybox, os.path.join(tree, "bin/busybox"))
    for name in ("sh", "insmod", "ip", "tftp", "chmod"):
        os.symlink("busybox", os.path.join(tree, "bin", name))
    present = []
    for name in MODULES:
        for path in glob.glob(os.path.join(modules, "**", name + ".ko*"), recursive=True):
            target = os.path.join(tree, name + ".ko")
            if path.endswith(".xz"):
                with open(target, "wb") as plain:
                    subprocess.run(["xz", "-dc", path], stdout=plain, check=True)
            else:
                shutil.copy(path, target)
            present.append(name)  # one that is not there is built in
    with open(os.path.join(tree, "init"), "w", encoding="ascii") as script:
        script.write(INIT.format(modules=" ".join(present)))
    os.chmod(os.path.join(tree, "init"), 0o755)
    image = os.path.join(work, "initramfs.zst")
    subprocess.run("find . | cpio --quiet -o -H newc -R 0:0 | zstd -q -19 > ../initramfs.zst",
                   shell=True, cwd=tree, check=True)
    return image


def make_stage(work, root, busybox, arguments):
    """A directory for the TFTP server: the same boot script as Hawser's, with an initrd line."""
    kernel, modules, version = fetch_kernel(work)
    initramfs = make_initramfs(work, modules, busybox)
    stage = os.path.join(work, "linux-stage")
    shutil.rmtree(stage, ignore_errors=True)
    os.mkdir(stage)
    shutil.copy(kernel, os.path.join(stage, "hawser"))
    shutil.copy(initramfs, os.path.join(stage, "initrd"))
    os.symlink(root, os.path.join(stage, "root"))
    with open(os.path.join(TOP, "boot/ipxe/boot.ipxe"), encoding="ascii") as script:
        text = script.read()
    text = text.replace("${arguments:string}", arguments)
    text = text.replace("set step starting", "initrd tftp://${server}/initrd || goto failed\n"
                        "set step starting")
    with open(os.path.join(stage, "boot.ipxe"), "w", encoding="ascii") as script:
        script.write(text)
    return stage, version
