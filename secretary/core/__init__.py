"""Values and rules without I/O: no clock, no socket, no thread, no file."""
