"""The renderer: turns records into proxy configuration, and never breaks a proxy."""
