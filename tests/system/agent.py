"""The program tests/guest/tools/agent.c, in as many versions as a test wants, and talking to it."""

import os
import re
import struct
import zlib

from harness import BUILD, PROMPT, Guest

PROGRAM = os.path.join(BUILD, "guest/agent")
VERSION_MARK, LATE_MARK = b"HAWSER-AGENT 0000", b"HAWSER-LATE-PAGES"
LATE_SIZE = 64 * 4096
PATH = "/bin/agent"


def crc(content):
    return f"{zlib.crc32(content):08x}"


def loaded_end(program):
    """The end in the file of what a PT_LOAD shows."""
    table, = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    headers = [struct.unpack_from("<IIQQQQ", program, table + i * size) for i in range(count)]
    return max(offset + length for kind, _, offset, _, _, length in headers if kind == 1)


class Version:
    """The bytes of one version, whose number is in its first pages and all over its late ones."""

    def __init__(self, number, tail=b""):
        with open(PROGRAM, "rb") as file:
            program = bytearray(file.read())
        text = VERSION_MARK[:-4] + b"%04d" % number
        at = program.index(VERSION_MARK)
        program[at:at + len(text)] = text
        late = program.index(LATE_MARK)
        late_bytes = b"".join(b"page %04d of %04d" % (page, number) * 256
                              for page in range(LATE_SIZE // 4096 + 1))[:LATE_SIZE]
        program[late:late + LATE_SIZE] = late_bytes
        self.needed = loaded_end(program)
        self.name, self.late = text.decode(), crc(late_bytes)
        self.bytes = bytes(program) + tail
        self.sum = f"{len(self.bytes)} bytes {crc(self.bytes)}"

    def put(self, root, path=PATH):
        """Publishes it as `path` by rename."""
        put(root, path, self.bytes)
        return self


def put(root, path, content):
    """Write, then rename."""
    target = os.path.join(root, path.lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target + ".new", "wb") as file:
        file.write(content)
    os.chmod(target + ".new", 0o755)
    os.rename(target + ".new", target)


class Agent(Guest):
    """A machine whose first process is the agent."""

    def __init__(self, init=PATH, **keywords):
        super().__init__(init, **keywords)

    def __enter__(self):
        self.expect(PROMPT)
        return self

    def ask(self, command, timeout=None):
        """The answer to a command: its last line, for the kernel logs on the same terminal."""
        lines = self.run(command, timeout).splitlines()
        return re.sub(r"^.*\r", "", lines[-1]) if lines else ""

    def execute(self, path=PATH, timeout=None):
        """An execve that succeeds is answered by the new version's prompt alone."""
        answer = self.ask(f"exec {path}", timeout)
        assert "errno" not in answer, self.failure(f"exec {path}: {answer}")
        return self

    def errno(self, command, timeout=None):
        """The errno with which a command fails."""
        answer = self.ask(command, timeout)
        match = re.fullmatch(r"errno (\d+)(?: after \d+ bytes)?", answer)
        assert match, self.failure(f"{command}: {answer!r} is no errno")
        return int(match[1])

    def number(self, name, path="/proc/vmstat"):
        return int(self.ask(f"number {path} {name}"))

    def census(self):
        """
        The free frames, once everything that may be dropped has been; and the agent's own page
        tables and private pages, which are more or fewer as it happens to lie.
        """
        # The first one touches pages of the agent's own.
        self.number("nr_free_frames", "/proc/census")
        return (self.number("nr_free_frames", "/proc/census") +
                self.number("nr_own_frames", "/proc/census"))

    def is_version(self, version):
        """Runs `version`, from its first page to the last."""
        assert self.ask("version") == version.name, self.failure("another version")
        assert self.ask("late") == version.late, self.failure("late pages of another version")
        return True

    def end(self):
        self.type("exit 0\r")
        assert self.finish(20) == 0
        assert "panic" not in self.log.lower(), self.log
