"""Data: recordings of any kind -> the values of `types.py`, in time order; and bags written back.
In:  rosbags, DGP and nuScenes folders, NAVSIM   Out: CameraImage, EgoMotion, Intent, boxes, Rig
May import: types, frames, config, camera, scoring, language.labels, world."""
