# Two commands: `make repro` rebuilds everything, `make test` runs the tests.
# Both make .venv and install the pinned requirements first; a second call installs nothing.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# glibc keeps what is freed for the next tensor, instead of returning it to the system and clearing its pages anew
export MALLOC_MMAP_THRESHOLD_ := 33554432
export MALLOC_TRIM_THRESHOLD_ := 1073741824
export MALLOC_TOP_PAD_ := 67108864

.PHONY: repro clips test test-all bench scaling faults fuzz audit gate readme protocol lint lock

repro: $(VENV)/.installed
	@dvc repro
	@echo "Done. Open reports/$$(python -m har.config)/index.html in a browser: results and images."

# the profile of generated clips with few models: some minutes on two cores
clips: $(VENV)/.installed
	@dvc exp run -S profile=clips -S 'run.encoders=[clip]' -S '~run.train' \
	  -S '+run.train.activity-cnn_base={task: activity, model: cnn_base, input: store}' \
	  -S '+run.train.activity-clip={task: activity, model: clip, input: embeddings/clip}'
	@echo "Done. Open reports/clips/index.html in a browser; git checkout . && dvc checkout goes back."

test: $(VENV)/.installed
	@python -m pytest -n 2 --dist loadfile

test-all: $(VENV)/.installed
	@python -m pytest -n 2 --dist loadfile -m "slow or not slow" --hypothesis-profile thorough

# the pipeline killed at MOMENTS random moments, and with no room for its files; writes reports/faults.md
MOMENTS ?= 100
faults: $(VENV)/.installed
	@PYTHONPATH=tests/harness python -m faults --moments $(MOMENTS)

# FUZZ hostile inputs to each reader of files from outside, an hour on two cores; writes reports/fuzz.md.
# READERS chooses readers by the names of their tests, the others' rows stay: make fuzz READERS="hub or params"
FUZZ ?= 10000
fuzz: $(VENV)/.installed
	@rm -f build/fuzz.jsonl $(if $(READERS),,reports/fuzz.csv); \
	  FUZZ=$(FUZZ) python -m pytest -n 2 --dist load tests/harness/test_fuzz_*.py \
	    $(if $(READERS),-k "$(READERS)"); code=$$?; python tests/harness/fuzzing.py && exit $$code

# known vulnerabilities of the pinned packages: asks PyPI, by a tool in an environment of its own. Error 1: some are
# known; 2: not all packages could be asked for (make itself ends with 2 in both cases).
AUDIT := $(VENV)/audit
audit:
	@$(PYTHON) -m venv $(AUDIT) && rm -f $(AUDIT)/found && \
	  $(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.9,<3' 2> $(AUDIT)/log && \
	  { $(AUDIT)/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip --progress-spinner off \
	    --format json --output $(AUDIT)/found > $(AUDIT)/log 2>&1; [ -s $(AUDIT)/found ]; } || \
	  { echo "audit: not done, as PyPI's advisories could not be downloaded here: $$(tail -n 1 $(AUDIT)/log)" >&2; exit 2; }; \
	  $(PYTHON) tests/harness/advisories.py < $(AUDIT)/found

# after `make repro`: the rebuilt metrics against the committed ones, exit code 1 on a breach
gate: $(VENV)/.installed
	@python -m har.dev.gate reports/$$(python -m har.config)/metrics

# how fast, against what else one would take, after `make repro`: ten minutes on two cores; make bench OPTIONS="--help"
bench: $(VENV)/.installed
	@python -m har.dev.bench $(OPTIONS)

# how time and memory of stages grow from 285 to 118,000 images: a quarter of an hour and 20 GB of disk;
# make scaling OPTIONS="--sizes 285 2850"
scaling: $(VENV)/.installed
	@python -m har.dev.bench.scaling $(OPTIONS)

# the result table of the committed sample into README.md
readme: $(VENV)/.installed
	@python -m har.dev.readme

# the settings of profile coco beside docs/protocol.md, before its first run
protocol: $(VENV)/.installed
	@python -m har.dev.protocol

lint: $(VENV)/.installed
	@ruff check . && ruff format --check . && lint-imports

# hashes are checked for every package; the project itself is installed without touching them
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "har needs Python 3.11, 3.12 or 3.13, this is %d.%d: make PYTHON=python3.12 ..." % v)'
	@$(PYTHON) -m venv $(VENV)
	@echo "installing the pinned packages into $(VENV) (once, several minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# needs uv; resolves for Linux and macOS and Python 3.11 to 3.13 at once
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --output-file requirements.lock
