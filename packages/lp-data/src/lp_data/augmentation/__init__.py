"""Training augmentation: one geometric transform and batched photometric parts, on the device of the images."""
