"""Checks of the cloud as its services show it to an administrator."""
