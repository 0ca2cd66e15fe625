"""What kind of town is wanted; checked at birth. May import: types."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from irl_vla.foreign import brief
from irl_vla.types import InputError

Range = tuple[float, float]  # least and most


@dataclass(frozen=True, kw_only=True)
class TownRequest:
    """Least and most of what the seed may pick; equal ends fix it. The defaults vary widely.

    columns, rows: street crossings west to east and south to north, before some streets are left
    out; block_m: metres between crossings; lanes: per direction on main roads (1 to 3)
    lane_width_m; speed_limits_kmh: those that may be posted; corner_radius_m: of the kerbs at
    junctions; bend_radius_m: of streets that turn a corner, at their tightest
    missing: share of streets to leave out; main_roads: how many through roads; lights: share of
    the main roads' junctions that have traffic lights; roundabouts, parking, crosswalks: how
    likely a town (where side streets meet), a side of a side street, a long side street has one
    work_zones: how many a town has, where main roads leave room for them
    """

    columns: Range = (3, 4)
    rows: Range = (3, 4)
    block_m: Range = (95.0, 150.0)
    lanes: Range = (2, 3)
    lane_width_m: Range = (3.0, 3.7)
    speed_limits_kmh: tuple[float, ...] = (30, 40, 50, 60, 70)
    corner_radius_m: Range = (7.0, 10.0)
    bend_radius_m: Range = (15.0, 60.0)
    missing: float = 0.1
    main_roads: Range = (1, 3)
    lights: float = 0.75
    roundabouts: float = 0.75
    parking: float = 0.6
    crosswalks: float = 0.5
    work_zones: Range = (0, 2)

    def __post_init__(self) -> None:
        for name, (low, high, unit) in _RANGES.items():
            self._check_range(name, low, high, unit)
        for name in ("columns", "rows", "lanes", "main_roads", "work_zones"):
            if any(value != int(value) for value in getattr(self, name)):
                raise self._wrong(name, "two whole numbers")
        for name in _SHARES:
            value = getattr(self, name)
            if not _is_number(value) or not 0.0 <= value <= 1.0:
                raise self._wrong(name, "a share between 0 and 1")
        if self.columns[0] * self.rows[0] < 6:
            raise InputError(
                f"town request: columns {self.columns} and rows {self.rows}: expected at least "
                "2 x 3 crossings, because fewer make no junction; ask for more columns or rows"
            )
        limits = self.speed_limits_kmh
        if (
            not isinstance(limits, tuple | list)
            or not limits
            or not all(_is_number(value) and 10 <= value <= 130 for value in limits)
        ):
            raise self._wrong("speed_limits_kmh", "one or more numbers between 10 and 130 [km/h]")

    def _check_range(self, name: str, low: float, high: float, unit: str) -> None:
        value = getattr(self, name)
        right = (
            isinstance(value, tuple | list)
            and len(value) == 2
            and all(_is_number(end) for end in value)
            and low <= value[0] <= value[1] <= high
        )
        if not right:
            raise self._wrong(name, f"least and most, both between {low} and {high} {unit}".strip())

    def _wrong(self, name: str, expected: str) -> InputError:
        default = next(field.default for field in fields(self) if field.name == name)
        return InputError(
            f"town request: {name}: expected {expected}, got {brief(getattr(self, name))}; "
            f"the default is {default}"
        )


_RANGES = {  # what can be built: least, most, unit
    "columns": (2, 12, ""),
    "rows": (2, 12, ""),
    "block_m": (90.0, 400.0, "[m]"),  # two large junctions need 70 m, something must be between
    "lanes": (1, 3, ""),
    "lane_width_m": (2.75, 4.0, "[m]"),
    "corner_radius_m": (7.0, 12.0, "[m]"),  # a car turns on 6 m
    "bend_radius_m": (14.0, 200.0, "[m]"),
    "main_roads": (0, 12, ""),
    "work_zones": (0, 20, ""),
}
_SHARES = ("missing", "lights", "roundabouts", "parking", "crosswalks")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
