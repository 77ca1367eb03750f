"""What the benchmark of the rolling planner needs: generated clouds, and what others do."""
