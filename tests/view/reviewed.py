"""Pictures that somebody has looked at, in a few numbers each, so that none changes unnoticed.
When one is meant to change, draw them all, look at them, and write the numbers anew:

    python tests/view/reviewed.py FOLDER

Of each picture: the mean colour of 16 x 16 blocks as hexadecimal digits, which says where it
changed; and the sum of all values, each with a weight of its own, which a few pixels change. Of
each plot: that sum of the numbers in its SVG, and its words.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from test_view_detections import AREA, tokens
from test_view_town import crossroads, drive

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.rig import Rig, ViewDirection, ego_from_look, load_rig
from irl_vla.drive.closed_loop import Tick
from irl_vla.drive.fallback import unchecked_stop
from irl_vla.drive.step import Step
from irl_vla.resources import resource
from irl_vla.types import (
    F64,
    U8,
    Boxes3D,
    CameraImage,
    Candidates,
    EgoStatus,
    FrameSet,
    Intent,
    IntentDirection,
    Plan,
    PlanReason,
    Refusal,
    Rejection,
    Schedule,
    Trajectory,
)
from irl_vla.vehicle import PACIFICA
from irl_vla.view import commands
from irl_vla.view.bev import paint_rig
from irl_vla.view.drive_page import DrivePainter
from irl_vla.view.frame import Overlay, paint_bev, paint_cameras
from irl_vla.view.plots import (
    EgoTrace,
    PlanTrace,
    SyncTrace,
    plot_ego,
    plot_latency,
    plot_outcomes,
    plot_path,
    plot_plans,
    plot_sync,
)
from irl_vla.view.report import PageFigure
from irl_vla.view.scene import scene_png
from irl_vla.view.score_plot import plot_scores
from irl_vla.view.town import TownOverlay, TownPainter
from irl_vla.view.town_film import instants, many_drives
from irl_vla.world.episode import BRAKE, LEFT_INDICATOR, RIGHT_INDICATOR
from irl_vla.world.routes import RoutePath
from irl_vla.world.town import Light, Prop, Signal, Turn

sys.path.append(str(Path(__file__).parents[1] / "scoring"))
from scoring_cases import plan, rectangle, street, tracks

from irl_vla.scoring.explain import explain
from irl_vla.scoring.scene import PEDESTRIAN, VEHICLE, NamedPlan, Polygons, RedLights

FILE = Path(__file__).with_name("reviewed.json")
BLOCKS = 16
Sum = tuple[float, float]  # weighted, and of the same without signs: the scale of rounding


@dataclass(frozen=True)
class Reviewed:
    """blocks: of a picture; words: of a plot; the other is empty"""

    total: Sum
    blocks: str = ""
    words: str = ""


def weighted(values: F64) -> Sum:
    """The sum of all values with weights between 0.5 and 1.5, none like another."""
    flat = values.ravel()
    weights = 0.5 + np.arange(1, len(flat) + 1) * 0.6180339887498949 % 1.0
    return float(flat @ weights), float(np.abs(flat) @ weights)


def of_picture(picture: U8) -> Reviewed:
    """(h, w, 3) -> its numbers."""
    rows = np.array_split(np.arange(picture.shape[0]), BLOCKS)
    columns = np.array_split(np.arange(picture.shape[1]), BLOCKS)
    means = [picture[np.ix_(r, c)].mean(axis=(0, 1)) for r in rows for c in columns]
    digits = np.round(means).astype(np.uint8).tobytes().hex()
    return Reviewed(weighted(picture.astype(np.float64)), blocks=digits)


def of_plot(figure: PageFigure) -> Reviewed:
    """The numbers of its SVG and the words in it."""
    tags = " ".join(re.findall(r"<[^>]*>", figure.svg))
    tags = re.sub(r'(id|href|clip-path)="[^"]*"|#[0-9a-f]{6}', _as_number, tags)
    numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", tags)]
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", figure.svg)).strip()
    return Reviewed(weighted(np.array(numbers)), words=words)


def _as_number(found: re.Match[str]) -> str:
    """A colour as a number; names of parts are left out."""
    return str(int(found.group()[1:], 16)) if found.group()[0] == "#" else ""


# ---- a town from above


def town_picture(step: int, middle: tuple[float, float], overlay: TownOverlay) -> U8:
    """The crossroads at one instant, with the ego between two heads of signals."""
    episode = drive()
    others = (
        Prop("traffic_light", np.array([8.0, -5.0, np.pi]), np.array([0.3, 0.3, 4.0])),
        Prop("bollard", np.array([-14.0, 6.0, 0.0]), np.array([0.2, 0.2, 0.9])),
        Prop("tree", np.array([-30.0, -14.0, 0.0]), np.array([7.0, 7.0, 9.0]), 9),
        Prop("building", np.array([20.0, -24.0, 0.4]), np.array([18.0, 9.0, 12.0]), 12),
    )
    town = crossroads()
    left = replace(town.lanes[1], turn=Turn.LEFT, signal=1, id="left")
    second = Signal(town.signals[0].phases, 4.0, np.array([[-8.0, 5.0, 3.0, np.pi]]))
    town = replace(
        town, props=(*town.props, *others), lanes=(*town.lanes, left),
        signals=(*town.signals, second),
    )  # fmt: skip
    now = episode.moment(step)
    lamps = now.lamps.copy()
    lamps[2], lamps[3], lamps[4] = RIGHT_INDICATOR, BRAKE | LEFT_INDICATOR, BRAKE
    now = replace(
        now, lamps=lamps, ego_lamps=LEFT_INDICATOR | BRAKE,
        lights=np.array([Light.AMBER, Light.GREEN], np.int8),
    )  # fmt: skip
    painter = TownPainter(town, episode.actors, episode.vehicle)
    return painter.paint(now, np.array(middle), overlay)


def overlaid() -> TownOverlay:
    """A route, a way, three plans and a note."""
    x = np.arange(1, 9) * 3.0
    plans = np.stack([np.column_stack([x, k * x**2 / 200, k * x / 100]) for k in (-1, 0, 1)])
    return TownOverlay(
        route=np.array([[-40.0, -1.75], [0.0, -1.75], [30.0, 0.0]]),
        trail=np.array([[-60.0, -1.75], [-40.0, -1.75]]), plans=plans, chosen=2, note="a bus",
    )  # fmt: skip


def town_overview() -> U8:
    """All of it, as on a map."""
    episode = drive()
    return TownPainter(episode.town, episode.actors, episode.vehicle).overview(500)


def town_sheets() -> U8:
    """Small pictures of two drives over one of four instants, as wide."""
    small = next(many_drives([drive(8), drive(3)], ["a", "b"], [5]))
    large = instants(drive(), (0.0, 0.5, 1.0, 1.9))
    wide = max(small.shape[1], large.shape[1])
    return np.vstack([np.pad(s, ((0, 0), (0, wide - s.shape[1]), (0, 0))) for s in (small, large)])


# ---- an anchor: cameras and bird's eye


def rig() -> Rig:
    """A bending lens ahead, a fisheye to the left, and one behind that gives no picture."""
    lens = np.array([[330.0, 0, 319.5], [0, 330.0, 179.5], [0, 0, 1]])
    wide = np.array([[200.0, 0, 319.5], [0, 200.0, 179.5], [0, 0, 1]])
    cameras = (
        Camera("front", 640, 360, CameraModel.PLUMB_BOB, lens, (-0.3, 0.1, 0.001, -0.002, 0.0),
               ego_from_look((1.7, 0.0, 1.5), ViewDirection(pitch_deg=4.0))),
        Camera("left", 640, 360, CameraModel.EQUIDISTANT, wide, (0.03, -0.01, 0.002, 0.0),
               ego_from_look((1.2, 0.7, 1.4), ViewDirection(yaw_deg=80.0, pitch_deg=10.0))),
        Camera("back", 640, 360, CameraModel.PLUMB_BOB, lens, (),
               ego_from_look((-1.0, 0.0, 1.2), ViewDirection(yaw_deg=180.0))),
    )  # fmt: skip
    return Rig("three", cameras)


def frames() -> FrameSet:
    """Two pictures that fade from dark to bright, one of them late."""
    shade = np.linspace(30, 170, 640).astype(np.uint8)
    pixels = np.repeat(np.tile(shade, (360, 1))[..., None], 3, axis=2)
    images = {
        "front": CameraImage("front", 0, pixels=pixels),
        "left": CameraImage("left", 23_000_000, pixels=pixels[:, ::-1].copy()),
    }
    return FrameSet(0, images, {"back": "stopped: its last image is 1.2 s old"})


def planned() -> Plan:
    """Three candidates, one of them refused; the plan slows down in a left turn."""
    t = np.arange(1, 9) * 0.5
    ways = [np.column_stack([9 * t - 0.6 * t**2, k * t**2, 0.1 * k * t]) for k in (0.5, 0.0, -0.4)]
    return Plan(
        0, Trajectory(ways[0]), Candidates(np.stack(ways), np.ones(3)), 0,
        PlanReason.BEST_CANDIDATE, "", (Rejection(2, "agent", "a car"),), 26.0,
        Schedule(0, 0, None, None, 0, 0), "abc", unchecked_stop(np.zeros((1, 3)), 0.0, PACIFICA),
    )  # fmt: skip


def known() -> Boxes3D:
    """A car that moves, one that does not, somebody walking; far, near and to the left."""
    return Boxes3D(
        np.array([[24.0, 2.0, 0.8], [9.0, -3.5, 0.75], [6.0, 6.0, 0.9]]),
        np.array([[4.5, 1.9, 1.6], [4.2, 1.8, 1.5], [0.6, 0.7, 1.8]]),
        np.array([0.2, -0.1, 1.5]), np.array([[7.0, 1.0], [np.nan, np.nan], [0.0, 1.3]]),
        ("car", "car", "pedestrian"),
    )  # fmt: skip


def recorded() -> Overlay:
    """What a recording tells."""
    route = np.stack([np.arange(0.0, 40.0, 2.0), 0.01 * np.arange(0.0, 40.0, 2.0) ** 2], -1)
    return Overlay(grid=True, boxes=known(), intent=Intent(IntentDirection.LEFT, route, 0))


def driven() -> Overlay:
    """What a bundle sees and plans, beside what is known."""
    closed = np.zeros((1, *AREA.cells), np.float16)
    closed[0, 40:44, 28:36] = 0.9
    seen = replace(tokens(), closed=closed)
    return Overlay(boxes=known(), plan=planned(), tokens=seen, area=AREA)


def blind() -> Overlay:
    """Networks that find nothing."""
    seen = tokens()
    seg = np.zeros_like(seen.seg)
    seg[0] = 1.0
    no = np.zeros_like
    seen = replace(seen, seg=seg, agent_valid=no(seen.agent_valid), map_valid=no(seen.map_valid))
    return Overlay(tokens=seen, area=AREA)


def drive_tick(index: int, outcome: Plan | Refusal, driving: bool = True) -> Tick:
    """A tick of the drive through the crossroads, with the cameras above."""
    ego = EgoStatus(0, np.array([9.0, 0.0]), np.zeros(2), 0.0, True, "/odom")
    timings = {"plan": 2.0 + index, "guard": 1.0}
    step = Step(outcome, frames(), ego, Intent(IntentDirection.LEFT), None, timings)
    return Tick(drive().moment(index), step, driving)


@cache
def drive_painter() -> DrivePainter:
    episode = drive()
    path = RoutePath.of(episode.town, episode.route)
    return DrivePainter(episode.town, episode.actors, rig(), path)


# ---- pictures by matplotlib


def decoded(data: bytes) -> U8:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def explained() -> U8:
    """A plan that leaves its lane before a red light and meets two others, with the reasons."""
    agents = tracks(
        ("slow", VEHICLE, 20.0, 0.0, 0.0, 2.0, 0.0), ("walker", PEDESTRIAN, 34.0, 6.0, -1.5, 0, -1)
    )
    closed = RedLights(
        ("light",), Polygons.of([rectangle(40, -1.75, 50, 1.75)]), np.ones((1, 41), np.bool_)
    )
    scene = replace(street(agents=agents), red_lights=closed, human=NamedPlan("", "log", plan(6.0)))
    way = plan(10.0, 0.012)
    return decoded(scene_png(scene, explain(scene, way, plan(10.0)), "street, a plan", way))


@cache
def command_pictures() -> dict[str, U8]:
    with TemporaryDirectory() as folder:
        commands.main(Path(folder))
        return {path.stem: decoded(path.read_bytes()) for path in Path(folder).iterdir()}


# ---- plots of the pages


def ego_trace(curved: bool = True) -> EgoTrace:
    """Ten seconds: it stops, and drives on."""
    time_s = np.arange(0, 10, 0.1)
    speed = np.maximum(0.0, 6.0 * np.cos(time_s / 2))
    return EgoTrace(time_s, speed, 0.2 * curved * np.sin(time_s), "/odom twist")


def sync_trace() -> SyncTrace:
    """Two cameras, one often late or missing, over more anchors than there are cells."""
    n = 1100
    offsets = np.where(np.arange(n) % 97 == 0, np.nan, 35.0 * np.sin(np.arange(n) / 50))
    return SyncTrace(np.arange(n) / 10, {"front": offsets, "back": 0.1 * offsets}, {}, 60.0)


def plan_traces() -> list[PlanTrace]:
    """Fans, one of them wild."""
    t = np.arange(1, 9) * 0.5
    fans = [PlanTrace(k + t, 5 + 0.1 * k * t, 0.01 * k - 0.001 * t) for k in range(6)]
    return [*fans, PlanTrace(8.0 + t, 5 + 12 * t, 0.5 * t)]


def plot_way() -> PageFigure:
    x = np.linspace(0, 40, 1500)
    return plot_path(x, 0.01 * x**2 + np.sin(x))


def plot_stages() -> PageFigure:
    ms = {"perceive": list(np.linspace(20, 60, 101)), "plan": [3.0, 4.0, 9.0], "guard": []}
    return plot_latency(ms)


def plot_what_became() -> PageFigure:
    names = ("best_candidate", "next_best", "comfortable_stop", "stale_input")
    outcomes = [names[k] for k in (0, 0, 0, 1, 1, 3, 0, 2, 2, 0)]
    return plot_outcomes(np.array([0.0, 1, 2, 3, 4, 5, 6, 12, 13, 14]) / 10, outcomes, names)


def plot_worth() -> PageFigure:
    t = np.arange(12) / 10
    return plot_scores(t, {"epdms": t / 1.1, "nc": np.ones(12), "ttc": 0.5 * (t > 0.5)})


PICTURES: dict[str, Callable[[], U8]] = {
    "town, plain": partial(town_picture, 0, (0.0, 0.0), TownOverlay()),
    "town, everything": partial(town_picture, 5, (-20.0, 2.0), overlaid()),
    "town, overview": town_overview,
    "town, sheets": town_sheets,
    "cameras, recorded": lambda: paint_cameras(frames(), rig(), recorded(), 900),
    "cameras, driven": lambda: paint_cameras(frames(), rig(), driven(), 900),
    "cameras, without rig": lambda: paint_cameras(frames(), None, Overlay(), 500),
    "above, recorded": lambda: paint_bev(recorded(), 480),
    "above, driven": lambda: paint_bev(driven(), 560),
    "above, planned": lambda: paint_bev(Overlay(plan=planned()), 480),
    "above, blind": lambda: paint_bev(blind(), 400),
    "a tick": lambda: drive_painter().paint(drive_tick(3, planned(), False)).together(),
    "rig": lambda: paint_rig(rig()),
    "rig, nuscenes_like6": lambda: paint_rig(
        load_rig(resource("calibration/rigs/nuscenes_like6.yaml")), 400
    ),
    "explained": explained,
    "commands_speed": lambda: command_pictures()["commands_speed"],
    "commands_path": lambda: command_pictures()["commands_path"],
}
PLOTS: dict[str, Callable[[], PageFigure]] = {
    "ego": lambda: plot_ego(ego_trace()),
    "ego, straight on": lambda: plot_ego(ego_trace(curved=False)),
    "ego, standing": lambda: plot_ego(replace(ego_trace(), speed=np.full(100, 0.2))),
    "sync": lambda: plot_sync(sync_trace()),
    "plans": lambda: plot_plans(ego_trace(), plan_traces()),
    "way": plot_way,
    "stages": plot_stages,
    "outcomes": plot_what_became,
    "scores": plot_worth,
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for name, paint in PICTURES.items():
        picture = paint()
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        rows[name] = vars(of_picture(picture))
    for name, plot in PLOTS.items():
        figure = plot()
        page = f'<body style="--ink:#111;--line:#ccc;width:800px">{figure.svg}</body>'
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
        rows[name] = vars(of_plot(figure))
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rows.items())
    FILE.write_text(f"{{{lines}}}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
