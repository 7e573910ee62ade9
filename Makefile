# The words that people and CI use. `make help` lists them.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DRIVER := $(VENV)/.browser-installed
READERS := $(VENV)/.manifests-installed
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 4
PARALLEL := -n $(WORKERS) --dist loadgroup

# Each process of a test run, and each program that it starts, would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv demo up unit test coverage slow test-all crash attack nightly long races check map words vendor interop image compose-test compose-quick province-day watch-test drill manifests bundle-test fuzz model contract bench bench-check chaos silence-test restore-test sentinel-test failover-test failover-quick corpus soak county evening migrate lock browser browser-again again pictures
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(STAMP) ## make the environment in .venv

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Tocsin needs Python 3.11 or newer with venv; set PYTHON=…"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(STAMP)

demo: venv ## one real broadcast on the simulator, from a dirty roster to a report
	$(BIN)/tocsin demo

up: venv ## the whole system on this machine, left running; its day begins at 09:30
	$(BIN)/tocsin up --clock "$$(date +%Y-%m-%d)T09:30+08:00"

unit: venv ## the tests that need neither PostgreSQL nor Valkey
	$(PYTEST) $(PARALLEL) -m "not slow" tests/unit

test: venv ## the tests of each change, with a PostgreSQL and a Valkey of their own
	$(PYTEST) $(PARALLEL) -m "not slow and not crash and not nightly"

# From Python 3.12 on the interpreter itself tells which lines run, which costs little.
coverage: venv ## the tests of make test, then how much of each package they reach; blocks nothing
	COVERAGE_CORE=$$($(BIN)/python -c 'import sys; print(("ctrace", "sysmon")[sys.version_info >= (3, 12)])') \
		$(PYTEST) $(PARALLEL) -m "not slow and not crash and not nightly" --cov --cov-report=
	$(BIN)/python -m tests.architecture.covered

slow: venv ## the tests that make test leaves out: whole systems, large files, faults one by one
	$(PYTEST) $(PARALLEL) -m "slow and not crash and not nightly"

test-all: venv ## make test and make slow, with 1,000 rounds a race
	TOCSIN_RACE_ROUNDS=1000 $(PYTEST) $(PARALLEL)

crash: venv ## kill -9 of each process, and a full disk, under a broadcast of 18,700 (minutes)
	$(PYTEST) -n 2 --dist loadgroup -m crash

$(DRIVER): $(STAMP) requirements-browser.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-browser.lock
	touch $(DRIVER)

# A browser that answers no more would hold the run for ever.
HUNG := -o faulthandler_timeout=1200 -o faulthandler_exit_on_timeout=true

browser: $(DRIVER) ## Chromium of today and Chromium 90 drive the console of a running system
	$(BIN)/python -m tests.browser.install
	$(PYTEST) -n 2 --dist loadgroup $(HUNG) tests/browser

# Only a run that came to its end names all the tests that failed; status 1 says so. It names them with
# their groups, as loadgroup does: without it none of them would be found, and pytest runs all instead.
AGAIN = test "$$(cat .pytest_cache/v/run/status)" = 1 \
	&& $(PYTEST) -n 1 --dist loadgroup --last-failed --last-failed-no-failures none

browser-again: $(DRIVER) ## those tests that failed in the last make browser, once more, with a system of their own
	$(AGAIN) $(HUNG) tests/browser

again: venv ## those tests that failed in the last run of any others, once more, one after another
	$(AGAIN) -m "" --maxfail 1

pictures: $(DRIVER) ## take the pictures of the README and the manual again (docs/pictures)
	$(BIN)/python -m tests.browser.install
	PICTURES=docs/pictures $(PYTEST) -n 1 $(HUNG) tests/browser/test_pictures.py

attack: venv ## what each attacker of docs/security.md tries, on a running system
	$(PYTEST) $(PARALLEL) -m attack

NIGHTLY := coverage long races model contract silence-test sentinel-test failover-test \
	province-day compose-test bundle-test fuzz chaos soak
nightly: export FUZZ_SECONDS = 120
nightly: export CHAOS_MINUTES = 5
nightly: export SOAK_MINUTES = 5
nightly: export SOAK_RATE = 1000

nightly: venv ## all that is too long for each change, one after another, whatever fails (hours)
	@failed=; for part in $(NIGHTLY); do $(MAKE) $$part || failed="$$failed $$part"; done; \
		test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

long: venv ## tests of databases of full size, and of weeks and months of work
	$(PYTEST) -m nightly

races: venv ## two transactions at once, a thousand times each
	TOCSIN_RACE_ROUNDS=1000 $(PYTEST) -m races

MIGRATIONS := $(foreach f,$(wildcard service/storage/migrations/*.sql),$(if $(findstring _baseline_,$f),,$f))

check: venv ## format, lint, strict types (tests too), import contracts, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(MIGRATIONS),$(BIN)/squawk $(MIGRATIONS))

map: venv ## the packages of service/, their sizes, and what each imports
	$(BIN)/python -m tests.architecture.map

words: venv ## find the sentences of code and templates for service/words/zh.po, and drop those gone
	$(BIN)/python -m tests.architecture.catalogue

vendor: venv ## fetch the console's files of others again, as vendor.toml names them (needs npm)
	$(BIN)/python -m tests.architecture.vendor

interop: venv ## foreign clients, servers and decoders at the other end of the wire (fetches them); all must run
	interop/run

image: venv ## build the image without a registry or a daemon, and look at it (as root; podman)
	$(BIN)/python -m tests.containers.image

compose-test: venv ## docker-compose.yml in containers: kills, stops, restore, proxy, upgrade and back (as root; podman)
	$(BIN)/python -m tests.containers.bad_day

compose-quick: venv ## its kills and stops alone, with 2,000 people (as root; podman; minutes)
	$(BIN)/python -m tests.containers.bad_day --quick --people 2000 --tps 10

$(READERS): $(STAMP) requirements-manifests.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-manifests.lock
	touch $(READERS)

manifests: $(READERS) ## compose file, scripts, units of systemd and the chart, each by its own program
	$(BIN)/python -m tests.manifests.manifests

bundle-test: venv ## the archives for machines without a network, made, installed and tried (as root)
	$(BIN)/python -m tests.manifests.bundles

province-day: venv ## days of a province in counts: what waits, and where it grows (some minutes)
	$(BIN)/python -m benchmarks.province_day

watch-test: venv ## alert rules and the dashboard, beside a running system and Debian's Prometheus (installs it as root)
	$(BIN)/python -m tests.watch.watch

drill: venv ## five faults on a running system for whoever is on duty; TRY=--try: without anybody (installs Prometheus as root)
	$(BIN)/python -m tests.watch.drill $(TRY)

corpus: venv ## what lint stops of the scams, and what of the honest texts, by rule and by kind
	$(BIN)/python -m tests.lint_corpus

FUZZ_SECONDS ?= 600
fuzz: venv ## ten minutes a protocol of broken packets, for decoders and live sessions (long)
	$(BIN)/python -m tests.fuzz.fuzz --seconds $(FUZZ_SECONDS)

MODEL_EXAMPLES ?= 2000
model: venv ## random acts of random people on campaigns, beside an oracle (long)
	TOCSIN_MODEL_EXAMPLES=$(MODEL_EXAMPLES) \
		$(BIN)/python -m pytest -q tests/integration/api/test_campaign_model.py

CONTRACT_CASES ?= 5300
CONTRACT_SEED ?= 0
contract: venv ## requests made up from the OpenAPI document, by themselves and along its links (long)
	TOCSIN_API_CASES=$(CONTRACT_CASES) TOCSIN_API_SEED=$(CONTRACT_SEED) \
		$(BIN)/python -m pytest -q tests/integration/api/test_any_request.py

CHAOS_MINUTES ?= 15
chaos: venv ## every fault in a broadcast of 20,000, then random ones (long)
	$(BIN)/python -m tests.chaos.matrix
	$(BIN)/python -m tests.chaos.random_faults --minutes $(CHAOS_MINUTES)

silence-test: venv ## servers and carriers that fall silent without closing a connection (long)
	$(BIN)/python -m tests.chaos.matrix --silent --messages 4000 --tps 50
	$(BIN)/python -m tests.chaos.matrix --other --messages 4000 --tps 50
	$(BIN)/python -m tests.failover.takeover --silent --people 4000 --tps 50

restore-test: venv ## backups of a broadcast, a wrong UPDATE, the instant before it, cut files (a minute)
	$(PYTEST) tests/e2e/test_restore.py

sentinel-test: venv ## Valkey's primary lost during broadcasts, three Valkeys and three sentinels (minutes)
	$(BIN)/python -m tests.sentinel.takeover

FAILOVER_PEOPLE ?= 20000
failover-test: venv ## PostgreSQL's primary lost during broadcasts of 20,000: Patroni, etcd, HAProxy, PgBouncer (installs them as root; long)
	$(BIN)/python -m tests.failover.takeover --people $(FAILOVER_PEOPLE)

failover-quick: venv ## three rows of failover-test, with 3,000 people (minutes)
	$(BIN)/python -m tests.failover.takeover --quick --people 3000 --tps 60

SOAK_MINUTES ?= 20
SOAK_RATE ?= 2000
SOAK_PROTOCOLS ?= cmpp
soak: venv ## a steady 2,000 texts a second: do memory, queues, delays stay flat? (long)
	$(BIN)/python -m tests.chaos.soak --minutes $(SOAK_MINUTES) --rate $(SOAK_RATE) --protocols $(SOAK_PROTOCOLS)

bench-check: venv ## this revision beside its parent, in turns: does anything take a tenth more? (long)
	$(BIN)/python -m benchmarks.revisions

bench: venv ## the figures in docs/performance.md, Kannel beside them (fetches it)
	$(BIN)/python -m benchmarks.importing
	$(BIN)/python -m benchmarks.audience
	$(BIN)/python -m benchmarks.reached
	$(BIN)/python -m benchmarks.wire
	$(BIN)/python -m benchmarks.table
	$(BIN)/python -m benchmarks.broadcast --profile
	$(BIN)/python -m benchmarks.urgent
	$(BIN)/python -m benchmarks.direct_sends
	$(BIN)/python -m benchmarks.readers
	$(BIN)/python -m benchmarks.hostile_texts
	$(BIN)/python -m benchmarks.watched

COUNTY_ROWS ?= 118000
county: venv ## a dirty county's file gives its truth, row by row; then its import's time and memory
	COUNTY_ROWS=$(COUNTY_ROWS) $(BIN)/python -m pytest -q -k "file_gives_its_truth and county" \
		tests/integration/audience/test_contact_truth.py
	$(BIN)/python -m benchmarks.importing $(COUNTY_ROWS)

evening: venv ## 118,000 people at 100 a second from 19:50 on, over the night (some minutes)
	$(BIN)/python -m benchmarks.evening

migrate: venv ## bring the database of TOCSIN_DATABASE_URL up to date
	$(BIN)/tocsin migrate

lock: ## renew the requirements*.lock (needs uv), and the one of npm
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--extra embedded --extra traces --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
		--python-version 3.11 --constraint requirements.lock pyproject.toml -o deploy/requirements.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--constraint requirements.lock --group browser -o requirements-browser.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--constraint requirements.lock --group manifests -o requirements-manifests.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
		--python-version 3.11 --constraint requirements.lock --extra embedded pyproject.toml -o deploy/bundle.lock
	$(BIN)/python deploy/sbom.py > deploy/sbom.json
	$(MAKE) $(DRIVER)
	$(BIN)/python -m tests.browser.install --lock
