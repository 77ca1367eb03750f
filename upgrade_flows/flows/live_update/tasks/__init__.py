"""The steps of a live update, by their part of the story."""
