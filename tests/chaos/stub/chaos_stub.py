"""Puts `chaos_jobs` in the place of `ringrift.learning.jobs`, in every program of one interpreter.

Everything else of an agent stays what it is. The interpreter's `.pth` file imports this module.
"""

import importlib.util
import sys
from pathlib import Path


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "ringrift.learning.jobs":
            return None
        return importlib.util.spec_from_file_location(name, Path(__file__).with_name("chaos_jobs.py"))


sys.meta_path.insert(0, _Finder)
