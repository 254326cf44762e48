"""A machine in QEMU under the hands of a test, and networks with real servers for it.

`Guest` is tools/qemu on a pseudo-terminal, with everything that came over the serial line kept. A
test waits for text, never for time. `Segment` is a network namespace with a tap in it, which goes
away with the process that holds it.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import pexpect

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build")
sys.path.insert(0, os.path.join(TOP, "tools"))
import serving  # noqa: E402  (tools/serving.py)

SERVER, ADDRESS = "10.0.2.2", "10.0.2.15"
MAC = "52:54:00:12:34:56"
LEASE = f"ip={ADDRESS}:{SERVER}:{SERVER}:255.255.255.0:::none"
TAP = "tap0"
BUSYBOX = os.path.join(BUILD, "root/bin/busybox")
PROMPT = "hawser-prompt> "
BRIDGE_PORT, GUEST_PORT = 5001, 5002  # on the loopback interface of a test's namespace
# As tools/qemu has them, for guests whose card is put together by hand.
NICS = {"modern": "virtio-net-pci,disable-legacy=on,disable-modern=off",
        "legacy": "virtio-net-pci,disable-legacy=off,disable-modern=on",
        "transitional": "virtio-net-pci,disable-legacy=off,disable-modern=off"}


class Guest:
    """One boot. As a context manager, it ends QEMU when the test does.

    `boot` defaults to QEMU's own -kernel: quick, and enough wherever the path is not the subject.
    """

    def __init__(self, init="", *, append="", root=None, mem=64, boot="direct", net="user",
                 nic="modern", cpu="max", icount=False, extra=(), segment=None, kernel=None,
                 timeout=60):
        command = [os.path.join(TOP, "tools/qemu"), "--mem", str(mem), "--boot", boot,
                   "--net", net, "--nic", nic, "--cpu", cpu, "--timeout", str(timeout)]
        if init:
            command += ["--init", init]
        if append:
            command += ["--append", append]
        if root:
            command += ["--root", str(root)]
        if kernel:
            command += ["--kernel", str(kernel)]
        if icount:
            command.append("--icount")
        if extra:
            command += ["--", *extra]
        if segment:
            command = segment.inside + command
        self.command = command
        self.timeout = timeout
        self.console = pexpect.spawn(command[0], command[1:], timeout=timeout, echo=False,
                                     encoding="utf-8", codec_errors="replace", maxread=65536,
                                     dimensions=(50, 200))
        self.console.delaybeforesend = None
        self.console.logfile_read = self
        self.chunks = []

    # pexpect's log: all that the machine has said.
    def write(self, text):
        self.chunks.append(text)

    def flush(self):
        pass

    @property
    def log(self):
        return "".join(self.chunks).replace("\r", "")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.console.isalive():
            self.console.kill(signal.SIGTERM)
            with contextlib.suppress(pexpect.TIMEOUT):
                self.console.expect(pexpect.EOF, timeout=10)
        self.console.close(force=True)

    def failure(self, what):
        lines = self.log.splitlines()
        shown = [line for line in lines[:-40] if line.startswith("not ok")] + lines[-40:]
        tail = "\n".join("    | " + line for line in shown)
        return f"{what}\n  {shlex.join(self.command)}\n  the serial line's last lines:\n{tail}"

    def expect(self, pattern, timeout=None):
        """Waits for a regular expression (or one of a list, whose index it returns)."""
        try:
            return self.console.expect(pattern, timeout=timeout or self.timeout)
        except pexpect.TIMEOUT:
            raise AssertionError(self.failure(f"{pattern!r} did not come in time")) from None
        except pexpect.EOF:
            raise AssertionError(self.failure(f"{pattern!r} did not come before the end")) from None

    @property
    def match(self):
        return self.console.match

    def type(self, text):
        self.console.send(text)

    def shell(self):
        """Waits for ash's prompt and gives it one that no output can be mistaken for."""
        self.expect(r"[#$] ")
        self.type(f"PS1='hawser-''prompt> '\r")
        self.expect("\n" + PROMPT)
        return self

    def run(self, command, timeout=None):
        """Types a command to the shell; returns what it printed."""
        self.type(command + "\r")
        self.expect(r"\n")
        self.expect(PROMPT, timeout)
        return self.console.before.replace("\r", "")

    def finish(self, timeout=None):
        """Waits for the machine's end. The exit status, and all it said is in .log."""
        try:
            self.console.expect(pexpect.EOF, timeout=timeout or self.timeout + 10)
        except pexpect.TIMEOUT:
            raise AssertionError(self.failure("the machine did not end in time")) from None
        self.console.close()
        if self.console.signalstatus is not None:
            raise AssertionError(self.failure("tools/qemu was killed"))
        if self.console.exitstatus == 124:
            raise AssertionError(self.failure("the machine did not end in time"))
        return self.console.exitstatus


class Screen:
    """tools/qemu in a tmux of the test's own: what a person sees is what capture-pane says."""

    def __init__(self, socket, *arguments):
        self.tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        command = shlex.join([os.path.join(TOP, "tools/qemu"), "--boot", "direct", "--timeout", "100",
                              "--append", "quiet", *arguments])
        self.run("new-session", "-d", "-x", "80", "-y", "24", command)

    def run(self, *command):
        return subprocess.run([*self.tmux, *command], check=True, stdout=subprocess.PIPE,
                              text=True, env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"}).stdout

    def keys(self, *keys):
        self.run("send-keys", *keys)

    def type(self, text):
        self.run("send-keys", "-l", text.replace("\n", "\r"))

    def lines(self):
        return [line.rstrip() for line in self.run("capture-pane", "-p").split("\n")][:24]

    def wait(self, condition, what):
        deadline = time.monotonic() + 30
        while not condition(self.lines()):
            shown = "\n".join("    | " + line for line in self.lines())
            assert time.monotonic() < deadline, f"the screen never showed {what}\n{shown}"
            time.sleep(0.05)
        return self.lines()

    def ended(self):
        """tmux goes when its only program does, and with it all that the screen showed."""
        deadline = time.monotonic() + 30
        while subprocess.run([*self.tmux, "has-session"], check=False,
                             capture_output=True).returncode == 0:
            assert time.monotonic() < deadline, "the machine did not end"
            time.sleep(0.05)

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], check=False, capture_output=True)


class Monitor:
    """QEMU's own view of the machine: QMP over the socket of `-qmp unix:PATH,server,nowait`."""

    def __init__(self, path, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.answers = self.socket.makefile("r", encoding="utf-8")
        json.loads(self.answers.readline())  # its greeting
        self.execute("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answers.close()
        self.socket.close()

    def execute(self, command, **arguments):
        """A QMP command's result."""
        line = json.dumps({"execute": command, "arguments": arguments})
        self.socket.sendall(line.encode() + b"\n")
        while True:
            answer = json.loads(self.answers.readline())
            if "event" not in answer:
                return answer["return"]

    def ask(self, line):
        """What the monitor that people use would print."""
        return self.execute("human-monitor-command", **{"command-line": line})


def boot(init="", status=0, **keywords):
    """Boots, waits for the end, checks the status, and returns what came over the serial line."""
    with Guest(init, **keywords) as guest:
        ended = guest.finish()
        assert ended == status, guest.failure(f"exit status {ended}, not {status}")
        return guest.log


def census(log, name="nr_free_frames"):
    """All values of one line of /proc/vmstat, in the order in which they were printed."""
    return [int(value) for value in re.findall(rf"^{name}\s+(\d+)", log, re.M)]


def as_root(*spaces):
    """A command that runs another as root in those new name spaces, also for those who are not root."""
    return ["unshare", *spaces, *([] if os.getuid() == 0 else ["--map-root-user"])]


class Segment:
    """A network namespace with a tap that has the server's address. For servers and one guest."""

    def __init__(self, address=f"{SERVER}/24", mtu=None):
        if not os.path.exists("/dev/net/tun"):
            raise AssertionError("/dev/net/tun is not here: no tap device for a test network")
        setup = ["ip link set lo up", f"ip tuntap add dev {TAP} mode tap",
                 f"ip link set {TAP} up"]
        if address:
            setup.insert(2, f"ip addr add {address} dev {TAP}")
        if mtu:
            setup.append(f"ip link set {TAP} mtu {mtu}")
        script = " && ".join(setup) + " && echo ready && exec sleep infinity"
        command = as_root("--net")
        self.holder = subprocess.Popen(command + ["sh", "-c", script], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            _, errors = self.holder.communicate(timeout=10)
            raise AssertionError(f"no network namespace with a tap device: {errors.strip()}")
        self.inside = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]
        if os.getuid() != 0:
            self.inside += [f"--user=/proc/{self.holder.pid}/ns/user", "--preserve-credentials"]
        self.servers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()
        self.holder.kill()
        self.holder.communicate()

    def start(self, command, log, port=69, **keywords):
        """Starts a server here and waits until its UDP port is taken."""
        server = Server(self.inside + command, log, **keywords)
        self.servers.append(server)
        wanted = f":{port:04X} "
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if server.process.poll() is not None:
                break
            with open(f"/proc/{self.holder.pid}/net/udp", encoding="ascii") as table:
                if any(wanted in line for line in table):
                    return server
            time.sleep(0.02)
        raise AssertionError(f"no server on UDP port {port}: {' '.join(command)}\n{server.log}")

    def bridge(self, log, nic="modern", **impairment):
        """Puts impair.py between the tap and a guest in here; the guest's QEMU arguments.

        The guest is started with net="none": its card is in these arguments.
        """
        program = os.path.join(TOP, "tests/system/impair.py")
        command = ["/usr/bin/python3", program, TAP, str(BRIDGE_PORT), str(GUEST_PORT)]
        for name, value in impairment.items():
            command += [f"--{name}", str(value)]
        self.start(command, log, port=BRIDGE_PORT)
        local = "127.0.0.1"
        return ["-netdev", f"dgram,id=net0,local.type=inet,local.host={local},"
                f"local.port={GUEST_PORT},remote.type=inet,remote.host={local},"
                f"remote.port={BRIDGE_PORT}",
                "-device", f"{NICS[nic]},netdev=net0,mac={MAC},romfile="]

    def dnsmasq(self, stage, root, log, *, configuration="lab.conf", ranges=None, more=()):
        command = serving.dnsmasq_command(configuration, TAP, str(stage), str(root),
                                          ranges or [f"{ADDRESS},{ADDRESS}"])
        return self.start(command + ["--no-ping", *more], log)

    def atftpd(self, directory, log, *more):
        return self.start(["atftpd", "--daemon", "--no-fork", "--bind-address", SERVER,
                           "--port", "69", "--user", "root", "--group", "root", "--logfile", "-",
                           *more, str(directory)], log)

    def tftpd_hpa(self, directory, log, *more):
        program = os.path.join(BUILD, "tests/tftpd-hpa/usr/sbin/in.tftpd")
        return self.start([program, "--foreground", "--address", f"{SERVER}:69", "--user", "root",
                           *more, "--secure", str(directory)], log)


class Server:
    """A server process and what it has written."""

    def __init__(self, command, log, **keywords):
        self.path = str(log)
        with open(self.path, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, **keywords)

    @property
    def log(self):
        with open(self.path, encoding="utf-8", errors="replace") as text:
            return text.read()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def make_root(directory, stamped=False):
    """A root of the test's own, with busybox and sh in it."""
    binaries = directory / "bin"
    binaries.mkdir(parents=True)
    shutil.copy(BUSYBOX, binaries / "busybox")
    (binaries / "sh").symlink_to("busybox")
    if stamped:
        serving.write_stamp(str(directory))
    return directory
