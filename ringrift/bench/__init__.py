"""How fast the rules are on this machine; knows `ringrift.game` and nothing else of ours."""
