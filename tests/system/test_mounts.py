"""Mounts as busybox's mount, umount, df, chroot and switch_root use them."""

from harness import Guest


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
