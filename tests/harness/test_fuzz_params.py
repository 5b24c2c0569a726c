"""params.yaml as anybody may have made it: changed values in JSON's notation (which YAML reads) and in YAML's own."""

import parameters
from fuzzing import MB, Fuzz, as_json, bytes_of, json_of, several
from hypothesis import strategies as st

from har.config.profile import load_params

DATA = parameters.data()
TEXT = parameters.text()
LINES = TEXT.splitlines(keepends=True)
SCALARS = (
    "!!python/object/apply:os.system ['true']",
    "!!float x",
    "!!int x",
    "!!binary '%'",
    "!!timestamp 2024-13-45",
    "!x y",
    "2024-13-45",
    "2024-99-99 25:61:61",
    "&a [*a]",
    "*nowhere",
    "&b b",
    "<<: {a: 1}",
    "? [1]",
    "? {a: b}",
    "{[1]: 2}",
    "!!set {a}",
    "!!omap [a: 1]",
    "!!pairs [a: 1]",
    ".inf",
    "-.inf",
    ".nan",
    "1e999",
    "9" * 400,
    "9" * 5000,
    "0x" + "f" * 40,
    "0o777",
    "1_000",
    "190:20:30",
    "yes",
    "~",
    "|",
    ">-",
    '"\\x00"',
    '"\\ud800"',
    "'",
    "[",
    "]",
    "{",
    "- - - -",
    "\t",
    "%YAML 1.1",
    "---",
    "...",
    "[" * 3000 + "]" * 3000,
    "{a: " * 3000,
    "- " * 3000,
    "? " * 3000,
    "x" * 900_000,
    "[" + "1, " * 300_000 + "]",
    "\u2028",
    "\ufeff",
    "💥",
    "!!null ''",
    "!!bool maybe",
    "2024-01-01",
    "=",
    "<<",
    "!!merge x",
    "!<tag:yaml.org,2002:int> z",
)


def with_lines(changes):
    lines = list(LINES)
    for what, at, text in changes:
        line = lines[at]
        indent = line[: len(line) - len(line.lstrip())]
        key, colon, _ = line.partition(":")
        if what == "value" and colon:
            lines[at] = f"{key}: {text}\n"
        elif what == "line":
            lines[at] = f"{indent}{text}\n"
        elif what == "key" and colon:
            lines[at] = f"{indent}{text}: {line.partition(':')[2]}"
        elif what == "repeat":
            lines[at] = line * 2
        else:
            lines[at] = ""
    return "".join(lines).encode("utf-8", "surrogatepass")


def change(chance):
    what = chance.choice(("value", "value", "value", "line", "key", "repeat", "drop"))
    return what, chance.randrange(len(LINES)), chance.choice(SCALARS)


def test_params(tmp_path):
    def read(case):
        (tmp_path / "params.yaml").write_bytes(case)
        params = load_params(tmp_path / "params.yaml")
        params.model_dump_json()

    cases = st.one_of(json_of(DATA), several(change, 3).map(with_lines), bytes_of(TEXT.encode()))
    # 1 MB is what may be read; as small values and their marks in the text it unfolds to about 250 times as much
    Fuzz("params.yaml", tmp_path, 300 * MB).run(cases, read, as_json(DATA), few=25)
