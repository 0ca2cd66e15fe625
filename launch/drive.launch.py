"""The car:
`ros2 launch irl_vla_bringup drive.launch.py bundle:=models/rule cameras:=front,left`."""

from irl_vla_nodes.graph import (
    BOOLEANS,
    LOG_LEVELS,
    NODES,
    CarConfig,
    after,
    argument,
    cameras_of,
    flag,
    full_path,
    given,
    number,
)
from launch.actions import OpaqueFunction

from launch import LaunchContext, LaunchDescription

ARGUMENTS = [
    argument("bundle", None, "policy bundle (folder)"),
    argument("cameras", None, "names of the cameras, separated by commas"),
    argument("image_topic", "/sensing/{camera}/image/compressed", "pattern of the image topics"),
    argument("camera_info_topic", "/sensing/{camera}/camera_info", "pattern of CameraInfo"),
    argument("rig", "", "calibration file; empty: CameraInfo and tf_static"),
    argument("odometry_topic", "/localization/kinematic_state", "empty: motion from tf"),
    argument("base_frame", "base_link", "tf frame of the rear axle on the ground"),
    argument("period_s", "0.1", "seconds between frame sets"),
    argument("namespace", "", "of the nodes and their topics"),
    argument("use_sim_time", "false", "take the time from /clock", BOOLEANS),
    argument("reliable", "false", "ask for reliable sensor topics", BOOLEANS),
    argument("respawn", "true", "start a node again when it dies", BOOLEANS),
    argument("overlay", "false", "paint plans into the cameras' pictures, on demand", BOOLEANS),
    argument("check", "false", "a dry run: say what is ready, start nothing", BOOLEANS),
    argument("autostart", "true", "nodes configure and activate themselves", BOOLEANS),
    argument("ring_folder", "", "for pictures and tokens; empty: one of domain and namespace"),
    argument("log_level", "info", "of the nodes", LOG_LEVELS),
    argument("params_file", "", "YAML with further parameters, see params/"),
    argument("cpus_camera", "", "CPUs of camera_node, as taskset takes them; empty: any"),
    argument("cpus_perception", "", "CPUs of perception_node"),
    argument("cpus_command", "", "CPUs of command_node"),
    argument("cpus_planner", "", "CPUs of planner_node"),
    argument("cpus_monitor", "", "CPUs of monitor_node"),
    argument("enclaves", "", "path above the nodes' SROS2 enclaves, for example /irl_vla"),
    argument("python", "", "interpreter of the nodes; empty: the one they were built with"),
]


def _car(context: LaunchContext) -> list:
    def text(name: str) -> str:
        return given(context, name)

    pins = {name: text(f"cpus_{name.removesuffix('_node')}") for name in NODES}
    car = CarConfig(
        bundle=full_path(text("bundle")),
        cameras=cameras_of(
            text("cameras").split(","), text("image_topic"), text("camera_info_topic")
        ),
        python=given(context, "python"),
        params_file=full_path(text("params_file")),
        rig=full_path(text("rig")),
        odometry_topic=text("odometry_topic"),
        base_frame=text("base_frame"),
        period_s=number(context, "period_s"),
        namespace=text("namespace"),
        use_sim_time=flag(context, "use_sim_time"),
        reliable=flag(context, "reliable"),
        respawn=flag(context, "respawn"),
        autostart=flag(context, "autostart"),
        ring_folder=full_path(text("ring_folder")),
        log_level=text("log_level"),
        enclaves=text("enclaves"),
        cpus={name: cpus for name, cpus in pins.items() if cpus},
    )
    if flag(context, "check"):
        dry_run = car.check()
        return [dry_run, after(dry_run, "the dry run", [])]
    return [*car.nodes(), *(car.overlays() if flag(context, "overlay") else [])]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_car)])
