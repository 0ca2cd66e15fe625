"""The wing as ROS installs it: `ros2 run irl_vla_nodes camera_node`."""

from setuptools import setup

NODES = (
    "camera_node", "perception_node", "command_node", "planner_node", "monitor_node",
    "world_node", "lockstep_node", "await_active", "bag_params", "lifecycle_manager",
    "check_car", "overlay_node",
)  # fmt: skip

setup(
    name="irl_vla_nodes",
    version="0.1.0",
    packages=["irl_vla_nodes"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/irl_vla_nodes"]),
        ("share/irl_vla_nodes", ["package.xml"]),
    ],
    zip_safe=True,
    extras_require={"test": ["pytest"]},
    maintainer="IRL-VLA developers",
    maintainer_email="irl-vla@users.noreply.github.com",
    description="The car: ROS 2 lifecycle nodes around the driving core of irl-vla",
    license="Apache-2.0",
    entry_points={"console_scripts": [f"{name} = irl_vla_nodes.{name}:main" for name in NODES]},
)
