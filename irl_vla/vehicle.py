"""The car itself: its outline and what it can do. One value from the rig file or from parameters,
for guard, pictures, closed loop and scoring. May import: nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import Any


def _refuse_unless_positive(value: Any, where: str) -> None:
    for field in fields(value):
        number = getattr(value, field.name)
        if isinstance(number, (int, float)) and not (isfinite(number) and number > 0.0):
            raise ValueError(
                f"{where}.{field.name}: expected a positive finite number, got {number}"
            )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the car can be asked to do. The defaults are those of a passenger car on dry asphalt,
    not of comfort (that is scored): a plan outside them is a fault of the planner."""

    max_speed: float = 42.0  # [m/s] 150 km/h
    max_acceleration: float = 4.0  # [m/s^2] forwards
    max_braking: float = 9.0  # [m/s^2] full braking on dry asphalt
    max_lateral: float = 6.0  # [m/s^2] a passenger car begins to slide above
    max_curvature: float = 0.25  # [1/m] 4 m radius at the rear axle

    def __post_init__(self) -> None:
        _refuse_unless_positive(self, "vehicle.limits")


@dataclass(frozen=True)
class Vehicle:
    """The ego's outline [m], measured from the rear axle, and its limits; defaults: the benchmark's
    Pacifica (docs/epdms.md, section 1)."""

    width: float = 2.297  # over all, mirrors included
    front_length: float = 4.049  # from the rear axle to the front bumper
    rear_length: float = 1.127  # from the rear axle to the rear bumper
    wheel_base: float = 3.089  # between the axles
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        _refuse_unless_positive(self, "vehicle")

    @property
    def length(self) -> float:
        """Bumper to bumper [m]."""
        return self.front_length + self.rear_length

    @property
    def centre(self) -> float:
        """From the rear axle forward to the centre of the box [m]."""
        return self.length / 2.0 - self.rear_length


PACIFICA = Vehicle()
