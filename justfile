# What can be run.
default:
    @just --list

# The story in one terminal.
dev:
    uv run clearance demo

# Lint, types, import rules.
check:
    uv run ruff check .
    uv run ruff format --check .
    uv run mypy
    uv run lint-imports

# All tests, on a real server.
test *ARGS:
    uv run pytest {{ARGS}}

# The same with four times as many random examples. Some minutes more.
test-long *ARGS:
    uv run pytest --hypothesis-profile=long {{ARGS}}

# Change the pure rules in every small way; each has to fail a test. Some minutes.
mutate *ARGS:
    rm -rf .mutation
    mkdir -p .mutation/tests/client
    cp -R client/clearance .mutation/clearance
    cp tests/client/*.py .mutation/tests/client/
    cp tests/mutation.toml .mutation/pyproject.toml
    touch .mutation/tests/__init__.py
    cd .mutation && uv run --project .. --group mutation mutmut run {{ARGS}}
    cd .mutation && uv run --project .. --group mutation mutmut results

# Comparisons with the bare engine and others; the blocks of docs/performance.md. Some 35 minutes.
bench:
    uv run --group bench python -m benchmarks.resumed
    uv run --group bench python -m benchmarks.throughput
    uv run --group bench python -m benchmarks.history_events
    uv run --group bench python -m benchmarks.cost
    uv run --group bench python -m benchmarks.tuning
    uv run --group bench python -m benchmarks.recovery
    uv run --group bench python -m benchmarks.concurrency
    uv run --group bench python -m benchmarks.startup
    uv run --group bench python -m benchmarks.memory
    uv run --group bench python -m benchmarks.growth
    uv run --group bench python -m benchmarks.inbox
    uv run --group bench python -m benchmarks.policy_explain
    uv run --group bench python -m benchmarks.demo_start

# Break everything around us for some minutes, then see whether all that was promised holds.
faults *ARGS="--faults-minutes 4 --faults-seed 1 --faults-seed 2":
    uv run pytest -q -n0 tests/faults/test_faults.py {{ARGS}}

# As much of everything as Temporal takes: each limit at its true size. Ten minutes.
limits *ARGS:
    uv run pytest -n0 -m true_size {{ARGS}}

# Record the histories of cases that are new or give other commands; old recordings stay.
record-history:
    uv run python -m tests.record_histories
    uv run python -m tests.stored_history

# Note which recorded histories are those of a release: just release-histories 0.2.0
release-histories VERSION:
    uv run python -m tests.record_histories --release {{VERSION}}

# Record what the models on the wire take, after a field was added.
record-wire:
    uv run python -m tests.wire

# Draw docs/demo.svg anew from the real program.
picture:
    uv run python docs/record_demo.py

# Both wheels, in dist/.
build:
    uv build --all-packages
