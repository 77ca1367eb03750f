"""Conductors on the lab, with servers of their own: redis and PostgreSQL from Debian's packages."""
