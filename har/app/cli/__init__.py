"""The command line `har`: one module a verb, each with `add` (its options) and `run`."""
