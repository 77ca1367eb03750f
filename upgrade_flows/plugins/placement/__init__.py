"""The placement policies that come with the library."""
