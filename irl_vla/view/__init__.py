"""View: what a person looks at: painted camera images, bird's eye, plots, offline HTML pages.
In: FrameSet, Rig, Plan | Refusal, Boxes3D, EgoMotion   Out: RGB pictures, SVG, one HTML file
May import: every room except cli; only the commands import it."""
