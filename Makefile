# SPDX-License-Identifier: Apache-2.0
#
#   make            build/mesh, with its libraries    make check   every test
#   make demo       the mesh around a demo            make unit    unit tests only
#   make bench      against other proxies             make fuzz    each fuzzer for a moment
#   make install    DESTDIR= PREFIX=/usr/local        make lint    floors, format, analyzer
#   make soak       what takes longer than a check; SOAK_SECONDS= for each part
#   make images     OCI archives in build/images      make cluster, check-cluster, cluster-down
#                                                     a real Kubernetes: test/cluster/README
#   SAN=1           with ASan and UBSan               WERROR=1     warnings are errors
#   TSAN=1          with ThreadSanitizer
#   CC=clang        another compiler                  V=1          show commands
#   ARCH=arm64      for another machine, into build/arm64, with aarch64-linux-gnu-gcc

VERSION := 0.1.0
HOST    := $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(shell uname -m)))
ARCH    := $(HOST)
TRIPLET := $(if $(filter amd64,$(ARCH)),x86_64,$(if $(filter arm64,$(ARCH)),aarch64,$\
	$(error ARCH is amd64 or arm64, not '$(ARCH)')))-linux-gnu
CROSS   := $(if $(filter-out $(HOST),$(ARCH)),$(TRIPLET)-)
CC      := $(CROSS)gcc
AR      := $(CROSS)ar
STRIP   := $(CROSS)strip
CLANG   ?= clang-14
FORMAT  ?= clang-format-14
PREFIX  ?= /usr/local
FUZZ_SECONDS ?= 10
HOSTD   := build/deps
D       := $(HOSTD)$(if $(CROSS),/$(ARCH))
B       := build$(if $(CROSS),/$(ARCH))$(if $(SAN),/san)$(if $(TSAN),/tsan)$(if $(filter clang%,$(CC)),/clang)
GEN     := build/gen

OPT     ?= -O2 -g
SMALL   ?= -Os -g # what no request passes through
CPPFLAGS += -Isrc -Iapplets -I$(GEN) -isystem $D/include \
	-D_GNU_SOURCE -DMESH_VERSION='"$(VERSION)"' -DMESH_ARCH='"$(ARCH)"' \
	-DMBEDTLS_CONFIG_FILE='"tls/mbedtls_config.h"'
CFLAGS  += $(OPT) -std=gnu17 -Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 \
	-Wimplicit-fallthrough -Werror=implicit-function-declaration \
	-fno-common -fPIE -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-ffile-prefix-map=$(CURDIR)=. -MMD -MP
LDFLAGS += -Wl,--gc-sections -Wl,--wrap=mbedtls_ecp_mul
LIBS    := -levent_core -lnghttp2 -lllhttp -lprotobuf-c -lcjson -lyaml \
	-lmbedtls -lhogweed -lgmp -lnettle $(if $(filter amd64,$(ARCH)),-lIPSec_MB) -lz
LDLIBS  += -L$D/lib -Wl,--start-group $(LIBS) $B/libcore.a -Wl,--end-group -lpthread -lm
comma   := ,
ifdef SAN
CFLAGS  += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LINK    := -pie
else ifdef TSAN
CFLAGS  += -fsanitize=thread -fno-omit-frame-pointer
LINK    := -pie
else
CFLAGS  += -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
	$(if $(filter amd64,$(ARCH)),-fcf-protection,-mbranch-protection=standard)
LINK    := -static-pie -Wl,-z,relro,-z,now -Wl,--build-id=none -Wl,-T,scripts/lean.ld \
	$(if $(filter amd64,$(ARCH)),-Wl$(comma)-z$(comma)pack-relative-relocs)
endif
ifdef WERROR
CFLAGS  += -Werror
endif

PROTOS  := $(wildcard src/api/*.proto)
PB      := $(PROTOS:src/%.proto=$(GEN)/%.pb-c)
# AES-GCM is IPsec-MB's, which is of x86, or nettle's
NOTHERE := src/tls/gcm_$(if $(filter amd64,$(ARCH)),nettle,ipsec).c
SRC     := $(filter-out $(NOTHERE),$(wildcard src/*/*.c))
CORE    := $(SRC:%.c=$B/%.o) $(PB:$(GEN)/%.pb-c=$B/gen/%.pb-c.o)
APPLETS := $(patsubst %.c,$B/%.o,$(wildcard applets/*.c))
NAMES   := $(shell cut -d'"' -f2 -s applets/applets.def)
UNITS   := $(patsubst test/unit/%.c,$B/test/%,$(wildcard test/unit/*/test_*.c))
NETTLE  := $(patsubst %,$B/test/tls/test_%_nettle,gcm records session)
TESTLIB := $(patsubst %.c,$B/%.o,$(wildcard test/lib/*.c))
FUZZERS := $(patsubst test/fuzz/%.c,build/fuzz/%,$(wildcard test/fuzz/fuzz_*.c))
TOOLS   := $(patsubst test/tool/%.c,$B/tool/%,$(wildcard test/tool/*.c))
DEMO    := $(patsubst %.c,$B/%.o,$(wildcard deploy/local/app/*.c)) $B/gen/emojivoto.pb-c.o

ifneq ($(V),1)
Q = @printf '  %-6s %s\n' $(1) $@;
endif

.PHONY: all check soak unit tools demo bench fuzz fuzzers lint fmt fmt-check install clean deps \
	images cluster cluster-down check-cluster FORCE
.SECONDARY:
all: $B/mesh $(if $(CROSS),,$B/charts.checked)

# ---- libraries and generated code ----
$(sort $(HOSTD)/stamp $D/stamp): scripts/deps src/tls/mbedtls_config.h
	@scripts/deps $(if $(filter $(HOSTD)/stamp,$@),,--arch $(ARCH))
	@touch $@

$(GEN)/%.pb-c.h: src/%.proto $(HOSTD)/stamp
	@mkdir -p $(@D)
	$(call Q,PROTO)$(HOSTD)/bin/protoc-c -Isrc --c_out=$(GEN) $<

$(GEN)/%.pb-c.c: $(GEN)/%.pb-c.h ;

# ---- the binary ----
$B/mesh: $B/mesh.debug
	$(call Q,STRIP)$(STRIP) -o $@ $<

$B/mesh.debug: $(APPLETS) $B/libcore.a
	$(call Q,LINK)$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) $(APPLETS) $B/libcore.a $(LDLIBS) -o $@

# The same with calls that fail when told to (test/fault).
FAULTED   := malloc calloc realloc reallocarray aligned_alloc socket connect accept4 recv send read write \
	open epoll_wait getsockopt setsockopt getsockname getpeername eventfd getrandom
FAULTWRAP := $(FAULTED:%=-Wl,--wrap=%)
$B/fault/mesh: test/fault/fault.c $(APPLETS) $B/libcore.a
	@mkdir -p $(@D)
	$(call Q,LINK)$(CC) $(CPPFLAGS) $(CFLAGS) $(LINK) $(LDFLAGS) $(FAULTWRAP) $^ $(LDLIBS) -o $@

$B/libcore.a: $(CORE)
	$(call Q,AR)rm -f $@ && $(AR) rcsD $@ $^

$B/%.o: %.c $D/stamp | $(PB:%=%.h)
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# The charts, as files of the binary.
CHARTS := $(shell find deploy/charts -type f)
$(GEN)/charts.inc: scripts/embed deploy/charts $(CHARTS)
	@mkdir -p $(@D)
	$(call Q,EMBED)scripts/embed deploy/charts >$@
$B/src/chart/files.o build/fuzz/obj/src/chart/files.o: $(GEN)/charts.inc

# A word in them that chart does not understand is an error of the build.
$B/charts.checked: $B/test/tool/check_charts.o \
		$(filter $B/src/chart/% $B/src/wire/% $B/src/base/%,$(CORE))
	$(call Q,CHECK)$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) $^ -L$D/lib -lllhttp -lcjson -lyaml -lz -lm \
		-o $B/check_charts && $B/check_charts && touch $@

$(foreach f,local ctl kube cli cni viz chart,$B/src/$f/%.o) $B/applets/%.o $B/gen/%.o: OPT := $(SMALL)

$B/gen/%.pb-c.o: $(GEN)/%.pb-c.c | $(PB:%=%.h)
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(CPPFLAGS) $(CFLAGS) -w -c $< -o $@

# ---- what tests and the demo run ----
$B/test/%: test/unit/%.c $B/libcore.a $(TESTLIB)
	@mkdir -p $(@D)
	$(call Q,TEST)$(CC) $(CPPFLAGS) -Itest/unit -Itest/lib $(CFLAGS) $(LINK) $(LDFLAGS) \
		$< $(TESTLIB) $B/libcore.a $(LDLIBS) -o $@

# The implementation of AES-GCM that the binary may not have passes the same tests.
$B/test/tls/test_%_nettle: test/unit/tls/test_%.c $B/src/tls/gcm_nettle.o $B/libcore.a $(TESTLIB)
	@mkdir -p $(@D)
	$(call Q,TEST)$(CC) $(CPPFLAGS) -Itest/unit -Itest/lib $(CFLAGS) $(LINK) $(LDFLAGS) \
		$< $B/src/tls/gcm_nettle.o $(TESTLIB) $B/libcore.a $(LDLIBS) -o $@

$B/test/lib/%.o: test/lib/%.c $D/stamp | $(PB:%=%.h)
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(CPPFLAGS) -Itest/lib $(CFLAGS) -c $< -o $@

$B/tool/%: test/tool/%.c $B/libcore.a $(TESTLIB)
	@mkdir -p $(@D)
	$(call Q,TOOL)$(CC) $(CPPFLAGS) -Itest/lib $(CFLAGS) $(LINK) $(LDFLAGS) $< $(TESTLIB) \
		$B/libcore.a $(LDLIBS) -o $@

# The demo's application: not part of the mesh, but made of the same floors.
$(GEN)/emojivoto.pb-c.h: deploy/local/app/emojivoto.proto $(HOSTD)/stamp
	@mkdir -p $(@D)
	$(call Q,PROTO)$(HOSTD)/bin/protoc-c -I$(<D) --c_out=$(GEN) $<

$(DEMO): | $(GEN)/emojivoto.pb-c.h
$B/deploy/local/app/page.o: deploy/local/app/page.html

$B/demo-app: $(DEMO) $B/libcore.a
	$(call Q,LINK)$(CC) $(CFLAGS) $(LINK) -s $(LDFLAGS) $(DEMO) $B/libcore.a $(LDLIBS) -o $@

# clang has no macro that tells of its sanitizers: gcc's
FUZZFLAGS := -std=gnu17 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
	-D__SANITIZE_ADDRESS__
FUZZCORE  := $(SRC:%.c=build/fuzz/obj/%.o) \
	$(PB:$(GEN)/%.pb-c=build/fuzz/obj/gen/%.pb-c.o)

build/fuzz/obj/%.o: %.c $D/stamp | $(PB:%=%.h)
	@mkdir -p $(@D)
	$(call Q,FUZZ)$(CLANG) $(CPPFLAGS) $(FUZZFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

build/fuzz/obj/gen/%.pb-c.o: $(GEN)/%.pb-c.c | $(PB:%=%.h)
	@mkdir -p $(@D)
	$(call Q,FUZZ)$(CLANG) $(CPPFLAGS) $(FUZZFLAGS) -fsanitize=fuzzer-no-link -w -c $< -o $@

build/fuzz/libcore.a: $(FUZZCORE)
	$(call Q,AR)rm -f $@ && $(AR) rcsD $@ $^

build/fuzz/%: test/fuzz/%.c build/fuzz/libcore.a
	$(call Q,FUZZ)$(CLANG) $(CPPFLAGS) $(FUZZFLAGS) -fsanitize=fuzzer $< $(FUZZFAULT) $(LDFLAGS) -L$D/lib \
		-Wl,--start-group build/fuzz/libcore.a $(LIBS) -Wl,--end-group -lpthread -lm -o $@

build/fuzz/fuzz_conn: test/fault/fault.c
build/fuzz/fuzz_conn: FUZZFAULT = test/fault/fault.c $(FAULTWRAP)

tools: $(TOOLS) $B/demo-app
unit: $(UNITS) $(NETTLE)
	@scripts/check unit

check:
	@scripts/check

soak: all tools
	@failed=0; for t in $(wildcard test/soak/*); do \
		test -x $$t || continue; echo "# $$t"; $$t || failed=1; done; exit $$failed

demo: $B/mesh $B/demo-app
	@test -x deploy/local/demo || { echo "make demo: the demo is not part of this version yet; see README" >&2; exit 1; }
	@deploy/local/demo

bench: $B/mesh $B/tool/byte_server $B/tool/conn_load $B/tool/scripted_control
	@test/bench/run

fuzzers: $(FUZZERS)

fuzz: $(FUZZERS)
	@for f in $(FUZZERS); do \
		corpus=test/fuzz/corpus/$$(basename $$f | sed s/^fuzz_//); mkdir -p $$corpus build/fuzz/new; \
		$$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=0 -verbosity=0 build/fuzz/new $$corpus || exit 1; done

# ---- images and the cluster ----
# Named as containerd sees "mesh/proxy:$(VERSION)".  The mesh's has no file but the binary.
IMAGES := $B/images/mesh.tar $B/images/demo.tar
images: $(IMAGES)

# Where the compiler for the other architecture is there, also one archive for both.
OTHER  := $(filter-out $(HOST),amd64 arm64)
OTHERCC := $(if $(filter arm64,$(OTHER)),aarch64,x86_64)-linux-gnu-gcc
ifeq ($(CROSS),)
images: $(if $(shell command -v $(OTHERCC)),build/multiarch/mesh.tar build/multiarch/demo.tar)
endif
build/$(OTHER)/images/%.tar: FORCE
	@$(MAKE) --no-print-directory ARCH=$(OTHER) $@
build/multiarch/%.tar: build/images/%.tar build/$(OTHER)/images/%.tar scripts/images
	$(call Q,IMAGE)scripts/images --join $@ $(filter %.tar,$^)

$B/images/mesh.tar: NAME := proxy:$(VERSION)
$B/images/mesh.tar: export ADMIN := bin/mesh
$B/images/mesh.tar: $B/mesh
$B/images/demo.tar: NAME := demo:1
$B/images/demo.tar: $B/demo-app
$(IMAGES): scripts/images applets/applets.def
	@rm -rf $(@:.tar=) && mkdir -p $(@:.tar=)/bin && cp $(filter $B/%,$^) $(@:.tar=)/bin/
	@$(if $(filter proxy%,$(NAME)),for n in $(NAMES); do ln -s mesh $(@:.tar=)/bin/mesh-$$n; done)
	$(call Q,IMAGE)ARCH=$(ARCH) scripts/images $@ docker.io/mesh/$(NAME) $(@:.tar=) 65534:65534 \
		/bin/$(notdir $(filter $B/%,$^))
	@rm -rf $(@:.tar=)

cluster: $(IMAGES)
	test/cluster/build
	test/cluster/up

cluster-down:
	test/cluster/down

check-cluster: $(IMAGES)
	@scripts/check cluster

# ---- reading the source ----
SOURCES := $(shell find src applets test deploy -name '*.[ch]' 2>/dev/null)
lint: $(GEN)/charts.inc
	@scripts/check-floors
	@for c in $(sort $(SRC) src/tls/gcm_nettle.c) $(wildcard applets/*.c); do \
		$(CC) $(CPPFLAGS) -std=gnu17 -O2 -Wall -Wextra -Werror -fanalyzer \
			-c $$c -o /dev/null || exit 1; done

fmt:
	$(FORMAT) -i $(SOURCES)
fmt-check:
	@$(FORMAT) --dry-run -Werror $(SOURCES)

# ---- installing ----
install: $B/mesh
	install -D -m 755 $B/mesh $(DESTDIR)$(PREFIX)/bin/mesh
	for n in $(NAMES); do ln -sf mesh $(DESTDIR)$(PREFIX)/bin/mesh-$$n; done

deps:
	@scripts/deps

clean:
	find build -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} +

-include $(shell find $B -path build/cluster -prune -o -path build/deps -prune -o -name '*.d' -print 2>/dev/null)
