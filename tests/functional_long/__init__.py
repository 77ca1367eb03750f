"""Tests on the lab that take long; ``tox -e long`` runs them."""
