# How `sam build` makes a bundle, for each of its functions: the sources, with bytecode that is valid in Lambda (SAM's
# zip dates every file 1980, which voids bytecode that is checked by timestamp). The root Makefile exports PYTHON.
PYTHON ?= python3.13
PACKAGE := $(ARTIFACTS_DIR)/$(notdir $(CURDIR))

build-%:
	mkdir -p "$(PACKAGE)"
	cp *.py "$(PACKAGE)"
	"$(PYTHON)" -m compileall -q --invalidation-mode unchecked-hash -s "$(ARTIFACTS_DIR)" -p /var/task "$(PACKAGE)"
