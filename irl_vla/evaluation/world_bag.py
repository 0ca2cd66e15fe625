"""A drive in the built-in world as a rosbag2: what a car would have recorded, and the truth.

/sensing/CAMERA/image/compressed and camera_info · /localization/kinematic_state and /tf ·
/tf_static · /navigation/intent · /perception/boxes vision_msgs/Detection3DArray (the truth) ·
/world/markers visualization_msgs/MarkerArray (road users and the lanes' edges) · /irl_vla/drive
std_msgs/String (rig and seed, exact) · /irl_vla/plan, where a policy drives
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from irl_vla.bag.bag_files import Closing
from irl_vla.bag.bag_writer import BagWriter
from irl_vla.camera.rig import Rig
from irl_vla.drive.step import Step
from irl_vla.frames import evenly_along, inverse, move, rigid_from_pose
from irl_vla.messages.geometry_messages import BoxMarkers, Colour, LineMarkers
from irl_vla.scoring.scene import X, Y
from irl_vla.types import F64, CameraImage, Plan
from irl_vla.world.episode import Actors, WorldState
from irl_vla.world.routes import RoutePath
from irl_vla.world.simulated_sensors import ego_pose, motion_of, navigation, stamp_of, truth
from irl_vla.world.town import Town

MARKERS = "/world/markers"
LANES_WITHIN_M = 60.0  # lanes farther from the ego are not drawn
TRUTH_COLOUR, LANE_COLOUR = Colour(0.34, 0.71, 0.91, 0.5), Colour(0.6, 0.6, 0.6, 0.8)


class WorldBag(Closing):
    """Writes one drive moment by moment. A context manager; the bag appears when it is closed.
    Raises InputError where it cannot write."""

    def __init__(
        self, path: Path, rig: Rig, town: Town, actors: Actors, route: RoutePath, seed: int
    ) -> None:
        """seed: of the drive, also of its planner's noise."""
        self._rig, self._actors, self._route, self._seed = rig, actors, route, seed
        self._lanes = [np.vstack([lane.polygon, lane.polygon[:1]]) for lane in town.lanes]
        self._middles = np.array([lane.centre[:, :2].mean(axis=0) for lane in town.lanes])
        self._writer = BagWriter(path)
        self._begun = False

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()

    def write(self, moment: WorldState, images: Sequence[CameraImage]) -> None:
        """One instant: motion, navigation, truth, then the pictures, all with the same stamp."""
        writer, stamp = self._writer, stamp_of(moment)
        if not self._begun:
            writer.write_drive_record(self._rig, self._seed, stamp)
            writer.write_rig(self._rig, stamp)
            self._begun = True
        writer.write_motion(motion_of(moment))
        writer.write_intent(navigation(moment, self._route))
        boxes = truth(moment, self._actors)
        writer.write_boxes(boxes, stamp)
        lines = LineMarkers("lanes", self._near_lanes(moment), LANE_COLOUR)
        writer.write_markers(MARKERS, [BoxMarkers("truth", boxes, TRUTH_COLOUR), lines], stamp)
        for image in images:
            writer.write_image(image)

    def write_plan(self, step: Step) -> None:
        """What was planned at the instant, if anything: what `replay --follow` repeats."""
        if isinstance(step.outcome, Plan):
            self._writer.write_plan(step.outcome, step.timings_ms)

    def _near_lanes(self, moment: WorldState) -> F64:
        """(K, 24, 3) outlines of the lanes around the ego, in its frame."""
        away = np.hypot(*(self._middles - moment.ego[[X, Y]]).T)
        ego_from_world = inverse(rigid_from_pose(ego_pose(moment)))
        outlines = [
            evenly_along(self._lanes[i], LINE_POINTS) for i in np.flatnonzero(away < LANES_WITHIN_M)
        ]
        points = np.array(outlines).reshape(-1, LINE_POINTS, 2)
        flat = np.concatenate([points, np.full((*points.shape[:2], 1), 0.02)], axis=2)
        return move(flat, ego_from_world)


LINE_POINTS = 24  # of a lane's outline
