"""The ways to find out what to publish."""
