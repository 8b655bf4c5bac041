"""From a stored result to tables, and into docs/performance.md between two markers."""

import statistics

BEGIN = "<!-- measured: begin. Made by bench/run.py; what stands here is overwritten. -->"
END = "<!-- measured: end -->"


def medians(reports):
    """The median of each figure over the repeats that worked."""
    found = {}
    for report in reports:
        for name, value in report.get("figures", {}).items():
            found.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def error(reports, default=None):
    """Why there are no figures, where a run says so."""
    return next((report["error"] for report in reports if "error" in report), default)


def measured_on(machine):
    """When, of what and on what a result was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['at'][:10]}, commit {machine['commit']}, {machine['cores']} cores, {machine['processor']}, "
        f"kernel {machine['kernel']}; {versions}."
    )


class Result:
    """A stored result: `machine`, `servers`, `skipped`, `scenarios` and `results`."""

    def __init__(self, content):
        self.machine = content["machine"]
        self.servers = content["servers"]
        self.skipped = content["skipped"]
        self.scenarios = content["scenarios"]
        self.runs = content["results"]
        self.middle = {
            name: {server: medians(reports) for server, reports in runs.items()}
            for name, runs in self.runs.items()
        }

    def value(self, scenario, server, figure=None):
        figure = figure or self.scenarios[scenario]["main"]
        return self.middle.get(scenario, {}).get(server, {}).get(figure)

    def ratio(self, scenario, server, figure=None):
        """To the floor of that scenario; None where either is missing."""
        floor = self.scenarios[scenario]["floor"]
        value, base = (self.value(scenario, who, figure) for who in (server, floor))
        return value / base if value is not None and base else None

    def error(self, scenario, server):
        return error(self.runs.get(scenario, {}).get(server, []))

    def flaws(self, scenario, server):
        """What is wrong with a run that has figures all the same."""
        figures = self.middle.get(scenario, {}).get(server, {})
        found = []
        lost, came = figures.get("lost") or 0, figures.get("delivered") or figures.get("echoes") or 0
        if lost > 0:
            found.append(f"lost {share(lost / (lost + came))}")
        disorder = figures.get("out_of_order") or 0
        if disorder > 0:
            found.append(f"{share(disorder / max(came, 1))} out of order")
        skipped, hz = figures.get("skipped") or 0, figures.get("delivered_per_s") or 0
        if skipped > hz / 20:
            found.append("skipped many")
        if (figures.get("generator_cores") or 0) > 0.9:
            found.append("generator busy")
        return found

    def measured(self, scenario):
        """Servers of this scenario, in the order asked for."""
        runs = self.runs.get(scenario, {})
        known = [server for server in self.servers if server in runs]
        return known + [server for server in runs if server not in known]


def share(part):
    return f"{part * 100:.0f} %" if part >= 0.01 else "< 1 %"


def shown(value):
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def cell(value, base=None, digits=2):
    """A figure, in brackets as a ratio to `base` if there is one."""
    return shown(value) + (f" ({value / base:.{digits}f})" if value is not None and base else "")


def heads(titles):
    """The first lines of a table. Its first column has no title, and its last may have an empty one."""
    line = "".join(f" {title} |" if title else " |" for title in ["", *titles])
    return ["|" + line, "|---" * (len(titles) + 1) + "|"]


def row(cells):
    return "| " + " | ".join(cells) + " |"


def failed(title, reports, columns):
    """The row of what has no figures: why, and empty cells for the other columns."""
    return row([title, error(reports, "–")]) + " |" * (columns - 1)


def rows(servers, runs, columns, cells):
    """A row a server that ran: what `cells` makes of its name and the medians of its figures."""
    found = []
    for name, server in servers.items():
        if name in runs:
            figures = medians(runs[name])
            title = server["title"]
            found.append(row([title, *cells(name, figures)]) if figures else failed(title, runs[name], columns))
    return found


def not_measured(skipped):
    """Pairs of what could not run, and why."""
    return [f"Not measured: {title} ({why}).\n" for title, why in skipped]


def summary(result):
    """A row a scenario, a column a server: the ratio of what matters most there."""
    names = [
        name
        for name, scenario in result.scenarios.items()
        if scenario["floor"] in result.servers and scenario["floor"].startswith("floor")
    ]
    servers = [s for s in result.servers if any(result.value(name, s) is not None for name in names)]
    lines = heads(servers)
    for name in names:
        scenario = result.scenarios[name]
        cells = []
        for server in servers:
            ratio = result.ratio(name, server)
            text = shown(ratio) if ratio is not None else shown(result.value(name, server))
            flaws = ", ".join(result.flaws(name, server))
            cells.append(f"{text} ({flaws})" if flaws else text)
        figure = scenario["main"].replace("_", " ")
        if scenario["main"].endswith("_per_s"):
            figure += ", more is better"
        lines.append(row([f"{scenario['title']} ({figure})", *cells]))
    return "\n".join(lines) + "\n"


def details(result, name):
    """One scenario: a row a server, a column a figure, each with its ratio to the floor."""
    scenario = result.scenarios[name]
    lines = [f"### {name}: {scenario['title']}", "", f"`{scenario['options']}`", ""]
    lines += heads(scenario["figures"])
    for server in result.measured(name):
        cells = []
        for figure in scenario["figures"]:
            value, ratio = result.value(name, server, figure), result.ratio(name, server, figure)
            cells.append(shown(value) + (f" ({ratio:.2f})" if ratio else ""))
        why = result.error(name, server)
        if why:
            cells[0] += f" *{why}*"
        lines.append(row([server, *cells]))
    if scenario["note"]:
        lines += ["", scenario["note"]]
    return "\n".join(lines) + "\n"


def memory_over_time(result, name):
    """The samples of a run that took some, as one line a server."""
    lines = []
    for server, reports in result.runs.get(name, {}).items():
        samples = next((r["samples"] for r in reports if r.get("samples")), [])
        if samples:
            steps = ", ".join(f"{s['s']:.0f} s {s['resident_kb'] / 1024:.1f}" for s in samples)
            lines.append(f"{server}, resident MB: {steps}.\n")
    return "\n".join(lines)


def heading(result):
    machine = result.machine
    text = (
        f"{measured_on(machine)} "
        f"Medians of {machine['repeats']} interleaved runs, ratios to the floor. "
    )
    if machine["cores"] < 3:
        text += (
            "With two cores the server has one and the load generator the other; where a server has two threads, "
            "one of them shares the generator's core, so its throughput is less than it could be. "
        )
    return text.strip() + "\n"


def page(result, charts):
    """The generated part of docs/performance.md."""
    parts = [heading(result)]
    parts += [f"![{title}](images/{file})\n" for file, title in charts]
    parts += ["Ratios to the floor; in brackets what went wrong.\n", summary(result)]
    parts += not_measured(result.skipped.items())
    parts += ["<details><summary>All figures</summary>\n"]
    for name in result.scenarios:
        parts += [details(result, name), memory_over_time(result, name)]
    parts += ["</details>\n"]
    return "\n".join(part for part in parts if part)


def put_between(path, begin, end, text):
    """Replaces what stands between two markers."""
    before, rest = path.read_text().split(begin, 1)
    after = rest.split(end, 1)[1]
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")


def put_into(path, text):
    put_between(path, BEGIN, END, text)
