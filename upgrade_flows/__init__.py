"""Upgrade OpenStack clouds without their users noticing."""
