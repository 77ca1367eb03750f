"""Connections by ssh, whose host keys are always verified: for every kind of plugin."""
