"""What a server of Hawser machines shows to them, for tools/qemu, serve, publish and stamp.

A machine asks one TFTP server for its boot script, the kernel and every program. `stage` lays
these side by side, without touching the directory that is served as the machine's root:

    STAGE/boot.ipxe         boot/ipxe/boot.ipxe with the extra kernel arguments filled in
    STAGE/hawser            the kernel image
    STAGE/undionly.kpxe     iPXE for BIOS machines, and
    STAGE/ipxe.efi          for UEFI machines, whose own firmware is not iPXE
    STAGE/root -> ROOT      the root: tftp://SERVER/root

`.hawser/stamp` in a root promises that nothing in the root has changed while it stays the same, so
a machine revalidates everything that it has cached with one small request. Who keeps the promise
is `StampWatcher` here, while a server runs, and tools/publish.
"""

import ctypes
import os
import pwd
import secrets
import select
import shutil
import struct
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IPXE_BINARIES = {"undionly.kpxe": "/usr/lib/ipxe/undionly.kpxe", "ipxe.efi": "/usr/lib/ipxe/ipxe.efi"}
ARGUMENTS_LINE = "clear arguments\n"


class Refused(Exception):
    """Something the user asked for cannot be done; the text says what and why."""


def fill_in_script(script, arguments):
    """boot.ipxe's text with `arguments` for the kernel. In hexadecimal, since iPXE has no quoting."""
    if "${" in arguments:
        raise Refused("iPXE would expand ${...} in the kernel's arguments; boot directly instead")
    if ARGUMENTS_LINE not in script:
        raise Refused(f"boot.ipxe has no line {ARGUMENTS_LINE.strip()!r} to fill in")
    if not arguments:
        return script
    digits = ":".join(f"{byte:02x}" for byte in arguments.encode())
    return script.replace(ARGUMENTS_LINE, f"set arguments:hex {digits}\n", 1)


def stage(directory, kernel, root, arguments=""):
    """Fills `directory` (existing, empty) with what a machine asks for. See above."""
    with open(os.path.join(TOP, "boot/ipxe/boot.ipxe"), encoding="ascii") as script:
        text = fill_in_script(script.read(), arguments)
    with open(os.path.join(directory, "boot.ipxe"), "w", encoding="ascii") as script:
        script.write(text)
    if not os.path.isdir(root):
        raise Refused(f"the root {root} is not a directory")
    if not os.path.isfile(kernel):
        raise Refused(f"no kernel image at {kernel}: run `make image`")
    # Copies, since the server may have given up the right to look into a home directory.
    shutil.copyfile(kernel, os.path.join(directory, "hawser"))
    for name, path in IPXE_BINARIES.items():
        if os.path.exists(path):
            shutil.copyfile(path, os.path.join(directory, name))
    os.symlink(os.path.abspath(root), os.path.join(directory, "root"))
    os.chmod(directory, 0o755)


def owner_name(path):
    """The user as whom a server can read `path`: its owner."""
    try:
        return pwd.getpwuid(os.stat(path).st_uid).pw_name
    except KeyError:
        return "root"


def dnsmasq_command(configuration, interface, directory, root, ranges):
    """The command that serves `directory` on `interface`, in the foreground, log on stderr."""
    user = owner_name(root) if os.getuid() == 0 else "root"
    command = ["dnsmasq", "--keep-in-foreground", "--log-facility=-", "--pid-file=",
               f"--conf-file={os.path.join(TOP, 'server', configuration)}",
               f"--user={user}", "--group=root", f"--interface={interface}",
               f"--dhcp-leasefile={os.path.join(directory, '.leases')}",
               f"--tftp-root={directory}"]
    command += [f"--dhcp-range={item}" for item in ranges]
    if user != "root":
        entry = pwd.getpwnam(user)
        os.chown(directory, entry.pw_uid, entry.pw_gid)
    return command


# --- the stamp ----------------------------------------------------------------------------------

def stamp_path(root):
    return os.path.join(root, ".hawser", "stamp")


def has_stamp(root):
    return os.path.isdir(os.path.join(root, ".hawser"))


def replace_text(path, text):
    """Makes `path` hold `text`, in one rename."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".new-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, 0o644)
    os.rename(temporary, path)


def drop_covered_links(root):
    """Takes the names out of .hawser/links that are files of the tree's own by now."""
    path = os.path.join(root, ".hawser", "links")
    if not os.path.exists(path):
        return

    def is_free(name):
        place = os.path.join(root, name)
        return os.path.islink(place) or not os.path.exists(place)

    with open(path, encoding="utf-8") as file:
        old = [line.split() for line in file]
    new = [words[:1] + [name for name in words[1:] if is_free(name)] for words in old]
    if new != old:
        replace_text(path, "".join(" ".join(words) + "\n" for words in new))


def write_stamp(root):
    """Replaces the stamp by one that never was before. Less than one TFTP block, in one rename."""
    drop_covered_links(root)
    replace_text(stamp_path(root), f"{time.time_ns()} {secrets.token_hex(16)}\n")


class StampWatcher(threading.Thread):
    """Rewrites a root's stamp whenever something below the root changes (inotify(7))."""

    # <sys/inotify.h>
    MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
    CREATE, DELETE, Q_OVERFLOW, ISDIR = 0x100, 0x200, 0x4000, 0x40000000
    MASK = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE
    HEADER = struct.Struct("iIII")

    def __init__(self, root):
        super().__init__(daemon=True)
        self.root = os.path.abspath(root)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.inotify = self.libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.inotify < 0:
            raise Refused(f"inotify: {os.strerror(ctypes.get_errno())}")
        self.stopping, self.stop_end = os.pipe()
        self.watch_tree()
        write_stamp(self.root)  # for whatever changed while nobody watched

    def watch_tree(self):
        for directory, names, _ in os.walk(self.root):
            if directory == self.root and ".hawser" in names:
                names.remove(".hawser")
            if self.libc.inotify_add_watch(self.inotify, os.fsencode(directory), self.MASK) < 0:
                error = ctypes.get_errno()
                if os.path.isdir(directory):
                    raise Refused(f"cannot watch {directory}: {os.strerror(error)}")

    def relevant(self, events):
        """Reads one batch of events: (something changed, a directory appeared)."""
        offset, changed, grown = 0, False, False
        while offset < len(events):
            _, mask, _, length = self.HEADER.unpack_from(events, offset)
            name = events[offset + self.HEADER.size:][:length].rstrip(b"\0")
            offset += self.HEADER.size + length
            if name == b".hawser":
                continue
            changed = True
            if mask & self.Q_OVERFLOW or (mask & self.ISDIR and mask & (self.CREATE | self.MOVED_TO)):
                grown = True
        return changed, grown

    def run(self):
        while True:
            ready, _, _ = select.select([self.inotify, self.stopping], [], [])
            if self.stopping in ready:
                return
            changed, grown = self.relevant(os.read(self.inotify, 65536))
            if grown:
                self.watch_tree()
            if changed:
                write_stamp(self.root)

    def stop(self):
        os.write(self.stop_end, b"x")
        self.join()
