"""Charts of a stored result, as SVG: horizontal bars, one panel a scenario, readable on light and dark pages."""

from xml.sax.saxutils import escape

from tables import shown

WIDTH = 900
COLUMNS = 2
BAR = 15
STEP = 21
LABEL = 138
GAP = 28
STYLE = """
  .page { fill: #ffffff; } .text { fill: #1f2328; } .faint { fill: #59636e; } .line { stroke: #8c959f; }
  .own { fill: #0969da; } .peer { fill: #afb8c1; } .floor { fill: #d8dee4; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } .text { fill: #e6edf3; } .faint { fill: #9198a1; } .line { stroke: #6e7681; }
    .own { fill: #4493f8; } .peer { fill: #57606a; } .floor { fill: #30363d; }
  }
  text { font: 12px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
  .over { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
  @media (prefers-color-scheme: dark) { .over { stroke: #0d1117; } }
  .title { font-size: 16px; font-weight: 600; } .head { font-weight: 600; }
"""
# File, title, what the bars say, scenarios with the figure shown (None: the main one), whether ratios are drawn.
CHARTS = [
    (
        "performance-fanout.svg",
        "Processor time of a delivered message",
        "Ratio to send() by a bare epoll program (1.00). Shorter is better.",
        [
            (f"fanout-{members}{suffix}", None)
            for members in (10, 100, 1000, 10000)
            for suffix in ("", "-1k")
        ]
        + [("fanout-mixed", None), ("tick", None)],
        True,
    ),
    (
        "performance-connections.svg",
        "Processor time of an echo, a ping, a connect, a return",
        "Ratio to the floor (1.00). Shorter is better.",
        [("echo", None), ("pings", None), ("idle", None), ("storm", None)],
        True,
    ),
    (
        "performance-memory.svg",
        "Resident memory of an idle connection",
        "KB beyond the empty process. Shorter is better.",
        [("idle", "resident_kb_per_connection"), ("idle-polling", None)],
        False,
    ),
    (
        "performance-throughput.svg",
        "Delivered messages a second",
        "On one core (two threads: two), the load generator on another. Longer is better.",
        [("outstanding", None), ("ramp", None), ("burst", None), ("overload", None), ("loops", None)],
        False,
    ),
]
TITLES = {
    ("idle", "resident_kb_per_connection"): "WebSocket, two rooms",
    ("overload", None): "5 million a second asked for: delivered",
    ("burst", None): "1,000 broadcasts at once in each room of 10",
}


def kind(server):
    if server.startswith("lakh"):
        return "own"
    return "floor" if server.startswith("floor") else "peer"


class Drawing:
    def __init__(self):
        self.parts = []

    def text(self, x, y, words, classes="text", anchor="start"):
        self.parts.append(
            f'<text x="{x:.0f}" y="{y:.0f}" class="{classes}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def bar(self, x, y, width, classes, words):
        self.parts.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{max(width, 1):.1f}" height="{BAR}" rx="2" class="{classes}">'
            f"<title>{escape(words)}</title></rect>"
        )

    def line(self, x, top, bottom):
        self.parts.append(
            f'<line x1="{x:.1f}" y1="{top:.0f}" x2="{x:.1f}" y2="{bottom:.0f}" class="line" stroke-dasharray="3 3"/>'
        )

    def svg(self, height, title):
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'width="{WIDTH}" height="{height:.0f}" '
            f'role="img" aria-label="{escape(title)}">\n<style>{STYLE}</style>\n'
            f'<rect width="100%" height="100%" rx="6" class="page"/>\n' + "\n".join(self.parts) + "\n</svg>\n"
        )


def rows_of(result, scenario, figure, ratios):
    """Server, length of its bar, words behind it."""
    rows = []
    for server in result.measured(scenario):
        value = result.value(scenario, server, figure)
        length = result.ratio(scenario, server, figure) if ratios else value
        flaws = result.flaws(scenario, server)
        if result.error(scenario, server):
            flaws = ["failed"]
        words = " · ".join([shown(length), *flaws])
        rows.append((server, length, words))
    return rows


def panel(drawing, x, y, width, title, rows, longest, ratios):
    """Draws one scenario."""
    drawing.text(x, y + 12, title, "text head")
    y += 22
    space = width - LABEL - 62
    if ratios:
        at = x + LABEL + space / longest
        drawing.line(at, y - 3, y + len(rows) * STEP - 3)
    for server, length, words in rows:
        drawing.text(x + LABEL - 8, y + 12, server, "text" if kind(server) == "own" else "faint", "end")
        end = x + LABEL
        if length is not None:
            end += space * min(length / longest, 1)
            drawing.bar(x + LABEL, y, end - x - LABEL, kind(server), f"{server}: {words}")
        long_words = len(words) * 6.2 > x + width - end
        if long_words and length is not None and end - x - LABEL > len(words) * 6.2:
            drawing.text(end - 6, y + 12, words, "text", "end")
        else:
            shade = "text" if kind(server) == "own" else "faint"
            drawing.text(end + 6, y + 12, words, f"{shade} over")
        y += STEP


def draw(result, title, says, scenarios, ratios):
    """One chart; None if nothing of it was measured."""
    panels = []
    for name, figure in scenarios:
        if name not in result.runs:
            continue
        rows = rows_of(result, name, figure, ratios)
        if any(length is not None for _, length, _ in rows):
            heading = TITLES.get((name, figure), result.scenarios[name]["title"])
            panels.append((heading[:1].upper() + heading[1:], rows))
    if not panels:
        return None
    drawing = Drawing()
    drawing.text(20, 32, title, "text title")
    drawing.text(20, 52, says, "faint")
    width = (WIDTH - 40 - GAP * (COLUMNS - 1)) / COLUMNS
    common = max(length or 0 for _, rows in panels for _, length, _ in rows) or 1
    y = 72
    for start in range(0, len(panels), COLUMNS):
        line = panels[start : start + COLUMNS]
        for column, (heading, rows) in enumerate(line):
            # Ratios share one scale; of other figures each panel has its own.
            longest = common if ratios else max(length or 0 for _, length, _ in rows) or 1
            panel(drawing, 20 + column * (width + GAP), y, width, heading, rows, longest, ratios)
        y += 22 + max(len(rows) for _, rows in line) * STEP + 22
    return drawing.svg(y, title)


def write_all(result, folder):
    """Draws what can be drawn; file and title of each."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for file, title, says, scenarios, ratios in CHARTS:
        svg = draw(result, title, says, scenarios, ratios)
        if svg:
            (folder / file).write_text(svg)
            made.append((file, title))
    return made
