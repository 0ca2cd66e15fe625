"""The built-in world as a live car: `ros2 launch irl_vla_bringup world.launch.py seed:=3
bundle:=models/rule`. The world waits for each trajectory (lock-step on /clock), then drives it."""

from irl_vla_nodes.graph import (
    CarConfig,
    after,
    argument,
    cameras_of,
    full_path,
    given,
    number,
)
from launch.actions import EmitEvent, OpaqueFunction
from launch.events import Shutdown

from launch import LaunchContext, LaunchDescription

ARGUMENTS = [
    argument("bundle", None, "policy bundle (folder)"),
    argument("seed", "0", "seed of the town, its traffic and the drive"),
    argument("rig", "", "cameras (YAML); empty: tiny3"),
    argument("cameras", "front_left,front,front_right", "names of the rig's cameras"),
    argument("route_m", "0.0", "length of the route; 0: 200 m"),
    argument("results", "", "JSON file with the result of the drive"),
    argument(
        "control",
        "trajectory",
        "what moves the car: the trajectory, or a follower's commands",
        ("trajectory", "twist", "ackermann"),
    ),
    argument("threads", "1", "of the networks"),
    argument("enclaves", "", "path above the nodes' SROS2 enclaves, for example /irl_vla"),
    argument("python", "", "interpreter of the nodes; empty: the one they were built with"),
]


def _world(context: LaunchContext) -> list:
    seed, threads = int(given(context, "seed")), int(given(context, "threads"))
    control = given(context, "control")
    car = CarConfig(
        bundle=full_path(given(context, "bundle")),
        cameras=cameras_of(
            given(context, "cameras").split(","),
            "/sensing/{camera}/image/compressed", "/sensing/{camera}/camera_info",
        ),
        python=given(context, "python"), use_sim_time=True, reliable=True, essential=True,
        enclaves=given(context, "enclaves"),
        settings={
            "camera_node": {"frozen_after": 0},  # a world that stands still looks the same
            "perception_node": {"threads": threads, "seed": seed, "latest_only": False},
            "planner_node": {
                "threads": threads, "seed": seed, "rig": full_path(given(context, "rig")),
            },
        },
    )  # fmt: skip
    ready = car.ready()
    world = car.node(
        "world_node",
        {
            "seed": seed, "rig": full_path(given(context, "rig")),
            "route_m": number(context, "route_m"),
            "results": full_path(given(context, "results")), "control": control,
        },
    )  # fmt: skip
    follower = [] if control == "trajectory" else [car.follower(control)]
    end = [EmitEvent(event=Shutdown(reason="the drive is over"))]
    return [
        *car.nodes(), *follower, ready,
        after(ready, "await_active", [world]), after(world, "world_node", end),
    ]  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_world)])
