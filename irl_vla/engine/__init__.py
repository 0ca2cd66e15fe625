"""Engine: networks -> bundles (hashed folders) -> runners that all give the same numbers.
In:  Preset and weights, or a bundle folder   Out: Bundle, Policy, Runner
May import: types, frames, config, unpack, perception, language, planner, reward."""
