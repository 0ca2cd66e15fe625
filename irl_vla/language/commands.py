"""The vocabulary of Command, spelled exactly as the paper's supplement spells it.

The order is part of the contract: index i of `Command.speed` and `Command.path` is member i.
Source: supplement of arXiv 2508.06571 (13 speed and 9 path classes). May import: nothing of ours.
"""

from __future__ import annotations

from enum import Enum


class SpeedCommand(str, Enum):
    """How the speed should change."""

    EMERGENCY_DECEL = "Emergency Decel"
    FULL_STOP = "Full Stop"
    CREEPING = "Creeping"
    REGENERATIVE_BRAKING = "Regenerative Braking"
    CONTROLLED_DECEL = "Controlled Decel"
    MILD_DECEL_LINEAR = "Mild Decel Linear"
    MILD_DECEL = "Mild Decel"
    MILD_ACCEL = "Mild Accel"
    MILD_ACCEL_NONLINEAR = "Mild Accel NonLinear"
    MILD_ACCEL_LINEAR = "Mild Accel Linear"
    AGGRESSIVE_ACCEL = "Aggressive Accel"
    CONSTANT_SPEED_LOOSE = "Constant Speed Loose"
    CONSTANT_SPEED_STRICT = "Constant Speed Strict"


class PathCommand(str, Enum):
    """Where the path should go."""

    SWERVING = "Swerving"
    SHARP_LEFT_TURN = "Sharp Left Turn"
    SLIGHT_LEFT_TURN = "Slight Left Turn"
    SHARP_RIGHT_TURN = "Sharp Right Turn"
    SLIGHT_RIGHT_TURN = "Slight Right Turn"
    STRAIGHT_STRICT = "Straight Strict"
    LEFT_LANE_CHANGE = "Left LaneChange"
    LANE_MICRO_ADJUST = "Lane Micro Adjust"
    RIGHT_LANE_CHANGE = "Right LaneChange"


SPEED_COMMANDS = tuple(member.value for member in SpeedCommand)
PATH_COMMANDS = tuple(member.value for member in PathCommand)
