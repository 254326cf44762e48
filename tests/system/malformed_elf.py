#!/usr/bin/env python3
"""Files that execve(2) must refuse, each with the errno that it must give.

    malformed_elf.py DIRECTORY [BASE]

writes them to DIRECTORY, and DIRECTORY/list with a line `NAME ERRNO LINUX` for each. BASE is where
they lie when they are run, if not there: scripts name each other by it. Every file is a sound program
(it would exit with status 42) but for one thing. LINUX says what Linux does with it, as
tests/guest/exec_errors.c checks when it runs there:

    same    the same errno
    dies    it finds the mistake after its point of no return, and kills the caller
    runs    it does not look, and the program runs or fails by itself
    ERRNO   another errno, because another check comes first
"""
import os
import struct
import sys

BASE = b"@BASE@"  # in a file: the directory in which it will be run
LOAD, INTERP, NOTE, STACK = 1, 3, 4, 0x6474E551
R, W, X = 4, 2, 1
TEXT = 0x400000
HEADERS = 64 + 4 * 56
PAGE = 0x1000
U64 = (1 << 64) - 1
USER_MAX = 0x7FFFFFFFF000
KERNEL = 0xFFFF800000000000

# mov eax, 231 (exit_group); mov edi, 42; syscall
CODE = b"\xb8\xe7\x00\x00\x00\xbf\x2a\x00\x00\x00\x0f\x05"
ENTRY = TEXT + HEADERS
SIZE = 3 * PAGE


def phdr(kind=LOAD, flags=R, offset=0, vaddr=TEXT, filesz=0, memsz=None, align=PAGE):
    return {"type": kind, "flags": flags, "offset": offset, "vaddr": vaddr, "paddr": vaddr,
            "filesz": filesz, "memsz": filesz if memsz is None else memsz, "align": align}


def text(**change):
    return phdr(flags=R | X, offset=0, filesz=PAGE) | change


def data(**change):
    return phdr(flags=R | W, offset=PAGE, vaddr=TEXT + PAGE, filesz=PAGE, memsz=4 * PAGE) | change


def elf(phdrs=None, size=SIZE, ident=b"\x7fELF\2\1\1", **change):
    phdrs = [text(), data()] if phdrs is None else phdrs
    header = {"type": 2, "machine": 62, "version": 1, "entry": ENTRY, "phoff": 64, "shoff": 0,
              "flags": 0, "ehsize": 64, "phentsize": 56, "phnum": len(phdrs), "shentsize": 0,
              "shnum": 0, "shstrndx": 0} | change
    out = ident.ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", *header.values())
    out += b"".join(struct.pack("<IIQQQQQQ", *(value & U64 for value in p.values()))
                    for p in phdrs)
    out = out.ljust(HEADERS, b"\0") + CODE
    return out.ljust(size, b"\0")[:size]


def flat(text_size=PAGE, address=TEXT, file_size=2 * PAGE, memory_size=4 * PAGE, entry=TEXT + 32,
         magic=b"\x7fBIN", size=2 * PAGE):
    header = magic + struct.pack("<IQIIQ", text_size, address, file_size, memory_size, entry)
    return (header + CODE).ljust(size, b"\0")[:size]


def dyn(*phdrs, **change):
    return elf([p | {"vaddr": p["vaddr"] - TEXT} for p in phdrs], type=3, entry=HEADERS, **change)


# The files: name -> (content, or a function that makes it of BASE; errno; what Linux does).
FILES = {}


def add(name, content, errno="ENOEXEC", linux="same"):
    assert name not in FILES
    FILES[name] = (content, errno, linux)


# --- too short --------------------------------------------------------------------------------
add("empty", b"")
add("one_byte", b"\x7f")
add("magic_only", b"\x7fELF")
add("half_a_header", elf()[:32])
add("header_without_last_byte", elf()[:63])
add("header_only", elf()[:64])
add("half_of_the_program_headers", elf()[:64 + 56])
add("text_cut_short", elf()[:PAGE // 2], linux="runs")
add("data_cut_short", elf()[:2 * PAGE - 1], linux="runs")
add("data_missing", elf()[:PAGE], linux="runs")
add("all_zeroes", bytes(SIZE))
add("not_a_program", b"hello, world\n")

# --- the file header --------------------------------------------------------------------------
add("bad_magic", elf(ident=b"\x7fELG\2\1\1"))
add("class_32", elf(ident=b"\x7fELF\1\1\1"), linux="runs")
add("class_0", elf(ident=b"\x7fELF\0\1\1"), linux="runs")
add("big_endian", elf(ident=b"\x7fELF\2\2\1"), linux="runs")
add("ident_version_0", elf(ident=b"\x7fELF\2\1\0"), linux="runs")
add("version_2", elf(version=2), linux="runs")
add("machine_arm64", elf(machine=183))
add("machine_none", elf(machine=0))
add("type_none", elf(type=0))
add("type_relocatable", elf(type=1))
add("type_core", elf(type=4))
add("type_65535", elf(type=65535))
add("phentsize_0", elf(phentsize=0))
add("phentsize_32", elf(phentsize=32))
add("phentsize_57", elf(phentsize=57))
add("phnum_0", elf(phnum=0))
add("phnum_65535", elf(phnum=65535))
add("phnum_over_64_kib", elf(phnum=65536 // 56 + 1, size=80000))
add("phnum_beyond_the_end", elf(phnum=1000))
add("phoff_beyond_the_end", elf(phoff=SIZE))
add("phoff_huge", elf(phoff=1 << 62))
add("phoff_negative", elf(phoff=U64 - 63))
add("phoff_wraps", elf(phoff=U64 - 111 + 56))
add("entry_0", elf(entry=0), linux="runs")
add("entry_below_the_text", elf(entry=TEXT - 1), linux="runs")
add("entry_in_the_data", elf(entry=TEXT + PAGE), linux="runs")
add("entry_after_the_data", elf(entry=TEXT + 5 * PAGE), linux="runs")
add("entry_in_the_kernel", elf(entry=KERNEL), linux="runs")
add("entry_not_canonical", elf(entry=1 << 47), linux="runs")

# --- segments ---------------------------------------------------------------------------------
add("no_load_segment", elf([phdr(NOTE)]), linux="runs")
add("no_executable_segment", elf([text(flags=R), data()]), linux="runs")
add("memsz_below_filesz", elf([text(), data(memsz=PAGE - 1)]), linux="dies")
add("text_memsz_0", elf([text(memsz=0), data()]), linux="dies")
add("filesz_huge", elf([text(), data(filesz=U64, memsz=U64)]), linux="dies")
add("filesz_beyond_the_end", elf([text(), data(filesz=1 << 30, memsz=1 << 30)]), linux="runs")
add("memsz_huge", elf([text(), data(memsz=U64)]), linux="dies")
add("memsz_wraps_to_the_text", elf([text(), data(memsz=U64 - PAGE)]), linux="dies")
add("memsz_of_the_user_half", elf([text(), data(memsz=USER_MAX)]), linux="dies")
add("vaddr_in_the_kernel", elf([text(), data(vaddr=KERNEL)]), linux="dies")
add("vaddr_at_the_very_end", elf([text(), data(vaddr=U64 - PAGE + 1)]), linux="dies")
add("vaddr_not_canonical", elf([text(), data(vaddr=1 << 47)]), linux="dies")
add("vaddr_crosses_the_user_half", elf([text(), data(vaddr=USER_MAX - 2 * PAGE)]), linux="dies")
add("text_in_the_kernel", elf([text(vaddr=KERNEL), data()], entry=KERNEL + HEADERS), linux="dies")
add("vaddr_0", elf([text(vaddr=0), data()], entry=HEADERS), linux="runs")
add("vaddr_below_the_lowest", elf([text(vaddr=PAGE), data()], entry=PAGE + HEADERS),
    linux="runs")
add("offset_huge", elf([text(), data(offset=1 << 62)]), linux="runs")
add("offset_wraps", elf([text(), data(offset=U64 - PAGE + 1, filesz=2 * PAGE)]), linux="dies")
add("offset_negative", elf([text(), data(offset=(1 << 63))]), linux="dies")
add("offset_not_congruent", elf([text(), data(offset=PAGE + 1, filesz=16)]), linux="dies")
add("vaddr_not_congruent", elf([text(), data(vaddr=TEXT + PAGE + 16, filesz=16)]), linux="dies")
add("segments_overlap", elf([text(memsz=3 * PAGE, filesz=PAGE), data()]), linux="runs")
add("segments_equal", elf([text(), text()]), linux="runs")
add("segments_out_of_order", elf([data(), text()]), linux="runs")
add("segment_contains_another", elf([text(filesz=SIZE), data(filesz=16, memsz=16)]), linux="runs")
add("page_shared_with_other_bytes",
    elf([text(filesz=0x800), data(offset=PAGE + 0x800, vaddr=TEXT + 0x800, filesz=0x100)]),
    linux="runs")
add("page_shared_with_bss",
    elf([text(filesz=0x800, memsz=0x900), data(offset=0x900, vaddr=TEXT + 0x900, filesz=0x100)]),
    linux="runs")
add("page_shared_without_right_to_run",
    elf([text(filesz=0x800), data(offset=0x800, vaddr=TEXT + 0x800, filesz=0x100)]),
    linux="runs")

# --- position-independent ---------------------------------------------------------------------
add("pie_larger_than_memory", dyn(text(), data(vaddr=TEXT + (1 << 46), memsz=1 << 46)),
    linux="dies")
add("pie_aligned_to_2_to_the_62", dyn(text(align=1 << 62), data()), linux="runs")
add("pie_entry_outside", elf([p | {"vaddr": p["vaddr"] - TEXT} for p in (text(), data())],
                             type=3, entry=1 << 40), linux="runs")
add("pie_without_segments", elf([phdr(NOTE)], type=3), linux="dies")

# --- interpreters -----------------------------------------------------------------------------
def interp(**change):
    return phdr(INTERP, R, 0x800, TEXT + 0x800, 16) | change


def with_interpreter(name, **change):
    return elf([interp(filesz=len(name), **change), text(), data()])[:0x800] + name.ljust(SIZE)


def wants(name):
    """A program whose interpreter is one of the other files."""
    return lambda base: with_interpreter(base + b"/" + name + b"\0")


add("interpreter_missing", with_interpreter(b"/no-such-directory/no-such-interpreter\0"), "ENOENT")
add("interpreter_without_name", with_interpreter(b"\0\0"), "EACCES")
add("interpreter_empty", elf([interp(filesz=0), text(), data()]))
add("interpreter_of_one_byte", elf([interp(filesz=1), text(), data()]))
add("interpreter_longer_than_a_path", elf([interp(filesz=PAGE + 1), text(), data()]))
add("interpreter_not_terminated", with_interpreter(b"/no-such-directory/no-such-interpreter"))
add("interpreter_beyond_the_end", elf([interp(offset=SIZE), text(), data()]), "EIO")
add("interpreter_cut_short", elf([interp(offset=SIZE - 4), text(), data()]), "EIO")
add("interpreter_offset_wraps", elf([interp(offset=U64 - 7), text(), data()]), "EINVAL")
# The second one would be refused with another errno.
add("interpreter_first_of_two_counts",
    elf([interp(filesz=9), interp(filesz=0), text(), data()])[:0x800] + b"/missing\0".ljust(SIZE),
    "ENOENT")
add("interpreter_is_a_directory", wants(b"."), "EACCES")
add("interpreter_is_empty", wants(b"empty"), "EIO")
add("interpreter_too_short", wants(b"header_without_last_byte"), "EIO")
add("interpreter_is_a_script", wants(b"script_name_too_long"), "ELIBBAD")
add("interpreter_is_flat", wants(b"flat_not_aligned"), "ELIBBAD")
for bad in ("bad_magic", "machine_arm64", "phentsize_57", "phnum_0", "phnum_over_64_kib",
            "phoff_beyond_the_end"):
    add(f"interpreter_has_{bad}", wants(bad.encode()), "ELIBBAD")
for bad in ("type_relocatable", "type_core", "memsz_below_filesz", "memsz_huge", "vaddr_in_the_kernel",
            "offset_not_congruent", "pie_larger_than_memory"):
    add(f"interpreter_has_{bad}", wants(bad.encode()), "ELIBBAD", "dies")
for bad in ("text_cut_short", "entry_0", "entry_in_the_kernel", "pie_aligned_to_2_to_the_62"):
    add(f"interpreter_has_{bad}", wants(bad.encode()),
        "ENOMEM" if bad.startswith("pie") else "ELIBBAD", "runs")

# --- flat binaries, which Linux does not know ------------------------------------------------------
add("flat_magic_only", b"\x7fBIN")
add("flat_header_cut_short", flat()[:31])
add("flat_cut_short", flat()[:PAGE])
add("flat_not_aligned", flat(address=TEXT + 16))
add("flat_in_the_kernel", flat(address=KERNEL, entry=KERNEL + 32))
add("flat_at_0", flat(address=0, entry=32))
add("flat_at_the_end", flat(address=USER_MAX - PAGE, entry=USER_MAX - PAGE + 32))
add("flat_text_too_large", flat(text_size=3 * PAGE))
add("flat_text_too_small", flat(text_size=16))
add("flat_text_not_aligned", flat(text_size=PAGE + 16))
add("flat_file_larger_than_memory", flat(memory_size=PAGE))
add("flat_entry_outside", flat(entry=TEXT + PAGE))

# --- scripts ----------------------------------------------------------------------------------
def script(line):
    return b"#!" + line


add("script_without_interpreter", script(b"\necho\n"))
add("script_of_blanks", script(b"   \t \n"))
add("script_of_blanks_only", script(b" " * 400))
add("script_of_two_bytes", script(b""), "ENOEXEC", "EACCES")
add("script_name_too_long", script(b"/" + b"x" * 400 + b"\n"))
add("script_without_newline_too_long", script(b"/" + b"x" * 400))
add("script_interpreter_missing", script(BASE + b"/no-such-interpreter\n"), "ENOENT")
add("script_interpreter_not_a_program", script(BASE + b"/not_a_program\n"))
add("script_interpreter_is_a_bad_elf", script(BASE + b"/bad_magic -x\n"))
add("script_of_itself", script(BASE + b"/script_of_itself\n"), "ELOOP")
add("script_of_a_script_of_it", script(BASE + b"/script_of_the_other\n"), "ELOOP")
add("script_of_the_other", script(BASE + b"/script_of_a_script_of_it\n"), "ELOOP")
for depth in range(1, 7):
    add(f"script_depth_{depth}",
        script(BASE + (b"/script_depth_%d\n" % (depth - 1) if depth > 1 else b"/not_a_program\n")),
        "ENOEXEC" if depth <= 5 else "ELOOP")


def write(directory, base=None):
    """Writes every file and the list. Returns how many files there are."""
    base = (base or os.path.abspath(directory)).encode()
    os.makedirs(directory, exist_ok=True)
    lines = []
    for name, (content, errno, linux) in FILES.items():
        content = content(base) if callable(content) else content.replace(BASE, base)
        path = os.path.join(directory, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o755)
        lines.append(f"{name} {errno} {linux}\n")
    with open(os.path.join(directory, "list"), "w", encoding="ascii") as file:
        file.writelines(lines)
    return len(FILES)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    print(f"{write(*sys.argv[1:])} files in {sys.argv[1]}")
