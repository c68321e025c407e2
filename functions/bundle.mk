# Builds the bundle of a function for `sam build`: its own package, the package that all bundles share, and bytecode.
# SAM's zips date every file 1980, which voids bytecode with a timestamp: Lambda would compile at each cold start.
PYTHON ?= python3.13
PACKAGES := $(notdir $(CURDIR)) aws

build-%:
	for package in $(PACKAGES); do \
	  mkdir -p "$(ARTIFACTS_DIR)/$$package" && cp ../"$$package"/*.py "$(ARTIFACTS_DIR)/$$package" || exit 1; \
	done
	"$(PYTHON)" -m compileall -q --invalidation-mode unchecked-hash -s "$(ARTIFACTS_DIR)" -p /var/task "$(ARTIFACTS_DIR)"
