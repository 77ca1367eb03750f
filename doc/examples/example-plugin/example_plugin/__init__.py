"""Plugins for an imaginary backend, as an example of how plugins are written."""
