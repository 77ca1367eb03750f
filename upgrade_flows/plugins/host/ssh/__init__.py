"""Work on hosts by ssh, with the package manager that they have."""
