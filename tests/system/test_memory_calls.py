"""Memory: what is too much for the one boot in which all guest programs run."""

import os
import shutil

import pytest

from harness import BUILD, boot, census, make_root


CALLS = int(os.environ.get("HAWSER_MEMORY_CALLS", "40000"))  # of each of three; make test-big: more


@pytest.fixture
def root(tmp_path):
    root = make_root(tmp_path / "root", stamped=True)
    shutil.copy(os.path.join(BUILD, "guest", "vm_fuzz"), root / "vm_fuzz")
    return root


@pytest.mark.parametrize("kernel", ["hawser", "debug/hawser"])
def test_random_calls_lose_no_frame(root, kernel):
    """Three processes make random calls of the memory family, fork, and end: all memory comes back."""
    (root / "play").write_text(
        "#!/bin/sh\n"
        "look() { while read n v; do case $n in nr_free_frames) echo $n $v;; esac; done"
        " </proc/vmstat; }\n"
        f"/vm_fuzz 1000 1; look; /vm_fuzz {CALLS} 2; look\n")
    log = boot("/bin/sh /play", root=root, append="quiet", timeout=300,
               kernel=os.path.join(BUILD, kernel))
    assert "not ok" not in log, log
    assert log.count("kept what is theirs") == 2
    before, after = census(log)
    assert before == after
