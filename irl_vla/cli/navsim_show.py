"""`irl-vla show --navsim DATA TOKEN`: one benchmark scene as a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import shapely

from irl_vla.drive.fallback import unchecked_stop
from irl_vla.frames import to_inner
from irl_vla.navsim.calibration import rig_of
from irl_vla.navsim.centerline import drivable_map
from irl_vla.navsim.city_map import CityMap, LayerName
from irl_vla.navsim.dataset import Dataset
from irl_vla.navsim.find import find_window
from irl_vla.navsim.records import LogFrame, SceneWindow
from irl_vla.navsim.sensors import frame_set
from irl_vla.paths import file_name
from irl_vla.scoring.footprint import middle
from irl_vla.types import (
    F64,
    HORIZON_POSES,
    U8,
    Boxes3D,
    Candidates,
    InputError,
    Plan,
    PlanReason,
    Schedule,
    Trajectory,
)
from irl_vla.vehicle import PACIFICA
from irl_vla.view import bev, drawing
from irl_vla.view.frame import Overlay, paint_cameras
from irl_vla.view.mosaic import contact_sheet
from irl_vla.view.palette import GREEN, MUTED, SKY, VERMILLION, YELLOW
from irl_vla.view.report import replace_file

WIDTH = 1800  # [px] of the picture
BEV_HEIGHT = 900  # [px]
ASPHALT = (38, 44, 52)  # fill of what is drivable
BEV_REACH = 50.0  # [m] ahead


def show_navsim(root: Path, token: str, out: Path | None = None, cache: Path | None = None) -> Path:
    """Draws one scene: cameras with boxes and the human trajectory, and the map from above.

    Returns the file written, `out` or out/show/navsim/TOKEN.png. Raises InputError for unknown
    tokens; missing images or a missing map are said in the picture.
    """
    dataset = Dataset(root)
    window, sensors = find_window(dataset, token, cache)
    path = out or Path("out/show/navsim") / file_name(token, ending=".png")
    replace_file(path, drawing.png(picture_of(dataset, window, sensors, cache)))
    return path


def picture_of(
    dataset: Dataset, window: SceneWindow, sensors: Path, cache: Path | None = None
) -> U8:
    """The picture of a window, RGB: camera mosaic above, bird's render below."""
    now = window.now
    frames = frame_set(sensors, now)
    plan = human_plan(window)
    overlay = Overlay(grid=False, boxes=boxes_of(now), plan=plan, intent=now.intent)
    rig = rig_of(now, frames) if frames.images else None
    mosaic = paint_cameras(frames, rig, overlay, WIDTH)
    above = map_from_above(dataset, window, overlay, cache)
    return contact_sheet([mosaic, above])


def boxes_of(frame: LogFrame) -> Boxes3D:
    """Annotations as boxes in the ego frame; none where the file has none."""
    found = frame.annotations
    if found is None or len(found) == 0:
        return Boxes3D.empty()
    return Boxes3D(
        found.boxes[:, :3], found.boxes[:, 3:6], found.boxes[:, 6], found.velocities[:, :2],
        found.names, found.track_tokens,
    )  # fmt: skip


def human_plan(window: SceneWindow) -> Plan | None:
    """What the human drove, as a plan that can be painted; None for follow-ups."""
    poses = window.human_trajectory(HORIZON_POSES)
    return painted_plan(window, poses, "what the human drove") if len(poses) else None


def painted_plan(window: SceneWindow, poses: F64, detail: str) -> Plan:
    """Poses (n, 3) as a Plan, which the painters of a drive take."""
    stamp = window.now.timestamp_us * 1000
    return Plan(
        stamp, Trajectory(poses), Candidates(np.zeros((0, len(poses), 3)), np.zeros(0)), None,
        PlanReason.BEST_CANDIDATE, detail, (), 0.0, Schedule(stamp, stamp, None, None, 0, 0), "",
        unchecked_stop(np.zeros((1, 3)), 0.0, PACIFICA),
    )  # fmt: skip


def map_from_above(
    dataset: Dataset, window: SceneWindow, overlay: Overlay, cache: Path | None
) -> U8:
    """Bird's render with lanes, centre lines, boxes and the trajectory."""
    near = bev.window_for(BEV_REACH, BEV_HEIGHT)
    view = bev.BevWindow(near.front, near.back, WIDTH / 2 / near.scale, near.scale)
    image = view.canvas()
    title = f"{window.token}  {window.metadata.log_name}  {window.metadata.map_name}"
    try:
        city = CityMap.open(dataset.maps, window.metadata.map_name, cache)
        paint_map(image, view, city, window.now)
    except InputError as reason:
        title = f"{title}  no map: {reason}"
    bev.paint_metres(image, view, 10.0)
    if overlay.boxes is not None:
        bev.paint_boxes_above(image, view, overlay.boxes)
    bev.paint_ego(image, view, overlay.vehicle)
    if overlay.plan is not None:
        bev.paint_plan_above(image, view, overlay.plan.trajectory)
    drawing.write(image, title, 8, 6, drawing.text_size(image.shape[0]), MUTED)
    return image


def paint_map(image: U8, view: bev.BevWindow, city: CityMap, frame: LogFrame) -> None:
    """Outlines of the drivable map, centre lines (route: green), red connectors (red)."""
    areas = drivable_map(city, middle(frame.pose, PACIFICA))
    for area in areas:
        if area.lane is None:
            for part in shapely.get_parts(area.polygon):
                ring = view.pixels(seen_from(frame, shapely.get_coordinates(part.exterior)))
                cv2.fillPoly(image, [drawing.fixed(ring)], ASPHALT, cv2.LINE_AA, drawing.SHIFT)
    red = {str(lane) for lane, is_red in frame.traffic_lights if is_red}
    outlines: dict[LayerName, list[F64]] = {}
    plain, route, closed = list[F64](), list[F64](), list[F64]()
    for area in areas:
        for part in shapely.get_parts(area.polygon):
            ring = shapely.get_coordinates(part.exterior)
            outlines.setdefault(area.layer, []).append(seen_from(frame, ring))
        if area.lane is not None:
            line = seen_from(frame, area.lane.baseline.points[:, :2])
            on_route = area.lane.block in frame.roadblock_ids
            is_red = area.layer is LayerName.LANE_CONNECTOR and area.id in red
            (closed if is_red else route if on_route else plain).append(line)
    bev.paint_lines_above(image, view, outlines.get(LayerName.ROADBLOCK, []), MUTED, 0.8)
    bev.paint_lines_above(image, view, outlines.get(LayerName.LANE, []), MUTED, 0.4)
    bev.paint_lines_above(image, view, outlines.get(LayerName.INTERSECTION, []), YELLOW, 0.5)
    bev.paint_lines_above(image, view, outlines.get(LayerName.CARPARK_AREA, []), SKY, 0.6)
    bev.paint_lines_above(image, view, plain, MUTED, 0.35)
    bev.paint_lines_above(image, view, route, GREEN, 0.9)
    bev.paint_lines_above(image, view, closed, VERMILLION, 0.9)


def seen_from(frame: LogFrame, points: F64) -> F64:
    """(n, 2) global points -> ego frame."""
    poses = np.column_stack([points, np.zeros(len(points))])
    return np.asarray(to_inner(poses, frame.pose)[:, :2])
