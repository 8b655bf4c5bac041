"""From a stored result of fleets to tables, and into docs/performance.md between two markers of their own."""

from nodes import FLEETS
from tables import cell, error, heads, measured_on, medians, not_measured, put_between, row, share, shown

BEGIN = "<!-- fleets: begin. Made by bench/fleet.py; what stands here is overwritten. -->"
END = "<!-- fleets: end -->"
BASE = "lakh-1"


def page(content):
    parts = [measured_on(content["machine"]) + "\n"]
    if "cost" in content:
        parts.append(cost(content))
    if "crowd" in content:
        parts.append(crowd(content["crowd"]))
    parts += not_measured((FLEETS[name].title, why) for name, why in content["skipped"].items())
    return "\n".join(parts)


def cost(content):
    """Processor time of a delivered message: the nodes' (as a ratio to Lakh's single node), and Redis'."""
    runs, asked = content["cost"], content["parameters"]
    middle = {
        members: {name: medians(reports) for name, reports in fleets.items()}
        for members, fleets in runs.items()
    }
    names = [name for name in FLEETS if any(name in fleets for fleets in runs.values())]
    lines = [
        f"Processor time of a delivered message in microseconds, {asked['bytes']} B, {asked['rate']:,.0f} deliveries a second: "
        f"of the nodes together, in brackets as a ratio to Lakh's single node; then what Redis takes besides. Medians of "
        f"{content['machine']['repeats']} interleaved runs.\n",
        *heads([f"rooms of {int(members):,}" for members in runs]),
    ]
    for name in names:
        cells = [processor(middle[members], runs[members], name) for members in runs]
        lines.append(row([FLEETS[name].title, *cells]))
    lines += ["", "Latency, median and 99th percentile in milliseconds.\n", *lines[1:3]]
    for name in names:
        cells = [latency(middle[members].get(name, {})) for members in runs]
        lines.append(row([FLEETS[name].title, *cells]))
    return "\n".join(lines) + "\n"


def processor(fleets, runs, name):
    figures = fleets.get(name, {})
    value = figures.get("cpu_us_per_delivery")
    if value is None:
        return error(runs.get(name, []), "–")
    text = cell(value, fleets.get(BASE, {}).get("cpu_us_per_delivery"))
    broker = figures.get("broker_cpu_us_per_delivery")
    if broker is not None:
        text += f" + {shown(broker)}"
    return ", ".join([text, *flaws(figures)])


def flaws(figures):
    found = []
    lost, came = figures["lost"], figures["delivered"]
    if lost:
        found.append(f"lost {share(lost / (lost + came))}")
    if figures["out_of_order"]:
        found.append(f"{share(figures['out_of_order'] / max(came, 1))} out of order")
    if figures["generator_cores"] > 0.9:
        found.append("generator busy")
    if figures["server_cores"] > 0.9:
        found.append("nodes busy")
    return found


def latency(figures):
    if "latency_p50_ms" not in figures:
        return "–"
    return f"{shown(figures['latency_p50_ms'])}, {shown(figures['latency_p99_ms'])}"


ROWS = [
    ("connect_s", "seconds until the last had connected, while others joined already"),
    ("connect_and_join_s", "seconds until all were connected and in the room"),
    ("connects_per_s", "connections a second, joining included"),
    ("cpu_us_per_connect_and_join", "nodes' processor time of a connection that joins, µs"),
    ("resident_mb", "resident memory of all nodes, MiB"),
    ("resident_kb_per_connection", "of that a connection, KiB"),
    ("generators_resident_mb", "resident memory of the generators, MiB"),
    ("machine_mb", "memory of the whole machine that was taken, kernel and generators included, MiB"),
    ("first_ms", "broadcast to the first receiver, ms"),
    ("median_ms", "to the median receiver, ms"),
    ("last_ms", "to the last receiver, ms"),
    ("cpu_us_per_delivery", "nodes' processor time of a delivered message, the pings of those seconds included, µs"),
    ("broker_cpu_us_per_broadcast", "Redis' processor time of a broadcast, µs"),
    ("delivered", "delivered"),
    ("lost", "lost"),
    ("out_of_order", "out of order"),
    ("closed_by_server", "closed by a node"),
]


def number(value):
    """Counts without digits behind a point."""
    return f"{value:,.0f}" if value == int(value) else shown(value)


def crowd(content):
    asked, figures = content["parameters"], content["figures"]
    broadcasts = content["broadcasts"]
    lines = [
        f"{asked['connections']:,} connections on {asked['nodes']} nodes ({asked['adapter']}), all in one room; medians of "
        f"{len(broadcasts)} broadcasts of 64 B.\n",
        *heads([""]),
    ]
    lines += [row([title, number(figures[name])]) for name, title in ROWS]
    for name in ("first_ms", "last_ms"):
        each = ", ".join(shown(broadcast[name]) for broadcast in broadcasts)
        lines.append(row([f"each broadcast, {name.removesuffix('_ms')} receiver, ms", each]))
    return "\n".join([*lines, *("\n" + note for note in content["notes"])]) + "\n"


def put_into(path, text):
    put_between(path, BEGIN, END, text)
