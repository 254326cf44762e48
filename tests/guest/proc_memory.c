/*
 * What /proc tells of memory: of a child that stands still, smaps, smaps_rollup, statm, status and maps must
 * agree with each other, and with what the child is known to have; a program's pages exist once, however many
 * run it; and the machine's files add up.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE      4096L
#define KIB       1024L
#define TEXT_MAX  (256 * 1024)
#define FILE_PATH "/tmp/hawser-proc-memory"
#define RUNNERS   6

static char text[TEXT_MAX], other[TEXT_MAX], rollup[TEXT_MAX];

/* The whole file, as it is at this moment. */
static bool slurp(char *to, const char *path)
{
	int fd = open(path, O_RDONLY);
	size_t length = 0;
	ssize_t got = 1;

	while (fd >= 0 && got > 0 && length < TEXT_MAX - 1) {
		got = read(fd, to + length, TEXT_MAX - 1 - length);
		length += got > 0 ? (size_t)got : 0;
	}
	to[length] = '\0';
	if (fd >= 0)
		close(fd);
	return fd >= 0 && got == 0;
}

static bool slurp_of(pid_t pid, char *to, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return slurp(to, path);
}

/* The number behind "NAME:" or "NAME " at the start of a line from `from` on; -1: no such line. */
static long value_of(const char *from, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = from; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, length) == 0 &&
		    (line[length] == ':' || line[length] == ' '))
			return atol(line + length + 1);
	}
	return -1;
}

/* "start-end " begins a region; no other line has a '-' behind a number in hexadecimal. */
static bool is_region(const char *line, unsigned long *start, unsigned long *end)
{
	char *rest;

	*start = strtoul(line, &rest, 16);
	if (rest == line || *rest != '-')
		return false;
	*end = strtoul(rest + 1, &rest, 16);
	return *rest == ' ';
}

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

/* The region of smaps that begins at `at`. */
static const char *region_at(const char *smaps, const void *at)
{
	unsigned long start, end;

	for (const char *line = smaps; *line; line = next_line(line)) {
		if (is_region(line, &start, &end) && start == (uintptr_t)at)
			return next_line(line);
	}
	return "";
}

/* Adds the values of all regions. What Linux shows and does not count is left out. */
static long sum_of(const char *smaps, const char *name)
{
	unsigned long start, end;
	long sum = 0;

	for (const char *line = smaps; *line; line = next_line(line)) {
		const char *vsyscall = strstr(line, "[vsyscall]");

		if (is_region(line, &start, &end) && !(vsyscall && vsyscall < next_line(line)))
			sum += value_of(next_line(line), name);
	}
	return sum;
}

static bool regions_add_up(const char *smaps)
{
	unsigned long start, end;
	bool good = true;

	for (const char *line = smaps; *line; line = next_line(line)) {
		const char *region = next_line(line);

		if (!is_region(line, &start, &end))
			continue;
		good &= value_of(region, "Size") == (long)(end - start) / KIB;
		good &= value_of(region, "Rss") <= value_of(region, "Size");
		good &= value_of(region, "Pss") <= value_of(region, "Rss");
		good &= value_of(region, "Rss") == value_of(region, "Shared_Clean") +
							   value_of(region, "Shared_Dirty") +
							   value_of(region, "Private_Clean") +
							   value_of(region, "Private_Dirty");
		good &= value_of(region, "VmFlags") == 0; /* it is there, and no number */
	}
	return good;
}

/* smaps is maps with more lines. */
static bool same_regions(const char *maps, const char *smaps)
{
	unsigned long start, end;

	for (const char *line = smaps; *line; line = next_line(line)) {
		size_t length = (size_t)(next_line(line) - line);

		if (!is_region(line, &start, &end))
			continue;
		if (strncmp(line, maps, length) != 0)
			return false;
		maps += length;
	}
	return *maps == '\0';
}

static char *map(long pages, int prot, int flags, int fd)
{
	return mmap(NULL, (size_t)(pages * PAGE), prot, flags, fd, 0);
}

static void stand_still(int fd)
{
	(void)!write(fd, "x", 1);
	for (;;)
		pause();
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void files_of_a_process_agree(void)
{
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC, 0600), ready[2];
	char *inherited = map(16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *nothing = map(100, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *private = map(8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *shared = map(4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	char *file, byte;
	const char *region;
	long size, resident, shares;
	pid_t child;

	if (ftruncate(fd, 3 * PAGE) != 0 || pipe(ready) != 0 || pwrite(fd, "f", 1, 2 * PAGE) != 1)
		ok(false, "a file and a pipe");
	file = map(3, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
	memset(inherited, 1, 16 * PAGE);
	child = fork();
	if (child == 0) {
		memset(private, 1, 7 * PAGE);
		(void)*(volatile char *)(private + 7 * PAGE); /* of the zero page */
		memset(inherited, 2, 4 * PAGE);
		memset(shared, 1, 3 * PAGE);
		file[0] = 'w';
		(void)*(volatile char *)(file + 2 * PAGE);
		stand_still(ready[1]);
	}
	ok(read(ready[0], &byte, 1) == 1, "a child has done what it has to");
	/*
	 * Which of the program's own pages are shared changes as this process comes to more of them: the
	 * second time it comes to none between the two.
	 */
	for (int time = 0; time < 2; time++) {
		slurp_of(child, text, "smaps");
		slurp_of(child, rollup, "smaps_rollup");
	}
	ok(*text && *rollup && slurp_of(child, other, "maps"), "smaps and maps");
	ok(same_regions(other, text), "have the same regions");
	ok(regions_add_up(text), "each of which adds up");

	region = region_at(text, private);
	ok(value_of(region, "Rss") == 28 && value_of(region, "Private_Dirty") == 28 &&
		   value_of(region, "Anonymous") == 28 && value_of(region, "Pss") == 28,
	   "private memory counts what was written, and nothing for zeroes that were read");
	ok(strstr(region, "VmFlags: rd wr mr mw me"), "and has its flags");
	region = region_at(text, inherited);
	ok(value_of(region, "Rss") == 64 && value_of(region, "Private_Dirty") == 16 &&
		   value_of(region, "Shared_Dirty") == 48 && value_of(region, "Pss") == 40,
	   "what a parent has, too, is shared, and counts half");
	region = region_at(text, nothing);
	ok(value_of(region, "Size") == 400 && value_of(region, "Rss") == 0,
	   "a reservation has nothing");
	region = region_at(text, shared);
	ok(value_of(region, "Rss") == 12 && value_of(region, "Anonymous") == 0 &&
		   value_of(region, "Private_Dirty") == 12,
	   "shared memory is no anonymous memory");
	ok(strstr(region, "VmFlags: rd wr sh mr mw me ms"), "and says that it is shared");
	region = region_at(text, file);
	ok(value_of(region, "Anonymous") == 4 && value_of(region, "Rss") >= 8,
	   "nor is a file, but copies of it");

	size = sum_of(text, "Size");
	resident = sum_of(text, "Rss");
	shares = sum_of(text, "Pss");
	ok(slurp_of(child, other, "status") && value_of(other, "VmSize") == size,
	   "status has the size of smaps (%ld, %ld)", value_of(other, "VmSize"), size);
	ok(value_of(other, "VmRSS") == resident, "what is present (%ld, %ld)",
	   value_of(other, "VmRSS"), resident);
	ok(value_of(other, "RssAnon") == sum_of(text, "Anonymous"), "the anonymous part of it");
	ok(value_of(other, "RssAnon") + value_of(other, "RssFile") + value_of(other, "RssShmem") ==
		   resident,
	   "and parts that make the whole");
	ok(value_of(other, "RssShmem") == 12, "with the shared memory");
	ok(value_of(other, "VmPeak") >= size && value_of(other, "VmHWM") >= resident &&
		   value_of(other, "VmPTE") > 0,
	   "peaks, and page tables");
	{
		long pages[3] = { 0 },
		     file_pages = value_of(other, "RssFile") + value_of(other, "RssShmem");

		slurp_of(child, other, "statm");
		ok(sscanf(other, "%ld %ld %ld", &pages[0], &pages[1], &pages[2]) == 3 &&
			   pages[0] == size / 4 && pages[1] == resident / 4 &&
			   pages[2] == file_pages / 4,
		   "statm agrees");
	}
	ok(strstr(rollup, "[rollup]\n") && value_of(rollup, "Rss") == resident &&
		   value_of(rollup, "Anonymous") == sum_of(text, "Anonymous") &&
		   value_of(rollup, "Shared_Clean") + value_of(rollup, "Shared_Dirty") ==
			   sum_of(text, "Shared_Clean") + sum_of(text, "Shared_Dirty"),
	   "smaps_rollup agrees");
	/* Each region's is rounded down. */
	ok(value_of(rollup, "Pss") >= shares && value_of(rollup, "Pss") < shares + 64,
	   "shares are summed before they are rounded");
	end(child);
	close(ready[0]);
	close(ready[1]);
	close(fd);
	unlink(FILE_PATH);
	munmap(inherited, 16 * PAGE);
	munmap(private, 8 * PAGE);
	munmap(nothing, 100 * PAGE);
	munmap(shared, 4 * PAGE);
	munmap(file, 3 * PAGE);
}

/* Pages of 2 MiB, where there are any, are told of a process as of the machine. */
static void large_pages_agree(void)
{
	const long pages = 1536; /* one block of 2 MiB lies in it whole, wherever it is */
	char *memory = map(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	long large;

	madvise(memory, (size_t)(pages * PAGE), MADV_HUGEPAGE);
	memset(memory, 1, (size_t)(pages * PAGE));
	ok(slurp(text, "/proc/self/smaps") && slurp(other, "/proc/meminfo"),
	   "six megabytes are written");
	large = sum_of(text, "AnonHugePages");
	ok(large >= 0 && large % 2048 == 0 && large <= sum_of(text, "Anonymous"),
	   "%ld kB of them in large pages", large);
	ok(value_of(region_at(text, memory), "Anonymous") == pages * 4 || !on_hawser(),
	   "all of them anonymous");
	ok(!on_hawser() || value_of(other, "AnonHugePages") == large, "as meminfo says");
	munmap(memory, (size_t)(pages * PAGE));
}

/* The executable part of the program that the process runs: its smaps. */
static const char *program_text(const char *smaps)
{
	unsigned long start, end;

	for (const char *line = smaps; *line; line = next_line(line)) {
		if (is_region(line, &start, &end) && strstr(line, " r-xp ") == strchr(line, ' '))
			return next_line(line);
	}
	return "";
}

static pid_t run(const int ready[2])
{
	char number[16], byte;
	pid_t child = fork();

	if (child == 0) {
		snprintf(number, sizeof(number), "%d", ready[1]);
		execl("/proc/self/exe", "proc_memory", "--stay", number, NULL);
		_exit(127);
	}
	ok(read(ready[0], &byte, 1) == 1, "the program runs as %d", (int)child);
	return child;
}

static void a_program_is_in_memory_once(void)
{
	pid_t runners[RUNNERS];
	long one, all, resident;
	int ready[2];

	if (pipe(ready) != 0)
		ok(false, "a pipe");
	runners[0] = run(ready);
	end(runners[0]);
	runners[0] = run(ready);
	one = tap_proc_number("/proc/vmstat", "nr_kind_object");
	for (int i = 1; i < RUNNERS; i++)
		runners[i] = run(ready);
	all = tap_proc_number("/proc/vmstat", "nr_kind_object");
	ok(one == all, "%d of them have no more pages of files than one (%ld, %ld)", RUNNERS, all,
	   one);
	slurp_of(runners[0], text, "smaps");
	/* What has just been built may still have to be written to a disk: dirty. */
	resident = value_of(program_text(text), "Rss");
	ok(resident > 0 && value_of(program_text(text), "Shared_Clean") +
					   value_of(program_text(text), "Shared_Dirty") ==
				   resident,
	   "all that is present of its text (%ld kB) is shared", resident);
	ok(value_of(program_text(text), "Pss") <= resident / RUNNERS, "among as many");
	for (int i = 0; i < RUNNERS; i++)
		end(runners[i]);
	close(ready[0]);
	close(ready[1]);
}

static void the_machine_adds_up(void)
{
	long total, available, anonymous, free_pages, in_blocks = 0;
	char *memory, *line;

	ok(slurp(text, "/proc/meminfo"), "meminfo");
	total = value_of(text, "MemTotal");
	available = value_of(text, "MemAvailable");
	anonymous = value_of(text, "AnonPages");
	ok(total > available && available > 0 && value_of(text, "MemFree") > 0 &&
		   value_of(text, "Cached") >= value_of(text, "Shmem") &&
		   value_of(text, "SwapTotal") >= 0 && value_of(text, "PageTables") > 0,
	   "has what free(1) looks for");
	memory = map(256, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	memset(memory, 1, 256 * PAGE);
	slurp(text, "/proc/meminfo");
	/* Others run on Linux. */
	ok(!on_hawser() || value_of(text, "AnonPages") == anonymous + KIB,
	   "a megabyte that is written is one more of AnonPages");
	munmap(memory, 256 * PAGE);

	ok(slurp(text, "/proc/vmstat"), "vmstat");
	free_pages = value_of(text, "nr_free_pages");
	ok(free_pages > 0 && value_of(text, "nr_anon_pages") > 0 &&
		   value_of(text, "nr_file_pages") > 0 && value_of(text, "oom_kill") >= 0,
	   "has Linux's names");
	ok(slurp(text, "/proc/buddyinfo"), "buddyinfo");
	for (line = text; (line = strstr(line, "zone")) != NULL;) {
		long block = 1, count;
		int used;

		line += strcspn(line, "\n") < 4 ? 0 : 4;
		line += strspn(line, " ");
		line += strcspn(line, " ");
		for (; sscanf(line, "%ld%n", &count, &used) == 1; line += used, block *= 2)
			in_blocks += count * block;
	}
	ok(in_blocks > 0 && (!on_hawser() || in_blocks <= free_pages),
	   "its blocks are no more than what is free (%ld, %ld)", in_blocks, free_pages);
}

static long adjustment(void)
{
	return slurp(text, "/proc/self/oom_score_adj") ? atol(text) : -9999;
}

static void an_adjustment_is_kept(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY), status;
	pid_t child;

	ok(adjustment() == 0, "oom_score_adj is 0 at first");
	ok(write(fd, "300\n", 4) == 4 && adjustment() == 300, "it is set");
	child = fork();
	if (child == 0)
		_exit(adjustment() == 300 ? 0 : 1);
	waitpid(child, &status, 0);
	ok(status == 0, "and inherited");
	fails(write(fd, "1001", 4), EINVAL, "more than 1000 is EINVAL");
	fails(write(fd, "-1001", 5), EINVAL, "less than -1000 is EINVAL");
	fails(write(fd, "many", 4), EINVAL, "no number is EINVAL");
	ok(slurp(text, "/proc/self/oom_score") && text[0] >= '0' && text[0] <= '9', "oom_score");
	ok(write(fd, "0", 1) == 1 && adjustment() == 0, "and it is reset");
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--stay") == 0)
		stand_still(atoi(argv[2]));
	tap_begin(argv);
	files_of_a_process_agree();
	large_pages_agree();
	a_program_is_in_memory_once();
	the_machine_adds_up();
	an_adjustment_is_kept();
	return done();
}
