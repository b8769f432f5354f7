"""One module per step. A step is a pure function `(facts, wish) -> commands`: no I/O, no clock, no chance.

A step whose result already stands returns no commands. Commands are executed by `hosts.runner`.
"""
