"""Tables of costs in instructions: one static program on Hawser and on Linux, row by row.

PROGRAMS names them: tests/bench/NAME.c prints `row WHAT VALUE` lines (rows.h), and the rows that both
kernels printed are compared. To add a table, write such a program and add its line here. Each runs
alone in a boot of its own, in the same QEMU under -icount, as a child of busybox's shell: 1 GiB (with
less, Linux has no large pages), one qemu64 processor, no network on Linux, and on Hawser none in
anything that is measured. Linux is Debian's cloud kernel without what costs it time for safety or
accounting ("lean").
"""

import os
import re
import shutil
import subprocess
from xml.sax.saxutils import escape

import linux_peer

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = {
    "vm": "memory and processes",
    "unix": "what processes say to each other",
}
LEAN = "mitigations=off nopti init_on_alloc=0 cgroup_disable=memory audit=0"
MACHINE = ["--boot", "direct", "--icount", "--cpu", "qemu64", "--mem", "1024"]
LIMIT = 600  # seconds for one boot, at most
ROW = re.compile(r"^row (.+) (\d+)\s*$", re.MULTILINE)
DONE = "rows are done"
# After the program the machine ends: Hawser with its first process, Linux when it is told to.
SCRIPT = "#!/bin/sh\n/bench/{name} && echo {done}\n{end}"


class Failed(Exception):
    """A table that could not be measured; the text says why."""


def build(work, name):
    program = os.path.join(work, name)
    subprocess.run(["musl-gcc", "-static", "-O2", "-s", "-Wall", "-Wextra", "-o", program,
                    os.path.join(TOP, f"tests/bench/{name}.c")], check=True)
    return program


def boot(arguments):
    """Runs the machine to its end; returns the rows in order."""
    command = [os.path.join(TOP, "tools/qemu"), *MACHINE, "--timeout", str(LIMIT), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    output = done.stdout.decode(errors="replace").replace("\r", "")
    if DONE not in output:
        raise Failed(f"the program did not end well:\n{output[-1500:]}")
    return {what: int(value) for what, value in ROW.findall(output)}


def write_script(path, name, end=""):
    with open(path, "w", encoding="ascii") as script:
        script.write(SCRIPT.format(name=name, done=DONE, end=end))
    os.chmod(path, 0o755)


def fresh_tree(work, name, program, busybox):
    tree = os.path.join(work, name)
    shutil.rmtree(tree, ignore_errors=True)
    for directory in ("bin", "bench", "tmp", "dev", "proc"):
        os.makedirs(os.path.join(tree, directory))
    shutil.copy(busybox, os.path.join(tree, "bin/busybox"))
    os.symlink("busybox", os.path.join(tree, "bin/sh"))
    shutil.copy(program, os.path.join(tree, "bench"))
    return tree


def run_hawser(work, name, program, busybox):
    tree = fresh_tree(work, "rows-hawser", program, busybox)
    write_script(os.path.join(tree, "bench/run"), name)
    return boot(["--root", tree, "--init", "/bench/run", "--append", "quiet"])


def run_linux(work, name, program, busybox):
    kernel, _, version = linux_peer.fetch_kernel(work)
    tree = fresh_tree(work, "rows-linux", program, busybox)
    write_script(os.path.join(tree, "init"), name, "/bin/busybox poweroff -f\n")
    image = os.path.join(work, "rows-linux.cpio")
    subprocess.run(f"find . | cpio --quiet -o -H newc -R 0:0 > {image}", shell=True, cwd=tree,
                   check=True)
    rows = boot(["--net", "none", "--kernel", kernel,
                 "--append", f"console=ttyS0 quiet panic=-1 {LEAN}",
                 "--", "-initrd", image, "-no-reboot"])
    return rows, version


def measure(work, name, busybox):
    """Returns {"Hawser": {row: instructions}, "Linux": …, "version": …}."""
    program = build(work, name)
    linux, version = run_linux(work, name, program, busybox)
    return {"Hawser": run_hawser(work, name, program, busybox), "Linux": linux, "version": version}


def compare(table):
    """The rows of both, with their ratios."""
    return [(what, own, table["Linux"][what], own / table["Linux"][what])
            for what, own in table["Hawser"].items() if table["Linux"].get(what)]


def report(name, table):
    print(f"{PROGRAMS[name] + ', instructions':<52}{'Hawser':>12}{'Linux':>12}{'ratio':>8}")
    for what, own, peer, ratio in compare(table):
        print(f"{what:<52}{own:>12,}{peer:>12,}{ratio:>8.2f}{'' if ratio <= 1 else '  slower'}")
    print()


LEFT, BAR, WIDTH, HEAD = 330, 20, 900, 44


def draw(path, name, table):
    """One bar for each row: how much of Linux's cost it is."""
    rows = compare(table)
    limit = max(1.2, *(ratio for _, _, _, ratio in rows)) if rows else 1.2
    scale, bottom = (WIDTH - LEFT - 60) / limit, HEAD + BAR * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 30}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{bottom + 30}" fill="white"/>',
           f'<text x="{LEFT}" y="16" font-size="14">{escape(PROGRAMS[name])}: instructions, as a '
           'share of Linux\'s</text>']
    for mark in (0.5, 1.0):
        x = LEFT + mark * scale
        out.append(f'<line x1="{x:.1f}" y1="{HEAD - 8}" x2="{x:.1f}" y2="{bottom}" stroke="#888" '
                   f'stroke-dasharray="4 3"/><text x="{x:.1f}" y="{HEAD - 12}" '
                   f'text-anchor="middle">{mark:g}</text>')
    for index, (what, own, peer, ratio) in enumerate(rows):
        y = HEAD + index * BAR
        colour = "#2f6b2f" if ratio <= 0.5 else "#6f97bd" if ratio <= 1 else "#d98032"
        out.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(what)}</text>'
                   f'<rect x="{LEFT}" y="{y + 3}" width="{ratio * scale:.1f}" height="{BAR - 6}" '
                   f'fill="{colour}"><title>{own:,} / {peer:,}</title></rect>'
                   f'<text x="{LEFT + ratio * scale + 5:.1f}" y="{y + 14}">{ratio:.2f}</text>')
    out.append("</svg>")
    with open(path, "w", encoding="utf-8") as svg:
        svg.write("\n".join(out) + "\n")
