"""The agent: probes an app and keeps its record in the directory true."""
