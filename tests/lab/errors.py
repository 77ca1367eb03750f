"""What the lab raises when something outside does not work."""


class LabError(Exception):
    """A failure told in one readable message."""
