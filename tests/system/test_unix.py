"""A Unix for a person and for scripts: bash at the prompt, programs that draw on the screen, busybox's
applets beside the same binary on Linux, and more processes than anybody needs."""

import os
import re
import subprocess

import pytest

from harness import BUILD, BUSYBOX, TOP, Guest, Screen, boot, census

BASH = os.path.join(BUILD, "root/bin/bash")
APPLETS = os.path.join(TOP, "tests/system/scripts/applets.sh")


# --- bash at the prompt ----------------------------------------------------------------------------

@pytest.fixture(scope="module")
def bash_guest():
    with Guest(append="quiet", timeout=120) as machine:
        machine.shell()
        machine.type("exec bash --norc\r")
        machine.expect(r"bash-5.2# ")
        machine.type("bind 'set enable-bracketed-paste off'; cd /tmp; PS1='hawser-''prompt> '\r")
        machine.expect("[\r\n]hawser-prompt> ")
        yield machine


@pytest.fixture
def bash(bash_guest):
    """Every test leaves the shell at its prompt, without jobs."""
    yield bash_guest
    assert "[1]" not in bash_guest.run("jobs")


def said(guest, command):
    return [line for line in guest.run(command).splitlines() if line]


def start(guest, command, begun):
    guest.type(command + "\r")
    guest.expect(begun)


def prompt(guest):
    guest.expect("hawser-prompt> ")
    return guest.console.before.replace("\r", "")


def test_bash_pipelines_documents_and_patterns(bash):
    assert said(bash, "printf '%s\\n' pear fig apple | sort | head -n 2 | tr a-z A-Z") == \
        ["APPLE", "FIG"]
    assert said(bash, "false | true; echo $? ${PIPESTATUS[@]}") == ["0 1 0"]
    bash.type("cat <<END | sed 's/^/> /'\rone $((6*7))\rtwo $(echo three)\rEND\r")
    bash.expect("> one 42\\s+> two three\\s")
    prompt(bash)
    assert said(bash, "cat <<<here; mkdir -p g; cd g; touch a1 a2 b1 .h; echo a* ?1 [!a]* {x,y}z") == \
        ["here", "a1 a2 a1 b1 b1 xz yz"]
    assert said(bash, "shopt -s nullglob dotglob; echo * none*; shopt -u nullglob dotglob; cd ..; "
                "rm -r g") == [".h a1 a2 b1"]
    assert said(bash, "diff <(seq 3) <(printf '1\\n2\\n3\\n') && echo same; cat <(echo sub); "
                "echo out > >(cat); wait $!") == ["same", "sub", "out"]
    assert said(bash, "seq 3 | while read n; do echo \"<$n>\"; done; while read a b; do echo $b; "
                "done < <(echo 1 2 3)") == ["<1>", "<2>", "<3>", "2 3"]
    assert said(bash, "a=(x y z); echo ${#a[@]} ${a[-1]} ${a[@]:1}; printf -v v %03d 7; echo $v") == \
        ["3 z y z", "007"]
    assert said(bash, "trap 'echo trapped' USR1; kill -USR1 $$; trap - USR1; "
                "(trap 'echo left' EXIT); bash -c 'kill -TERM $$'; echo $?") == \
        ["trapped", "left", "Terminated", "143"]


def test_bash_jobs(bash):
    assert re.match(r"\[1\] \d+$", said(bash, "sleep 100 &")[0])
    assert "Running" in bash.run("jobs")
    assert "Terminated" in bash.run("kill %1; wait %1")
    assert "waited 3" in bash.run("(sleep 0.05; exit 3) & wait $!; echo waited $?")
    start(bash, "sh -c 'echo be''gun; sleep 100'", "begun")
    bash.type("\x03")
    prompt(bash)
    assert said(bash, "echo $?") == ["130"]
    start(bash, "sh -c 'echo be''gun; exec cat'", "begun")
    bash.type("\x1a")
    bash.expect("Stopped")
    prompt(bash)
    assert "Stopped" in bash.run("jobs -l")
    start(bash, "fg", "exec cat")
    bash.type("typed\r")
    bash.expect("typed\\s+typed")
    bash.type("\x04")
    prompt(bash)
    start(bash, "sh -c 'echo be''gun; sleep 0.3; echo en''ded'", "begun")
    bash.type("\x1a")
    bash.expect("Stopped")
    prompt(bash)
    assert "ended" in bash.run("bg; wait")
    bash.run("sleep 100 | sleep 100 &")
    assert "0" in said(bash, "kill -KILL %1; wait; ps | grep -c '[s]leep 100'")
    bash.run("cat &")
    bash.run("until jobs | grep -q Stopped; do sleep 0.05; done")
    bash.run("kill -KILL %1; wait")
    bash.run("")  # it is told


HOME, END = "\x01\x01", "\x05"  # QEMU takes the first Ctrl-A for itself


def test_bash_line_editing_and_history(bash):
    keys = [("echo two one\x1bb\x1bt", "one two"),            # Alt-b, Alt-t: words change places
            (f"\x1b[A{HOME}\x1bd/bin/echo again:", "again: one two"),  # up, home, Alt-d
            ("echo kept\x15\x19 yanked", "kept yanked"),       # Ctrl-U takes, Ctrl-Y gives back
            ("\x12again", "again: one two"),                   # Ctrl-R searches
            (f"echo ed\x1b[D\x1b[Dadd{END}!\x7f", "added"),
            ("ls -d /etc/initt\t", "/etc/inittab"),            # Tab
            ("!ls", "/etc/inittab")]
    for typed, line in keys:
        bash.type(typed + "\r")
        bash.expect(f"\n{re.escape(line)}\\s")
        prompt(bash)
    assert said(bash, "history | tail -n 2 | cut -c8-") == ["ls -d /etc/inittab ",
                                                           "history | tail -n 2 | cut -c8-"]


def test_stty_shows_and_sets(bash):
    assert said(bash, "stty -a | grep -c 'intr = ^C'; tty; stty size") == ["1", "/dev/console", "24 80"]
    assert said(bash, "stty cols 100 rows 30; stty size; stty cols 80 rows 24") == ["30 100"]
    assert said(bash, "stty -echo; stty -a | grep -o -e '-echo '; stty echo") == ["-echo "]
    assert said(bash, "ls /dev/pts; ls -l /dev/ptmx | cut -c1-10") == ["ptmx", "crw-rw-rw-"]


# --- programs that draw on the screen -------------------------------------------------------------------

@pytest.fixture
def screen(tmp_path):
    machine = Screen(tmp_path / "tmux")
    machine.wait(lambda lines: any(line.endswith("#") for line in lines), "a prompt")
    yield machine
    machine.close()


def test_vi_less_and_top_draw_what_they_should(screen):
    screen.type("seq 100 199 >/tmp/f; vi /tmp/f\n")
    screen.wait(lambda lines: "/tmp/f" in lines[23] and
                lines[:23] == [str(n) for n in range(100, 123)], "the file and vi's status line")
    screen.keys("G")
    screen.wait(lambda lines: "199" in lines and "~" in lines, "the end of the file")
    screen.type("ohello")
    screen.keys("Escape")
    screen.wait(lambda lines: "hello" in lines and lines[23].startswith("-"), "what was typed")
    screen.type("1Gddp")
    screen.wait(lambda lines: lines[:2] == ["101", "100"], "two lines that have changed places")
    screen.type("/15.$\n")
    screen.wait(lambda lines: "150" in lines, "what was searched for")
    screen.type(":wq\n")
    screen.wait(lambda lines: "150" not in lines, "the end of vi")
    screen.type("clear; head -n 3 /tmp/f; tail -n 1 /tmp/f\n")
    screen.wait(lambda lines: lines[:4] == ["101", "100", "102", "hello"], "the file as it was written")

    screen.type("less /tmp/f\n")
    screen.wait(lambda lines: "/tmp/f" in lines[23] and lines[:3] == ["101", "100", "102"],
                "the file and less's prompt")
    screen.keys("Space")
    screen.wait(lambda lines: lines[0] == "123", "the next page")
    screen.type("/175\n")
    screen.wait(lambda lines: lines[0] == "175", "what was searched for")
    screen.keys("k")
    screen.wait(lambda lines: lines[0] == "174", "one line back")
    screen.type("q")
    screen.wait(lambda lines: lines[23] == "~ #", "the prompt")

    screen.type("clear; sleep 123 & top -d 1\n")
    screen.wait(lambda lines: lines[0].startswith("Mem:") and
                all(any(shown in line for line in lines[3:])
                    for shown in ("PPID", "sleep 123", "top -d 1")), "top's list")
    screen.type("q")
    screen.type("clear; kill %1; stty size\n")
    screen.wait(lambda lines: "24 80" in lines, "the size")
    screen.type("exit\n")
    screen.ended()


# --- the same binaries on Linux ---------------------------------------------------------------------------

def on_linux(tmp_path, *command):
    """What a command prints here, in an empty directory and with no programs in its PATH but links."""
    links = tmp_path / "links"
    links.mkdir()
    for name in subprocess.run([BUSYBOX, "--list"], check=True, stdout=subprocess.PIPE,
                               text=True).stdout.split():
        (links / name).symlink_to(BUSYBOX)
    (tmp_path / "work").mkdir()
    return subprocess.run(command, check=True, cwd=tmp_path / "work", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={"PATH": str(links)}).stdout.decode(errors="replace")


def blocks(text):
    """What each `== ...` begins, by that line."""
    parts = re.split(r"^(== .*)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def test_applets_say_what_they_say_on_linux(root, tmp_path):
    with open(APPLETS, encoding="ascii") as file:
        script = file.read()
    (root / "script").write_text(script)
    expected = blocks(on_linux(tmp_path, BUSYBOX, "sh", APPLETS))
    log = boot("/bin/sh -c 'mkdir /tmp/work; cd /tmp/work; PATH=/none sh /script 2>&1 | cat'",
               root=root, append="quiet")
    tried = {line.split()[1].rstrip(":") for line in expected}
    assert len(tried) >= 80 and tried <= set(
        subprocess.run([BUSYBOX, "--list"], check=True, stdout=subprocess.PIPE,
                       text=True).stdout.split())
    assert blocks(log) == expected


FORKS = r"""
x=$(for k in 1 2 3; do expr $k + @; done); echo $x
seq @ | while read n; do echo $(expr $n \* 2); done | tail -n 1
(exit $((@ % 200))); echo "@: $?"
{ sleep 0; exit $((@ % 7)); } & wait $!; echo "waited $?"
cat <<END | sed 's/^/  /' | sort -r
here @
and $(echo there | tr a-z A-Z) @
END
diff <(seq @) <(seq 1 @) && echo "same @"
printf '%s\n' {a..d}@ | sort -r | head -n 2 | paste -s -d,
f() { echo "f $1"; return 4; }; f @ | cat; f @ >/dev/null; echo $?
false | true | false; echo "${PIPESTATUS[@]}"
(trap 'echo "trapped @"' USR1; kill -USR1 $BASHPID; echo after)
sh -c 'kill -TERM $$' ; echo "ended $?"
for j in 1 2 3; do (exit $j) & done; wait; echo "all of @"
n=0; for j in {1..60}; do (exit $((j % 2))) && n=$((n + 1)); done; echo $n
"""


def test_a_script_that_forks_thousands_of_times_says_what_it_says_on_linux(root, tmp_path):
    """More than three hundred lines of bash, and every one of them makes processes."""
    script = "".join(FORKS.replace("@", str(n)) for n in range(1, 21))
    assert script.count("\n") > 300
    (root / "script").write_text(script)
    here = tmp_path / "script"
    here.write_text(script)
    (root / "bin/bash").write_bytes(open(BASH, "rb").read())
    expected = on_linux(tmp_path, BASH, str(here))
    names = subprocess.run([BUSYBOX, "--list"], check=True, stdout=subprocess.PIPE,
                           text=True).stdout
    (root / "begin").write_text(
        "mkdir /tmp/links /tmp/work; cd /tmp/links; for a in " + " ".join(names.split()) +
        "; do ln -s /bin/busybox $a; done\ncd /tmp/work; export PATH=/tmp/links\n"
        "/bin/bash /script 2>&1 | cat\nsh -c 'echo processes $$'\n")
    log = boot("/bin/sh /begin", root=root, append="quiet", timeout=120)
    said_there, forks = log.split("processes ")
    assert said_there.replace("/script", str(here)) == expected
    assert int(forks) > 2000


# --- very many of them --------------------------------------------------------------------------------------

PIPELINES = int(os.environ.get("HAWSER_PIPELINES", "1000"))  # make test-big: ten times as many

MANY = r"""
census() {
	rm -f /tmp/said /tmp/last
	cat /proc/census
}
pipelines() {
	i=0; while [ $i -lt $1 ]; do echo $i | cat | cat >/tmp/last; i=$((i+1)); done
	cat /tmp/last
}
thousand() {
	i=0; while [ $i -lt 1000 ]; do sleep 1000 & i=$((i+1)); done
	echo alive: $(ls -d /proc/[0-9]* | wc -l)
	kill $(jobs -p); wait
}
bomb() {
	(ulimit -u 60; exec /bin/$1 -c "b() { b | b & }; b; sleep 9") 2>/tmp/said &
	sleep 2
	echo alive under the bomb: $(ls -d /proc/[0-9]* | wc -l)
	while ps | grep -q '[b] | b'; do
		kill -KILL $(ps | awk '/[b] \\| b/ { print $1 }') 2>/dev/null
	done
	wait
	grep -q -i -e fork -e unavailable /tmp/said && echo $1 could not fork
}
cat /bin/busybox /bin/bash >/tmp/copy; rm /tmp/copy
pipelines 50; census; census; pipelines @; census
thousand 2>/dev/null; thousand 2>/dev/null; census; thousand 2>/dev/null; census
bomb bash; census; bomb sh; census
"""


def test_pipelines_processes_and_bombs_leave_nothing_behind(root):
    """The census is the same after each: pipelines, a thousand processes at once, fork bombs."""
    (root / "bin/bash").write_bytes(open(BASH, "rb").read())
    (root / "script").write_text(MANY.replace("@", str(PIPELINES)))
    log = boot("/bin/sh /script", root=root, mem=256, append="quiet norandmaps", timeout=600)
    # The shell's own memory, its table of jobs, is not what is looked for, nor are the tables that map
    # kernel stacks: as many as the most at once have needed.
    free = [sum(frames) for frames in zip(census(log), census(log, "nr_own_frames"),
                                          census(log, "nr_kernel_map_tables"))]
    assert len(free) == 7 and len(set(free[:3])) == 1, log
    assert free[4] == free[3], log
    # Bombs make hundreds of processes, but how many is chance, and so is into how many slabs what lives
    # on has come to lie. Whatever is no slab is there again, to the frame.
    slabs = census(log, "nr_kind_slab")
    assert len({free + slab for free, slab in zip(free[4:], slabs[4:])}) == 1, log
    assert max(slabs[5:]) < slabs[4] + 16, log
    assert f"\n{PIPELINES - 1}\n" in log
    alive = [int(n) for n in re.findall(r"^alive: (\d+)", log, re.M)]
    assert len(alive) == 3 and min(alive) > 1000
    bombed = [int(n) for n in re.findall(r"bomb: (\d+)", log)]
    assert len(bombed) == 2 and max(bombed) < 80
    assert "bash could not fork" in log and "sh could not fork" in log
