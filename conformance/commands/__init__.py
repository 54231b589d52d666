"""The commands `run` and `trace`, what a run prints, and the smoke test before it."""
