"""An example of a vehicle interface; it needs ROS 2 and nothing else of this project."""
