"""Messages: ROS messages without ROS: their types, their bytes, and the values they carry.
In:  bytes of a topic, values of types.py   Out: messages, values of types.py, Notice, Calibration
May import: types, frames, config, resources, unpack, camera."""
