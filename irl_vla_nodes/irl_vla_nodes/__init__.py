"""The car: ROS 2 lifecycle nodes, thin wires around the driving core.
In:  topics, tf, parameters   Out: topics, /diagnostics   May import: irl_vla, and ROS at the edge
(ring, payload, params, convert, watchdog, health and intake need no ROS)."""
