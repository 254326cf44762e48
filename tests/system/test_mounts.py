"""Mounts as busybox's mount, umount, df, chroot and switch_root use them."""

import re

from harness import Guest, boot, census


def lines(text):
    return [line for line in text.splitlines() if line]


def test_another_root_is_put_together_and_gone_to(root):
    """A tmpfs that becomes the root: with /proc and /dev in it first by chroot, and then for good."""
    with Guest(root=root) as machine:
        guest = machine.shell()
        guest.run("mkdir -p /tmp/new /tmp/old; mount -t tmpfs -o size=8m source /tmp/new")
        assert "source on /tmp/new type tmpfs (rw,relatime,size=8192k)" in guest.run("mount")
        guest.run("cd /tmp/new; mkdir bin proc dev; cp /bin/busybox bin; ln -s busybox bin/sh; cd /")
        guest.run("mount -t proc proc /tmp/new/proc; mount --rbind /dev /tmp/new/dev")
        seen = guest.run("chroot /tmp/new /bin/sh -c 'busybox mount; busybox df /; echo </dev/pts/ptmx'")
        assert "source on / type tmpfs" in seen and "devpts on /dev/pts type devpts" in seen
        assert " 8192 " in seen and "tftp" not in seen
        guest.run("mount --bind /bin /tmp/old; mount -o remount,bind,ro /tmp/old")
        assert "Read-only" in guest.run("rm -f /tmp/old/busybox")
        guest.run("umount /tmp/old; umount -l /tmp/new/dev; umount /tmp/new/proc")
        guest.run("mkdir /tmp/new/etc; echo there >/tmp/new/etc/mark; echo >/init")
        guest.run("mount --move /dev /tmp/new/dev; mount --move /proc /tmp/new/proc")
        guest.type("exec busybox switch_root /tmp/new /bin/sh -c "
                   "'read m </etc/mark; echo new root: $m; busybox ls /; exit 6'\r")
        guest.expect("new root: there")
        assert guest.finish() == 6
        assert "tmp" not in guest.log[guest.log.index("new root: there"):]


GROW = r"""
mkdir /tmp/m
grow() {
	mount -t tmpfs m /tmp/m
	n=1; while mkdir /tmp/m/$n && mount --rbind /tmp/m /tmp/m/$n 2>/tmp/why; do n=$((n+1)); done
	tail -n 1 /tmp/why; echo mounts: $(wc -l </proc/mounts)
	umount -l /tmp/m; rm /tmp/why; echo mounts: $(wc -l </proc/mounts)
}
grow; cat /proc/census; grow; cat /proc/census
"""


def test_mounts_that_double_end_at_a_limit_and_give_everything_back(root):
    """A tree that is bound into itself again and again, until there are as many mounts as on Linux."""
    (root / "script").write_text(GROW)
    log = boot("/bin/sh /script", root=root, mem=256, append="quiet norandmaps", timeout=120)
    counts = [int(n) for n in re.findall(r"mounts: (\d+)", log)]
    assert log.count("No space left on device") == 2
    assert 50000 < counts[0] <= 100000 and counts[1] < 10 and counts[2:] == counts[:2]
    first, second = (value + own for value, own in
                     zip(census(log), census(log, "nr_own_frames"), strict=True))
    assert second == first
