"""The distribution's tmux, unmodified: sessions, sockets, and a terminal for each of its panes."""

import os
import shutil
import subprocess

from harness import TOP, Guest, make_root

LOCALE = "usr/lib/locale/C.utf8"


def test_sessions_panes_and_coming_back(tmp_path):
    root = make_root(tmp_path / "root", stamped=True)
    subprocess.run([os.path.join(TOP, "tools/publish"), "--root", str(root), "--with-libraries",
                    "/usr/bin/tmux"], check=True, capture_output=True)
    for name in ("linux", "screen"):
        target = root / "lib/terminfo" / name[0] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.join("/lib/terminfo", name[0], name), target)
    shutil.copytree(f"/{LOCALE}", root / LOCALE)
    with Guest(root=root, mem=128, timeout=60) as machine:
        guest = machine.shell()
        # A directory that nobody has a list of exists once something in it has been read.
        guest.run("cat /lib/terminfo/l/linux /lib/terminfo/s/screen >/dev/null")
        guest.run("export TERM=linux LANG=C.UTF-8; stty rows 24 cols 80")
        guest.run("tmux new-session -d -s work")
        assert "work: 1 windows" in guest.run("tmux list-sessions")
        guest.type("tmux attach\r")
        guest.expect(r"\[work\] 0:sh")
        guest.type("echo in\"\"side; tty\r")
        guest.expect("inside")
        guest.expect("/dev/pts/0")
        guest.type("\x02%")
        guest.expect("# ")
        guest.type("echo second pane\"\" on $(tty)\r")
        guest.expect("second pane on /dev/pts/1")
        guest.type("\x02d")
        guest.expect("detached .from session work")
        guest.expect("hawser-prompt> ")
        panes = guest.run("tmux list-panes -s -F '#{pane_width}x#{pane_height} #{pane_tty}'")
        assert "40x23 /dev/pts/0" in panes and "39x23 /dev/pts/1" in panes
        assert "inside" in guest.run("tmux capture-pane -p -t work.0")
        guest.run("tmux kill-server")
        assert "no server" in guest.run("tmux list-sessions")
        guest.type("exit 3\r")
        assert guest.finish() == 3
