"""What the colours and strokes of the replay page mean, and how far its policy may be believed.

May import: perception (class names), detections, palette, report.
"""

from __future__ import annotations

from irl_vla.perception.classes import SceneClasses
from irl_vla.view.detections import CLOSED_COLOR, MAP_STROKES, OTHER_STROKE, SEG_COLORS
from irl_vla.view.palette import GREEN, MUTED, SKY, VERMILLION, WHITE, class_color, hex_color
from irl_vla.view.report import Legend, LegendEntry

RULE_BANNER = "The rule policy has no perception: it continues the present motion."
UNTRAINED_BANNER = "These weights are untrained: the plans are meaningless."
PART_BANNER = "Only a part of these weights is trained ({}): the plans are meaningless."


def banner_of(kind: str, trained: bool, training_run: str | None = None) -> str:
    """What a reader must know before looking at the plans; empty for trained networks.

    kind: "network" or the name of a policy without one; all as in a bundle's manifest
    """
    if kind == "rule":
        return RULE_BANNER
    if kind != "network":
        return f"The policy '{kind}' has no network."
    if trained:
        return ""
    return UNTRAINED_BANNER if training_run is None else PART_BANNER.format(training_run)


def plan_legend() -> Legend:
    """Lines of the plan and of its competitors."""
    keys = (
        LegendEntry("line", hex_color(SKY), "candidate"),
        LegendEntry("line", hex_color(VERMILLION), "candidate that the guard refused"),
        LegendEntry("line", hex_color(GREEN), "route from navigation"),
    )
    return Legend("Planned", keys)


def recorded_legend(perceives: bool) -> Legend:
    """Boxes that came with the recording; they are dashed where detected ones stand beside."""
    key = LegendEntry("dashed" if perceives else "box", hex_color(SKY), "box from the recording")
    return Legend("Recorded boxes", (key,))


def detected_legends(anchors: int, found: int, classes: SceneClasses) -> tuple[Legend, ...]:
    """Everything the networks can see. anchors: looked at; found: of them, with a detection."""
    boxes = [LegendEntry("box", hex_color(class_color(name)), name) for name in classes.agents]
    strokes = [(name, *MAP_STROKES.get(name, OTHER_STROKE)) for name in classes.map]
    lines = [
        LegendEntry("line" if width < 3 else "thick", hex_color(color), name.replace("_", " "))
        for name, color, width in strokes
    ]
    painted = [name for name in classes.seg if name in SEG_COLORS]
    ground = [LegendEntry("area", hex_color(SEG_COLORS[name]), name) for name in painted]
    ground.append(LegendEntry("area", hex_color(CLOSED_COLOR), "closed by a red light"))
    ground.append(LegendEntry("dashed", hex_color(MUTED), "border of the observed area"))
    note = f"Something was detected at {found} of {anchors} anchors."
    if found == 0:
        note = f"Nothing was detected at any of the {anchors} anchors, so no detections are drawn."
    velocity = LegendEntry("line", hex_color(WHITE), "distance moved in one second")
    return (
        Legend("Detected boxes", (*boxes, velocity)),
        Legend("Detected map", tuple(lines)),
        Legend("Detected ground", tuple(ground), note),
    )
