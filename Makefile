# `make run` and `make test` set up all they need: Python 3.11+ and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: run demo test test-web lint bench screenshots docs picture clean

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pfviz needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

run: $(VENV)/.ready
	@$(BIN)/pfviz

demo: $(VENV)/.ready
	@$(BIN)/pfviz demo

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest -n 2

# pfviz on a web page, in a real browser. `make test` does it, too, but only where there is one.
test-web: $(VENV)/.ready
	@for name in chromium chromium-browser google-chrome; do \
	    command -v $$name >/dev/null && exit 0; \
	done; echo 'make test-web needs Chromium. Debian, Ubuntu: apt-get install chromium' >&2; exit 1
	$(BIN)/pytest tests/serve

bench: $(VENV)/.ready
	@$(BIN)/pfviz bench

# Every screen in every theme, to be looked at: out/screens.
screenshots: $(VENV)/.ready
	$(BIN)/python -m docs.screenshots

# What is written from the program itself; a test says when it is to be done again.
docs: $(VENV)/.ready
	$(BIN)/python -m pfviz.cli.manual > docs/man/pfviz.1
	$(BIN)/python -m pfviz.tui.key_list > docs/keys.md
	$(BIN)/pfviz completion bash > completions/pfviz
	$(BIN)/pfviz completion zsh > completions/_pfviz
	$(BIN)/pfviz completion fish > completions/pfviz.fish

# The README's pictures; a test says when they are to be painted again.
picture: $(VENV)/.ready
	$(BIN)/pfviz export svg docs/picture.toml --size 110x30 --fps 6 -o docs/page-faults.svg
	$(BIN)/pfviz export svg smaps-monitor --mode mmap_lock --until 4ms --at 3ms --size 120x38 -o docs/lab.svg

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
