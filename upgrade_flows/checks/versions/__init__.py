"""Checks of versions: who holds what down, and what the target release does not take any more."""
