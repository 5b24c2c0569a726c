"""One file per stage of dvc.yaml: read params, call har, write outs."""

import os

# the products of numpy and scikit-learn are small here: their threads would wait for each other, most of the time
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
