"""The old address of `worker.producer`, kept for one release."""
