# What people and CI type. `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help demo demo-url demo-down launch provision unprovision deploy endpoint image upgrade plan rollback status history logs sbom
.PHONY: key key-revoke test test-long test-vm test-app test-login test-roles test-pack test-bench lint docs lock known-holes models audit chaos mutation
.PHONY: bench bench-deploy bench-pack

PYTHON ?= python3
DEMO ?= demo
# Which deployment, a folder under inventory/; and the release to go back to, if not the one before.
WHERE ?= production
RELEASE ?=
# Ansible goes on without a folder that is not there, and what is said then is about inventory/production, which is made by hand.
PLAYBOOK = $(if $(filter-out production $(notdir $(wildcard inventory/*)),$(WHERE))$(filter-out 1,$(words $(WHERE))),$(error \
  there is no folder inventory/$(WHERE); WHERE is one of: $(notdir $(wildcard inventory/*))))$(BIN)/ansible-playbook \
  -i $(call quoted,inventory/$(WHERE))
# What is rented: NAME is the deployment's, and each of the others a variable of roles/provision.
RENTED = $(if $(REGION),$(call variable,provision_region,$(REGION))) $(if $(TYPE),$(call variable,provision_type,$(TYPE))) \
  $(if $(COUNT),$(call variable,provision_count,$(COUNT))) $(if $(BALANCER),$(call variable,provision_balancer,$(BALANCER)))
# Of a deployment that is not there yet, nothing is to be read.
RENTING = $(if $(NAME),,$(error say which deployment, for example: make $@ NAME=models REGION=eu-central))$(BIN)/ansible-playbook \
  -i $(if $(wildcard inventory/$(NAME)),$(call quoted,inventory/$(NAME)),localhost$(comma)) $(call variable,provision_name,$(NAME))
comma := ,
# Prints what a play has to report, and nothing else.
REPORT = ANSIBLE_STDOUT_CALLBACK=modelhost.modelhost.report $(PLAYBOOK)
BIN := .venv/bin
# A word for the shell, whatever is in it; and a variable of Ansible's with such a text.
quoted = '$(subst ','\'',$(1))'
variable = -e $(call quoted,{"$(1)": "$(subst ",\",$(subst \,\\,$(2)))"})

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: python ## from nothing to live predictions on a virtual machine made here
	@$(PYTHON) testbed/demo.py $(call quoted,$(DEMO))

demo-url: ## print the demo's address and nothing else
	@$(PYTHON) testbed/vm.py url $(call quoted,$(DEMO))

demo-down: ## remove every trace of the demo
	@$(PYTHON) testbed/vm.py down $(call quoted,$(DEMO)) --inventory $(call quoted,inventory/$(DEMO))
	@$(PYTHON) testbed/vm.py clean
	@testbed/engine.sh stop

launch: .venv ## from nothing to a live endpoint on a rented machine: NAME=models REGION=eu-central (asks; YES=1 does not)
	@$(if $(NAME),,$(error say which deployment, for example: make $@ NAME=models REGION=eu-central))$(BIN)/python testbed/launch.py \
	  $(if $(YES),--yes) $(RENTED) $(call quoted,$(NAME))

provision: .venv ## rent its machine and no more: NAME, REGION, and if you like TYPE, COUNT, BALANCER=true (ARGS=--check shows the price)
	@$(RENTING) $(RENTED) $(if $(YES),-e confirm=yes) playbooks/provision.yml $(ARGS)

unprovision: .venv ## remove the rented machine NAME for good (asks for the name again; AGAIN=models does not)
	@$(RENTING) $(if $(AGAIN),$(call variable,label_again,$(AGAIN))) playbooks/unprovision.yml $(ARGS)

plan: .venv ## tell what a deployment would do (WHERE=demo names inventory/demo; also for the next nine)
	@$(REPORT) playbooks/plan.yml

deploy: .venv ## bring the machines to what the inventory says
	@$(PLAYBOOK) site.yml

endpoint: .venv ## where it answers, and a command that asks it
	@$(REPORT) playbooks/endpoint.yml

image: .venv ## build the app's image once, push it to app_image_push_repository, and print what hosts pull it by
	@$(PLAYBOOK) playbooks/image.yml $(ARGS)

upgrade: .venv ## bring today's packages live: host, engine, nginx and the app, without a lost request
	@$(PLAYBOOK) playbooks/upgrade.yml

rollback: .venv ## go back to the release before, or to RELEASE=<id>
	@$(REPORT) playbooks/rollback.yml $(if $(RELEASE),$(call variable,release,$(RELEASE)))

status: .venv ## the live release, the idle one, health, workers, memory, updates that wait, the last releases
	@$(REPORT) playbooks/status.yml

history: .venv ## what became of each release
	@$(REPORT) playbooks/history.yml

logs: .venv ## the last lines of each container
	@$(REPORT) playbooks/logs.yml

sbom: .venv ## write what the live release (or RELEASE=<id>) and each image is made of to sboms/<host>/, as CycloneDX
	@$(REPORT) playbooks/sbom.yml $(if $(RELEASE),$(call variable,release,$(RELEASE)))

key: .venv ## make a key for a client: NAME=alice (shown once; its hash goes into the deployment's variables)
	@$(REPORT) playbooks/key.yml $(call variable,client,$(NAME))

key-revoke: .venv ## take a client's oldest key away: NAME=alice
	@$(REPORT) playbooks/key.yml $(call variable,client,$(NAME)) -e revoke=true

test: .venv .cache/libraries ## prove everything (README.md tells what each rung needs)
	@$(BIN)/python tests/run.py

test-long: .venv ## what takes hours: the engine's own packages, the collection, patches under load, plays killed at every task, the long audit and chaos
	@$(BIN)/python tests/run.py --long

test-vm: .venv ## deploy to a virtual machine under QEMU, and check what a container cannot show (an hour or more if it is emulated)
	@$(BIN)/python tests/audit --vm $(ARGS)

test-app: .venv .cache/libraries ## the app, and the clients of every protocol: no engine is needed
	@$(BIN)/python tests/run.py app clients

test-pack: .venv .cache/libraries ## `modelhost pack`, with the libraries of models (installs 1.3 GB)
	@$(BIN)/python tests/run.py pack

test-login: .venv ## how a host is got into, by a real sshd with accounts of its own: needs root and no engine
	@$(BIN)/python tests/run.py login

test-roles: .venv ## the roles' templates, as the programs read them that they are for
	@$(BIN)/python tests/run.py roles

test-bench: .venv ## the parts of `make bench`: reading wrk, checking answers, the page
	@$(BIN)/python tests/run.py bench

lint: .venv ## ansible-lint, yamllint, ruff, mypy, shellcheck
	@$(BIN)/python tests/run.py lint

docs: .venv ## write each role's README anew from its specification
	@$(BIN)/python docs/role_readmes.py

# The peers' environments are kept between runs: 6 GB. ARGS="--quick" and others: bench/run.py --help.
PEERS := $(patsubst bench/peers/%/requirements.lock,%,$(wildcard bench/peers/*/requirements.lock))
bench: .venv $(patsubst %,.cache/bench/%/complete,tools modelhost $(PEERS)) ## serve the same models with the peers and with ours, and write docs/benchmarks.md
	@$(BIN)/python bench/programs.py
	@$(BIN)/python bench/run.py $(ARGS)

# Hours on one core; each result is kept in .cache/bench-pack until the code changes. ARGS="--set pipelines --limit 40".
bench-pack: .cache/libraries ## train, pack, serve and ask models of every kind, and write the figures into docs/pack.md
	@PYTHONPATH=app:bench .cache/libraries/bin/python -m pack.run $(ARGS)

known-holes: .venv ## compare the lock files, and what `make sbom` has listed, with the known holes of packages
	@$(BIN)/python tests/known_holes $(ARGS)

chaos: .venv ## do every fault to an endpoint under load, and count what is lost (ARGS=--help tells more)
	@$(BIN)/python tests/chaos $(ARGS)

audit: .venv ## attack a deployed machine from outside, and compare what is found with the aims (ARGS=--help tells more)
	@$(BIN)/python tests/audit $(ARGS)

mutation: .venv .cache/libraries ## change the code at random, and count what no test notices (an hour; ARGS="40 --seed 7")
	@nice -n 10 $(BIN)/python tests/mutation $(ARGS)

bench-deploy: .venv ## time deployments, releases and rollbacks; the first against a plain shell script
	@$(BIN)/python bench/deploy --tasks

# What has to be there before anything else, or the words to get it.
.PHONY: python
python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || { \
	  echo "Python 3.11 to 3.14 is needed, and $(PYTHON) is $$($(PYTHON) -V 2>&1)."; \
	  echo "Install one, or name one that is there: make PYTHON=/usr/bin/python3.12 $(MAKECMDGOALS)"; exit 1; }

# Made anew when the lock file changes, and complete when the stamp is there.
.venv: .venv/complete
.venv/complete: requirements.lock | python
	@echo "venv: installing Ansible and the test tools into .venv, from requirements.lock (about a minute)"
	@$(PYTHON) testbed/venv.py .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@touch $@

# The libraries of models and the clients of other protocols, for the tests that need them.
.cache/libraries: .cache/libraries/complete
.cache/libraries/complete: tests/requirements.lock | python
	@echo "libraries: installing those of models and of other protocols' clients into .cache/libraries (about a minute)"
	@$(PYTHON) testbed/venv.py .cache/libraries
	@# The file has them all. pip, asked to find what they depend on, takes pydantic[email] for another one than pydantic.
	@.cache/libraries/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	@touch $@

# What trains and draws, what serves as deployed, and each peer: in environments of their own.
.cache/bench/tools/complete: bench/requirements.lock
.cache/bench/modelhost/complete: app/locks/server.lock
$(foreach peer,$(PEERS),$(eval .cache/bench/$(peer)/complete: bench/peers/$(peer)/requirements.lock))
.cache/bench/%/complete: | python
	@echo "bench: installing $* into .cache/bench/$*, from $<"
	@mkdir -p .cache/bench
	@$(PYTHON) testbed/venv.py .cache/bench/$*
	@.cache/bench/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

# The libraries, of models and for gRPC, that are not part of every server's image (app/Dockerfile).
EXTRAS := catboost grpc lightgbm pandas pickle skops xgboost

# The lock files: one set for Python 3.11 to 3.14, with hashes. Names no package index.
lock: .venv ## write the lock files anew with the newest versions allowed
	@$(PYTHON) -m venv .cache/lock && .cache/lock/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	@UV_CUSTOM_COMPILE_COMMAND="make lock" .cache/lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes \
	  --python-version 3.11 app/pyproject.toml --output-file app/locks/server.lock
	@UV_CUSTOM_COMPILE_COMMAND="make lock" .cache/lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes \
	  --python-version 3.11 --constraints app/locks/server.lock requirements.in app/pyproject.toml --output-file requirements.lock
	@UV_CUSTOM_COMPILE_COMMAND="make lock" .cache/lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes \
	  --python-version 3.11 --constraints requirements.lock tests/requirements.in app/pyproject.toml \
	  --output-file tests/requirements.lock
	@for extra in $(EXTRAS); do \
	  UV_CUSTOM_COMPILE_COMMAND="make lock" .cache/lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes \
	    --python-version 3.11 --extra $$extra --constraints tests/requirements.lock --overrides app/locks/without.txt \
	    app/pyproject.toml --output-file app/locks/$$extra.lock || exit 1; \
	done
	@UV_CUSTOM_COMPILE_COMMAND="make lock" .cache/lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes \
	  --python-version 3.11 --constraints app/locks/server.lock --constraints bench/peers/constraints.txt \
	  bench/requirements.in app/pyproject.toml --output-file bench/requirements.lock
	@for peer in $(PEERS); do \
	  case $$peer in modelhost-*) app="--constraints app/locks/server.lock app/pyproject.toml";; *) app=;; esac; \
	  UV_CUSTOM_COMPILE_COMMAND="make lock" .cache/lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes \
	    --python-version 3.11 --constraints bench/peers/constraints.txt bench/peers/$$peer/requirements.in $$app \
	    --output-file bench/peers/$$peer/requirements.lock || exit 1; \
	done

models: .cache/libraries ## train the example models anew and write their bundles
	@.cache/libraries/bin/python models/train.py
