"""The suite's table: many drives of one situation as one line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from irl_vla.terminal.console import Console
from irl_vla.view.report import Fact, PageTable, TablesPage
from irl_vla.world.infractions import LAYOUT, OUTSIDE, PEDESTRIANS, VEHICLES
from irl_vla.world.route_monitor import Ending

RED_LIGHT = "red_light"
Z95 = 1.959964  # quantile of the normal distribution for 95 %
COLUMNS = (
    "situation", "drives", "success %", "95 %", "driving score", "route %", "person", "vehicle",
    "thing", "red light", "outside", "left route", "stuck",
    "not driven", "efficiency %", "comfort %",
)  # fmt: skip
WRONG = COLUMNS[6:14]
MEANS = ("driving_score", "route_completion", "efficiency", "comfort")
NOT_DRIVEN = "not driven"  # the ending of a drive that was not possible
ENDINGS = (
    (Ending.LEFT_ROUTE.value,), (Ending.BLOCKED.value, Ending.TIME_UP.value), (NOT_DRIVEN,),
)  # fmt: skip

Summary = dict[str, Any]  # of many drives, as JSON
Found = Mapping[str, Mapping[str, Summary]]  # driver -> situation -> its summary


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share: Wilson's score interval (Wilson 1927, JASA 22, 209-212)."""
    p, zz = hits / of, Z95 * Z95 / of
    middle, half = p + zz / 2.0, Z95 * math.sqrt(p * (1.0 - p) / of + zz / (4.0 * of))
    return max((middle - half) / (1.0 + zz), 0.0), min((middle + half) / (1.0 + zz), 1.0)


def summed(rows: Sequence[Mapping[str, Any]]) -> Summary:
    """One situation. infractions: kind -> how many drives have it; means leave out drives where a
    number is unknown (None where all are)."""
    hits = sum(row["success"] for row in rows)
    kinds = Counter(kind for row in rows for kind in row["infractions"])
    means = {}
    for name in MEANS:
        known = [row[name] for row in rows if row[name] is not None]
        means[name] = sum(known) / len(known) if known else None
    return {
        "drives": len(rows), "successes": hits, "success_rate": hits / len(rows),
        "success_ci95": list(wilson(hits, len(rows))), **means,
        "infractions": dict(sorted(kinds.items())),
        "endings": dict(sorted(Counter(row["ending"] for row in rows).items())),
    }  # fmt: skip


def _cells(name: str, s: Summary) -> list[str]:
    """One line."""
    low, high = (100.0 * end for end in s["success_ci95"])
    kinds = (PEDESTRIANS, VEHICLES, LAYOUT, RED_LIGHT, OUTSIDE)
    ends = [sum(s["endings"].get(e, 0) for e in group) for group in ENDINGS]
    efficiency = "-" if s["efficiency"] is None else f"{s['efficiency']:.0f}"
    return [
        name, str(s["drives"]), f"{100.0 * s['success_rate']:.0f}", f"{low:.0f}-{high:.0f}",
        f"{s['driving_score']:.1f}", f"{s['route_completion']:.1f}",
        *(str(s["infractions"].get(kind, 0)) for kind in kinds), *map(str, ends),
        efficiency, f"{100.0 * s['comfort']:.0f}",
    ]  # fmt: skip


def as_markdown(found: Found, head: str) -> str:
    """For people: one table per driver."""
    lines = [
        f"# Situations ({head})", "",
        NOTE,
    ]  # fmt: skip
    for driver, situations in found.items():
        lines += ["", f"## {driver}", "", "| " + " | ".join(COLUMNS) + " |"]
        lines.append("|---|" + "---:|" * (len(COLUMNS) - 1))
        lines += ["| " + " | ".join(_cells(name, s)) + " |" for name, s in situations.items()]
    return "\n".join([*lines, ""])


NOTE = (
    "Success: the route is driven to its end without any infraction; with Wilson's 95 % interval. "
    "Columns from person to not driven: number of drives; a collision ends a drive, whoever is at "
    "fault. Efficiency: speed in percent of the traffic's. Comfort: share of 2 s segments in "
    "bounds."
)


def as_page(found: Found, head: str, facts: tuple[Fact, ...]) -> TablesPage:
    """For a browser: one table per driver."""
    tables = tuple(
        PageTable(
            driver, COLUMNS, tuple(tuple(_cells(name, s)) for name, s in situations.items()),
            COLUMNS[1:],
        )
        for driver, situations in found.items()
    )  # fmt: skip
    return TablesPage("driving suite", f"Situations: {head}", facts, tables, NOTE)


SCREEN = ("situation", "success %", "95 %", "score", "route %", "drives with")


def print_table(found: Found, head: str, console: Console) -> None:
    """The essence on a screen; the files have all of it."""
    for driver, situations in found.items():
        grid = Table(title=f"{driver}, {head}", title_justify="left", box=SIMPLE_HEAD,
                     padding=(0, 1, 0, 0))  # fmt: skip
        for column in SCREEN:
            text = column in (SCREEN[0], SCREEN[-1])
            grid.add_column(column, justify="left" if text else "right", no_wrap=text)
        for name, summary in situations.items():
            cells = dict(zip(COLUMNS, _cells(name, summary), strict=True))
            wrong = ", ".join(f"{cells[c]} {c}" for c in WRONG if cells[c] != "0")
            shown = (name, cells["success %"], cells["95 %"], cells["driving score"])
            grid.add_row(*shown, cells["route %"], wrong)
        console.print(grid)
