"""What runs in an instance, and how it moves into another one."""
