/*
 * The vDSO: a shared object in every program, with Linux's names and versions, that tells the same time
 * as the system calls.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <elf.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define SEC      INT64_C(1000000000)
#define READINGS 20000

static int (*vdso_gettime)(clockid_t, struct timespec *);
static int (*vdso_getres)(clockid_t, struct timespec *);
static int (*vdso_timeofday)(struct timeval *, void *);
static time_t (*vdso_time)(time_t *);
static int (*vdso_getcpu)(unsigned *, unsigned *, void *);

/* --- finding it as a libc does ------------------------------------------------------------------------- */

static const ElfW(Ehdr) * header;
static const ElfW(Sym) * symbols;
static const char *strings;
static const uint16_t *versions;
static const ElfW(Verdef) * definitions;
static bool has_hash;
static size_t loads, load_size;
static bool writable_load;

static void read_dynamic(const ElfW(Dyn) * dynamic, uintptr_t base)
{
	for (; dynamic->d_tag != DT_NULL; dynamic++) {
		uintptr_t at = base + dynamic->d_un.d_ptr;

		switch (dynamic->d_tag) {
		case DT_SYMTAB:
			symbols = (const void *)at;
			break;
		case DT_STRTAB:
			strings = (const void *)at;
			break;
		case DT_VERSYM:
			versions = (const void *)at;
			break;
		case DT_VERDEF:
			definitions = (const void *)at;
			break;
		case DT_HASH:
		case DT_GNU_HASH:
			has_hash = true;
			break;
		}
	}
}

static void read_object(void)
{
	const ElfW(Phdr) *phdr = (const void *)((const char *)header + header->e_phoff);
	const ElfW(Dyn) *dynamic = NULL;
	uintptr_t base = 0;

	for (int i = 0; i < header->e_phnum; i++) {
		if (phdr[i].p_type == PT_LOAD) {
			base = (uintptr_t)header + phdr[i].p_offset - phdr[i].p_vaddr;
			load_size = phdr[i].p_memsz;
			loads++;
			writable_load = writable_load || (phdr[i].p_flags & PF_W);
		} else if (phdr[i].p_type == PT_DYNAMIC) {
			dynamic = (const void *)((const char *)header + phdr[i].p_offset);
		}
	}
	if (dynamic)
		read_dynamic(dynamic, base);
}

/* The name of a symbol's version. */
static const char *version_of(size_t symbol)
{
	const ElfW(Verdef) *definition = definitions;

	while (definition->vd_ndx != (versions[symbol] & 0x7fff)) {
		if (definition->vd_next == 0)
			return "";
		definition = (const void *)((const char *)definition + definition->vd_next);
	}
	return strings +
	       ((const ElfW(Verdaux) *)((const char *)definition + definition->vd_aux))->vda_name;
}

/* The table of symbols ends where that of strings begins. */
static void *find(const char *name)
{
	size_t count = ((uintptr_t)strings - (uintptr_t)symbols) / sizeof(*symbols);

	for (size_t i = 0; i < count; i++) {
		if (symbols[i].st_shndx != SHN_UNDEF &&
		    strcmp(strings + symbols[i].st_name, name) == 0 &&
		    strcmp(version_of(i), "LINUX_2.6") == 0)
			return (void *)((uintptr_t)header + symbols[i].st_value);
	}
	return NULL;
}

static bool find_all(void)
{
	header = (const void *)getauxval(AT_SYSINFO_EHDR);
	if (!ok(header && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
			header->e_type == ET_DYN && header->e_machine == EM_X86_64,
		"AT_SYSINFO_EHDR is a shared object"))
		return false;
	read_object();
	ok(loads == 1 && !writable_load, "with one segment, which is not writable");
	if (!ok(symbols && strings && versions && definitions && has_hash,
		"with symbols, their versions, and a hash table"))
		return false;
	vdso_gettime = find("__vdso_clock_gettime");
	vdso_getres = find("__vdso_clock_getres");
	vdso_timeofday = find("__vdso_gettimeofday");
	vdso_time = find("__vdso_time");
	vdso_getcpu = find("__vdso_getcpu");
	return ok(vdso_gettime && vdso_getres && vdso_timeofday && vdso_time && vdso_getcpu,
		  "all five are there, of version LINUX_2.6");
}

/* --- what it tells ------------------------------------------------------------------------------------- */

static int64_t of(const struct timespec *time)
{
	return time->tv_sec * SEC + time->tv_nsec;
}

static int64_t by_call(clockid_t clock)
{
	struct timespec time = { 0 };

	syscall(SYS_clock_gettime, clock, &time);
	return of(&time);
}

static int64_t by_vdso(clockid_t clock)
{
	struct timespec time = { 0 };

	return vdso_gettime(clock, &time) == 0 ? of(&time) : -1;
}

static void same_time(void)
{
	static const struct {
		clockid_t clock;
		const char *name;
	} clocks[] = {
		{ CLOCK_REALTIME, "CLOCK_REALTIME" },
		{ CLOCK_MONOTONIC, "CLOCK_MONOTONIC" },
		{ CLOCK_BOOTTIME, "CLOCK_BOOTTIME" },
		{ CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW" },
		{ CLOCK_TAI, "CLOCK_TAI" },
		{ CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE" },
		{ CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE" },
		{ CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID" },
	};

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		bool good = true;

		for (int n = 0; n < 100; n++) {
			int64_t before = by_call(clocks[i].clock);
			int64_t here = by_vdso(clocks[i].clock);
			int64_t after = by_call(clocks[i].clock);

			good = good && before <= here && here <= after;
		}
		ok(good, "%s is between two system calls", clocks[i].name);
	}
}

static void the_others(void)
{
	struct timespec time;
	struct timeval day;
	time_t seconds;
	unsigned cpu = 99, node = 99;

	ok(vdso_getres(CLOCK_MONOTONIC, &time) == 0 && time.tv_sec == 0 && time.tv_nsec >= 1,
	   "a clock's resolution");
	ok(vdso_getres(CLOCK_MONOTONIC, NULL) == 0, "for nobody");
	ok(vdso_timeofday(&day, NULL) == 0 &&
		   llabs((day.tv_sec * SEC + day.tv_usec * 1000) - by_call(CLOCK_REALTIME)) < SEC,
	   "gettimeofday");
	ok(llabs(vdso_time(&seconds) - (long long)(by_call(CLOCK_REALTIME) / SEC)) <= 1 &&
		   llabs(vdso_time(NULL) - seconds) <= 1,
	   "time");
	ok(vdso_getcpu(&cpu, &node, NULL) == 0 && cpu < 4096 && node == 0, "getcpu: %u", cpu);
	ok(vdso_gettime(99, &time) == -EINVAL, "the kernel answers for an unknown clock");
}

static void never_back(void)
{
	int64_t last = by_vdso(CLOCK_MONOTONIC), first = last;
	bool forward = true;

	for (int i = 0; i < READINGS; i++) {
		int64_t now = by_vdso(CLOCK_MONOTONIC);

		forward = forward && now >= last;
		last = now;
	}
	ok(forward && last > first, "%d readings never go back", READINGS);
	ok(clock_gettime(CLOCK_MONOTONIC, &(struct timespec){ 0 }) == 0 && time(NULL) > 0,
	   "libc's functions work with it");
}

/* --- where it is --------------------------------------------------------------------------------------- */

static bool maps_line(const char *name, uintptr_t *start, char rights[5])
{
	FILE *file = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		if (strstr(line, name))
			found = sscanf(line, "%lx-%*x %4s", start, rights) == 2;
	}
	if (file)
		fclose(file);
	return found;
}

static void mapped(void)
{
	uintptr_t start;
	char rights[5];

	ok(maps_line("[vdso]", &start, rights) && strcmp(rights, "r-xp") == 0 &&
		   start == (uintptr_t)header,
	   "/proc/self/maps has [vdso]");
	ok(maps_line("[vvar]", &start, rights) && strncmp(rights, "r--", 3) == 0,
	   "and [vvar], which is not written");
	if (on_hawser())
		fails(mprotect((void *)header, 4096, PROT_READ | PROT_WRITE), EACCES,
		      "nobody gets the right to");
}

/* A child does it, and tells by its status. */
static int in_child(int (*what)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(what());
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int use(void)
{
	return by_vdso(CLOCK_MONOTONIC) > 0 ? 0 : 1;
}

static int write_to_data(void)
{
	uintptr_t start;
	char rights[5];

	signal(SIGSEGV, SIG_DFL);
	if (!maps_line("[vvar]", &start, rights))
		return 1;
	*(volatile char *)start = 1;
	return 0;
}

static int unmap(void)
{
	if (munmap((void *)header, (load_size + 4095) & ~4095ul) != 0)
		return 1;
	return by_call(CLOCK_MONOTONIC) > 0 ? 0 : 2;
}

static int unmap_and_use(void)
{
	signal(SIGSEGV, SIG_DFL);
	unmap();
	return use();
}

static void parted_with(void)
{
	ok(in_child(use) == 0, "a child has it, too");
	ok(in_child(write_to_data) == 128 + SIGSEGV, "writing to its data is a SIGSEGV");
	ok(in_child(unmap) == 0, "a program may unmap it");
	ok(in_child(unmap_and_use) == 128 + SIGSEGV, "and then has it no more");
	ok(use() == 0, "this one has");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	if (find_all()) {
		same_time();
		the_others();
		never_back();
		mapped();
		parted_with();
	}
	return done();
}
