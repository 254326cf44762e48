"""The whole system-call table, called at random by several processes at once."""

import os
import re
import shutil

import pytest

from harness import BUILD, boot, make_root

# Of each of the two runs; `make test-big` makes it a million.
CALLS = int(os.environ.get("FUZZ_CALLS", "100000"))
CALLS_PER_SECOND = 1000  # at least, on a slow and busy machine


@pytest.mark.parametrize("seed,kernel", [(1, "hawser"), (2, "debug/hawser")])
def test_random_calls_leave_the_kernel_alive_and_every_frame_free(tmp_path, seed, kernel):
    root = make_root(tmp_path / "root", stamped=True)
    (root / "guest").mkdir()
    shutil.copy(os.path.join(BUILD, "guest", "fuzz"), root / "guest" / "fuzz")
    seed = int(os.environ.get("FUZZ_SEED", "0")) + seed
    log = boot(f"/guest/fuzz {CALLS} {seed}", root=root, kernel=os.path.join(BUILD, kernel),
               timeout=60 + CALLS // CALLS_PER_SECOND)
    assert not re.findall(r"^not ok.*", log, re.M), log[-4000:]
    assert len(re.findall(r"^ok ", log, re.M)) == int(re.search(r"^1\.\.(\d+)", log, re.M)[1])
