"""Language: what a vision-language model advises, in 13 speed and 9 path classes.
In:  FrameSet, Intent   Out: Command   May import: types, frames, config, perception, camera."""
