"""From a stored result of worlds to tables, and into docs/performance.md between two markers of their own."""

from tables import cell, failed, heads, measured_on, medians, not_measured, put_between, row, rows

BEGIN = "<!-- world: begin. Made by bench/world.py; what stands here is overwritten. -->"
END = "<!-- world: end -->"
COLUMNS = [
    ("cpu_ns_per_update", "CPU an update, ns"),
    ("user_ns_per_update", "of that user"),
    ("payload_bytes_per_update", "payload, B"),
    ("wire_bytes_per_update", "on the wire, B"),
    ("complete_percent", "complete, %"),
    ("stale_p50_ms", "age p50, ms"),
    ("stale_p99_ms", "p99, ms"),
    ("tick_p99_ms", "tick p99, ms"),
    ("memory_kb_each", "memory a client, KB"),
    ("cores", "cores"),
]
RATIOS = {"cpu_ns_per_update", "payload_bytes_per_update", "wire_bytes_per_update"}
BASE = "lakh"


def page(content):
    found = content["machine"]
    parts = [
        f"{measured_on(found)} Medians of {found['repeats']} interleaved runs of {content['seconds']:g} s; in "
        f"brackets the ratio to Lakh. Ticks of Lakh are counted in buckets: theirs are no longer than what stands here. "
        f"{content['note']}".rstrip()
        + "\n"
    ]
    for name, runs in content["runs"].items():
        parts.append(scene(content, content["scenes"][name]["title"], runs))
    if content["crowds"]:
        parts.append(crowds(content))
    # Older results have none.
    if content.get("hotspots"):
        parts.append(hotspots(content))
    parts += not_measured((content["servers"][name]["title"], why) for name, why in content["skipped"].items())
    return "\n".join(parts)


def scene(content, title, runs):
    base = medians(runs.get(BASE, []))

    def cells(name, figures):
        found = [ratio(figures, base if name != BASE else {}, column) for column, _ in COLUMNS]
        return [*found, ", ".join(flaws(figures, runs[name]))]

    lines = [
        f"**{content['people']} people, {title}**\n",
        *heads([*(title for _, title in COLUMNS), ""]),
        *rows(content["servers"], runs, len(COLUMNS) + 1, cells),
    ]
    return "\n".join(lines) + "\n"


def ratio(figures, base, column):
    return cell(figures.get(column), base.get(column) if column in RATIOS else None, digits=1)


def flaws(figures, reports):
    """What went wrong, if something did."""
    found = [f"{figures['closed_by_server']:,.0f} cut off"] if figures.get("closed_by_server") else []
    if figures.get("generator_cores", 0) > 0.9:
        found.append("generator busy")
    if figures.get("cores", 0) > 0.95:
        found.append("server busy")
    found += sorted({note for report in reports for note in report.get("notes", [])})
    return found


CROWD = [
    ("tick_p99_ms", "tick p99, ms"),
    ("complete_percent", "complete, %"),
    ("stale_p99_ms", "age p99, ms"),
    ("cpu_ns_per_update", "CPU an update, ns"),
    ("cores", "cores"),
]
GIVING_WAY = [("time_percent", "time passes, % of real"), ("closed_by_server", "cut off")]


def crowds(content):
    title = (
        "**How many one core holds**: walking, about 60 in sight, until ticks take 50 ms at the 99th percentile, less than "
        "90 % is complete, or somebody is cut off"
    )
    return by_people(content, title, content["crowds"], CROWD)


def hotspots(content):
    title = "**All within 60 m of each other, on one core**: what gives way when there are too many"
    return by_people(content, title, content["hotspots"], [*CROWD, *GIVING_WAY])


def by_people(content, title, found, columns):
    lines = [f"{title}\n", *heads(["people", *(title for _, title in columns), ""])]
    for name, reports in found.items():
        for report in sorted(reports, key=lambda report: report.get("parameters", {}).get("people", 0)):
            title = content["servers"][name]["title"]
            if "error" in report:
                lines.append(failed(title, [report], len(columns) + 2))
                continue
            figures = report["figures"]
            cells = [cell(figures.get(column)) for column, _ in columns]
            people = f"{report['parameters']['people']:,}"
            lines.append(row([title, people, *cells, ", ".join(flaws(figures, [report]))]))
    return "\n".join(lines) + "\n"


def put_into(path, text):
    put_between(path, BEGIN, END, text)
