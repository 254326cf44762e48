# Hawser's front door. `make help` lists the targets and the variables of `make run`.
#
# Everything that is made is made under build/. V=1 shows the commands.

CROSS_COMPILE ?= x86_64-linux-gnu-
CC      := $(CROSS_COMPILE)gcc
LD      := $(CROSS_COMPILE)ld
NM      := $(CROSS_COMPILE)nm
OBJCOPY := $(CROSS_COMPILE)objcopy
SIZE    := $(CROSS_COMPILE)size
# The one for which the distribution has pytest and pexpect.
PYTHON  ?= /usr/bin/python3

# With DEBUG=1 the kernel asserts the order of its locks, and is made beside the other one.
DEBUG ?=
B := build$(if $(DEBUG),/debug)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)')

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
.SECONDEXPANSION:
.DEFAULT_GOAL := image
.PHONY: help deps image run serve test test-big bench check ci clean

help:
	@echo 'make run      boot Hawser in QEMU; this terminal is its serial line (Ctrl-A x leaves)'
	@echo '              ROOT=DIR            serve this directory as its root (build/root)'
	@echo "              INIT='/path args'   the first program"
	@echo "              APPEND='words'      more of the kernel's command line"
	@echo '              MEM=64              RAM in MiB'
	@echo '              BOOT=ipxe|direct    from the network, or by QEMU itself'
	@echo '              NET=user|dnsmasq    its own servers, or a real dnsmasq in a namespace'
	@echo '              NIC=modern|legacy|transitional   CPU=MODEL   ICOUNT=1'
	@echo "              QEMU_ARGS='...'     more arguments for QEMU"
	@echo 'make image    build/hawser, the kernel, and build/root, the default root'
	@echo 'make serve    serve a lab: IFACE=eth1 [ROOT=DIR] [PROXY=SUBNET]'
	@echo 'make test     all tests; ends with one line of counts'
	@echo 'make test-big what takes longer, or 10 GiB: two million random system calls, a heap of 8 GiB, …'
	@echo 'make docs     docs/syscalls.md, from the table of system calls'
	@echo 'make bench    the numbers, beside Linux and iPXE'
	@echo 'make check    formatting, lints, and the order of the rooms'
	@echo 'make deps     install (or name) every package that any of these needs'
	@echo 'make clean    remove build/        V=1 shows commands'

# --- what must be installed ---------------------------------------------------------------------
# The stamp is included as a makefile: once packages have been installed to make it, make starts
# over, and what it asks the compiler below is answered.
goals := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
every-set := run serve check test bench
deps-sets := run $(sort $(filter $(filter-out run,$(every-set)),$(patsubst ci,test,$(goals:test-big=test))) \
             $(if $(filter dnsmasq,$(NET)),serve))
empty :=
deps := $(B)/deps/$(subst $(empty) $(empty),+,$(strip $(deps-sets)))

$(deps): tools/deps
	@tools/deps --stamp $@ $(deps-sets)

ifneq ($(filter-out help clean deps,$(goals)),)
include $(deps)
endif

deps:
	@tools/deps $(every-set)

# --- running it ---------------------------------------------------------------------------------
# What was given on make's command line is in the environment of its recipes, whatever it holds.
run: $(B)/hawser $(B)/root.made
	@exec tools/qemu $${ROOT:+--root "$$ROOT"} $${INIT:+--init "$$INIT"} \
		$${APPEND:+--append "$$APPEND"} $${MEM:+--mem "$$MEM"} $${BOOT:+--boot "$$BOOT"} \
		$${NET:+--net "$$NET"} $${NIC:+--nic "$$NIC"} $${CPU:+--cpu "$$CPU"} \
		$(if $(filter-out 0,$(ICOUNT)),--icount) -- $(QEMU_ARGS)

serve: $(B)/hawser $(B)/root.made
	@if [ -z "$(IFACE)" ]; then echo 'make serve needs IFACE=, the interface to serve on'; exit 2; fi
	@exec tools/serve $${PROXY:+--proxy "$$PROXY"} $${RANGE:+--range "$$RANGE"} \
		$${APPEND:+--append "$$APPEND"} "$$IFACE" $${ROOT:+"$$ROOT"}

# The default root: Debian's busybox and bash as they are, terminal descriptions, and user/. The links to
# busybox's applets are a list that the kernel reads (fs/links.h), since a TFTP server has none to show;
# bin/sh is one on the server, too, for those who take the list away. Who serves the root keeps the
# stamp (tools/serving.py).
root_terminals := a/ansi d/dumb l/linux s/screen s/screen-256color t/tmux t/tmux-256color v/vt100 v/vt102 \
                  v/vt220 x/xterm x/xterm-256color x/xterm-color
$(B)/root.made: /bin/busybox /bin/bash-static $(shell find user -type f) Makefile | $(deps)
	$(call say,ROOT,$(B)/root)
	$(Q)mkdir -p $(B)/root/bin $(B)/root/lib/terminfo $(B)/root/.hawser
	$(Q)cp /bin/busybox $(B)/root/bin/busybox
	$(Q)cp /bin/bash-static $(B)/root/bin/bash
	$(Q)ln -sfn busybox $(B)/root/bin/sh
	$(Q)cp -R user/* $(B)/root/
	$(Q)cd /lib/terminfo && cp --parents $(root_terminals) $(CURDIR)/$(B)/root/lib/terminfo
	$(Q){ printf /bin/busybox; \
		busybox --list-full | grep -vx -e bin/busybox -e linuxrc | sort | sed 's/^/ /' | tr -d '\n'; \
		printf '\n/bin/bash usr/bin/bash\n'; } >$(B)/root/.hawser/links
	$(Q)tools/stamp --once $(B)/root
	$(Q)touch $@

image: $(B)/hawser $(B)/root.made
	@printf '%12s bytes  %s\n' "$$(stat -c %s $(B)/hawser)" $(B)/hawser \
		"$$(stat -c %s $(B)/kernel.bin)" '$(B)/kernel.bin, which is packed in it' \
		"$$(du -sb $(B)/root | cut -f1)" $(B)/root/

# --- testing it ---------------------------------------------------------------------------------
ci: test

bench: $(B)/hawser $(B)/root.made
	$(Q)tests/bench/bench

check_includes = -Inet/lwip-port -isystem $(LWIP_DIR)/src/include -isystem $(LZ4_DIR)/lib

check: $(B)/hawser
	$(Q)CFLAGS_KERNEL='$(CFLAGS_KERNEL) $(check_includes)' tools/check

clean:
	$(Q)rm -rf $(B)

# --- the rooms, from right to left: each may use those above it -------------------------------
rooms := kernel/x86_64 kernel mm/x86_64 mm dev net/lwip-port net fs proc loader

sources := $(foreach room,$(rooms),$(sort $(wildcard $(room)/*.c $(room)/*.S)))
objects := $(patsubst %,$(B)/obj/%.o,$(sources))

# --- how kernel code is compiled -----------------------------------------------------------------
warnings := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare
includes := -nostdinc -isystem $(shell $(CC) -print-file-name=include 2>/dev/null) \
            -isystem kernel/freestanding -isystem $(B)/include -I. -I$(B)/gen
CFLAGS_KERNEL := -std=gnu11 -O2 -g -ffreestanding -fpie -fvisibility=hidden -mno-red-zone \
            -mgeneral-regs-only -fno-omit-frame-pointer -fno-strict-aliasing -fno-common \
            -fstack-protector-strong -mstack-protector-guard=global -fcf-protection=none \
            -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections \
            $(warnings) $(includes) -D__HAWSER__ $(if $(DEBUG),-DDEBUG_LOCKS)

# The interfaces of Linux and of libbsd, from the distribution; nothing else of /usr/include.
multiarch := $(shell $(CC) -print-multiarch 2>/dev/null)
uapi := $(B)/include/.stamp
$(uapi):
	$(call say,UAPI,$(B)/include)
	$(Q)mkdir -p $(B)/include/bsd/sys
	$(Q)ln -sfn /usr/include/linux $(B)/include/linux
	$(Q)ln -sfn /usr/include/asm-generic $(B)/include/asm-generic
	$(Q)ln -sfn /usr/include/video $(B)/include/video
	$(Q)ln -sfn /usr/include/$(multiarch)/asm $(B)/include/asm
	$(Q)ln -sfn /usr/include/bsd/sys/queue.h $(B)/include/bsd/sys/queue.h
	$(Q)ln -sfn /usr/include/bsd/sys/tree.h $(B)/include/bsd/sys/tree.h
	$(Q)touch $@

$(B)/obj/%.c.o: %.c | $(uapi)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_KERNEL) -MMD -MP -c -o $@ $<

$(B)/obj/%.S.o: %.S | $(uapi)
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_KERNEL) -D__ASSEMBLER__ -MMD -MP -c -o $@ $<

# The names of Linux's system calls, for those that nobody answers.
$(B)/gen/syscall_names.h: tools/mksyscalls | $(uapi)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)echo '#include <asm/unistd_64.h>' | $(CC) -E -dM $(includes) - | tools/mksyscalls > $@
$(B)/obj/kernel/syscall_table.c.o: $(B)/gen/syscall_names.h

# What the manual says of each call, and what tests/guest/answered.c holds against it.
.PHONY: docs
docs: $(B)/gen/syscall_names.h
	$(Q)tools/mksyscalldoc doc $< > docs/syscalls.md
$(B)/gen/syscall_list.h: $(B)/gen/syscall_names.h kernel/syscall_table.c kernel/syscall_notes tools/mksyscalldoc
	$(call say,GEN,$@)
	$(Q)tools/mksyscalldoc header $< > $@
$(B)/guest/answered: $(B)/gen/syscall_list.h
$(B)/guest/answered: uapi_after += -I$(B)/gen

# `make objects-mm` compiles one room.
objects-%:
	$(Q)$(MAKE) --no-print-directory $(patsubst %,$(B)/obj/%.o,$(sort $(wildcard $*/*.c $*/*.S $*/*/*.c $*/*/*.S)))

-include $(objects:.o=.d) $(B)/obj/boot/head.S.d $(B)/obj/boot/boot.c.d

# --- lwIP ------------------------------------------------------------------------------------------
# The distribution's source package, unmodified, under build/; LWIP_DIR= names another copy. Only net/
# sees its headers. What it is made of and how it is configured: net/lwip-port/.
lwip_version := 2.1.3+dfsg1-2
lwip_sha256  := 0a8276d09fc4e97bbba2f953d74af2388fc2195ea156be9d7589e297a68fde24
LWIP_DIR     ?= build/lwip-2.1.3
lwip_fetched := $(filter build/%,$(LWIP_DIR)/.fetched)
lwip_sources := $(addprefix core/,def.c dns.c inet_chksum.c init.c ip.c mem.c memp.c netif.c pbuf.c \
                timeouts.c udp.c) \
                $(addprefix core/ipv4/,dhcp.c etharp.c icmp.c ip4.c ip4_addr.c ip4_frag.c) \
                netif/ethernet.c
lwip_objects := $(patsubst %,$(B)/obj/lwip/%.o,$(lwip_sources))

build/lwip-2.1.3/.fetched: tools/fetch-source
	$(call say,FETCH,lwip $(lwip_version))
	$(Q)tools/fetch-source lwip $(lwip_version) $(lwip_sha256) $(@D)
	$(Q)touch $@

$(B)/obj/net/%: CFLAGS_KERNEL += -Inet/lwip-port -isystem $(LWIP_DIR)/src/include
$(filter $(B)/obj/net/%,$(objects)): | $(lwip_fetched)

# Not ours to warn about; otherwise compiled as the kernel is.
$(B)/obj/lwip/%.c.o: | $(uapi) $(lwip_fetched)
	$(call say,CC,lwip/$*.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_KERNEL) -w -Inet/lwip-port/libc -Inet/lwip-port -I$(LWIP_DIR)/src/include \
		-MMD -MP -c -o $@ $(LWIP_DIR)/src/$*.c

-include $(lwip_objects:.o=.d)

# --- LZ4 -------------------------------------------------------------------------------------------
# The kernel in the image is packed, by lz4(1), and unpacked by the same library, from the distribution's
# source package as above; LZ4_DIR= names another copy. Only boot/unpack/ sees its headers.
lz4_version := 1.9.4-1
lz4_sha256  := 0b0e3aa07c8c063ddf40b082bdf7e37a1562bda40a0ff5272957f3e987e0e54b
LZ4_DIR     ?= build/lz4-1.9.4
lz4_fetched := $(filter build/%,$(LZ4_DIR)/.fetched)

build/lz4-1.9.4/.fetched: tools/fetch-source
	$(call say,FETCH,lz4 $(lz4_version))
	$(Q)tools/fetch-source lz4 $(lz4_version) $(lz4_sha256) $(@D)
	$(Q)touch $@

$(B)/obj/boot/unpack/%: CFLAGS_KERNEL += -fno-stack-protector -isystem $(LZ4_DIR)/lib
$(B)/obj/boot/unpack/unpack.c.o: | $(lz4_fetched)

# Not ours to warn about; otherwise compiled as the kernel is.
$(B)/obj/lz4/%.c.o: | $(uapi) $(lz4_fetched)
	$(call say,CC,lz4/$*.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_KERNEL) -w -fno-stack-protector -Iboot/unpack/libc -DLZ4_FREESTANDING=1 \
		-DLZ4_memcpy=__builtin_memcpy -DLZ4_memmove=__builtin_memmove \
		-DLZ4_memset=__builtin_memset -DXXH_FORCE_MEMORY_ACCESS=1 -MMD -MP -c -o $@ $(LZ4_DIR)/lib/$*.c

# --- the vDSO ---------------------------------------------------------------------------------------
#
# User code in the kernel's image: loader/vdso/.
vdso_flags := -std=gnu11 -O2 -fpic -fvisibility=default -fno-stack-protector -fcf-protection=none \
              -fasynchronous-unwind-tables -ffreestanding $(warnings) $(includes)

$(B)/gen/vdso.so: loader/vdso/vdso.c loader/vdso/vdso.lds kernel/vvar.h | $(uapi)
	$(call say,VDSO,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(vdso_flags) -shared -nostdlib -nostartfiles -Wl,-soname=linux-vdso.so.1 \
		-Wl,--hash-style=both -Wl,--eh-frame-hdr -Wl,-Bsymbolic -Wl,--build-id=none \
		-Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,-T,loader/vdso/vdso.lds -o $@ $<

$(B)/obj/loader/vdso_image.S.o: $(B)/gen/vdso.so
$(B)/obj/loader/vdso_image.S.o: CFLAGS_KERNEL += -DVDSO_FILE='"$(B)/gen/vdso.so"'

# --- the kernel ----------------------------------------------------------------------------------
#
# The kernel is linked twice: the second time with the symbol table made from the first, which lies
# behind all code, so that no function moves between the two.
boot_objects   := $(B)/obj/boot/head.S.o $(B)/obj/boot/boot.c.o
kernel_objects  = $(boot_objects) $(objects) $(lwip_objects)
kernel_link     = $(LD) -pie --no-dynamic-linker -z text -z max-page-size=4096 -z noexecstack \
                  -z pack-relative-relocs \
                  --gc-sections --build-id=none -T boot/kernel.ld

$(B)/kernel.first: $$(kernel_objects) boot/kernel.ld
	$(Q)$(kernel_link) -o $@ $(kernel_objects)

$(B)/gen/symbols.S: $(B)/kernel.first tools/mksymbols
	$(Q)mkdir -p $(@D)
	$(Q)$(NM) -n $< | $(PYTHON) tools/mksymbols > $@

$(B)/obj/symbols.S.o: $(B)/gen/symbols.S
	$(Q)$(CC) -c -o $@ $<

$(B)/kernel.elf: $(B)/obj/symbols.S.o
	$(call say,LD,$@)
	$(Q)$(kernel_link) -o $@ $(kernel_objects) $<

$(B)/kernel.bin: $(B)/kernel.elf
	$(Q)$(OBJCOPY) -O binary $< $@

# --- the image -----------------------------------------------------------------------------------
#
# The real-mode half, boot/setup.S; then what unpacks the kernel (boot/unpack/), and the kernel, packed.
# Nothing of it is relocated. Sizes are told by symbols.
unpack_objects := $(B)/obj/boot/unpack/head.S.o $(B)/obj/boot/unpack/unpack.c.o $(B)/obj/lz4/lz4.c.o \
                  $(B)/obj/lz4/xxhash.c.o $(B)/obj/kernel/string.c.o
symbol = $$($(NM) $(1) | sed -n 's/^\([0-9a-f]*\) . $(2)$$/0x\1/p')

kernel_memory = $(call symbol,$(B)/kernel.elf,__image_end)-$(call symbol,$(B)/kernel.elf,__image_start)

$(B)/kernel.lz4: $(B)/kernel.bin
	$(Q)lz4 -qq -f -12 -B7 -BI --content-size $< $@

$(B)/obj/boot/unpack/head.S.o: $(B)/kernel.lz4
$(B)/obj/boot/unpack/head.S.o: CFLAGS_KERNEL += -DPAYLOAD_FILE='"$(B)/kernel.lz4"'

$(B)/unpack.elf: $(unpack_objects) boot/unpack/unpack.lds
	$(Q)$(LD) -pie --no-dynamic-linker -z text -z noexecstack --gc-sections --build-id=none \
		--defsym KERNEL_MEMORY=$(kernel_memory) \
		-T boot/unpack/unpack.lds -o $@ $(unpack_objects)

$(B)/unpack.bin: $(B)/unpack.elf
	$(Q)$(OBJCOPY) -O binary $< $@

$(B)/setup.bin: $(B)/obj/boot/setup.S.o
	$(Q)$(LD) -Ttext=0 --oformat=binary -e 0 -o $@ $<

$(B)/hawser: $(B)/setup.bin $(B)/unpack.bin tools/mkimage
	$(call say,IMAGE,$@)
	$(Q)$(PYTHON) tools/mkimage $(B)/setup.bin $(B)/unpack.bin \
		$(call symbol,$(B)/unpack.elf,__payload_start) $(call symbol,$(B)/unpack.elf,__payload_end) \
		$(call symbol,$(B)/unpack.elf,__kernel_end) $@

-include $(unpack_objects:.o=.d)

# The other kernel, for the tests that run on both.
$(B)/debug/hawser: $(lwip_fetched) $(lz4_fetched) FORCE
	$(Q)$(MAKE) --no-print-directory DEBUG=1 $@
.PHONY: FORCE

# --- host tests ------------------------------------------------------------------------------------
#
# tests/host/test_X.c is a cmocka program that runs kernel sources on this machine, under the
# address and undefined-behaviour sanitizers; tests/fuzz/fuzz_X.c is a libFuzzer target for the
# same. Each is linked with the sources that its variable NAME_sources lists (and the linker flags
# NAME_flags, if any) and with as much of the shim as they need: tests/host/shim/ has the host's
# locks, log, random numbers …, one file for each kernel header, and headers that take the place
# of those that only the kernel can compile. To add a test: write the file and add its line here.
#
#   make host-tests                builds and runs them all
#   make build/host/test_space     builds one; run it by hand for its whole output
#   make fuzz-tests FUZZ_SECONDS=60
#
# A fuzz target's seeds are committed in tests/fuzz/corpus/X; what it finds goes to
# build/fuzz/corpus/X.

comma := ,

test_frame_sources  := mm/frame.c tests/host/fake_pmap.c
test_slab_sources   := mm/slab.c $(test_frame_sources)
space_sources       := $(addprefix mm/,frame.c slab.c radix.c object.c reclaim.c region.c change.c \
                       pages.c large.c space.c map.c protect.c remap.c advice.c mlock.c populate.c \
                       residence.c fault.c fork.c check.c) \
                       $(addprefix tests/host/,fake_pmap.c inject.c world.c)
space_flags         := $(addprefix -Wl$(comma)--wrap=,frame_alloc frame_put slab_alloc slab_zalloc \
                       slab_free)
test_object_sources := $(space_sources)
test_object_flags   := $(space_flags)
test_space_sources  := $(space_sources)
test_space_flags    := $(space_flags)
test_fault_sources  := $(space_sources)
test_fault_flags    := $(space_flags)
test_model_sources  := $(space_sources)
test_model_flags    := $(space_flags)
test_differential_sources := $(space_sources) mm/syscalls.c
test_differential_flags   := $(space_flags)
test_large_sources  := $(space_sources)
test_large_flags    := $(space_flags)
test_rollback_sources := $(space_sources)
test_rollback_flags := $(space_flags)
test_remap_sources  := $(space_sources)
test_remap_flags    := $(space_flags)
test_fork_sources   := $(space_sources)
test_fork_flags     := $(space_flags)
test_memory_calls_sources := $(space_sources) mm/syscalls.c
test_memory_calls_flags   := $(space_flags)
test_tftp_sources   := net/tftp_proto.c net/tftp_packet.c net/tftp_explain.c tests/host/tftp_world.c
test_dhcp_options_sources := net/dhcp_options.c
test_ip_param_sources     := net/ip_param.c
fuzz_tftp_sources   := net/tftp_proto.c net/tftp_packet.c net/tftp_explain.c
fuzz_dhcp_sources   := net/dhcp_options.c
test_virtqueue_sources := net/virtqueue.c
test_checksum_sources  := net/lwip-port/checksum.c
test_cmdline_sources   := kernel/cmdline.c
test_log_sources       := kernel/log.c
fuzz_cmdline_sources   := kernel/cmdline.c
test_path_sources      := fs/pathname.c
test_tty_sources       := fs/discipline.c
test_version_sources   := fs/version.c fs/fill.c fs/room.c $(space_sources)
test_version_flags     := $(space_flags)
test_elf_sources       := $(addprefix loader/,plan.c elf.c flat.c)
test_script_sources    := loader/script.c
test_load_sources      := kernel/load.c
test_stack_sources     := $(addprefix loader/,stack.c strings.c)
fuzz_elf_sources       := $(test_elf_sources) $(test_script_sources)

HOST_CC      ?= gcc
FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 10
SANITIZE     := -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_HOST  := -std=gnu11 -O1 -g -fno-omit-frame-pointer $(filter-out -Wmissing-prototypes,$(warnings)) \
                $(SANITIZE) -Itests/host/shim -Itests/host -I. -isystem kernel/freestanding
shim_sources := $(wildcard tests/host/shim/*.c)
host_tests   := $(patsubst tests/host/%.c,%,$(sort $(wildcard tests/host/test_*.c)))
fuzz_tests   := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

# $(call host_program,NAME,DIRECTORY of the source,host or fuzz,libraries)
define host_program
$(B)/$(3)/$(1): $(patsubst %,$(B)/$(3)/obj/%.o,$(2)/$(1).c $($(1)_sources)) $(B)/$(3)/shim.a
	$$(call say,LINK,$$@)
	$$(Q)$$($(3)_link) $($(1)_flags) -o $$@ $$^ $(4)
endef
host_link = $(HOST_CC) $(SANITIZE)
fuzz_link = $(FUZZ_CC) $(SANITIZE) -fsanitize=fuzzer
$(foreach t,$(host_tests),$(eval $(call host_program,$(t),tests/host,host,-lcmocka)))
$(foreach t,$(fuzz_tests),$(eval $(call host_program,$(t),tests/fuzz,fuzz,)))

$(B)/host/obj/%.c.o: %.c
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) $(CFLAGS_HOST) -MMD -MP -c -o $@ $<

$(B)/fuzz/obj/%.c.o: %.c
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(CFLAGS_HOST) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(B)/%/shim.a: $(addprefix $(B)/%/obj/,$(addsuffix .o,$(shim_sources)))
	$(Q)rm -f $@ && ar rcs $@ $^

.PHONY: host-tests fuzz-tests
host-tests: $(addprefix $(B)/host/,$(host_tests))
	$(Q)failed=0; for test in $^; do \
		name=$$(basename $$test); \
		if $$test >$$test.log 2>&1; then \
			printf '  %-8s %s: %s\n' PASS $$name "$$(sed -n 's/^\[  PASSED  \] //p' $$test.log)"; \
		else \
			failed=1; cat $$test.log; printf '  %-8s %s\n' FAIL $$name; \
		fi; \
	done; exit $$failed

fuzz-tests: $(addprefix $(B)/fuzz/,$(fuzz_tests))
	$(Q)failed=0; for test in $^; do \
		name=$$(basename $$test); corpus=corpus/$${name#fuzz_}; \
		mkdir -p $(B)/fuzz/$$corpus tests/fuzz/$$corpus; \
		if $$test -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(B)/fuzz/$$name- -print_final_stats=1 \
			$(B)/fuzz/$$corpus tests/fuzz/$$corpus >$$test.log 2>&1; then \
			printf '  %-8s %s: %s runs\n' PASS $$name \
				"$$(sed -n 's/^stat::number_of_executed_units: *//p' $$test.log)"; \
		else \
			failed=1; tail -n 40 $$test.log; printf '  %-8s %s\n' FAIL $$name; \
		fi; \
	done; exit $$failed

-include $(shell find $(B)/host $(B)/fuzz -name '*.d' 2>/dev/null)

# --- guest programs ----------------------------------------------------------------------------------
#
# tests/guest/X.c is a static program that prints TAP, on Hawser and on Linux alike;
# tests/guest/tools/X.c is one that such tests use. musl is their libc; those listed in guest_glibc
# are made a second time with glibc, as X-glibc, and those in guest_jemalloc with jemalloc on top of it.
#
#   make guest-tests-linux         runs them all here; build/guest/ is what a test serves to a guest

MUSL_CC      ?= musl-gcc
GUEST_CC     ?= $(CC)
CFLAGS_GUEST := -std=gnu11 -O2 -static -Wall -Wextra -Werror
uapi_after   := -idirafter /usr/include -idirafter /usr/include/$(multiarch)
guest_glibc  := startup vdso fpu signals signal_frames threads threads_exec futex futex_pi alloc_stress ptys
guest_jemalloc := alloc_stress
guest_tests  := $(patsubst tests/guest/%.c,%,$(sort $(wildcard tests/guest/*.c))) $(guest_glibc:=-glibc) \
                $(guest_jemalloc:=-jemalloc)
guest_headers := $(wildcard tests/guest/*.h tests/guest/tools/*.h)
guest_tools  := $(patsubst tests/guest/tools/%.c,%,$(sort $(wildcard tests/guest/tools/*.c)))

$(B)/guest/%: tests/guest/%.c $(guest_headers)
	$(call say,GUEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(CFLAGS_GUEST) $(uapi_after) -o $@ $<

$(B)/guest/%: tests/guest/tools/%.c $(guest_headers)
	$(call say,GUEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(CFLAGS_GUEST) $(uapi_after) -o $@ $<

$(B)/guest/%-glibc: tests/guest/%.c $(guest_headers)
	$(call say,GUEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(CFLAGS_GUEST) -o $@ $<

$(B)/guest/%-jemalloc: tests/guest/%.c $(guest_headers)
	$(call say,GUEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(CFLAGS_GUEST) -DJEMALLOC -o $@ $< -ljemalloc -lm

# The files that execve(2) must refuse, and the list of tests that one boot runs.
$(B)/guest/malformed/list: tests/system/malformed_elf.py
	$(call say,GUEST,$(@D))
	$(Q)$(PYTHON) $< $(@D) >/dev/null

# tests/dynamic/: a dynamically linked program in each way that one is made, with its libraries in lib/.
dynamic_kinds := glibc/program glibc/fixed musl/program
dynamic       := $(addprefix $(B)/dynamic/,$(dynamic_kinds))
CFLAGS_DYNAMIC := $(filter-out -static,$(CFLAGS_GUEST)) -D_GNU_SOURCE -pthread

$(B)/dynamic/glibc/%: dynamic_cc = $(GUEST_CC) $(CFLAGS_DYNAMIC)
$(B)/dynamic/musl/%: dynamic_cc = $(MUSL_CC) $(CFLAGS_DYNAMIC) $(uapi_after)
$(B)/dynamic/%/program: dynamic_link = -fPIE -pie
$(B)/dynamic/%/fixed: dynamic_link = -fno-pie -no-pie

.SECONDARY: $(foreach libc,glibc musl,$(foreach library,first plugin,$(B)/dynamic/$(libc)/lib/lib$(library).so))
$(B)/dynamic/%/lib/libfirst.so: tests/dynamic/first.c tests/dynamic/library.h
	$(call say,GUEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(dynamic_cc) -fPIC -shared -Wl,-soname,$(@F),-z,relro,-z,now -o $@ $<

$(B)/dynamic/%/lib/libplugin.so: tests/dynamic/plugin.c $(B)/dynamic/%/lib/libfirst.so
	$(call say,GUEST,$@)
	$(Q)$(dynamic_cc) -fPIC -shared -Wl,-soname,$(@F) -o $@ $< -L$(@D) -lfirst

$(dynamic): $(B)/dynamic/%: tests/dynamic/program.c tests/guest/tap.h tests/dynamic/library.h
	$(call say,GUEST,$@)
	$(Q)$(dynamic_cc) $(dynamic_link) -rdynamic -Wl,--allow-shlib-undefined -o $@ $< -L$(@D)/lib -lfirst -ldl
$(foreach program,$(dynamic),$(eval $(program): $(dir $(program))lib/libfirst.so $(dir $(program))lib/libplugin.so))

.PHONY: guest-programs guest-tests-linux
guest-programs: $(addprefix $(B)/guest/,$(guest_tests) $(guest_tools)) $(B)/guest/malformed/list $(dynamic)
guest-tests-linux: guest-programs
	$(Q)tests/run --guest $(addprefix $(B)/guest/,$(guest_tests))

# --- all tests -----------------------------------------------------------------------------------
#
# Sections above say what there is; tests/run runs it, counts, and keeps the output in
# build/tests/log/. TESTS='-k shell' gives pytest something else to do than everything.
host_programs := $(addprefix $(B)/host/,$(host_tests))
fuzz_programs := $(addprefix $(B)/fuzz/,$(fuzz_tests))

$(B)/tests/tftpd-hpa/.fetched: tools/fetch-package | $(deps)
	$(call say,FETCH,tftpd-hpa)
	$(Q)tools/fetch-package tftpd-hpa $(@D)

.PHONY: system-tests
system-tests: $(B)/hawser $(B)/debug/hawser $(B)/root.made $(B)/tests/tftpd-hpa/.fetched guest-programs
	$(Q)tests/run --system $(TESTS)

test: $(B)/hawser $(B)/debug/hawser $(B)/root.made $(B)/tests/tftpd-hpa/.fetched guest-programs \
      $(host_programs) $(fuzz_programs)
	$(Q)tests/run --host $(host_programs) --fuzz $(fuzz_programs) --fuzz-seconds $(FUZZ_SECONDS) \
		--guest $(addprefix $(B)/guest/,$(guest_tests)) --system $(TESTS)

# What is too much for every day: the system-call fuzzer with two million calls, a heap of 8 GiB, for
# which QEMU needs 10 GiB, and ten thousand pipelines.
.PHONY: test-big
test-big: $(B)/hawser $(B)/debug/hawser $(B)/root.made guest-programs
	$(Q)FUZZ_CALLS=1000000 tests/run --system tests/system/test_fuzz.py tests/system/big_heap.py
	$(Q)HAWSER_MEMORY_CALLS=340000 tests/run --system tests/system/test_memory_calls.py
	$(Q)HAWSER_PIPELINES=10000 tests/run --system tests/system/test_unix.py -k leave_nothing
