"""What perception found at an anchor: ground classes, map lines, boxes, in words and from above.

Untrained networks find nothing, and then nothing is drawn: the words say so.
In: SceneTokens, BevGrid, ego frame   Out: RGB in place, Boxes3D, words
May import: camera, perception, types, bev, drawing, palette.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.projection import BevGrid
from irl_vla.perception.classes import SceneClasses
from irl_vla.types import U8, Boxes3D, SceneTokens
from irl_vla.view import drawing
from irl_vla.view.bev import BevWindow
from irl_vla.view.palette import MUTED, ORANGE, PURPLE, RED, WHITE, YELLOW, Rgb

SEG_COLORS: dict[str, Rgb] = {  # dark, so that lines and boxes stand out; "nothing" is not drawn
    "road": (44, 51, 61),
    "walkway": (66, 50, 78),
    "centerline": (82, 92, 104),
    "obstacle": (98, 90, 44),
    "vehicle": (30, 78, 106),
    "pedestrian": (116, 80, 10),
}
MAP_STROKES: dict[str, tuple[Rgb, int]] = {  # colour, width [px]
    "centerline": (MUTED, 1),
    "divider": (WHITE, 1),
    "boundary": (PURPLE, 2),
    "crosswalk": (YELLOW, 2),
    "stop_line": (ORANGE, 3),
    "red_stop_line": (RED, 3),
}
CLOSED_COLOR: Rgb = (122, 26, 30)  # ground that a red light closes
CLOSED_FROM = 0.5
OTHER_STROKE = (MUTED, 1)  # of a class that only the bundle knows
NOTHING = "nothing"


def detected_boxes(tokens: SceneTokens, classes: SceneClasses) -> Boxes3D:
    """The valid agents, labelled with class and score, for example "vehicle 0.83"."""
    found = tokens.boxes[tokens.agent_valid].astype(np.float64)
    kinds = tokens.agent_class[tokens.agent_valid]
    labels = [
        f"{classes.agents[kind]} {score:.2f}"
        for kind, score in zip(kinds, found[:, 9], strict=True)
    ]
    return Boxes3D(found[:, :3], found[:, 3:6], found[:, 6], found[:, 7:9], tuple(labels))


def ground_classes(tokens: SceneTokens, classes: SceneClasses) -> NDArray[np.str_]:
    """(nx, ny) name of the most probable class of every cell."""
    likely: NDArray[np.int64] = tokens.seg.astype(np.float32).argmax(axis=0)
    return np.take(np.asarray(classes.seg, np.str_), likely)


def closed_cells(tokens: SceneTokens) -> NDArray[np.bool_]:
    """(nx, ny) where a red light closes the lane; nowhere for networks that do not say."""
    if tokens.closed is None:
        return np.zeros(tokens.seg.shape[1:], np.bool_)
    return np.asarray(tokens.closed[0] > CLOSED_FROM)


def detected_words(tokens: SceneTokens, classes: SceneClasses) -> str:
    """One sentence: "Detected: 2 vehicles, 1 map line, 34 % of the ground." """
    kinds = Counter(classes.agents[kind] for kind in tokens.agent_class[tokens.agent_valid])
    counts = [(name, kinds[name]) for name in classes.agents]
    counts.append(("map line", int(tokens.map_valid.sum())))
    parts = [f"{n} {name}{'' if n == 1 else 's'}" for name, n in counts if n]
    if tokens.seg.size:
        share = 100.0 * float((ground_classes(tokens, classes) != NOTHING).mean())
        parts += [f"{max(share, 1.0):.0f} % of the ground"] if share > 0 else []
    parts += ["a lane closed by a red light"] if closed_cells(tokens).any() else []
    return f"Detected: {', '.join(parts)}." if parts else "Nothing detected."


def finds_something(tokens: SceneTokens, classes: SceneClasses) -> bool:
    """Whether there is anything of it to draw."""
    ground = bool(tokens.seg.size) and bool((ground_classes(tokens, classes) != NOTHING).any())
    found = tokens.agent_valid.any() or tokens.map_valid.any() or closed_cells(tokens).any()
    return bool(found or ground)


def paint_ground(
    image: U8, window: BevWindow, tokens: SceneTokens, area: BevGrid, classes: SceneClasses
) -> None:
    """Every cell of the observed grid in the colour of its class; "nothing" stays bare. What a
    red light closes has its own colour."""
    if tokens.seg.size == 0:
        return
    names = ground_classes(tokens, classes)
    height, width = image.shape[:2]
    x = window.front - np.arange(height) / window.scale
    y = window.side - np.arange(width) / window.scale
    rows = np.floor((x - area.x[0]) / (area.x[1] - area.x[0]) * names.shape[0]).astype(int)
    columns = np.floor((y - area.y[0]) / (area.y[1] - area.y[0]) * names.shape[1]).astype(int)
    here = np.flatnonzero((rows >= 0) & (rows < names.shape[0]))
    there = np.flatnonzero((columns >= 0) & (columns < names.shape[1]))
    cells = np.ix_(rows[here], columns[there])
    shown = names[cells]
    part = image[np.ix_(here, there)]
    for name, color in SEG_COLORS.items():
        part[shown == name] = color
    part[closed_cells(tokens)[cells]] = CLOSED_COLOR
    image[np.ix_(here, there)] = part


def paint_area(image: U8, window: BevWindow, area: BevGrid) -> None:
    """The border of the observed grid: outside of it nothing is known."""
    (back, front), (right, left) = area.x, area.y
    ring = np.array([[back, right], [front, right], [front, left], [back, left], [back, right]])
    drawing.strokes(image, drawing.dashes(window.pixels(ring), 6.0), MUTED, 1, 0.8)


def paint_map_found(
    image: U8, window: BevWindow, tokens: SceneTokens, classes: SceneClasses
) -> None:
    """The valid map elements, each in the stroke of its class."""
    for index in np.flatnonzero(tokens.map_valid):
        name = classes.map[tokens.map_class[index]]
        color, width = MAP_STROKES.get(name, OTHER_STROKE)
        drawing.stroke(
            image, window.pixels(tokens.polylines[index].astype(np.float64)), color, width
        )
