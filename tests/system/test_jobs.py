"""Debian's unmodified ash with more than one process: a script as on Linux, and jobs by keys."""

import subprocess

import pytest

from harness import BUSYBOX, Guest, boot

# Pipelines, substitutions, here-documents, background jobs, traps, statuses, subshells, loops.
SCRIPT = r"""#!/bin/busybox sh
printf 'c\nb\na\nb\n' | sort | uniq | wc -l
echo "one $(echo two $(echo three)) four"
cat <<END | tr a-z A-Z
a here-document with $((6 * 7))
END
i=0; while [ $i -lt 300 ]; do i=$(expr $i + 1); done; echo "counted to $i"
(exit 3); echo "status $?"
false || echo "or"; true && echo "and"
sleep 0.05 & wait $!; echo "waited: $?"
(sleep 0.1; exit 7) & first=$!
(exit 9) & second=$!
wait $first; echo "first $?"; wait $second; echo "second $?"
sh -c 'kill -TERM $$'; echo "terminated: $?"
sh -c 'kill -SEGV $$'; echo "faulted: $?"
trap 'echo trapped' USR1; kill -USR1 $$; trap - USR1
trap 'echo leaving' EXIT
(trap 'echo child got TERM; exit 4' TERM; kill -TERM $(sh -c 'echo $PPID'); sleep 5); echo "and said $?"
yes | head -n 3
seq 1 20000 | tail -n 1
seq 1 1000 | while read n; do echo $n; done | awk '{ s += $1 } END { print s }'
{ echo out; echo err >&2; } 2>&1 | sort
mkdir -p /tmp/jobs-test; cd /tmp/jobs-test
for name in x y z; do echo $name >$name; done; ls | tr '\n' ' '; echo
echo hidden | tee copy | wc -c; cat copy; cmp copy copy && echo same
ls -l | grep -c '^-'
sed 's/h/H/' copy >copy2; diff copy copy2 >/dev/null; echo "diff says $?"
echo x | xargs -n 1 echo got
find . -type f | sort | head -n 2
cd /; rm -r /tmp/jobs-test
f() { echo "function $1" | cat; }; f here
set -- $(echo a b c | cat); echo $#
exec 3>/tmp/fd3; echo through a descriptor >&3; exec 3>&-; cat /tmp/fd3; rm /tmp/fd3
n=0; for k in 1 2 3 4 5 6 7 8 9 10; do (exit $k) & done; wait; echo "all ten"
echo done
"""


def test_a_script_says_what_it_says_on_linux(root, tmp_path):
    (root / "script").write_text(SCRIPT)
    (root / "script").chmod(0o755)
    here = tmp_path / "script"
    here.write_text(SCRIPT)
    expected = subprocess.run([BUSYBOX, "sh", str(here)], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env={"PATH": "/none"},
                              stdin=subprocess.DEVNULL).stdout
    assert "counted to 300" in expected and expected.endswith("done\nleaving\n")
    assert boot("/script", root=root, append="quiet") == expected


@pytest.fixture
def guest(root):
    with Guest(root=root, append="quiet") as machine:
        yield machine.shell()


def start(guest, command, said):
    """Types a command that reads the terminal, and waits until it runs."""
    guest.type(command + "\r")
    guest.expect(said)


def test_keys_end_and_stop_what_is_in_the_foreground(guest):
    start(guest, "sh -c 'echo be''gun; sleep 100'", "begun")
    guest.type("\x03")
    guest.expect("hawser-prompt> ")
    assert guest.run("echo $?").split() == ["130"]
    start(guest, "sh -c 'echo be''gun; sleep 0.3; echo en''ded'", "begun")
    guest.type("\x1a")
    guest.expect("Stopped")
    guest.expect("hawser-prompt> ")
    assert "Stopped" in guest.run("jobs")
    start(guest, "bg", "ended")
    guest.run("")
    assert guest.run("jobs").split() == []


def test_a_stopped_job_comes_back_to_the_foreground(guest):
    start(guest, "sh -c 'echo be''gun; exec cat'", "begun")
    guest.type("line one\r")
    guest.expect("line one\\s+line one")
    guest.type("\x1a")
    guest.expect("Stopped")
    guest.expect("hawser-prompt> ")
    start(guest, "fg", 'exec cat"\\s')
    guest.type("again\r")
    guest.expect("again\\s+again")
    guest.type("\x04")
    guest.expect("hawser-prompt> ")
    assert guest.run("echo $?; jobs").split() == ["0"]


def test_a_background_read_stops_the_reader(guest):
    guest.run("cat &")
    guest.run("sleep 0.3")
    assert "Stopped (tty input)" in guest.run("jobs")
    guest.run("kill -KILL %1; wait")
    guest.run("")  # it is told once
    assert guest.run("jobs").split() == []


def test_ps_and_top_see_what_runs(guest):
    guest.run("sleep 100 &")
    listing = guest.run("ps")
    assert "sleep 100" in listing and "PID" in listing
    assert "sleep 100" in guest.run("top -b -n 1")
    assert guest.run("kill $!; wait; ps | grep -c '[s]leep 100'").split()[0] == "0"
