"""Fixtures for the system tests. See harness.py."""

import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def tools_are_here():
    """What is missing is a failure that names it, never a skip."""
    for name in ("qemu-system-x86_64", "ip", "unshare", "nsenter"):
        assert shutil.which(name), f"{name} is not installed: run `make deps`"
    for path in ("hawser", "root/bin/busybox"):
        assert os.path.exists(os.path.join(harness.BUILD, path)), f"build/{path}: run `make image`"


@pytest.fixture
def segment():
    with harness.Segment() as one:
        yield one


@pytest.fixture
def root(tmp_path):
    """A root of the test's own, without a stamp."""
    return harness.make_root(tmp_path / "root")


@pytest.fixture
def stamped_root(tmp_path):
    return harness.make_root(tmp_path / "root", stamped=True)
