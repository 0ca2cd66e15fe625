"""Can the calibration be trusted? Plain checks, each with what was looked at and what was found.

In: Rig, image sizes, boxes, evidence from the pixels   Out: Verdict   May import: camera, types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np

from irl_vla.camera.rig import Camera, Rig
from irl_vla.types import F64, Boxes3D
from irl_vla.view.camera import corners_of, seen
from irl_vla.view.motion_evidence import MotionEvidence
from irl_vla.view.report import Check, Verdict, join_words

CAMERA_HEIGHT = (0.2, 4.0)  # [m] above the ground: from a bumper to the roof of a lorry
LEVEL_ROLL = np.radians(15.0)  # a camera that leans further is unusual
OFF_CENTRE = 0.15  # of the image size: principal points lie nearer to the centre
UNEVEN_FOCAL = 0.05  # fx and fy of square pixels differ less
SAME_PLACE = 0.01  # [m] two cameras this close ...
SAME_VIEW = np.radians(2.0)  # ... that look the same way are one transform given twice
NEAR_BOX = (4.0, 40.0)  # [m] boxes that must show in some image
GROUND_MISS = 0.5  # [m] median height of near boxes' bottoms above z = 0
GOOD_TURN = np.radians(1.0)  # pixels and calibration agree: 0.5 m at 30 m
BAD_TURN = np.radians(3.0)  # they contradict each other: half a lane at 30 m
MIN_PAIRS = 4  # image pairs of a camera: fewer prove nothing
GOOD_SCALE, BAD_SCALE = 0.15, 0.3  # of height above the ground: a camera of 1.5 m is off by 0.2 m
MIN_GROUND = 3  # image pairs of a camera that show enough ground
GOOD_FIT = 1.5  # [px at 640 px width] points farther from any one motion were badly followed


def judge(
    rig: Rig | None, sizes: Mapping[str, tuple[int, int]], boxes: Sequence[Boxes3D],
    evidence: Mapping[str, MotionEvidence], others: Sequence[Check] = (),
) -> Verdict:  # fmt: skip
    """All checks and one sentence. sizes: camera -> width, height of its images [px]; others: what
    else was checked, such as pictures and two sources of one fact."""
    if rig is None:
        text = "There is no calibration, so there is nothing to judge."
        return Verdict("unknown", text, tuple(others))
    checks = (
        _sizes(rig, sizes), _heights(rig), _upright(rig), _horizon(rig), _ground(rig),
        _lenses(rig), _different(rig), _boxes(rig, boxes), *others, _scale(rig, evidence),
        _motion(rig, evidence),
    )  # fmt: skip
    return Verdict(*_sentence(checks), checks)


def _sentence(checks: Sequence[Check]) -> tuple[str, str]:
    """Yes only where everything that it rests on was checked: the last two, from the pixels."""
    wrong = [check.name.lower() for check in checks if check.level == "bad"]
    look = [check.name.lower() for check in checks if check.level == "warn"]
    unknown = [check.name.lower() for check in checks[:-2] if check.level == "unknown"]
    if wrong:
        return "bad", f"Do not trust it: {join_words(wrong)} cannot be right."
    if look:
        return "warn", f"Not enough to say: look at {join_words(look)} below."
    scale, motion = checks[-2:]
    if scale.level == motion.level == "ok":
        rest = f" Not checked: {join_words(unknown)}." if unknown else ""
        return "ok", (
            "Yes: the image motion agrees with calibration and ego motion "
            f"({motion.pairs} image pairs), and the ground confirms height and scale "
            f"({scale.pairs} pairs).{rest}"
        )
    lacks = join_words([c.name.lower() for c in (scale, motion) if c.level != "ok"])
    return "warn", (
        f"Not enough to say: {lacks} could not be checked. The geometry is consistent, but the "
        "images could not confirm it. Check that the grid lies on the road and the dashed line on "
        "the horizon."
    )


def _per_camera(
    rig: Rig, name: str, good: str, bound: str, fault: Callable[[Camera], str | None],
    level: str = "bad",
) -> Check:  # fmt: skip
    faults = [f"{c.name}: {text}" for c in rig.cameras if (text := fault(c)) is not None]
    value, count = f"{len(faults)} of {len(rig.cameras)} cameras outside", len(rig.cameras)
    detail = "; ".join(faults) or good
    return Check(level if faults else "ok", name, detail, value, bound, count)


def _sizes(rig: Rig, sizes: Mapping[str, tuple[int, int]]) -> Check:
    known = [camera for camera in rig.cameras if camera.name in sizes]
    if not known:
        return Check("unknown", "Image size", "no images to compare with")

    def fault(camera: Camera) -> str | None:
        width, height = sizes.get(camera.name, (camera.width, camera.height))
        if (width, height) == (camera.width, camera.height):
            return None
        return f"images are {width}x{height}, calibration is for {camera.width}x{camera.height}"

    return _per_camera(
        rig, "Image size", f"as calibrated, in {len(known)} of {len(rig.cameras)} cameras",
        "the calibrated size", fault,
    )  # fmt: skip


def _heights(rig: Rig) -> Check:
    heights = sorted({f"{camera.ego_from_cam[2, 3]:.2f}" for camera in rig.cameras}, key=float)
    low, high = CAMERA_HEIGHT
    good = f"{' to '.join(dict.fromkeys([heights[0], heights[-1]]))} m above the ground"

    def fault(camera: Camera) -> str | None:
        z = camera.ego_from_cam[2, 3]
        wrong = not low <= z <= high
        return f"{z:.2f} m, expected {low:g} to {high:g} m" if wrong else None

    return _per_camera(rig, "Height of the cameras", good, f"{low:g} to {high:g} m", fault)


def _upright(rig: Rig) -> Check:
    def fault(camera: Camera) -> str | None:
        right, down = camera.ego_from_cam[2, 0], camera.ego_from_cam[2, 1]
        if np.hypot(right, down) < 0.5:  # looks up or down: no upright to speak of
            return None
        roll = float(np.arctan2(right, -down))
        return f"leans by {np.degrees(roll):+.0f}°" if abs(roll) > LEVEL_ROLL else None

    good = f"no camera leans by more than {np.degrees(LEVEL_ROLL):.0f}°"
    bound = f"±{np.degrees(LEVEL_ROLL):.0f}°"
    return _per_camera(rig, "Upright images", good, bound, fault)


def _horizon(rig: Rig) -> Check:
    def fault(camera: Camera) -> str | None:
        view = camera.ego_from_cam[:2, 2]
        far = camera.ego_from_cam[:3, 3] + 1e6 * np.append(view, 0.0)
        v = float(seen(camera, far)[1])
        if 0 <= v <= camera.height - 1:
            return None
        tilt = np.degrees(np.arcsin(np.clip(camera.ego_from_cam[2, 2], -1, 1)))
        return f"not in the image, the camera looks {tilt:+.0f}° up"

    return _per_camera(rig, "Horizon", "inside every image", "inside the image", fault, "warn")


def _ground(rig: Rig) -> Check:
    x, y = np.meshgrid(np.arange(-40.0, 41.0, 1.0), np.arange(-40.0, 41.0, 1.0))
    plane = np.stack([x, y, np.zeros_like(x)], -1)

    def fault(camera: Camera) -> str | None:
        return None if _visible(camera, plane).sum() >= 20 else "sees no ground within 40 m"

    return _per_camera(rig, "Ground", "visible in every image", "within 40 m", fault)


def _visible(camera: Camera, points: F64) -> np.ndarray:
    pixels = seen(camera, points)
    inside = (pixels >= 0) & (pixels <= [camera.width - 1, camera.height - 1])
    return np.asarray(inside.all(-1))


def _lenses(rig: Rig) -> Check:
    def fault(camera: Camera) -> str | None:
        k = camera.intrinsics
        size = np.array([camera.width, camera.height])
        off = float(np.max(np.abs((k[:2, 2] + 0.5) / size - 0.5)))
        if off > OFF_CENTRE:
            return f"principal point is {100 * off:.0f} % of the image off its centre"
        uneven = abs(float(k[0, 0] / k[1, 1]) - 1.0)
        return f"fx and fy differ by {100 * uneven:.0f} %" if uneven > UNEVEN_FOCAL else None

    views = [f"{np.degrees(camera.field_of_view[0]):.0f}°" for camera in rig.cameras]
    good = f"plausible; horizontal fields of view {join_words(views)}"
    bound = f"centre within {100 * OFF_CENTRE:.0f} %, fx and fy within {100 * UNEVEN_FOCAL:.0f} %"
    return _per_camera(rig, "Lenses", good, bound, fault, "warn")


def _different(rig: Rig) -> Check:
    same = []
    for a, b in combinations(rig.cameras, 2):
        apart = np.linalg.norm(a.ego_from_cam[:3, 3] - b.ego_from_cam[:3, 3])
        turn = np.arccos(np.clip(a.ego_from_cam[:3, 2] @ b.ego_from_cam[:3, 2], -1, 1))
        if apart < SAME_PLACE and turn < SAME_VIEW:
            same.append(f"{a.name} and {b.name}")
    count = len(rig.cameras)
    values = (
        f"{len(same)} alike", f"{SAME_PLACE:g} m or {np.degrees(SAME_VIEW):.0f}° apart",
        count * (count - 1) // 2,
    )  # fmt: skip
    if same:
        return Check("bad", "Mounting", f"the same place and view: {'; '.join(same)}", *values)
    if len(rig.cameras) == 1:
        return Check("unknown", "Mounting", "only one camera: nothing to compare", *values)
    return Check("ok", "Mounting", "every camera has its own place or view", *values)


def _boxes(rig: Rig, boxes: Sequence[Boxes3D]) -> Check:
    """Near boxes in some camera's sector must show in an image, and stand on the ground."""
    name = "Boxes"
    corners = [corners_of(some) for some in boxes if len(some)]
    if not corners:
        return Check("unknown", name, "the source has no 3D boxes")
    points = np.concatenate(corners)
    distance = np.linalg.norm(points.mean(1)[:, :2], axis=1)
    near = points[(distance > NEAR_BOX[0]) & (distance < NEAR_BOX[1])]
    if len(near) < 5:
        return Check("unknown", name, "fewer than 5 boxes between 4 and 40 m")
    shown = np.zeros(len(near), bool)
    for camera in rig.cameras:
        shown |= _visible(camera, near).any(-1)
    bottom = float(np.median(near[..., 2].min(1)))
    detail = (
        f"{shown.sum()} of {len(near)} boxes within {NEAR_BOX[1]:.0f} m fall into an image; they "
        f"stand {bottom:+.2f} m above the ground (median)"
    )
    level = "ok" if shown.any() and abs(bottom) < GROUND_MISS else "warn"
    return Check(level, name, detail, f"{bottom:+.2f} m", f"±{GROUND_MISS:g} m", len(near))


def _degrees(angle: float) -> str:
    """Radians -> "+0.4°", without a minus before zero."""
    return f"{round(float(np.degrees(angle)), 1) + 0.0:+.1f}°"


def _motion(rig: Rig, evidence: Mapping[str, MotionEvidence]) -> Check:
    """The check that counts: pixels against calibration and ego motion."""
    name = "Yaw and pitch, from the images"
    bound = f"{np.degrees(GOOD_TURN):.0f}° in each of at least {MIN_PAIRS} pairs a camera"
    known = {c: np.median(np.array(e.turns), axis=0) for c, e in evidence.items() if e.turns}
    if not known:
        reasons = sorted({e.reason for e in evidence.values() if e.reason})
        why = "; ".join(reasons) or "no ego motion to compare with"
        return Check("unknown", name, why, "", bound, 0)
    worst = max(float(np.abs(turn[:2]).max()) for turn in known.values())
    enough = {c for c in known if _is_enough(evidence[c])}
    proven = [turn for c, turn in known.items() if c in enough] or list(known.values())
    worst_proven = max(float(np.abs(turn[:2]).max()) for turn in proven)
    level = "ok" if worst <= GOOD_TURN else "warn"
    if enough and worst_proven > BAD_TURN:
        level = "bad"
    elif enough and worst_proven <= GOOD_TURN < worst:
        level = "unknown"  # what is off is not proven
    if level == "ok" and max(turn[2] for turn in known.values()) > GOOD_FIT:
        level = "warn"
    few = [c.name for c in rig.cameras if c.name not in enough]
    if level == "ok" and few:
        level = "unknown"
    parts = [
        f"{camera} {_degrees(yaw)} yaw, {_degrees(pitch)} pitch ({fit:.2f} px)"
        for camera, (yaw, pitch, fit) in known.items()
    ]
    pairs = sum(len(evidence[c].turns) for c in known)
    travel = max(evidence[c].travel for c in known)
    detail = (
        f"the motion that the pixels show is off the car's by {'; '.join(parts)}, median of {pairs}"
        f" image pairs over up to {travel:.1f} m; up to {np.degrees(GOOD_TURN):.0f}° is good. Roll "
        "cannot be told this way"
    )
    if few:
        each = "; ".join(
            f"{c}: {len(evidence[c].turns)} pairs, {evidence[c].reason}"
            for c in few if c in evidence
        )  # fmt: skip
        detail += (
            f"; not enough for {join_words(few)}: at least {MIN_PAIRS} pairs that agree ({each})"
        )
    return Check(level, name, detail, _degrees(worst), bound, pairs)


def _is_enough(found: MotionEvidence) -> bool:
    """Enough pairs, and pairs that tell the same: half of them within the angle that is good."""
    if len(found.turns) < MIN_PAIRS:
        return False
    low, high = np.percentile(np.array(found.turns)[:, :2], [25, 75], axis=0)
    return bool(np.all(high - low <= 2.0 * GOOD_TURN))


def _scale(rig: Rig, evidence: Mapping[str, MotionEvidence]) -> Check:
    """Height of the cameras, focal length and scale of the ego motion, from points on the road."""
    name = "Height and scale, from the ground"
    bound = f"±{100 * GOOD_SCALE:.0f} % in each of at least {MIN_GROUND} pairs a camera"
    known = {
        c: float(np.median(e.scales)) for c, e in evidence.items() if len(e.scales) >= MIN_GROUND
    }
    pairs = sum(len(e.scales) for e in evidence.values())
    few = [camera.name for camera in rig.cameras if camera.name not in known]
    if not known:
        why = "too few points on the ground could be followed in any camera"
        return Check("unknown", name, why, "", bound, pairs)
    worst = max(known.values(), key=lambda scale: abs(scale - 1.0))
    off = abs(worst - 1.0)
    level = "ok" if off <= GOOD_SCALE else "warn" if off <= BAD_SCALE else "bad"
    if level == "ok" and few:
        level = "unknown"
    heights = "; ".join(
        f"{camera.name} {known[camera.name] * camera.ego_from_cam[2, 3]:.2f} m, calibrated "
        f"{camera.ego_from_cam[2, 3]:.2f} m" for camera in rig.cameras if camera.name in known
    )  # fmt: skip
    detail = (
        f"points on the ground put the cameras at {heights}. A difference may be in the height, in "
        "the focal length or in the scale of the ego motion"
    )
    if few:
        detail += f"; not enough ground is seen by {join_words(few)}"
    return Check(level, name, detail, f"{100 * (worst - 1):+.0f} %", bound, pairs)
