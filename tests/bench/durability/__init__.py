"""What it costs to keep steps on record: ours, TaskFlow's, DBOS's, and the floor below them all."""
