"""A small shop, deliberately flawed: what the demo runs and diagnoses. It is copied before it is run."""
