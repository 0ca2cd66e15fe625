"""Names of the graph's nodes, topics and services, relative to the car's namespace. Imports
nothing, so that a node knows what another one publishes without loading what that one needs."""

FRAMES = "irl_vla/frames"  # camera_node
TOKENS = "irl_vla/tokens"  # perception_node; the next three are for people
DETECTIONS = "irl_vla/detections"
MAP = "irl_vla/map"
SEGMENTATION = "irl_vla/segmentation"
COMMAND = "irl_vla/command"  # command_node
SET_INTENT = "irl_vla/set_intent"
PLAN = "irl_vla/plan"  # planner_node
REFUSAL = "irl_vla/refusal"
CANDIDATES = "irl_vla/candidates"  # for people
TRAJECTORY = "irl_vla/trajectory"  # monitor_node
AUTOWARE = "irl_vla/trajectory_autoware"
TWIST = "cmd_vel"  # of a vehicle interface
ACKERMANN = "ackermann_cmd"
DIAGNOSTICS = "/diagnostics"

NODES = ("camera_node", "perception_node", "command_node", "planner_node", "monitor_node")
