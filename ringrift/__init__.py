"""RingRift: rules, players, learning and the control plane of the strategy game RingRift."""

__version__ = "0.1.0"
