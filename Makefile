# The two commands of the README are `make run` and `make test`; both install what they need.
.PHONY: run setup test quick bench chaos tools format lock pictures

run: ## everything on this machine, until Ctrl-C
	@environments/local/install
	@exec .venv/bin/rowboat up

setup: ## the install alone
	@environments/local/install
	@echo "ready: .venv/bin/rowboat --help"

test: tools ## format, lint, types, imports and all tests
	@environments/local/check

quick: tools ## format, lint, types, imports and unit tests
	@environments/local/check quick

bench: tools ## against other tools, side by side; ROWS=200000 for fewer rows
	@environments/local/peers
	@.venv/bin/python -m tests.benchmarks $(if $(ROWS),--rows $(ROWS) --growth $(ROWS))

chaos: tools ## long forms of tests, then kills, full disks, cut lines; SEED=1 and ROUNDS=20: some kills
	@$(if $(SEED)$(ROUNDS),true,environments/local/check long)
	@.venv/bin/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS))

tools:
	@environments/local/install dev

format: tools
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

lock: tools ## resolve the locks anew
	@environments/local/lock

pictures: tools ## those of the README, from the system that runs
	@environments/local/browser
	@.venv/bin/python -m tests.tools.pictures
