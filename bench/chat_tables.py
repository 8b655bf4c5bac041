"""From a stored result of chat to tables, and into docs/performance.md between two markers of their own."""

from tables import cell, heads, measured_on, medians, not_measured, put_between, rows

BEGIN = "<!-- chat: begin. Made by bench/chat.py; what stands here is overwritten. -->"
END = "<!-- chat: end -->"
COLUMNS = [
    ("acknowledged_per_s", "acknowledged a second"),
    ("backend_cpu_us_per_message", "CPU a message, µs"),
    ("cpu_us_per_message", "of that the server"),
    ("ack_p99_ms", "acknowledged p99, ms"),
    ("latency_p50_ms", "at a receiver p50, ms"),
    ("latency_p99_ms", "p99, ms"),
    ("last_p99_ms", "at the last receiver p99, ms"),
]
RATIOS = {"backend_cpu_us_per_message", "cpu_us_per_message", "latency_p99_ms", "ack_p99_ms"}


def page(content):
    found = content["machine"]
    parts = [
        f"{measured_on(found)} Medians of {found['repeats']} interleaved runs of {content['seconds']:g} s; in "
        f"brackets the ratio to Node on Redis `everysec`.\n"
    ]
    for name, runs in content["runs"].items():
        parts.append(load(content, content["loads"][name], runs))
    named = {name for runs in content["runs"].values() for name in runs}
    parts.append("What an acknowledgement says:\n")
    for name, server in content["servers"].items():
        if name in named:
            parts[-1] += f"\n- {server['title']}: {server['durable']}."
    parts[-1] += "\n"
    parts += not_measured((content["servers"][name]["title"], why) for name, why in content["skipped"].items())
    return "\n".join(parts)


def load(content, asked, runs):
    base = medians(runs.get(asked["base"], []))

    def cells(_, figures):
        return [ratio(figures, base, column) for column, _ in COLUMNS] + [", ".join(flaws(figures))]

    lines = [
        f"**{asked['title']}** (`lakh bench chat {asked['options']}`)\n",
        *heads([*(title for _, title in COLUMNS), ""]),
        *rows(content["servers"], runs, len(COLUMNS) + 1, cells),
    ]
    return "\n".join(lines) + "\n"


def ratio(figures, base, column):
    return cell(figures.get(column), base.get(column) if column in RATIOS else None)


def flaws(figures):
    """What went wrong, if something did."""
    found = [
        f"{figures[name]:,.0f} {title}"
        for name, title in (
            ("lost", "lost"),
            ("out_of_order", "out of order"),
            ("holes", "numbers missing"),
            ("unacknowledged", "never acknowledged"),
            ("refused", "refused"),
            ("closed_by_server", "cut off"),
        )
        if figures.get(name)
    ]
    if figures["generator_cores"] > 0.9:
        found.append("generator busy")
    if figures["server_cores"] > 0.95:
        found.append("server busy")
    return found


def put_into(path, text):
    put_between(path, BEGIN, END, text)
