"""A large cloud in memory, with its databases, in which problems are planted."""
