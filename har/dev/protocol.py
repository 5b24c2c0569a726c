"""Fix the settings of profile coco beside docs/protocol.md: `python -m har.dev.protocol`, before its first run."""

from har.config.profile import load_params
from har.config.protocol import PROFILE, SETTINGS, settings
from har.config.resolved import resolved
from har.core.errors import exit_with_message
from har.core.files import write_json

if __name__ == "__main__":
    with exit_with_message("protocol"):
        write_json(SETTINGS, settings(resolved(load_params().model_copy(update={"profile": PROFILE}))))
