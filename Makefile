# RingRift: `make demo` (a fresh clone to a served move), `make test` (everything, under 20 minutes on two cores).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export OMP_WAIT_POLICY := passive
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo clean-demo test model boundscheck coverage lint fuzz simulate failpoints rollout swaps chaos hostile games image cuda pictures tools warm clean

help:  ## the targets, one line each
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

# Bytecode is made when a module is first imported: most of what torch brings never is.
$(VENV)/.product: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --no-compile -c constraints.txt -e '.[inference,agent,control]'
	@touch $@

$(VENV)/.dev: $(VENV)/.product
	$(BIN)/pip install -q --no-compile -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/.product  ## the environment in .venv

demo: setup  ## train, gate, promote, deploy and ask for a move, on this machine (KEEP=1 leaves it running)
	@$(BIN)/ringrift-ctl demo $(if $(KEEP),--keep)

clean-demo:  ## stop what the demo started and remove its folder
	@if test -x $(BIN)/ringrift-ctl; then $(BIN)/ringrift-ctl demo --clean; else rm -rf .demo; fi

tools:  ## sshd and tmux for the tests, through apt where they are missing
	@sh tests/install_tools.sh

warm: $(VENV)/.dev  ## compile the numba kernels once
	@$(BIN)/python -m ringrift.players.warmup

lint: $(VENV)/.dev  ## ruff, mypy --strict on the pure rooms, import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A worker more than cores: what waits for programs leaves its core to another.
test: tools $(VENV)/.dev  ## everything, what it needs included
	@$(MAKE) --no-print-directory -j 2 lint warm
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

fuzz: $(VENV)/.dev  ## random games in the engine and in an independent oracle (PLIES=100000 SEED=1 WORKERS=2)
	@$(BIN)/python -m tests.oracle.fuzz --plies $(or $(PLIES),100000) --seed $(or $(SEED),1) --workers $(or $(WORKERS),2)

simulate: $(VENV)/.dev  ## the fleet under seeded trouble, promises checked after every commit (SEEDS=200, or SEED=7 to replay one)
	@$(BIN)/python -m tests.simulation.run $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),200) --workers $(or $(WORKERS),2))

chaos: tools $(VENV)/.dev  ## 41 hosts with sshd and agents, ten minutes of trouble (MINUTES=10 HOSTS=41 SEED=1)
	@$(BIN)/python -m tests.chaos.run --minutes $(or $(MINUTES),10) --hosts $(or $(HOSTS),41) --seed $(or $(SEED),1)

hostile: $(VENV)/.dev  ## hostile requests against a real inference service (REQUESTS=100000 SEED=1)
	@$(BIN)/python -m tests.inference.siege --requests $(or $(REQUESTS),100000) --seed $(or $(SEED),1)

games: $(VENV)/.dev  ## whole games over HTTP, every config at every level (LEVELS="1 2 3" for some of them)
	@$(BIN)/python -m tests.inference.games $(addprefix --level ,$(LEVELS))

failpoints: tools $(VENV)/.dev  ## kill the controller before and after every commit and side effect (NAME=agent.result for one)
	@$(BIN)/python -m tests.failpoints.run $(if $(NAME),--name $(NAME))

rollout: $(VENV)/.dev  ## promote to six real services on this machine, bring them every broken candidate and every drift
	@$(BIN)/python -m benchmarks.rollout --targets 6 --drift 1 --broken

swaps: $(VENV)/.dev  ## promotions, rollbacks and updates under load, answers held against history (PROMOTIONS=1000 UPDATES=10)
	@$(BIN)/python -m tests.load.swaps --promotions $(or $(PROMOTIONS),1000) --updates $(or $(UPDATES),10)

image: $(VENV)/.dev  ## build the images of the Dockerfile without registry or daemon, and serve from the first (root on Debian)
	@$(BIN)/python -m tests.packaging.image

cuda:  ## compile the rules for a GPU, and play on it where one is at hand (own environment, 1 GB)
	@test -x .venv-cuda/bin/python || $(PYTHON) -m venv .venv-cuda
	.venv-cuda/bin/pip install -q -c constraints.txt -e '.[cuda]' pytest pytest-asyncio pytest-timeout
	.venv-cuda/bin/python -m pytest -q -p no:cacheprovider tests/game/test_cuda.py
	@if .venv-cuda/bin/python -c 'import sys; from numba import cuda; sys.exit(not cuda.is_available())'; \
	  then .venv-cuda/bin/python -m ringrift.bench.cuda; fi

model: $(VENV)/.dev  ## provisioning of 10,000 modelled hosts (PAIRS=10000 SEED=1)
	RINGRIFT_MODEL_PAIRS=$(or $(PAIRS),10000) RINGRIFT_MODEL_SEED=$(or $(SEED),1) $(BIN)/python -m pytest -q tests/hosts/test_model.py

boundscheck: export NUMBA_BOUNDSCHECK = 1
boundscheck: tools $(VENV)/.dev warm  ## the whole suite with every array access checked
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

coverage: $(VENV)/.dev warm  ## the rules as plain Python: at least 95 % of their lines run
	$(BIN)/python -m pytest -q tests/game/test_coverage.py

pictures: $(VENV)/.dev  ## the screens and boards in docs/pictures
	$(BIN)/python -m tests.tui.pictures
	$(BIN)/python -m tests.draw.pictures

clean: clean-demo  ## remove the environment and every cache
	rm -rf $(VENV) .venv-cuda .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
