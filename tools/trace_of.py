"""trace_of.py MOUNT_POINT: prints the folder of the trace that a lasting mount is being recorded into."""

import os
import sys

from glassfs import escaping, places
from glassfs.trace import State

wanted = escaping.escape(os.path.realpath(sys.argv[1]))
for entry in places.entries():
    trace = entry.trace
    if trace and trace.state() is State.LIVE and any(mount.mount_point == wanted for mount in trace.about.mounts):
        print(trace.path)
        break
else:
    sys.exit(f"trace_of: no trace of yours is being recorded of {sys.argv[1]}")
