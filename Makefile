# make run: environment, install, app on the bundled models. make test: the same and every test.
PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

.PHONY: run test lint train fuzz pretrained bench-live bench-train clean
.DEFAULT_GOAL := run

.venv/made:
	$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and 'Latent Explorer runs on Python 3.11 to 3.13: make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv
	touch $@

.venv/runs: .venv/made requirements.txt
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	touch $@

.venv/tests: .venv/runs requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

run: .venv/runs
	$(BIN)/python app.py

lint: .venv/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

# the recipe that tests train: twenty seconds, into runs/
train: .venv/runs
	$(BIN)/python -m train start tiny

# every shipped model from nothing, into pretrained/; can be stopped and started again
pretrained: .venv/runs
	$(BIN)/python -m train ship
# 50,000 damaged checkpoints: each is read or refused in words, some twelve minutes
fuzz: .venv/tests
	$(BIN)/python -m tests.fuzzing 100000 50000

# how fast a picture follows a hand; wants a quiet machine
bench-live: .venv/tests
	$(BIN)/python -m tests.benchmarks.live

# how fast the training loop is, beside the loops most people have; the same
bench-train: .venv/tests
	$(BIN)/python -m tests.benchmarks.train

clean:
	rm -rf .venv
