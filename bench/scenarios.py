"""What is measured: options of the load generator, and which of its figures are compared."""


class Scenario:
    """`main` is the figure that the summary and the charts show, `floor` who stands for 1.00 (nobody: absolute).

    `servers` are measured instead of those asked for, as far as they are of their kind; `without` can't do it. `once` is
    for runs that are long and don't wander, `wide` for servers that may share the generator's core.
    """

    def __init__(self, title, options, figures, **more):
        self.title = title
        self.options = options.split()
        self.figures = figures
        self.main = more.pop("main", figures[0])
        self.floor = more.pop("floor", "floor")
        self.env = more.pop("env", {})
        self.servers = more.pop("servers", None)
        self.without = more.pop("without", ())
        self.once = more.pop("once", False)
        self.wide = more.pop("wide", False)
        self.note = more.pop("note", "")
        assert not more, more

    def described(self):
        """What a stored result has to say about it, so that it can be read when this file has changed."""
        return {
            "title": self.title,
            "options": " ".join(self.options),
            "figures": self.figures,
            "main": self.main,
            "floor": self.floor,
            "note": self.note,
        }


FLOORS = ("floor", "floor-joined", "floor-uring")
CPU = ["cpu_us_per_delivery", "user_us_per_delivery", "latency_p99_ms", "lost", "out_of_order"]
RATE = ["delivered_per_s", *CPU]


def fanout(members, size):
    options = f"fanout -m {members} -b {size} -s {{s}}"
    title = f"room of {members:,}, {'1 KiB' if size == 1024 else f'{size} B'}"
    return Scenario(title, options, CPU)


SCENARIOS = {
    **{
        f"fanout-{members}{suffix}": fanout(members, size)
        for size, suffix in ((64, ""), (1024, "-1k"))
        for members in (10, 100, 1000, 10000)
    },
    "fanout-mixed": Scenario(
        "rooms of 50, 40 to 2,000 B, 50,000/s",
        "fanout -m 50 -n 2000 -b 40,300,2000,64 -r 50000 -s {s}",
        CPU,
    ),
    "outstanding": Scenario(
        "two broadcasts outstanding a room of 100",
        "fanout -m 100 --outstanding 2 -s {s}",
        RATE,
        floor="floor-joined",
    ),
    "ramp": Scenario(
        "most delivered a second, p99 below 200 ms",
        "ramp -m 1000 -s 3 --from 100000",
        ["most_delivered_per_s", "latency_p99_ms"],
        floor="floor-joined",
    ),
    "burst": Scenario(
        "1,000 broadcasts at once in each room of 10",
        "burst -m 10 -k 1000 --rounds 3",
        RATE,
        floor="floor-joined",
    ),
    "overload": Scenario(
        "5 million a second asked for", "fanout -m 1000 -r 5000000 -s 3", RATE, floor="floor-joined"
    ),
    "echo": Scenario(
        "echo with ack",
        "echo -s {s}",
        ["cpu_us_per_echo", "user_us_per_echo", "latency_p99_ms", "lost"],
    ),
    "tick": Scenario(
        "own payload for each receiver, 300 B, 20 a second",
        "tick -n 1000 -s {s}",
        ["cpu_us_per_delivery", "jitter_p99_ms", "skipped"],
    ),
    "idle": Scenario(
        "a connection until CONNECT is answered",
        "idle -n {n} -r 2 -s 3",
        ["cpu_us_per_connect", "resident_kb_per_connection", "resident_kb_per_room"],
    ),
    "pings": Scenario(
        "a ping", "idle -n 2000 -r 0 -s {s}", ["cpu_us_per_ping"], env={"PING_MS": "1000"}
    ),
    "idle-polling": Scenario(
        "long polling, a poll pending",
        "idle --transport polling -n {n} -r 2 -s 3",
        ["resident_kb_per_connection", "cpu_us_per_connect"],
        floor=None,
        without=FLOORS,
    ),
    "storm": Scenario(
        "10,000 cut and back at once",
        "storm -n {n}",
        [
            "cpu_us_per_return",
            "all_back_s",
            "failed",
            "resident_kb_before",
            "resident_kb_after",
            "resident_kb_all_gone",
        ],
    ),
    "slow": Scenario(
        "one of 1,000 stops reading",
        "slow -s 10 -r 80000",
        ["slow_p99_ms", "before_p99_ms", "others_lost", "slow_one_got", "closed_by_server"],
    ),
    "churn": Scenario(
        "connect, join, send, leave",
        "churn --for {churn}s -r 300 --stay 2s",
        [
            "resident_kb_slope_per_min",
            "resident_kb_warm",
            "resident_kb_end",
            "connections_made",
            "lost",
            "failed",
        ],
        floor=None,
        servers=["lakh"],
        once=True,
        note="Lakh keeps the sessions of those who were cut for two minutes, for recovery: memory rises until then.",
    ),
    "loops": Scenario(
        "one loop and two",
        "fanout -m 100 -n 2000 --outstanding 4 -s {s}",
        [
            "delivered_per_s",
            "cpu_us_per_delivery",
            "server_cores",
            "could_deliver_per_s",
            "latency_p99_ms",
            "lost",
            "out_of_order",
        ],
        floor="lakh",
        servers=["lakh", "lakh-2-loops", "socketioxide", "socketioxide-2-threads"],
        wide=True,
        note="could_deliver_per_s is what the server's threads would deliver with a core each that nothing else runs "
        "on: threads × 1,000,000 / cpu_us_per_delivery. It holds if the work spreads evenly, and was not measured.",
    ),
}


def derive(report, threads):
    """Adds figures that follow from others."""
    figures = report.get("figures", {})
    cost = figures.get("cpu_us_per_delivery")
    if cost:
        figures["could_deliver_per_s"] = round(threads * 1e6 / cost)
    return report
