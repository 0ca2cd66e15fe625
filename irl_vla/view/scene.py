"""A scoring scene from above with one plan in it, and the reasons for every lost point.

In: Scene, Explanation   Out: PNG   May import: everything but cli.
"""

from __future__ import annotations

import io
import textwrap

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from irl_vla.frames import box_corners, to_outer
from irl_vla.scoring.explain import Explanation
from irl_vla.scoring.scene import AREA_KINDS, Scene
from irl_vla.types import F64
from irl_vla.view.palette import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, hex_color

SIZE_INCHES, DPI = (12.8, 7.2), 100
MARGIN_M, LEAST_M = 14.0, 30.0  # around what happens; least half side of the picture
EVERY = 5  # steps between drawn boxes: 0.5 s
ROAD, CROSSING, PARK, LANE = "#e6e8eb", "#d5d9df", "#eee6d6", "#aab2bd"
INK, MUTED, GOOD, RED = "#1c2430", "#5f6b7a", hex_color(GREEN), "#d22f27"
LOST = hex_color(VERMILLION)
AREA_COLOURS = {
    "roadblock": ROAD, "drivable_area": ROAD, "intersection": CROSSING, "carpark": PARK,
}  # fmt: skip


def scene_png(scene: Scene, found: Explanation, title: str, plan: F64) -> bytes:
    """Scene, agents over 4 s, the plan's footprints and the reasons, as a PNG.

    plan: (8, 3) in the frame of the initial rear axle. The same input gives the same bytes.
    """
    with rc_context({"text.parse_math": False}):  # a foreign "$" is no formula
        return _drawn(scene, found, title, plan)


def _drawn(scene: Scene, found: Explanation, title: str, plan: F64) -> bytes:
    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.01, 0.02, 0.62, 0.96))
    _ground(axis, scene)
    _agents(axis, found)
    _plans(axis, scene, plan)
    _ego(axis, found)
    _window(axis, found)
    _legend(axis, scene)
    _reasons(figure.add_axes((0.65, 0.02, 0.34, 0.96)), found, title)
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def _ground(axis: Axes, scene: Scene) -> None:
    areas = scene.areas
    names = [AREA_KINDS[kind] for kind in areas.kinds]
    for name, colour in AREA_COLOURS.items():
        rings = [areas.polygons.ring(i) for i, found in enumerate(names) if found == name]
        axis.add_collection(PolyCollection(rings, facecolors=colour, edgecolors="none", zorder=1))
    lanes = [areas.polygons.ring(i) for i, name in enumerate(names) if name.startswith("lane")]
    axis.add_collection(
        PolyCollection(lanes, facecolors="none", edgecolors=LANE, linewidths=0.5, zorder=2)
    )
    middles = [line[len(line) // 2] for line in areas.centerlines if len(line) > 1]
    if middles:
        x, y, yaw = np.array(middles).T
        axis.quiver(
            x, y, np.cos(yaw), np.sin(yaw), angles="xy", scale_units="xy", scale=0.35,
            pivot="mid", width=0.0025, headwidth=5, color=LANE, zorder=2,
        )  # fmt: skip
    route = scene.route.centerline
    axis.plot(route[:, 0], route[:, 1], color=GOOD, lw=5, alpha=0.25, zorder=3)
    if scene.red_lights is not None:
        lit = [i for i, steps in enumerate(scene.red_lights.red) if steps.any()]
        rings = [scene.red_lights.polygons.ring(i) for i in lit]
        axis.add_collection(
            PolyCollection(rings, facecolors=RED, edgecolors="none", alpha=0.22, zorder=3)
        )


def _agents(axis: Axes, found: Explanation) -> None:
    """Boxes every half second, fading into the future; those that cost a point are marked."""
    tracks, blamed = found.tracks, {loss.subject for loss in found.losses}
    for index, name in enumerate(tracks.ids):
        steps = np.flatnonzero(tracks.present[index])[::EVERY]
        if not len(steps):
            continue
        poses = tracks.states[index, steps, :3]
        still = bool(np.ptp(poses[:, :2], axis=0).max() < 0.2)
        poses = poses[:1] if still else poses
        colour = LOST if name in blamed else hex_color(SKY)
        fade = np.linspace(0.9, 0.15, len(poses))
        for box, alpha in zip(
            box_corners(poses, tracks.sizes[index : index + 1]), fade, strict=True
        ):
            axis.fill(*box.T, facecolor=colour, edgecolor=INK, lw=0.5, alpha=alpha, zorder=4)


def _plans(axis: Axes, scene: Scene, plan: F64) -> None:
    initial = scene.ego.initial[:3]
    for poses, colour in (
        (plan, BLUE),
        (None if scene.human is None else scene.human.poses, PURPLE),
    ):
        if poses is not None:
            line = np.vstack([initial, to_outer(poses, initial)])
            axis.plot(line[:, 0], line[:, 1], "o-", ms=3, lw=1.2, color=hex_color(colour), zorder=7)
    if scene.reference is not None:
        poses = scene.reference.poses
        axis.plot(poses[:, 0], poses[:, 1], ":", lw=1.6, color=hex_color(ORANGE), zorder=6)


def _ego(axis: Axes, found: Explanation) -> None:
    """Simulated footprints: outlined in green, red where the car is off the drivable area."""
    shown = [*range(0, len(found.corners), EVERY)]
    colours = [LOST if found.off_drivable[k] else GOOD for k in shown]
    outlines = [np.vstack([found.corners[k], found.corners[k][:1]]) for k in shown]
    axis.add_collection(LineCollection(outlines, colors=colours, linewidths=1.3, zorder=8))
    axis.fill(*found.corners[0].T, facecolor=GOOD, alpha=0.55, zorder=8)
    for loss in found.losses:
        if loss.position is not None:
            x, y = loss.position
            axis.plot(x, y, "x", ms=11, mew=2.5, color=LOST, zorder=9)
            axis.annotate(
                loss.sub_score.upper(), (x, y), (6, 6), textcoords="offset points", color=LOST,
                weight="bold", fontsize=9, zorder=10, annotation_clip=True,
            )  # fmt: skip


def _window(axis: Axes, found: Explanation) -> None:
    low, high = found.centres.min(axis=0) - MARGIN_M, found.centres.max(axis=0) + MARGIN_M
    middle, half = (low + high) / 2, max(LEAST_M, float((high - low).max() / 2))
    axis.set_xlim(middle[0] - half * 1.15, middle[0] + half * 1.15)
    axis.set_ylim(middle[1] - half, middle[1] + half)
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_color(LANE)
    axis.plot([middle[0] - 5, middle[0] + 5], [middle[1] - half * 0.95] * 2, color=INK, lw=2)
    axis.text(middle[0], middle[1] - half * 0.93, "10 m", ha="center", fontsize=8, color=INK)


def _legend(axis: Axes, scene: Scene) -> None:
    handles = [
        Line2D([], [], color=GOOD, lw=1.3, label="ego, every 0.5 s (simulated)"),
        Line2D([], [], color=hex_color(BLUE), marker="o", ms=3, label="plan"),
        Patch(facecolor=hex_color(SKY), edgecolor=INK, label="others, fading with time"),
        Patch(facecolor=LOST, edgecolor=INK, label="cost a point"),
        Line2D([], [], color=GOOD, lw=5, alpha=0.25, label="route"),
    ]
    if scene.human is not None:
        handles.insert(2, Line2D([], [], color=hex_color(PURPLE), marker="o", ms=3, label="human"))
    if scene.reference is not None:
        handles.insert(2, Line2D([], [], color=hex_color(ORANGE), ls=":", label="reference"))
    if scene.red_lights is not None and len(scene.red_lights.ids):
        handles.append(Patch(facecolor=RED, alpha=0.22, label="closed by a red light"))
    axis.legend(handles=handles, loc="upper left", fontsize=8, framealpha=0.9)


def _reasons(axis: Axes, found: Explanation, title: str) -> None:
    """Score, a bar per sub-score, and the sentences."""
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    scores, sub_scores = found.scores, ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc")
    axis.text(0, 0.985, title, fontsize=11, weight="bold", color=INK, va="top")
    final = 100.0 * float(scores.epdms[0])
    axis.text(0, 0.94, f"EPDMS {final:.1f}", fontsize=22, weight="bold", color=INK, va="top")
    values = {name: float(getattr(scores.raw, name)[0]) for name in sub_scores}
    values |= {} if np.isnan(scores.ec[0]) else {"ec": float(scores.ec[0])}
    top = 0.84
    for name, value in values.items():
        axis.text(0, top, name.upper(), fontsize=9, color=MUTED, va="center")
        axis.barh(top, 0.55, height=0.014, left=0.12, color=ROAD)
        axis.barh(top, 0.55 * value, height=0.014, left=0.12, color=GOOD if value == 1 else LOST)
        axis.text(0.7, top, f"{value:.2f}", fontsize=9, color=INK, va="center")
        top -= 0.031
    top -= 0.02
    for loss in found.losses:
        head = f"{loss.sub_score.upper()} {loss.value:.2f}"
        lines = textwrap.wrap(loss.text, 62)
        if top - 0.024 * (len(lines) + 1) < 0.0:
            axis.text(0, top, "...", fontsize=9, color=MUTED, va="top")
            break
        gain = f"  (worth {100.0 * loss.gain:.1f} points)" if loss.gain > 0.0005 else ""
        axis.text(0, top, head + gain, fontsize=9, weight="bold", va="top",
                  color=MUTED if loss.forgiven else LOST)  # fmt: skip
        axis.text(0, top - 0.022, "\n".join(lines), fontsize=8.5, color=INK, va="top")
        top -= 0.024 * (len(lines) + 1) + 0.008
    if not found.losses:
        axis.text(0, top, "no point lost", fontsize=10, color=GOOD, va="top")
