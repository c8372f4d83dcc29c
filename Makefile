# `make demo` and `make test` set up all they need in .venv; nothing else has to be installed first but Python and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
READY_RAY := $(VENV)/.ready-ray

.PHONY: demo test test-slow test-postgres test-ray test-install bench soak check stubs client clean

$(READY): pyproject.toml constraints.txt
	@echo "installing into $(VENV), once: some minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(READY_RAY): $(READY)
	@echo "installing Ray into $(VENV), once: half a minute"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,ray]'
	touch $@

demo: $(READY)        ## train, publish, serve and query two models on sample data
	$(BIN)/python -m services.cli.demo

test: $(READY)        ## the whole fast suite, two files at a time: more would take each other's time in tests that measure it
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(READY)   ## what is too slow for every change: the demo as a whole, two gigabytes through S3, and test-install
	$(BIN)/python -m pytest -m slow

test-ray: $(READY_RAY) ## training on Ray clusters of two nodes on this machine: ten minutes; fails where Ray cannot be installed
	$(BIN)/python -m pytest -m ray
test-postgres: $(READY) ## the tests that need a PostgreSQL server; it fails where its programs are not here (Debian: postgresql)
	$(BIN)/python -m pytest -m postgres

test-install: $(READY) ## the inference service in an environment with only its extra; takes a minute and a package index
	$(BIN)/python -m pytest -m slow tests/unit/deploy/test_installation.py

bench: $(READY)       ## the serving benchmark, beside a naive server and the best in-process loop; needs the data beside the checkout
	$(BIN)/python -m tests.bench.serving

soak: $(READY)        ## an hour of changing loads, promotions, cancellations and bad input, beside a bare echo server
	$(BIN)/python -m tests.bench.serving.soak --minutes 60

check: $(READY)       ## lint, types, import contracts, stub drift
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture/test_protos.py

# protoc's virtual path makes the generated imports right as they stand: shared.stubs.inference.v1.inference_pb2.
stubs: $(READY)       ## regenerate shared/stubs from protos
	$(BIN)/python -m grpc_tools.protoc -Ishared/stubs=protos/tagsmith \
	  -I$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
	  --python_out=. --pyi_out=. --grpc_python_out=. \
	  $$(find protos/tagsmith -name '*.proto' | sort)

client: $(READY)      ## the wheel that callers install: dist/tagsmith_client-*.whl
	$(BIN)/python protos/python/build_client.py

clean:
	rm -rf $(VENV) build dist var
