"""The demo: a whole fleet on this machine, from an empty folder to a served move."""
