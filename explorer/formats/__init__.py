"""Checkpoints of others: read without executing, recognised by their tensors, calibrated."""
