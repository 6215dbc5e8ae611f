# The developer commands. `make demo` and `make test` work on a fresh Debian or Ubuntu machine.
.PHONY: help build demo test asan tsan sim lint format fuzz soak bench gpu-test tiny install clean
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CMAKE ?= cmake

help:
	@echo "make demo      build, then measure the sample images with the embedded checkpoint"
	@echo "make test      build and run every test that needs no GPU, then again under sanitizers"
	@echo "make asan      only the second half: AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make tsan      what has threads, under ThreadSanitizer (a quarter of an hour)"
	@echo "make sim       only the CUDA kernels, emulated on the CPU, and the emulator's own tests"
	@echo "make lint      the rules of the house: includes, contracts, sizes, format"
	@echo "make format    clang-format every source"
	@echo "make fuzz      fuzz every target for FUZZ_SECONDS (60) seconds each"
	@echo "make soak      the long tests"
	@echo "make bench     everything measured on this machine, and its peers beside it"
	@echo "make gpu-test  everything that needs a CUDA device: tests, sanitizer, benchmarks (nine minutes)"
	@echo "make tiny      retrain the embedded checkpoint (PyTorch; hours on a CPU)"
	@echo "make install   program, man page, completion, checkpoint into PREFIX (/usr/local)"

build:
	@.ci/setup build
	@$(CMAKE) -S . -B build -DBUILD_TESTING=OFF -DMV_CUDA_ARCHITECTURES=card $(CMAKE_ARGS) >build.log 2>&1 || { cat build.log; exit 1; }
	@$(CMAKE) --build build --parallel $(JOBS) >>build.log 2>&1 || { tail -n 40 build.log; exit 1; }
	@rm -f build.log

demo: build
	@tests/demo.sh build/medvision

test:
	@.ci/setup test
	$(CMAKE) -S . -B build -DBUILD_TESTING=ON -DMV_WERROR=$(if $(CI),ON,OFF) $(CMAKE_ARGS)
	$(CMAKE) --build build --parallel $(JOBS)
	cd build && ctest --parallel $(JOBS) --output-on-failure --label-exclude slow
	$(MAKE) asan

asan:
	@.ci/setup test
	$(CMAKE) -S . -B build-asan -DBUILD_TESTING=ON -DMV_ASAN=ON -DMV_SIM=OFF $(CMAKE_ARGS)
	$(CMAKE) --build build-asan --parallel $(JOBS)
	cd build-asan && ctest --parallel $(JOBS) --output-on-failure --label-exclude 'slow|lint|plain'

# What has threads of its own: the engine, the server, eval's pipe.
tsan:
	@.ci/setup test
	$(CMAKE) -S . -B build-tsan -DBUILD_TESTING=ON -DMV_TSAN=ON -DMV_SIM=OFF -DMV_CUDA=OFF $(CMAKE_ARGS)
	$(CMAKE) --build build-tsan --parallel $(JOBS)
	CK_RUN_CASE=threads build-tsan/tests/test_batch
	cd build-tsan && ctest --output-on-failure -R '^(engine|soak|server|server_load|eval_run_program)$$'

sim: build-tests
	cd build && ctest --parallel $(JOBS) --output-on-failure --label-regex sim

lint: build-tests
	cd build && ctest --parallel $(JOBS) --output-on-failure --label-regex lint

.PHONY: build-tests
build-tests:
	@.ci/setup test
	$(CMAKE) -S . -B build -DBUILD_TESTING=ON $(CMAKE_ARGS)
	$(CMAKE) --build build --parallel $(JOBS)

format:
	git ls-files '*.c' '*.h' | grep -v _strings | xargs clang-format -i

FUZZ_SECONDS ?= 60
fuzz:
	@.ci/setup fuzz
	$(CMAKE) -S . -B build-fuzz -DMV_FUZZ=ON -DMV_ASAN=ON -DMV_SIM=OFF -DCMAKE_C_COMPILER=clang $(CMAKE_ARGS)
	$(CMAKE) --build build-fuzz --parallel $(JOBS)
	for target in build-fuzz/fuzz/fuzz_*; do \
	  name=$${target##*/fuzz_}; mkdir -p build-fuzz/corpus/$$name; \
	  $$target -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -timeout=20 \
	    -artifact_prefix=build-fuzz/corpus/$$name- \
	    build-fuzz/corpus/$$name tests/fuzz/corpus/$$name || exit 1; done

soak: build-tests
	cd build && ctest --output-on-failure --label-regex slow
	$(CMAKE) -S . -B build-asan -DBUILD_TESTING=ON -DMV_ASAN=ON -DMV_SIM=OFF $(CMAKE_ARGS)
	$(CMAKE) --build build-asan --parallel $(JOBS) --target medvision
	cd build-asan && ctest --output-on-failure --tests-regex server_soak

bench: build
	bench/run.sh

gpu-test:
	@bench/gpu.sh; code=$$?; [ $$code = 0 ] || [ $$code = 77 ]

tiny:
	weights/tiny/train.sh

install: build
	$(CMAKE) --install build $(if $(PREFIX),--prefix $(PREFIX))

clean:
	rm -rf build build-asan build-tsan build-fuzz build.log
