"""Bag: recordings of any kind -> the values of types.py, in time order; and bags written back.
In:  rosbags, DGP, nuScenes and comma2k19 folders   Out: CameraImage, EgoMotion, Intent, boxes, Rig
May import: types, frames, config, paths, unpack, camera, messages."""
