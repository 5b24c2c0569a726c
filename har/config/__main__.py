"""`python -m har.config` prints the name of the active profile, for shells and Makefiles."""

from har.config.profile import load_params
from har.core.errors import exit_with_message

if __name__ == "__main__":
    with exit_with_message("params"):
        print(load_params().profile)
