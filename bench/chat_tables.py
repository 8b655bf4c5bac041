"""From a stored result of chat to tables, and into docs/performance.md between two markers of their own."""

from tables import medians, put_between, shown

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
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    parts = [
        f"{found['at'][:10]}, commit {found['commit']}, {found['cores']} cores, {found['processor']}, "
        f"kernel {found['kernel']}; {versions}. Medians of {found['repeats']} interleaved runs of {content['seconds']:g} s; in "
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
    parts += [
        f"Not measured: {content['servers'][name]['title']} ({why}).\n"
        for name, why in content["skipped"].items()
    ]
    return "\n".join(parts)


def load(content, asked, runs):
    middle = {name: medians(reports) for name, reports in runs.items()}
    base = middle.get(asked["base"] or "", {})
    lines = [
        f"**{asked['title']}** (`lakh bench chat {asked['options']}`)\n",
        "| | " + " | ".join(title for _, title in COLUMNS) + " | |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for name, server in content["servers"].items():
        if name not in runs:
            continue
        figures = middle[name]
        if not figures:
            why = next((report["error"] for report in runs[name] if "error" in report), "–")
            lines.append(f"| {server['title']} | {why} |" + " |" * len(COLUMNS))
            continue
        cells = [cell(figures, base, column) for column, _ in COLUMNS]
        lines.append(f"| {server['title']} | " + " | ".join(cells) + f" | {', '.join(flaws(figures))} |")
    return "\n".join(lines) + "\n"


def cell(figures, base, column):
    value = figures.get(column)
    if value is None:
        return "–"
    text = shown(value)
    if column in RATIOS and base.get(column):
        text += f" ({value / base[column]:.2f})"
    return text


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
