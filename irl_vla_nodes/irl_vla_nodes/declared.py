"""Parameters of a dataclass, declared to ROS with their words, types and bounds (sliders in rqt).

A value from a file or a launch argument that does not fit is not the end of the process: the
default stays, and the node cannot be configured until the parameter is set.
"""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from irl_vla.types import InputError
from irl_vla_nodes.params import about, default_values, fitting


def declare(node: Any, kind: type) -> dict[str, str]:
    """Declare all parameters of a class; sentences about given values that do not fit, by name."""
    words, refused = about(kind), dict[str, str]()
    for name, default in default_values(kind).items():
        value = default
        given = node._parameter_overrides.get(name)  # rclpy dies of a 2 where a 2.0 is expected
        if given is not None:
            try:
                value = fitting(kind, name, given.value, node.get_name())
            except InputError as error:
                refused[name] = str(error)
        node.declare_parameter(name, value, _descriptor(default, *words[name]), True)
    return refused


def _descriptor(
    default: Any, text: str, low: float | None, high: float | None
) -> ParameterDescriptor:
    described = ParameterDescriptor(description=text)
    if low is None or high is None:
        return described
    described.additional_constraints = f"{low:g} to {high:g}"
    if isinstance(default, float):
        span = FloatingPointRange(from_value=float(low), to_value=float(high))
        described.floating_point_range = [span]
    else:
        described.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return described
