"""/dev/fb0: a program draws, and what QEMU's screen shows is what it drew."""

import os
import re
import shutil
import socket
import time

from harness import BUILD, Guest, make_root

WIDTH, HEIGHT = 640, 480


def expected():
    """The picture of tests/guest/tools/picture.c, as the bytes of a PPM."""
    picture = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            picture += bytes((x & 255, y & 255, x * y >> 6 & 255))
    return bytes(picture)


def screendump(monitor, path):
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(monitor))
        link.settimeout(20)
        while not link.recv(4096).endswith(b"(qemu) "):
            pass
        link.sendall(f"screendump {path}\n".encode())
        answer = b""
        while not answer.endswith(b"\n(qemu) "):
            answer += link.recv(4096)
    deadline = time.monotonic() + 20
    while not path.exists() or path.stat().st_size < WIDTH * HEIGHT * 3:
        assert time.monotonic() < deadline, f"no screendump: {answer}"
        time.sleep(0.05)
    return path.read_bytes()


def test_a_program_draws_a_picture(tmp_path):
    root = make_root(tmp_path / "root", stamped=True)
    (root / "guest").mkdir()
    shutil.copy(os.path.join(BUILD, "guest", "picture"), root / "guest" / "picture")
    monitor = tmp_path / "monitor"
    with Guest("/guest/picture", root=root, append="quiet",
               extra=("-monitor", f"unix:{monitor},server=on,wait=off")) as guest:
        guest.expect("the picture is drawn")
        dump = screendump(monitor, tmp_path / "screen.ppm")
        guest.type("\r")
        assert guest.finish() == 0
    assert not re.search(r"^not ok", guest.log, re.M), guest.log
    header = f"P6\n{WIDTH} {HEIGHT}\n255\n".encode()
    assert dump.startswith(header)
    assert dump[len(header):] == expected()
