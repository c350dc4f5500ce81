"""Find animals in frames, and the pose of each in its box. Detectors are found by name through `lp_core`."""
