"""Run a program of ours in a process that has imported another build of it.

``python tests/faults/anew.py PROGRAM``. Only what isn't ours stays imported, which is what takes time.
"""

import runpy
import sys

ROOMS = {"workflows", "activities", "tools", "policy", "store", "cli", "web", "worker", "tests"}

for name in [one for one in sys.modules if one.partition(".")[0] in ROOMS]:
    del sys.modules[name]
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
