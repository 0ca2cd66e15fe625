"""Planner: scene tokens, command, ego motion and intent -> candidate trajectories.
In:  SceneTokens, Command, EgoStatus, Intent, seed   Out: Candidates, best first
May import: types, frames, config, perception, language."""
