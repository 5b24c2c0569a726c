"""`python -m har.config profile` prints the active profile, for shells and Makefiles."""

import sys

from har.config.profile import load_params
from har.core.errors import HarError, exit_with_message

if __name__ == "__main__":
    with exit_with_message("params"):
        value = load_params()
        for key in ".".join(sys.argv[1:]).split("."):
            if not hasattr(value, key):
                raise HarError(f"params.yaml has no key {'.'.join(sys.argv[1:])}")
            value = getattr(value, key)
        print(value)
