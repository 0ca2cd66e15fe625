"""Camera: exposures and a rig -> pictures with the geometry that belongs to those very pixels.

In:  CameraImage, one by one, and a Rig (YAML, or CameraInfo and tf)
Out: FrameSet (one image per camera around an anchor, or a named reason), CalibratedImages,
     SamplingGrid (where each BEV cell looks in each picture)
May import: types, frames, config.
"""
