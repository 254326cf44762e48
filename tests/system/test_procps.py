"""The distribution's ps, top, free and their like, unmodified, and whether what they say is so."""

import os
import re
import shutil
import subprocess

import pytest

from harness import TOP, Screen, boot, make_root

TOOLS = ["/bin/ps", "/sbin/sysctl"] + [f"/usr/bin/{name}" for name in (
    "flock free nice pgrep pkill pmap pwdx slabtop tload top uptime vmstat w watch nproc").split()]


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """A root with busybox, bash and procps, and the terminals that they know."""
    root = make_root(tmp_path_factory.mktemp("procps") / "root", stamped=True)
    for name in ["/bin/bash", *TOOLS]:
        subprocess.run([os.path.join(TOP, "tools/publish"), "--root", str(root), "--with-libraries", name,
                        name], check=True, capture_output=True)
    for name in ("dumb", "linux", "xterm", "screen"):
        target = root / "lib/terminfo" / name[0] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.join("/lib/terminfo", name[0], name), target)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nuser:x:1000:\n")
    return root


class Said:
    """What a script's commands said, by their names."""

    def __init__(self, root, script, **keywords):
        (root / "script").write_text(f"""
export LC_ALL=C PATH=/bin:/usr/bin:/sbin
busybox="/bin/busybox"
say() {{ name=$1; shift; echo "=== $name"; "$@" 2>&1; echo "--- $?"; }}
until_is() {{ until [ "$(ps -o stat= -p $1 | cut -c1)" = $2 ]; do $busybox usleep 20000; done; }}
cut() {{ $busybox cut "$@"; }}; sleep() {{ $busybox sleep "$@"; }}; cat() {{ $busybox cat "$@"; }}
{script}
""")
        log = boot("/bin/bash /script", root=root, append="quiet", **keywords)
        self.sections = {}
        for name, text, status in re.findall(r"^=== (.*)\n((?:.*\n)*?)--- (\d+)$", log, re.M):
            self.sections[name] = text
            assert status == "0", f"{name}: status {status}\n{text}"
        self.log = log

    def lines(self, name):
        assert name in self.sections, self.log
        return self.sections[name].splitlines()

    def table(self, name, columns):
        """One dictionary for each line but the first; the last column takes the rest."""
        head, *lines = self.lines(name)
        assert head.split(), self.log
        return [dict(zip(columns, line.split(None, len(columns) - 1))) for line in lines]

    def numbers(self, name):
        """Of lines like "NAME: 1 kB" and "NAME 1"."""
        return {key: int(value) for key, value in
                re.findall(r"^(\S+?):?\s+(\d+)\b", "\n".join(self.lines(name)), re.M)}


PROCESSES = """
cd /tmp
$busybox sleep 1000 & asleep=$!
$busybox sleep 1001 & stopped=$!
until [ "$(ps -o comm= -p $stopped)" = busybox ]; do $busybox usleep 20000; done; kill -STOP $stopped
$busybox sh -c '$0 true & exec $0 sleep 1002' $busybox & parent=$!
nice -n 7 $busybox sleep 1003 & nice=$!
$busybox setsid $busybox sleep 1004 & session=$!
$busybox sh -c 'while :; do :; done' & busy=$!
until_is $stopped T; until_is $nice S
until zombie=$(pgrep -P $parent -r Z); do $busybox usleep 20000; done
say ids echo "asleep=$asleep stopped=$stopped parent=$parent nice=$nice session=$session busy=$busy zombie=$zombie self=$$"
say ps ps -eo pid,ppid,pgid,sid,tty,stat,ni,nlwp,rss,vsz,comm,args ww
say forest ps auxfww
say threads ps -eLfww
say long ps -elww
say times1 ps -o pid=,cputimes=,etimes= -p $busy,$asleep
sleep 2
say times2 ps -o pid=,cputimes=,etimes= -p $busy,$asleep
say stat1 cat /proc/stat
say policy ps -o pid=,cls=,pri=,psr= -p $asleep
say order ps -e -o pid=
say tty ps -o tty= -p $$
say user ps -o user=,group=,ruser= -p $$
say masks ps -o pid=,blocked=,ignored=,caught= -p $asleep
say pgrep pgrep -a -x busybox
say pgrep-parent pgrep -P $$ -c .
say pwdx pwdx $asleep
say pmap pmap -x $asleep
say maps cat /proc/$asleep/maps
say smaps pmap -X $asleep
say status cat /proc/$asleep/status
say top top -b -n 1
say top-threads top -H -b -n 1
pkill -f 'sleep 100[0-9]'; kill -CONT $stopped; kill -9 $busy
wait $asleep $stopped $nice; say pkill echo $?
say nobody $busybox sh -c 'pgrep -f "sleep 100[01]"; test $? = 1'
"""


def test_ps_top_and_pgrep_tell_of_processes_in_every_state(tools):
    said = Said(tools, PROCESSES, timeout=180)
    ids = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", said.lines("ids")[0])}
    columns = "pid ppid pgid sid tty stat ni nlwp rss vsz comm args".split()
    by_pid = {int(line["pid"]): line for line in said.table("ps", columns)}
    shell = by_pid[ids["self"]]
    assert (shell["ppid"], shell["comm"], shell["args"]) == ("0", "bash", "/bin/bash /script")
    wanted = {  # state, nice, arguments
        "asleep": ("S", "0", "/bin/busybox sleep 1000"), "stopped": ("T", "0", "/bin/busybox sleep 1001"),
        "parent": ("S", "0", "/bin/busybox sleep 1002"), "nice": ("S", "7", "/bin/busybox sleep 1003"),
        "session": ("S", "0", "/bin/busybox sleep 1004"),
        "busy": ("R", "0", "/bin/busybox sh -c while :; do :; done"),
        "zombie": ("Z", "0", "[busybox] <defunct>")}
    for name, (state, nice, arguments) in wanted.items():
        line = by_pid[ids[name]]
        assert line["stat"][0] == state, (name, line)
        assert (line["ni"], line["args"]) == (nice, arguments), (name, line)
        assert (int(line["rss"]) > 300) == (state != "Z") == (int(line["vsz"]) > 300), line
        assert line["ppid"] == str(ids["parent" if name == "zombie" else "self"])
        leads = name == "session"
        assert line["sid"] == line["pgid"] == str(ids[name] if leads else ids["self"])
        assert line["tty"] == ("?" if leads else "console"), line
        assert "N" in line["stat"] or name != "nice"
        assert ("s" in line["stat"]) == leads and ("+" in line["stat"]) == (not leads), line
    assert not [line for line in by_pid.values() if line["stat"][0] not in "SRTZ"]
    order = [int(line) for line in said.lines("order")]
    assert order == sorted(order)

    forest = "\n".join(said.lines("forest"))
    assert re.search(r" /bin/bash /script$", forest, re.M)
    assert re.search(r"console  S\+ .* /bin/busybox sleep 1002\n.* \\_ \[busybox\] <defunct>$", forest, re.M)
    assert re.search(r"\nroot +\d+ +\d+ +\d+ +\d+ +1 +\d\d:\d\d console +00:00:00 /bin/busybox sleep 1000",
                     "\n".join(said.lines("threads")))
    assert len(said.lines("long")) == len(by_pid) + 1

    def times(name):
        return {int(pid): (int(cpu), int(elapsed)) for pid, cpu, elapsed in
                (line.split() for line in said.lines(name))}
    before, after = times("times1"), times("times2")
    grown = after[ids["busy"]][0] - before[ids["busy"]][0]
    elapsed = after[ids["asleep"]][1] - before[ids["asleep"]][1]
    assert elapsed >= 2 and 1 <= grown <= elapsed + 1 and after[ids["asleep"]][0] == 0
    cpu = [int(number) for number in said.lines("stat1")[0].split()[1:]]
    assert cpu[0] + cpu[2] >= 150 and len(cpu) == 10

    assert said.lines("policy")[0].split() == [str(ids["asleep"]), "TS", "19", "0"]
    assert said.lines("tty") == ["console"] and said.lines("user")[0].split() == ["root"] * 3
    assert said.lines("masks")[0].split()[1] == "0" * 16 or said.lines("masks")[0].split()[1] == "0" * 8
    assert {f"{ids[name]} /bin/busybox sleep {number}" for name, number in
            (("asleep", 1000), ("stopped", 1001), ("nice", 1003))} <= set(said.lines("pgrep"))
    assert said.lines("pwdx") == [f"{ids['asleep']}: /tmp"]

    # The sizes are those of the maps, and of each other.
    spans = [[int(bound, 16) for bound in line.split()[0].split("-")] for line in said.lines("maps")]
    total = re.fullmatch(r"total kB +(\d+) +(\d+) +(\d+) *", said.lines("pmap")[-1])
    assert int(total[1]) == sum(end - start for start, end in spans) // 1024
    status = said.numbers("status")
    assert int(total[1]) == status["VmSize"] and int(total[2]) == status["VmRSS"]
    assert status["VmExe"] > 1000 and status["VmLib"] == 4 and status["Threads"] == 1  # the vDSO
    assert status["PPid"] == ids["self"] and status["voluntary_ctxt_switches"] >= 1
    assert any("[heap]" in line for line in said.lines("smaps"))

    top = said.lines("top")
    counts = re.match(r"Tasks: +(\d+) total, +(\d+) running, +(\d+) sleeping, +1 stopped, +1 zombie", top[1])
    assert counts and int(counts[1]) == int(counts[2]) + int(counts[3]) + 2, top
    assert re.match(r"top - \d\d:\d\d:\d\d up \d+ min, +0 users?, +load average: \d\.\d\d, ", top[0])
    assert any(re.match(rf" +{ids['stopped']} root +20 +0 +\d+ +\d+ +\d+ T +0\.0 ", line) for line in top)
    assert any(re.match(rf" +{ids['nice']} root +27 +7 ", line) for line in top), top
    assert said.lines("top-threads")[1].startswith("Threads: ")


MACHINE = """
$busybox dd if=/dev/zero of=/dev/null count=1 2>/tmp/log
say free free; say meminfo cat /proc/meminfo
dd() { $busybox dd if=/dev/zero of=/tmp/big bs=1M count=8; }
dd >/tmp/log 2>&1
say free-more free
say free-wide free -h -t -w
say vmstat vmstat -n; say vmstat-s vmstat -s; say vmstat-d vmstat -d; say vmstat-m vmstat -m
$busybox sh -c 'while :; do :; done' & one=$!
$busybox sh -c 'while :; do :; done' & two=$!
sleep 6
say loadavg cat /proc/loadavg; say uptime uptime; say loadavg2 cat /proc/loadavg
say vmstat-busy vmstat 1 2
kill -9 $one $two
say vmstat-forks vmstat -f; $busybox true; $busybox true; say vmstat-forks2 vmstat -f
say slabtop slabtop -o
say sysctl sysctl -a; say sysctl-n sysctl -n kernel.ostype kernel.osrelease kernel.hostname
say sysctl-w sysctl -w kernel.hostname=other; say hostname $busybox hostname
say w w; say nproc nproc
say watch $busybox sh -c '$0 timeout -s INT 1 watch -t echo watched; true' $busybox
say stat cat /proc/stat; say interrupts cat /proc/interrupts
say uptime-file cat /proc/uptime; say again cat /proc/uptime
idle1=$(cut -d' ' -f2 /proc/uptime); sleep 1; idle2=$(cut -d' ' -f2 /proc/uptime)
say idle echo $idle1 $idle2
say io $busybox sh -c 'cat /proc/self/io; exec 3</etc/passwd; read -r line <&3; cat /proc/$$/io'
say locks /bin/bash -c 'exec 9>/tmp/l; flock 9; $0 stat -c %i /tmp/l; $0 cat /proc/locks' $busybox
say unlocked $busybox cat /proc/locks
"""


def test_free_vmstat_uptime_and_sysctl_tell_of_the_machine(tools):
    said = Said(tools, MACHINE, timeout=180)
    memory, meminfo = (said.numbers(name) for name in ("free", "meminfo"))
    columns = "total used free shared buff available".split()

    def free(name):
        return dict(zip(columns, map(int, said.lines(name)[1].split()[1:])))
    assert memory["Mem"] == meminfo["MemTotal"] and 50_000 < memory["Mem"] <= 65_536
    before, after = free("free"), free("free-more")
    assert 8_000 < before["free"] - after["free"] < 9_000
    assert 8_000 < after["shared"] - before["shared"] < 9_000
    assert said.lines("free")[2].split() == ["Swap:", "0", "0", "0"]
    assert said.lines("free-wide")[3].startswith("Total:")

    vmstat = said.lines("vmstat")[2].split()
    assert int(vmstat[3]) > 10_000 and int(vmstat[8]) > 0  # free; what has come in
    forks = [int(said.lines(name)[0].split()[0]) for name in ("vmstat-forks", "vmstat-forks2")]
    assert forks[1] - forks[0] == 3
    busy = said.lines("vmstat-busy")[3].split()
    assert int(busy[0]) >= 2 and int(busy[12]) + int(busy[13]) > 90 and int(busy[14]) < 10
    said.lines("vmstat-d")

    load = [float(number) for number in said.lines("loadavg")[0].split()[:3]]
    assert 0.1 < load[0] < 3 and 0 < load[1] < load[0] and load[2] <= load[1]
    told = re.search(r"up \d+ min, +0 users?, +load average: (\S+), (\S+), (\S+)$", said.lines("uptime")[0])
    assert list(told.groups()) in [said.lines(name)[0].split()[:3] for name in ("loadavg", "loadavg2")]
    assert re.match(r"[2-9]/\d+ \d+$", said.lines("loadavg")[0].split(None, 3)[3])

    slabs = [line for line in said.lines("slabtop") if line.strip().endswith("kalloc-64")]
    assert len(slabs) == 1 and int(slabs[0].split()[0]) > 10
    assert any(line.split()[0] == "kalloc-64" for line in said.lines("vmstat-m"))
    settings = dict(line.split(" = ", 1) for line in said.lines("sysctl"))
    assert settings["kernel.ostype"] == "Linux" and int(settings["kernel.pid_max"]) == 32768
    assert said.lines("sysctl-n")[0] == "Linux"
    assert said.lines("hostname") == ["other"] and said.lines("nproc") == ["1"]
    assert "load average" in said.lines("w")[0] and said.lines("w")[1].startswith("USER")
    assert "watched" in said.log

    stat = "\n".join(said.lines("stat"))
    for name in ("cpu", "cpu0", "intr", "ctxt", "btime", "processes", "procs_running", "procs_blocked"):
        assert re.search(rf"^{name} +\d", stat, re.M), name
    assert int(re.search(r"^intr (\d+)", stat, re.M)[1]) > 100
    inode, *locks = said.lines("locks")
    assert len(locks) == 1 and re.fullmatch(rf"1: FLOCK  ADVISORY  WRITE \d+ 00:..:{inode} 0 EOF", locks[0])
    assert not said.lines("unlocked")
    counts = [int(number) for number in re.findall(r"^rchar: (\d+)", "\n".join(said.lines("io")), re.M)]
    assert len(counts) == 2
    idle = [float(number) for number in said.lines("idle")[0].split()]
    assert 0.8 < idle[1] - idle[0] < 10


def test_top_on_the_screen(tools, tmp_path):
    screen = Screen(tmp_path / "tmux", "--root", str(tools), "--init", "/bin/bash --norc")
    try:
        screen.wait(lambda lines: any(line.endswith("#") for line in lines), "a prompt")
        screen.type("export TERM=screen LC_ALL=C PATH=/bin:/usr/bin; busybox sleep 1234 & top -d 1\n")
        screen.wait(lambda lines: lines[0].startswith("top - ") and " 1 root " in "\n".join(lines) and
                    any(line.endswith(" busybox") for line in lines), "top with the processes")
        screen.type("c")
        screen.wait(lambda lines: any(line.endswith("busybox s+") for line in lines),
                    "whole command lines")
        screen.type("V")
        screen.wait(lambda lines: any("`- busy" in line for line in lines), "the forest")
        screen.type("u")
        screen.wait(lambda lines: "user" in lines[5], "the question for a user")
        screen.type("nobody-at-all\n")
        screen.wait(lambda lines: "Invalid user" in lines[5], "that there is no such user")
        screen.type("q")
        screen.wait(lambda lines: any(line.endswith("#") for line in lines), "the prompt again")
        screen.type("exit\n")
        screen.ended()
    finally:
        screen.close()
