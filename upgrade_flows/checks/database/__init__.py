"""Checks of the services' databases: read only, by URLs of the configuration."""
