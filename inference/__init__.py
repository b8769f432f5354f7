"""The production service: serves the models that a manifest names, and nothing else."""
