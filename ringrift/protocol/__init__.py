"""Wire types between controller, agents, terminal and shell. Knows only errors and the config table."""
