"""One file per stage of dvc.yaml: read params, call har, write outs."""

import os

if "DVC_STAGE" in os.environ:
    from stages.guard import guard

    guard()
