class HarError(Exception):
    """A user's mistake or an outside fault, told in one line."""
