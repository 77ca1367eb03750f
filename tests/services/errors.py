"""What the private servers raise when something outside does not work."""


class ServiceError(Exception):
    """A failure told in one readable message."""
