"""`make test-big`: what needs more memory than a machine should be asked for by default."""

import os
import re
import shutil

from harness import BUILD, boot, make_root

HEAP = 8  # GiB


def test_a_heap_of_eight_gib(tmp_path):
    root = make_root(tmp_path / "root", stamped=True)
    shutil.copy(os.path.join(BUILD, "guest/heap"), root / "heap")
    (root / "start").write_text(
        f"#!/bin/sh\n/heap {HEAP} && busybox grep -E 'thp|Huge' /proc/vmstat /proc/meminfo\n")
    (root / "start").chmod(0o755)
    log = boot("/start", root=root, mem=(HEAP + 2) * 1024, timeout=300)
    assert log.count("ok: ") == 5
    assert int(re.search(r"thp_fault_alloc (\d+)", log).group(1)) > HEAP * 512 * 9 // 10
    assert re.search(r"AnonHugePages: +0 kB", log), "the heap was given back"
