"""An example for integrators: `ros2 run irl_vla_follower follower_node`."""

from setuptools import setup

setup(
    name="irl_vla_follower",
    version="0.1.0",
    packages=["irl_vla_follower"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/irl_vla_follower"]),
        ("share/irl_vla_follower", ["package.xml"]),
    ],
    zip_safe=True,
    maintainer="IRL-VLA developers",
    maintainer_email="irl-vla@users.noreply.github.com",
    description="Example of a vehicle interface: follows the driven trajectory by pure pursuit",
    license="Apache-2.0",
    entry_points={"console_scripts": ["follower_node = irl_vla_follower.follower_node:main"]},
)
