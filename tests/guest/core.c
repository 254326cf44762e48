/*
 * Core files (core(5)): when there is one, what it says, and that waiting tells of it. Where Linux is told to
 * put them elsewhere, only what is told without one is tested.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define BASE "/tmp/hawser-core"

static uint64_t witness = 0x1122334455667788;
static volatile uint64_t *touched; /* anonymous memory */
static unsigned char *core;
static long size;

static bool is_default(void)
{
	char pattern[64] = "core\n", pid[8] = "0\n";
	FILE *file;

	if (on_hawser())
		return true;
	file = fopen("/proc/sys/kernel/core_pattern", "r");
	if (!file || !fgets(pattern, sizeof(pattern), file))
		return false;
	fclose(file);
	file = fopen("/proc/sys/kernel/core_uses_pid", "r");
	if (file && fgets(pid, sizeof(pid), file))
		fclose(file);
	return strcmp(pattern, "core\n") == 0 && pid[0] == '0';
}

static void limit_to(rlim_t most)
{
	struct rlimit limit = { most, most };

	setrlimit(RLIMIT_CORE, &limit);
}

static volatile int *volatile nowhere = (int *)16;

static void *wait_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* A child that ends by that signal; how, as waitid(2) says. */
static siginfo_t end_by(int signal, rlim_t most, bool dumpable, int *status)
{
	siginfo_t info = { 0 };
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		limit_to(most);
		prctl(PR_SET_DUMPABLE, dumpable);
		start(wait_for_ever, NULL);
		if (signal == SIGSEGV)
			*nowhere = 1;
		raise(signal);
		_exit(1);
	}
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	waitpid(child, status, 0);
	return info;
}

static long core_size(void)
{
	struct stat status;

	return lstat("core", &status) == 0 && S_ISREG(status.st_mode) ? status.st_size : -1;
}

static bool load(void)
{
	int fd = open("core", O_RDONLY);

	size = core_size();
	core = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	return core != MAP_FAILED;
}

/* What the file has for an address; NULL: nothing. */
static const void *at(const volatile void *address)
{
	const Elf64_Ehdr *header = (void *)core;
	const Elf64_Phdr *program = (void *)(core + header->e_phoff);
	uint64_t wanted = (uintptr_t)address;

	for (int i = 0; i < header->e_phnum; i++) {
		if (program[i].p_type == PT_LOAD && wanted >= program[i].p_vaddr &&
		    wanted < program[i].p_vaddr + program[i].p_filesz)
			return core + program[i].p_offset + (wanted - program[i].p_vaddr);
	}
	return NULL;
}

static const void *note(uint32_t type)
{
	const Elf64_Ehdr *header = (void *)core;
	const Elf64_Phdr *program = (void *)(core + header->e_phoff);
	uint64_t offset = program->p_offset;

	while (program->p_type == PT_NOTE && offset < program->p_offset + program->p_filesz) {
		const Elf64_Nhdr *one = (void *)(core + offset);

		if (one->n_type == type && strcmp((const char *)(one + 1), "CORE") == 0)
			return (const char *)(one + 1) + 8;
		offset += sizeof(*one) + ((one->n_namesz + 3) & ~3u) + ((one->n_descsz + 3) & ~3u);
	}
	return NULL;
}

static void contents(pid_t pid)
{
	const Elf64_Ehdr *header = (void *)core;
	const unsigned char *status, *process;
	const siginfo_t *info;
	const uint64_t *registers, *auxv;

	ok(memcmp(core, ELFMAG, SELFMAG) == 0 && header->e_type == ET_CORE &&
		   header->e_machine == EM_X86_64 && header->e_phnum > 3,
	   "it is an ELF core file");
	status = note(NT_PRSTATUS);
	ok(status && *(const int *)status == SIGSEGV && *(const short *)(status + 12) == SIGSEGV &&
		   *(const pid_t *)(status + 32) == pid,
	   "which signal, whose");
	registers = status ? (const uint64_t *)(status + 112) : NULL;
	ok(registers && at((void *)registers[19]) && registers[16] > 4096,
	   "the registers, with a stack behind them");
	process = note(NT_PRPSINFO);
	ok(process && *(const pid_t *)(process + 24) == pid && process[40] != 0, "its name");
	info = note(0x53494749); /* NT_SIGINFO */
	ok(info && info->si_signo == SIGSEGV && info->si_addr == (void *)16, "the bad address");
	auxv = note(NT_AUXV);
	ok(auxv && auxv[0] != AT_NULL, "the auxiliary vector");
	ok(note(NT_PRFPREG) != NULL, "the FPU's registers");
	ok(at(&witness) && *(const uint64_t *)at(&witness) == witness, "the program's data");
	ok(at(touched) && *(const uint64_t *)at(touched) == *touched, "memory that it has made");
}

static pthread_mutex_t *mutex;

static void *lock_and_fail(void *unused)
{
	pthread_mutex_lock(mutex);
	*nowhere = 1;
	return unused;
}

/* A thread that is not the first holds a robust lock, and leaves a core file. */
static void test_lock(void)
{
	pthread_mutexattr_t attributes;
	struct timespec until;
	int status, error;
	pid_t child;

	mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(mutex, &attributes);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		limit_to(RLIM_INFINITY);
		start(lock_and_fail, NULL);
		wait_for_ever(NULL);
	}
	waitpid(child, &status, 0);
	clock_gettime(CLOCK_REALTIME, &until);
	error = pthread_mutex_timedlock(mutex, &until);
	ok(WCOREDUMP(status) && error == EOWNERDEAD, "locks are not lost: %s", strerror(error));
	munmap(mutex, 4096);
	unlink("core");
}

static void test_core(void)
{
	struct stat other;
	siginfo_t info;
	int status;

	info = end_by(SIGSEGV, RLIM_INFINITY, true, &status);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && WCOREDUMP(status) &&
		   info.si_code == CLD_DUMPED && info.si_status == SIGSEGV,
	   "a core file is told of");
	if (ok(core_size() > 4096 && load(), "and is there: %ld bytes", core_size()))
		contents(info.si_pid);
	munmap(core, (size_t)size);
	end_by(SIGABRT, 8192, true, &status);
	ok(WCOREDUMP(status) && core_size() > 0 && core_size() <= 8192,
	   "RLIMIT_CORE cuts the next one: %ld bytes", core_size());
	unlink("core");
	end_by(SIGTERM, RLIM_INFINITY, true, &status);
	ok(WTERMSIG(status) == SIGTERM && !WCOREDUMP(status) && core_size() == -1,
	   "not every signal leaves one");
	end_by(SIGQUIT, RLIM_INFINITY, false, &status);
	ok(WTERMSIG(status) == SIGQUIT && !WCOREDUMP(status) && core_size() == -1,
	   "nor does who is not dumpable");
	/* What has the name already, and is another's: replaced or left alone, but not written. */
	if (symlink("elsewhere", "core") == 0)
		end_by(SIGABRT, RLIM_INFINITY, true, &status);
	ok(WTERMSIG(status) == SIGABRT && access("elsewhere", F_OK) == -1,
	   "links are not followed");
	unlink("core");
	close(open("other", O_CREAT | O_WRONLY, 0600));
	if (link("other", "core") == 0)
		end_by(SIGABRT, RLIM_INFINITY, true, &status);
	ok(WTERMSIG(status) == SIGABRT && stat("other", &other) == 0 && other.st_size == 0,
	   "nor is what has another name written");
	unlink("core");
	unlink("other");
}

static void test_none(void)
{
	siginfo_t info;
	int status;

	info = end_by(SIGABRT, 0, true, &status);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && !WCOREDUMP(status) &&
		   info.si_code == CLD_KILLED && core_size() == -1,
	   "without RLIMIT_CORE there is none");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	mkdir(BASE, 0700);
	if (chdir(BASE) != 0)
		return 1;
	unlink("core");
	touched = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*touched = 0x99;
	if (is_default()) {
		test_none();
		test_core();
		test_lock();
	}
	ok(chdir("/") == 0 && rmdir(BASE) == 0, "nothing is left");
	return done();
}
