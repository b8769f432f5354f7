"""Puts `chaos_jobs` in the place of `ringrift.learning.jobs`, in every program of one interpreter.

Everything else of an agent stays what it is. The interpreter's `.pth` file imports this module, so it imports
nothing itself that would make every program start later.
"""

import sys


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "ringrift.learning.jobs":
            return None
        from importlib.util import spec_from_file_location

        return spec_from_file_location(name, __file__.replace("chaos_stub", "chaos_jobs"))


sys.meta_path.insert(0, _Finder)
