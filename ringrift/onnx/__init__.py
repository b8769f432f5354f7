"""The same nets computed by onnxruntime: no torch in the process, for targets without a GPU.

A checkpoint is read as it is, its graph is written down in memory, and what comes of it is held to the golden
vectors that torch gave after the training.
"""
