"""What the long tests need is what the others on the lab need."""

from tests.functional.conftest import *  # noqa: F403
