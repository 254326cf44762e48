/*
 * tests/dynamic/program.c - a dynamically linked program: what its interpreter was told, where all lies,
 * libraries with all that they may bring, and which interpreters execve(2) refuses. With glibc and musl, at
 * addresses of its own and position-independent; the libraries are found by LD_LIBRARY_PATH.
 *
 *	program DIRECTORY	the tests, in a directory that may be written
 *	program stay		says the library's version, and again for each line that it reads
 *	program WORD		ends with status 9
 */
#include "../guest/tap.h"
#include "library.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define THREADS 8

extern char **environ;

static int started_by_constructor;
static char interpreter[256];

__attribute__((constructor)) static void start(void)
{
	/* The library's constructor has run before. */
	started_by_constructor = first_data;
}

int program_answers(int number)
{
	return -number;
}

/* --- what the kernel has told and where it has put things ------------------------------------------ */

struct mapping {
	unsigned long start, end;
	char rights[5], name[256];
};

/* The mapping that holds an address. */
static struct mapping mapping_of(unsigned long address)
{
	struct mapping found = { 0 }, each;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps)) {
		each.name[0] = '\0';
		sscanf(line, "%lx-%lx %4s %*s %*s %*s %255s", &each.start, &each.end, each.rights,
		       each.name);
		if (each.start <= address && address < each.end)
			found = each;
	}
	if (maps)
		fclose(maps);
	return found;
}

static bool lies_in(const void *address, const char *name)
{
	struct mapping mapping = mapping_of((unsigned long)address);
	bool same = strcmp(mapping.name, name) == 0;

	if (!same)
		printf("# %p is in %lx-%lx %s, not %s\n", address, mapping.start, mapping.end,
		       mapping.name, name);
	return same;
}

static const ElfW(Phdr) * header_of(unsigned type)
{
	const ElfW(Phdr) *phdr = (const ElfW(Phdr) *)getauxval(AT_PHDR);

	for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++) {
		if (phdr[i].p_type == type)
			return &phdr[i];
	}
	return NULL;
}

static unsigned long program_base(void)
{
	const ElfW(Phdr) *table = header_of(PT_PHDR);

	return table ? getauxval(AT_PHDR) - table->p_vaddr : 0;
}

static void look_at_places(void)
{
	const ElfW(Phdr) *wanted = header_of(PT_INTERP);
	unsigned long base = getauxval(AT_BASE);
	char self[256] = { 0 }, real[4096];
	const ElfW(Ehdr) * header;
	int local = 0;

	ok(wanted != NULL, "the program has its headers, and names an interpreter");
	snprintf(interpreter, sizeof(interpreter), "%s",
		 (char *)(program_base() + wanted->p_vaddr));
	ok(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "the program is %s", self);
	ok(realpath(interpreter, real) && base % 4096 == 0 && base != 0 &&
		   lies_in((void *)base, real),
	   "AT_BASE is where %s lies", interpreter);
	header = (const ElfW(Ehdr) *)base;
	ok(memcmp(header->e_ident, ELFMAG, SELFMAG) == 0, "and there it begins");
	ok(lies_in((void *)getauxval(AT_PHDR), self), "AT_PHDR is the program's");
	ok(lies_in((void *)getauxval(AT_ENTRY), self) &&
		   strchr(mapping_of(getauxval(AT_ENTRY)).rights, 'x'),
	   "AT_ENTRY is the program's");
	ok(lies_in((void *)(uintptr_t)look_at_places, self), "code is where it says");
	ok(base > (unsigned long)sbrk(0) && base < (unsigned long)&local,
	   "the interpreter lies between heap and stack");
	ok((unsigned long)sbrk(0) > program_base() + (unsigned long)wanted->p_vaddr,
	   "the heap follows the program");
}

static void look_at_auxv(void)
{
	ElfW(auxv_t) entries[64];
	int fd = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, entries, sizeof(entries));
	int same = 0, count = 0;

	close(fd);
	for (; count < length / (ssize_t)sizeof(entries[0]); count++) {
		if (entries[count].a_type == AT_NULL)
			break;
		/* Of these two, glibc has an opinion of its own. */
		same += entries[count].a_type == AT_MINSIGSTKSZ ||
			entries[count].a_type == AT_HWCAP ||
			getauxval(entries[count].a_type) == entries[count].a_un.a_val;
	}
	ok(count >= 18 && same == count && count == length / (ssize_t)sizeof(entries[0]) - 1,
	   "/proc/self/auxv is the auxiliary vector (%d of %d)", same, count);
}

/* --- libraries ------------------------------------------------------------------------------------- */

static void *thread_with_locals(void *number)
{
	int mine = *(int *)number;
	bool fresh = *first_local_here() == 7 && first_local == 7;

	first_local = mine;
	for (int i = 0; i < 100; i++)
		sched_yield();
	return (void *)(long)(fresh && *first_local_here() == mine);
}

static void look_at_the_library(void)
{
	pthread_t threads[THREADS];
	int numbers[THREADS], good = 0;

	ok(first_order == 0 && started_by_constructor == 42, "constructors run in order");
	ok(first_data == 42, "data is shared by program and library");
	ok(first_square(9) == 81, "a call arrives");
	ok(strcmp(first_text[0], "relocated") == 0 &&
		   strchr(mapping_of((unsigned long)first_text).rights, 'w') == NULL,
	   "what has been relocated is read-only");
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = 1000 + i;
		pthread_create(&threads[i], NULL, thread_with_locals, &numbers[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		void *result = NULL;

		pthread_join(threads[i], &result);
		good += result != NULL;
	}
	ok(good == THREADS && first_local == 7, "each thread has its own thread-local variable");
}

static plugin_call *plugin;

static void *thread_with_plugin(void *unused)
{
	(void)unused;
	return (void *)(long)(plugin(3) == 101 + 9 - 3 && plugin(3) == 102 + 9 - 3);
}

static void look_at_the_plugin(void)
{
	void *handle = dlopen("libplugin.so", RTLD_NOW), *result = NULL;
	pthread_t thread;
	int *state;

	if (!ok(handle != NULL, "dlopen finds a library"))
		printf("# %s\n", dlerror());
	if (!handle)
		return;
	plugin = (plugin_call *)dlsym(handle, "plugin_calls");
	state = dlsym(handle, "plugin_state");
	ok(plugin && state && *state == 1, "its constructor has run");
	ok(plugin && plugin(5) == 101 + 25 - 5, "it calls the program and the other library");
	pthread_create(&thread, NULL, thread_with_plugin, NULL);
	pthread_join(thread, &result);
	ok(result != NULL, "another thread gets its thread-local variables when it uses them");
	ok(dlsym(handle, "no_such_symbol") == NULL && dlopen("libnone.so", RTLD_NOW) == NULL,
	   "what is not there is not found");
	dlclose(handle);
}

/* --- other interpreters ---------------------------------------------------------------------------- */

static bool copy(const char *from, const char *to, const char *new_interpreter)
{
	static char bytes[4 << 20];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t length = read(in, bytes, sizeof(bytes));
	char *at = new_interpreter
			   ? memmem(bytes, (size_t)length, interpreter, strlen(interpreter) + 1)
			   : NULL;
	bool good = length > 0 && (at != NULL) == (new_interpreter != NULL);

	if (at)
		strncpy(at, new_interpreter, strlen(interpreter));
	good = good && write(out, bytes, (size_t)length) == length;
	close(in);
	close(out);
	return good;
}

/* The status of a program, or its errno, negative. */
static int run(const char *path, char **arguments)
{
	int status, error;
	pid_t child;

	error = posix_spawn(&child, path, NULL, NULL, arguments, environ);
	if (error != 0)
		return -error;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* In the directory, the program is "p" and its interpreter "i": a name that must fit in place of the other. */
static void try_interpreters(void)
{
	char *arguments[] = { "p", "word", NULL };
	char *direct[] = { "i", "/proc/self/exe", "word", NULL };
	char self[256] = { 0 };
	int fd;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return;
	direct[1] = self;
	ok(copy(self, "p", "./i") && run("./p", arguments) == -ENOENT,
	   "ENOENT: there is no such interpreter");
	ok(copy(interpreter, "i", NULL) && run("./p", arguments) == 9,
	   "a copy of the interpreter, at a relative path, serves as well");
	ok(run("./i", direct) == 9, "the interpreter runs a program that it is told");
	ok(chmod("i", 0644) == 0 && run("./p", arguments) == -EACCES,
	   "EACCES: the interpreter may not be executed");
	chmod("i", 0755);
	fd = open("i", O_WRONLY | O_CLOEXEC);
	ok(fd >= 0 && run("./p", arguments) == -ETXTBSY,
	   "ETXTBSY: somebody writes the interpreter");
	close(fd);
	ok(run("./p", arguments) == 9, "not any more");
	fd = open("i", O_WRONLY | O_TRUNC | O_CLOEXEC);
	dprintf(fd, "#!%s\n%080d\n", self, 0);
	close(fd);
	ok(run("./p", arguments) == -ELIBBAD, "ELIBBAD: a script is no interpreter");
	unlink("i");
	unlink("p");
}

static void start_often(void)
{
	char *arguments[] = { "/proc/self/exe", "word", NULL };
	long before = 0, after = 0;
	int good = 0;

	for (int i = 0; i < 22; i++) {
		good += run("/proc/self/exe", arguments) == 9;
		if (i == 1 && on_hawser())
			before = tap_proc_number("/proc/census", "nr_free_frames");
	}
	if (on_hawser())
		after = tap_proc_number("/proc/census", "nr_free_frames");
	ok(good == 22 && before == after, "started 22 times, no frame is lost: %ld, %ld", before,
	   after);
}

static int stay(void)
{
	char line[16];

	do {
		printf("version %s\n", first_version());
		fflush(stdout);
	} while (fgets(line, sizeof(line), stdin));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "stay") == 0)
		return stay();
	if (argc > 1 && strcmp(argv[1], "word") == 0)
		return 9;
	tap_begin(argv);
	if (argc < 2 || chdir(argv[1]) != 0) {
		printf("Bail out! a directory is needed\n");
		return 1;
	}
	look_at_places();
	look_at_auxv();
	look_at_the_library();
	look_at_the_plugin();
	try_interpreters();
	start_often();
	return done();
}
