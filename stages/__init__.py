"""One file per stage of dvc.yaml: read params, call har, write outs."""
