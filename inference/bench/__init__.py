"""What the service costs on this machine: start, memory, answers. Measured from outside, over its socket."""
