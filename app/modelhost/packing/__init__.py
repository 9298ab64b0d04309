"""What makes bundles, on the machine of the person who trained the model."""
