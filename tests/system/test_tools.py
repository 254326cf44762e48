"""The tools of the developer's side, as far as no machine has to boot for it."""

import os
import subprocess
import sys
import textwrap
import time

import pytest

from harness import BUILD, TOP

sys.path.insert(0, os.path.join(TOP, "tools"))
import serving  # noqa: E402


def run(*command, **keywords):
    return subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False, **keywords)


# --- publish and stamp ------------------------------------------------------------------------------

def test_publish_replaces_by_rename_and_rewrites_the_stamp(stamped_root, tmp_path):
    source = tmp_path / "program"
    source.write_bytes(b"new contents")
    source.chmod(0o700)
    target = stamped_root / "bin/program"
    target.write_bytes(b"old")
    before, stamp = target.stat().st_ino, (stamped_root / ".hawser/stamp").read_bytes()
    with open(target, "rb") as held:
        done = run("tools/publish", "--root", str(stamped_root), str(source))
        assert held.read() == b"old"  # who reads the old one goes on reading it
    assert done.returncode == 0 and "/bin/program" in done.stdout
    assert target.read_bytes() == b"new contents"
    assert target.stat().st_ino != before and target.stat().st_mode & 0o777 == 0o744
    assert (stamped_root / ".hawser/stamp").read_bytes() != stamp
    assert sorted(os.listdir(stamped_root / "bin")) == ["busybox", "program", "sh"]


def test_publish_makes_directories_but_no_stamp(root, tmp_path):
    done = run("tools/publish", "--root", str(root), "/etc/passwd", "/a/b/c")
    assert done.returncode == 0 and (root / "a/b/c").exists()
    assert not (root / ".hawser").exists()


def test_a_published_file_takes_its_name_out_of_the_list_of_links(stamped_root, tmp_path):
    links = stamped_root / ".hawser/links"
    links.write_text("/bin/busybox bin/sh bin/ls usr/bin/vi\n/bin/x bin/y\n")
    done = run("tools/publish", "--root", str(stamped_root), "/etc/passwd", "bin/ls")
    assert done.returncode == 0
    assert links.read_text() == "/bin/busybox bin/sh usr/bin/vi\n/bin/x bin/y\n"
    assert sorted(os.listdir(links.parent)) == ["links", "stamp"]


DYNAMIC = os.path.join(BUILD, "dynamic/glibc/program")


def test_publish_takes_a_file_that_is_cut_short_as_it_is(stamped_root, tmp_path):
    source = tmp_path / "program"
    with open(DYNAMIC, "rb") as file:
        source.write_bytes(file.read(100))
    done = run("tools/publish", "--root", str(stamped_root), "--with-libraries", str(source))
    assert done.returncode == 0 and done.stdout == "published /bin/program (100 bytes)\n", done.stderr


def test_publish_with_libraries_brings_all_that_a_dynamic_program_needs(stamped_root, tmp_path):
    here = {"env": os.environ | {"LD_LIBRARY_PATH": os.path.join(BUILD, "dynamic/glibc/lib")}}
    publish = ["tools/publish", "--root", str(stamped_root), "--with-libraries"]
    stamp = (stamped_root / ".hawser/stamp").read_bytes()
    done = run(*publish, DYNAMIC, "sbin/program", **here)
    assert done.returncode == 0, done.stderr
    names = [line.split()[1] for line in done.stdout.splitlines()]
    assert names[-1] == "/sbin/program"  # the last of them: it can be started once it is there
    assert set(names) == {"/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6",
                          "/usr/lib/libfirst.so", "/sbin/program"}
    for name in names:
        assert (stamped_root / name[1:]).is_file() and not (stamped_root / name[1:]).is_symlink()
    assert (stamped_root / ".hawser/stamp").read_bytes() != stamp
    # It is complete: nothing of this machine is needed to run it.
    inside = run("unshare", "--map-root-user", "chroot", str(stamped_root), "/sbin/program", "word")
    assert inside.returncode == 9, inside.stderr
    # What is the same is not written again.
    libc = (stamped_root / "lib/x86_64-linux-gnu/libc.so.6").stat()
    done = run(*publish, DYNAMIC, "sbin/program", **here)
    assert done.stdout.splitlines() == [line for line in done.stdout.splitlines() if "program" in line]
    assert (stamped_root / "lib/x86_64-linux-gnu/libc.so.6").stat().st_ino == libc.st_ino


def test_publish_with_libraries_takes_static_programs_and_scripts_as_they_are(root):
    for file in (os.path.join(BUILD, "guest/die"), os.path.join(TOP, "tools/deps")):
        done = run("tools/publish", "--root", str(root), "--with-libraries", file)
        assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("arguments,reason", [
    (["--root", "{root}", "--with-libraries", DYNAMIC], "needs libfirst.so, which was not found"),
    (["--root", "/no/such", "/etc/passwd"], "not a directory"),
    (["--root", "{root}", "/no/such"], "No such file"),
    (["--root", "{root}", "/etc/passwd", "../../outside"], "outside"),
])
def test_publish_says_what_it_cannot_do(root, arguments, reason):
    done = run("tools/publish", *[word.format(root=root) for word in arguments])
    assert done.returncode == 1 and reason in done.stderr


def wait_for(condition, what):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"{what} changed nothing"
        time.sleep(0.01)


def test_every_kind_of_change_rewrites_the_stamp(stamped_root):
    watcher = serving.StampWatcher(str(stamped_root))
    watcher.start()
    path = stamped_root / ".hawser/stamp"
    changes = {
        "a new file": lambda: (stamped_root / "new").write_text("x"),
        "a write in place": lambda: (stamped_root / "new").write_text("other"),
        "a rename": lambda: (stamped_root / "new").rename(stamped_root / "bin/renamed"),
        "a mode": lambda: (stamped_root / "bin/renamed").chmod(0o600),
        "a link": lambda: (stamped_root / "link").symlink_to("bin/busybox"),
        "a directory": lambda: (stamped_root / "deep/er").mkdir(parents=True),
        "a file in a new directory": lambda: (stamped_root / "deep/er/file").write_text("x"),
        "a removal": lambda: (stamped_root / "bin/renamed").unlink(),
    }
    try:
        for name, change in changes.items():
            before = path.read_bytes()
            change()
            wait_for(lambda: path.read_bytes() != before, name)
            settled = None
            while settled != path.read_bytes():
                settled = path.read_bytes()
                time.sleep(0.05)
        assert len(path.read_bytes()) < 512
    finally:
        watcher.stop()


def test_stamp_once(root):
    assert run("tools/stamp", "--once", str(root)).returncode == 0
    first = (root / ".hawser/stamp").read_bytes()
    assert run("tools/stamp", "--once", str(root)).returncode == 0
    assert (root / ".hawser/stamp").read_bytes() != first
    assert run("tools/stamp", "/no/such").returncode == 1


# --- the QEMU runner ------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments,reason", [
    (["--net", "carrier-pigeon"], "carrier-pigeon"),
    (["--net", "none"], "--boot direct"),
    (["--mem", "much"], "--mem"),
    (["--root", "/no/such"], "not a directory"),
    (["--init", "/bin/sh -c 'a \"b c\"'"], "cannot carry"),
    (["--append", "${net0/mac}"], "${"),
    (["--append", "x" * 2000], "too long"),
    (["--kernel", "/no/such"], "make image"),
])
def test_the_runner_refuses_with_status_2(arguments, reason):
    done = run("tools/qemu", *arguments)
    assert done.returncode == 2 and reason in done.stderr, done.stderr


def test_the_runner_has_help():
    done = run("tools/qemu", "--help")
    assert done.returncode == 0
    for option in ("--root", "--init", "--append", "--mem", "--boot", "--net", "--nic", "--icount"):
        assert option in done.stdout


# --- dependencies -----------------------------------------------------------------------------------------

FAKE_DPKG_QUERY = """\
    #!/bin/sh
    shift 3
    for name; do [ "$name" = qemu-system-x86 ] || printf 'ii %s\\n' "$name"; done
    """
FAKE_ID = """\
    #!/bin/sh
    echo 1000
    """


def test_deps_names_the_one_command_to_who_is_not_root(tmp_path):
    for name, text in (("dpkg-query", FAKE_DPKG_QUERY), ("id", FAKE_ID)):
        (tmp_path / name).write_text(textwrap.dedent(text))
        (tmp_path / name).chmod(0o755)
    stamp = tmp_path / "stamp"
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = run("tools/deps", "--stamp", str(stamp), "run", env={**os.environ, "PATH": path})
    assert done.returncode == 1 and not stamp.exists()
    commands = [line.strip() for line in done.stderr.splitlines() if "apt-get" in line]
    assert commands == ["sudo apt-get install -y --no-install-recommends qemu-system-x86"]


def test_deps_is_satisfied_here_and_leaves_a_stamp(tmp_path):
    stamp = tmp_path / "a/stamp"
    done = run("tools/deps", "--stamp", str(stamp), "run", "test")
    assert done.returncode == 0 and done.stdout == "" and stamp.exists()


# --- the order of the rooms, and the count of tests ---------------------------------------------------------

def test_the_rooms_are_in_order():
    done = run("tools/check-includes")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("text,counted", [
    ("printf '1..2\\nok 1 - a\\nok 2 - b\\n'", "2 passed, 0 failed"),
    ("printf '1..2\\nok 1 - a\\nnot ok 2 - b\\n'", "1 passed, 1 failed"),
    ("printf '1..3\\nok 1 - a\\n'", "1 passed, 2 failed"),
    ("printf '1..1\\nok 1 - a\\n'; exit 3", "1 passed, 1 failed"),
    ("printf '1..1\\nok 1 - a\\n'; kill -SEGV $$", "1 passed, 1 failed"),
    ("printf '1..1\\nok 1 - a # SKIP no tun\\n'", "0 passed, 1 failed"),
    ("echo nothing", "0 passed, 1 failed"),
])
def test_who_counts_is_not_fooled(tmp_path, text, counted):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    done = run("tests/run", "--guest", str(program))
    assert done.stdout.splitlines()[-1] == counted
    assert done.returncode == (0 if counted.endswith(" 0 failed") else 1)


def test_who_runs_in_the_background_heeds_signals_all_the_same(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nsh -c 'kill -QUIT $$' || echo ok 1; sh -c 'kill -HUP $$' || echo ok 2\n"
                       "echo 1..2\n")
    program.chmod(0o755)
    done = run("sh", "-c", f"trap '' HUP INT QUIT; exec tests/run --guest {program}")
    assert done.stdout.splitlines()[-1] == "2 passed, 0 failed"


def test_no_tests_of_a_kind_is_a_failure():
    assert run("tests/run", "--host").stdout.splitlines()[-1] == "0 passed, 1 failed"
