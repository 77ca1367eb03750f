"""What a conductor costs as runs grow, and what a second one brings."""
