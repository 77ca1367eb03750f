"""The guest of the lab: a Linux that boots in seconds and tells over HTTP who it is."""
