"""The car:
`ros2 launch irl_vla_bringup drive.launch.py bundle:=models/rule cameras:=front,left`."""

from irl_vla_nodes.graph import CarConfig, argument, cameras_of, full_path, given
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
    argument("use_sim_time", "false", "take the time from /clock"),
    argument("reliable", "false", "ask for reliable sensor topics"),
    argument("respawn", "true", "start a node again when it dies"),
    argument("params_file", "", "YAML with further parameters, see params/"),
    argument("cpus_camera", "", "CPUs of camera_node, as taskset takes them; empty: any"),
    argument("cpus_perception", "", "CPUs of perception_node"),
    argument("enclaves", "", "path above the nodes' SROS2 enclaves, for example /irl_vla"),
    argument("python", "", "interpreter of the nodes; empty: the one they were built with"),
]


def _car(context: LaunchContext) -> list:
    def text(name: str) -> str:
        return given(context, name)

    pins = {"camera_node": text("cpus_camera"), "perception_node": text("cpus_perception")}
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
        period_s=float(text("period_s")),
        namespace=text("namespace"),
        use_sim_time=text("use_sim_time") == "true",
        reliable=text("reliable") == "true",
        respawn=text("respawn") == "true",
        enclaves=text("enclaves"),
        cpus={name: cpus for name, cpus in pins.items() if cpus},
    )
    return car.nodes()


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_car)])
