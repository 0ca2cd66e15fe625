"""Two sources of one fact, compared over the first seconds of a recording.

Every comparison states what was compared, the value, the bound and over how many pairs; a fact with
one source only is no comparison and is left out.
In: first messages   Out: Comparison   May import: messages, camera, types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irl_vla.messages.twist_check import TwistAgreement
from irl_vla.types import F64, SECOND_NS

CLOCKS_APART_NS = SECOND_NS // 4  # between two sensors of one car: more is another clock
RECEIVED_LATE_NS = SECOND_NS  # between a stamp and its receipt: more is no transport
SAME_PLACE_M, SAME_ANGLE = 0.02, np.radians(0.5)  # a static transform that is merely sent again
SPEEDS_APART = 1.0  # [m/s] between two odometries
SPEEDS_SHARE = 0.1  # of the greater speed


@dataclass(frozen=True)
class Comparison:
    """verdict: "yes" they agree, "no" they cannot both be true, "not enough" to say.

    value, bound: in words with units; pairs: how many were compared; why: one sentence
    """

    name: str
    verdict: str
    value: str
    bound: str
    pairs: int
    why: str


@dataclass(frozen=True)
class StampSpan:
    """Of one topic's first messages. offset_ns: median of header stamp minus time of recording;
    first_ns, last_ns: header stamps of the whole topic, as far as is known."""

    topic: str
    offset_ns: int
    first_ns: int
    last_ns: int
    count: int


def twist_comparison(topic: str, found: TwistAgreement) -> Comparison | None:
    """Of an odometry's two facts; None where it has only one."""
    if not found.windows:
        return None
    verdict = "no" if found.contradicts else "yes"
    return Comparison(
        "Twist against poses", verdict, f"{found.apart:.2f} m/s apart", f"{found.bound:.2f} m/s",
        found.windows, found.sentence(topic),
    )  # fmt: skip


def clock_comparison(camera: StampSpan, motion: StampSpan) -> Comparison:
    """Whether pictures and ego motion are stamped by one clock."""
    apart = camera.offset_ns - motion.offset_ns
    gap = max(camera.first_ns - motion.last_ns, motion.first_ns - camera.last_ns)
    if gap > CLOCKS_APART_NS and abs(apart) <= CLOCKS_APART_NS:
        apart = camera.first_ns - motion.first_ns  # times of recording are the stamps themselves
    seconds = apart / SECOND_NS
    bad = abs(apart) > CLOCKS_APART_NS
    why = f"stamps of {camera.topic} and {motion.topic} are on one clock"
    if bad:
        side = "after" if apart > 0 else "before"
        why = (
            f"clocks are apart by {abs(seconds):.3g} s: stamps of {camera.topic} are {side} those "
            f"of {motion.topic}{_known_clock(abs(seconds))}. Give --camera-delay-ms "
            f"{round(apart / 1e6)}"
        )
    return Comparison(
        "Camera clock against ego motion's", "no" if bad else "yes", f"{seconds:+.3f} s",
        f"{CLOCKS_APART_NS / SECOND_NS:g} s", min(camera.count, motion.count), why,
    )  # fmt: skip


def _known_clock(seconds: float) -> str:
    """TAI and GPS time differ from UTC by whole seconds."""
    names = {37: "TAI", 36: "TAI before 2017", 18: "GPS time", 19: "TAI against GPS time"}
    for whole, name in names.items():
        if abs(seconds - whole) < 0.2:
            return f" ({name} and UTC differ so much)" if whole != 19 else f" ({name})"
    return ""


def receipt_comparison(spans: Sequence[StampSpan]) -> Comparison | None:
    """Header stamps against times of recording, the topic with the largest difference."""
    if not spans:
        return None
    worst = max(spans, key=lambda span: abs(span.offset_ns))
    seconds = worst.offset_ns / SECOND_NS
    bad = abs(worst.offset_ns) > RECEIVED_LATE_NS
    side = "after" if seconds > 0 else "before"
    why = "stamps are near the times of recording"
    if bad:
        others = all(abs(s.offset_ns - worst.offset_ns) < RECEIVED_LATE_NS for s in spans)
        all_of = "all topics" if others and len(spans) > 1 else worst.topic
        why = (
            f"header stamps of {all_of} are {_span(abs(seconds))} {side} the times of recording"
            f"{': a recording of a replay?' if others else ''}"
        )
    return Comparison(
        "Header stamps against receive times", "no" if bad else "yes", f"{seconds:+.3f} s",
        f"{RECEIVED_LATE_NS / SECOND_NS:g} s", sum(span.count for span in spans), why,
    )  # fmt: skip


def _span(seconds: float) -> str:
    for size, unit in ((365.25 * 86400, "years"), (86400, "days"), (3600, "hours")):
        if seconds > 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"


def odometry_comparison(speeds: Mapping[str, tuple[float, int]]) -> Comparison | None:
    """speeds: source of ego motion -> its median speed [m/s] and over how many windows; the one in
    use first. None where there is only one source."""
    known = {name: value for name, value in speeds.items() if value[1]}
    if len(known) < 2:
        return None
    (first, (used, _)), *others = known.items()
    name, (other, _) = max(others, key=lambda item: abs(item[1][0] - used))
    apart = abs(other - used)
    bound = max(SPEEDS_APART, SPEEDS_SHARE * max(other, used))
    bad = apart > bound
    why = f"{', '.join(known)} tell the same speed"
    if bad:
        why = (
            f"{first} says {used:.1f} m/s, {name} says {other:.1f} m/s; {first} is used, choose "
            "with --odometry"
        )
    return Comparison(
        "Odometries against one another", "no" if bad else "yes", f"{apart:.2f} m/s apart",
        f"{bound:.2f} m/s", min(count for _, count in known.values()), why,
    )  # fmt: skip


def is_redefined(before: F64, after: F64) -> bool:
    """Whether a static transform (4, 4) that comes again has another value."""
    moved = float(np.linalg.norm(after[:3, 3] - before[:3, 3]))
    trace = float(np.trace(before[:3, :3].T @ after[:3, :3]))
    turned = float(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)))
    return moved > SAME_PLACE_M or turned > SAME_ANGLE


def transform_comparison(
    redefined: Sequence[str], reparented: Sequence[str], edges: int
) -> Comparison | None:
    """tf against tf. redefined, reparented: sentences about frames that are given twice."""
    if not edges:
        return None
    faults = [*redefined, *reparented]
    why = "; ".join(faults) or "every frame is defined once"
    return Comparison(
        "tf against tf", "no" if faults else "yes", f"{len(faults)} frames defined twice", "0",
        edges, why,
    )  # fmt: skip


def size_comparison(
    sizes: Mapping[str, tuple[tuple[int, int], tuple[int, int]]],
) -> Comparison | None:
    """sizes: camera -> (of its first picture, of its CameraInfo), width and height [px]."""
    if not sizes:
        return None
    faults = [
        f"{camera}: pictures are {a[0]}x{a[1]}, CameraInfo is for {b[0]}x{b[1]}"
        for camera, (a, b) in sizes.items() if a != b
    ]  # fmt: skip
    return Comparison(
        "CameraInfo against picture size", "no" if faults else "yes",
        f"{len(faults)} of {len(sizes)} cameras differ", "0", len(sizes),
        "; ".join(faults) or "pictures have the size that they are calibrated for",
    )  # fmt: skip


def matrix_comparison(notes: Sequence[str], cameras: int) -> Comparison | None:
    """K, D and P of CameraInfo against one another and the topic's name. notes: what contradicts,
    one sentence a camera."""
    if not cameras:
        return None
    return Comparison(
        "CameraInfo: K, D, P and the topic's name", "no" if notes else "yes",
        f"{len(notes)} contradictions", "0", cameras,
        "; ".join(notes) or "they belong together",
    )  # fmt: skip
