"""The boot timeline as an SVG: one bar for each kernel, its stages from left to right."""

from xml.sax.saxutils import escape

# Each stage runs from its moment to the next one that was seen (tests/bench/bench).
STAGES = [
    ("start", "firmware", "#c8c8c8"),
    ("first packet", "iPXE: DHCP", "#9db8d2"),
    ("boot script", "boot script", "#6f97bd"),
    ("kernel requested", "kernel over the wire", "#3f6f9f"),
    ("kernel entry", "kernel, silent", "#e2a76f"),
    ("first packet of the kernel", "network up", "#d98032"),
    ("program requested", "program over the wire", "#5d9a5d"),
    ("program here", "program starts", "#2f6b2f"),
]
END = "first line"
WIDTH, LEFT, BAR, GAP, TOP = 960, 90, 34, 26, 62


def nice_step(span):
    for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20):
        if span / step <= 12:
            return step
    return 60


def draw(path, boots):
    """`boots`: name -> {moment: seconds since the start}."""
    span = max(moments[END] for moments in boots.values())
    scale = (WIDTH - LEFT - 30) / span
    height = TOP + len(boots) * (BAR + GAP) + 40
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>']
    for index, (_, label, colour) in enumerate(STAGES):  # the legend, in two rows
        x, y = LEFT + index % 4 * 210, 10 + index // 4 * 20
        out.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{x + 18}" y="{y + 10}">{escape(label)}</text>')
    bottom = TOP + len(boots) * (BAR + GAP)
    step, tick = nice_step(span), 0.0
    while tick <= span + step / 2:
        x = LEFT + tick * scale
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>'
                   f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g} s</text>')
        tick += step
    for row, (name, moments) in enumerate(boots.items()):
        y = TOP + row * (BAR + GAP)
        out.append(f'<text x="{LEFT - 8}" y="{y + BAR / 2 + 4}" text-anchor="end">'
                   f'{escape(name)}</text>')
        ends = [moments[moment] for moment, _, _ in STAGES[1:]] + [moments[END]]
        for (moment, label, colour), end in zip(STAGES, ends):
            x, width = LEFT + moments[moment] * scale, (end - moments[moment]) * scale
            out.append(f'<rect x="{x:.1f}" y="{y}" width="{max(width, 0):.1f}" height="{BAR}" '
                       f'fill="{colour}"><title>{escape(name)}: {escape(label)}, '
                       f'{end - moments[moment]:.3f} s</title></rect>')
        took = moments[END] - moments["kernel entry"]
        out.append(f'<text x="{LEFT + moments["kernel entry"] * scale:.1f}" y="{y + BAR + 14}">'
                   f'entry to first line: {took:.3f} s</text>')
    out.append("</svg>")
    with open(path, "w", encoding="utf-8") as svg:
        svg.write("\n".join(out) + "\n")
