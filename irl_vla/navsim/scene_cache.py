"""Prepared scoring scenes on disk, so that a second run starts at once.

One Arrow file per log and split, `<cache>/scenes/v<VERSION>/<split>/<log>.arrow`, one row per
scene. A file is written beside its place and renamed: parallel writers and a killed one leave
either the old file or a whole new one. Each file says which sources it was made from, and by which
code (`log_table.source_of`); if they changed, or if a wanted scene is not in it, it counts as
absent and is made anew.
Only relative names are stored, so a cache can be moved. No pickle.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from irl_vla.navsim.log_table import replace_file
from irl_vla.paths import file_name
from irl_vla.scoring.scene import (
    Areas,
    Ego,
    NamedPlan,
    Polygons,
    RedLights,
    Reference,
    Route,
    Scene,
    Tracks,
)
from irl_vla.types import InputError

VERSION = 1  # raised whenever a prepared scene would come out differently
NUMBERS, WHOLE, FLAGS, NAMES = (
    pa.list_(pa.float64()), pa.list_(pa.int64()), pa.list_(pa.bool_()), pa.list_(pa.string())
)  # fmt: skip
SCHEMA = pa.schema(
    [
        ("id", pa.string()), ("t0_us", pa.int64()), ("steps", pa.int64()),
        ("scene_type", pa.string()), ("traffic_policy", pa.string()),
        ("ego_history", NUMBERS), ("ego_history_us", WHOLE),
        ("area_ids", NAMES), ("area_kinds", WHOLE), ("area_vertices", NUMBERS),
        ("area_offsets", WHOLE), ("area_on_route", FLAGS), ("area_speed_limit", NUMBERS),
        ("area_lines", NUMBERS), ("area_line_offsets", WHOLE),
        ("route_lane_ids", NAMES), ("route_centerline", NUMBERS),
        ("light_ids", NAMES), ("light_vertices", NUMBERS), ("light_offsets", WHOLE),
        ("light_red", FLAGS),
        ("agent_ids", NAMES), ("agent_types", WHOLE), ("agent_sizes", NUMBERS),
        ("agent_states", NUMBERS), ("agent_present", FLAGS),
        ("human", NUMBERS), ("reference", NUMBERS),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class SceneCache:
    """The cache below one folder. source: what scenes are made from, see log_table.source_of."""

    folder: Path

    def path(self, split: str, log_name: str) -> Path:
        """The file of a log in a split."""
        folder = self.folder / "scenes" / f"v{VERSION}" / file_name(split)
        return folder / file_name(log_name, ending=".arrow")

    def load(
        self, split: str, log_name: str, source: str, tokens: Iterable[str]
    ) -> dict[str, Scene] | None:
        """The wanted scenes of a log, or None if the file is absent, stale or incomplete."""
        path, wanted = self.path(split, log_name), set(tokens)
        try:
            with pa.memory_map(str(path)) as stream:
                table = pa.ipc.open_file(stream).read_all()
                meta = table.schema.metadata or {}
                if not table.schema.equals(SCHEMA) or meta.get(b"source") != source.encode():
                    return None
                ids = table["id"].to_pylist()
                if not wanted <= set(ids):
                    return None
                return {
                    token: scene_of({name: table[name][row] for name in SCHEMA.names})
                    for row, token in enumerate(ids)
                    if token in wanted
                }
        except (OSError, pa.ArrowInvalid):  # absent, or no file of ours: it is made anew
            return None

    def store(self, split: str, log_name: str, source: str, scenes: Mapping[str, Scene]) -> None:
        """Writes all scenes of a log at once."""
        path = self.path(split, log_name)
        schema = SCHEMA.with_metadata({"source": source})
        table = pa.Table.from_pylist([row_of(scene) for scene in scenes.values()], schema)
        buffer = pa.BufferOutputStream()
        with pa.ipc.new_file(buffer, schema) as writer:
            writer.write_table(table)
        replace_file(path, buffer.getvalue().to_pybytes())


def row_of(scene: Scene) -> dict[str, Any]:
    """A scene as one row; arrays are flat, their shapes follow from the counts."""
    areas, agents, lights = scene.areas, scene.agents, scene.red_lights
    if lights is None:
        raise InputError(f"scene {scene.id}: a NAVSIM scene always has its traffic lights")
    lines = [line.reshape(-1, 3) for line in areas.centerlines]
    return {
        "id": scene.id, "t0_us": scene.t0_us, "steps": scene.steps,
        "scene_type": scene.scene_type, "traffic_policy": scene.traffic_policy,
        "ego_history": scene.ego.history.ravel(), "ego_history_us": scene.ego.history_us,
        "area_ids": list(areas.ids), "area_kinds": areas.kinds.astype(np.int64),
        "area_vertices": areas.polygons.vertices.ravel(), "area_offsets": areas.polygons.offsets,
        "area_on_route": areas.on_route, "area_speed_limit": areas.speed_limit,
        "area_lines": np.concatenate([np.zeros((0, 3)), *lines]).ravel(),
        "area_line_offsets": np.cumsum([0, *(len(line) for line in lines)]),
        "route_lane_ids": list(scene.route.lane_ids),
        "route_centerline": scene.route.centerline.ravel(),
        "light_ids": list(lights.ids), "light_vertices": lights.polygons.vertices.ravel(),
        "light_offsets": lights.polygons.offsets, "light_red": lights.red.ravel(),
        "agent_ids": list(agents.ids), "agent_types": agents.types.astype(np.int64),
        "agent_sizes": agents.sizes.ravel(), "agent_states": agents.states.ravel(),
        "agent_present": agents.present.ravel(),
        "human": None if scene.human is None else scene.human.poses.ravel(),
        "reference": None if scene.reference is None else scene.reference.poses.ravel(),
    }  # fmt: skip


def scene_of(row: Mapping[str, Any]) -> Scene:
    """Undoes `row_of`. row: name -> Arrow scalar."""

    def array(name: str, *shape: int) -> Any:
        values = row[name].values
        # Flags are bits in Arrow, so they must be copied; numbers are seen in place.
        return np.array(values.to_numpy(zero_copy_only=False)).reshape(shape)

    def maybe(name: str) -> Any:
        return array(name, -1, 3) if row[name].is_valid else None

    count, steps = len(row["agent_ids"]), row["steps"].as_py()
    lights, history = len(row["light_ids"]), array("ego_history", -1, 11)
    lines, ends = array("area_lines", -1, 3), row["area_line_offsets"].as_py()
    human, reference = maybe("human"), maybe("reference")
    return Scene(
        id=row["id"].as_py(), t0_us=row["t0_us"].as_py(), steps=steps,
        scene_type=row["scene_type"].as_py(), traffic_policy=row["traffic_policy"].as_py(),
        ego=Ego(history[-1], history, array("ego_history_us", -1)),
        areas=Areas(
            tuple(row["area_ids"].as_py()), array("area_kinds", -1).astype(np.int8),
            Polygons(array("area_vertices", -1, 2), array("area_offsets", -1)),
            array("area_on_route", -1), np.zeros(len(row["area_ids"]), np.int8),
            array("area_speed_limit", -1),
            tuple(lines[a:b] for a, b in itertools.pairwise(ends)),
        ),
        route=Route(tuple(row["route_lane_ids"].as_py()), array("route_centerline", -1, 3)),
        red_lights=RedLights(
            tuple(row["light_ids"].as_py()),
            Polygons(array("light_vertices", -1, 2), array("light_offsets", -1)),
            array("light_red", lights, steps),
        ),
        agents=Tracks(
            tuple(row["agent_ids"].as_py()), array("agent_types", -1).astype(np.int8),
            array("agent_sizes", count, 2), array("agent_states", count, steps, 5),
            array("agent_present", count, steps),
        ),
        human=None if human is None else NamedPlan("", "human", human),
        candidates=(),
        reference=None if reference is None else Reference("pdm_closed", reference),
        previous=None,
        family="navsim",
    )  # fmt: skip
