"""Where images come from; a further source: tests/pipeline/test_further.py."""

import parameters
import pytest

from har.data.sources import SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_own_labels_come_with_own_images_or_generated_clips(name):
    data = parameters.profile().data.model_copy(update={"source": name})
    assert data.own == (SOURCES[name].listing is not None or name == "clips")
