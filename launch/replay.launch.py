"""A recording through the graph: `ros2 launch irl_vla_bringup replay.launch.py bag:=BAG
bundle:=models/rule record:=OUT`. Ends when the recording ends."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from irl_vla_nodes.graph import (
    BOOLEANS,
    CarConfig,
    after,
    argument,
    described,
    flag,
    full_path,
    given,
    number,
)
from launch.actions import (
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    TimerAction,
)  # fmt: skip
from launch.events import Shutdown

from launch import LaunchContext, LaunchDescription

ARGUMENTS = [
    argument("bag", None, "recording to play"),
    argument("bundle", None, "policy bundle (folder)"),
    argument("record", "", "folder for the recording of everything; empty: none"),
    argument("record_topics", "", "what is recorded, separated by spaces; empty: everything"),
    argument("rate", "1.0", "how fast it is played"),
    argument("lockstep", "false", "wait for each plan, and compare with a replay", BOOLEANS),
    argument("results", "", "lock-step: JSON file with the differences"),
    argument("threads", "1", "of the networks"),
    argument("period_s", "0.1", "seconds between frame sets"),
    argument("python", "", "interpreter of the nodes; empty: the one they were built with"),
]
SETTLE_S = 1.0  # the last plans arrive and are recorded
DISCOVERY_S = 3.0  # nodes and recorder find the player before it begins: nothing is lost
CLOCK_HZ = "100"
QOS = Path(get_package_share_directory("irl_vla_bringup")) / "params" / "replay_qos.yaml"


def _replay(context: LaunchContext) -> list:
    bag, python = full_path(given(context, "bag")), given(context, "python")
    lockstep, record = flag(context, "lockstep"), given(context, "record")
    found = described(python, bag)
    threads = int(given(context, "threads"))
    patient = {"latest_only": not lockstep, "intent_topic": found["intent_topic"]}
    car = CarConfig(
        bundle=full_path(given(context, "bundle")),
        cameras={name: tuple(topics) for name, topics in found["cameras"].items()},
        python=python, odometry_topic=found["odometry_topic"], base_frame=found["base_frame"],
        period_s=number(context, "period_s"), use_sim_time=True, reliable=True, essential=True,
        settings={
            "camera_node": {"frozen_after": 0},  # a recorded drive is followed as it was
            "perception_node": {"threads": threads, **patient},
            "planner_node": {"threads": threads},
        },
    )  # fmt: skip
    if lockstep:
        player = car.node(
            "lockstep_node",
            {
                "bag": bag,
                "bundle": car.bundle,
                "fallback_until_s": car.fallback_until_s,
                "results": full_path(given(context, "results")),
            },
        )
    else:
        player = ExecuteProcess(
            cmd=["ros2", "bag", "play", bag, "--clock", CLOCK_HZ, "--rate", given(context, "rate"),
                 "--delay", str(DISCOVERY_S), "--disable-keyboard-controls",
                 "--qos-profile-overrides-path", str(QOS)],
            output="screen",
        )  # fmt: skip
    ready = car.ready()
    recorder = []
    if record:
        topics = given(context, "record_topics").split()
        what = ["--topics", *topics] if topics else ["--all"]
        recorder = [
            ExecuteProcess(
                cmd=["ros2", "bag", "record", *what, "--storage", "mcap", "--output",
                     full_path(record), "--disable-keyboard-controls"],
                output="screen",
            )
        ]  # fmt: skip
    end = TimerAction(period=SETTLE_S, actions=[EmitEvent(event=Shutdown(reason="played"))])
    return [
        *car.nodes(), *recorder, ready,
        after(ready, "await_active", [player]), after(player, "the player", [end]),
    ]  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_replay)])
