"""Messages are checked field by field: rclpy does so only if asked before it is imported."""

import os

os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
