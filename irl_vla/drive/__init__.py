"""Drive: the whole car loop without ROS. Desk and closed loop step it, the nodes call its parts.
In:  FrameSet, EgoMotion, Intent, bundle, rig   Out: Plan or Refusal
May import: types, frames, config, camera, perception, language, planner, scoring, reward, engine
(closed_loop also: world)."""
