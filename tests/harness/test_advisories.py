"""`make audit` never calls packages sound that nobody could be asked about."""

import pytest
from advisories import told

SOUND = {"name": "torch", "version": "2.14.1", "vulns": []}
FLAWED = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"]}]}
UNKNOWN = {"name": "numpy", "skip_reason": "Dependency not found on PyPI and could not be audited: numpy (2.4.6)"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], 0, "none of 1 packages has a known vulnerability"),
        ([SOUND, FLAWED], 1, "jinja2 2.4.1: PYSEC-2019-217, mended in 2.10.1"),
        ([SOUND, UNKNOWN], 2, "not done for 1 of 2 packages (numpy)"),
        ([FLAWED, UNKNOWN], 1, "not done for 1 of 2 packages (numpy)"),
        ([UNKNOWN] * 4, 2, "not done for 4 of 4 packages (numpy, numpy, numpy, ...)"),
        ([], 2, ""),
    ],
)
def test_what_is_said_and_returned(packages, code, said):
    found, lines = told({"dependencies": packages})
    assert found == code
    assert said in "\n".join(lines)
    assert ("none of" in "\n".join(lines)) == (code == 0)
