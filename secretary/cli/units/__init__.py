"""`secretary units`: unit files for one's own app, and the ones in deploy/units/."""
