"""One file per stage of dvc.yaml: read params, call har, write outs."""

import os
import sys

if "DVC_STAGE" in os.environ and sys.argv[0] == "-m":  # as DVC runs it
    from stages.guard import guard

    guard()
