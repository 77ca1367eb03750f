"""Move the processes themselves, by checkpoint and restore inside the guests."""
