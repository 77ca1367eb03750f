"""The steps of a host's upgrade, by what they are about."""
