/*
 * Random and boundary arguments for every system call, from a seed; the kernel must answer each.
 *
 *	syscalls_fuzz [CALLS [SEED]]
 *
 * Calls that the table below knows get arguments of the kinds that they take, often enough sensible
 * to reach what lies behind the checks. The others get anything, but only on Hawser: a Linux on
 * which a developer is root is not to be experimented upon. Left out are calls that would end the
 * program, block it, make what it would block on, start another, take its memory away, or change the
 * machine.
 */
#define _GNU_SOURCE
#include "fuzzing.h"

#include <linux/futex.h>
#include <linux/time_types.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <termios.h>

#define CALLS_DEFAULT 20000
#define SEED_DEFAULT  1
#define SCRATCH       "/tmp/hawser-fuzz"
#define CALL_MAX      480 /* numbers of calls are below this */
#define CALL_NONE     600 /* Linux has none from here on */
#define FD_FIRST      3   /* the program keeps its own */
#define FD_COUNT      40
#define BUFFER_SIZE   (64 * 1024)
#define ARENA_SIZE    (1 << 20)
#define PAGE          4096
#define VECTORS       8
#define SMALL_FILE    (256 * 1024)

/*
 * What the arguments are: f descriptor, p path, n path to look at, N special file, b buffer, v vectors,
 * l length, c vector count, o open flags, R those of reading, m mode, a address in the arena, i small number, s file size or offset, t no time at all (the
 * call does not wait), T two times, P poll entries, S descriptor set, w prctl option, k fcntl command,
 * q ioctl request, r rights, g mmap flags, G advice, 0 zero, D AT_FDCWD or a descriptor, x anything,
 * F futex operation, z signals' size.
 */
static const struct known {
	long number;
	const char *arguments;
} known[] = {
	{ SYS_read, "fbl" },
	{ SYS_write, "fbl" },
	{ SYS_pread64, "fbls" },
	{ SYS_pwrite64, "fbls" },
	{ SYS_readv, "fvc" },
	{ SYS_writev, "fvc" },
	{ SYS_preadv, "fvcs" },
	{ SYS_pwritev, "fvcs" },
	{ SYS_open, "pom" },
	{ SYS_open, "pom" },
	{ SYS_openat, "Dpom" },
	{ SYS_openat, "Dpom" },
	{ SYS_open, "NR0" },
	{ SYS_creat, "pm" },
	{ SYS_close, "f" },
	{ SYS_close_range, "ffi" },
	{ SYS_dup, "f" },
	{ SYS_dup2, "ff" },
	{ SYS_dup3, "ffo" },
	{ SYS_fcntl, "fki" },
	{ SYS_ioctl, "fqb" },
	{ SYS_lseek, "fsi" },
	{ SYS_ftruncate, "fs" },
	{ SYS_truncate, "ps" },
	{ SYS_fsync, "f" },
	{ SYS_fdatasync, "f" },
	{ SYS_stat, "nb" },
	{ SYS_lstat, "nb" },
	{ SYS_fstat, "fb" },
	{ SYS_newfstatat, "Dnbi" },
	{ SYS_statx, "Dnixb" },
	{ SYS_statfs, "nb" },
	{ SYS_fstatfs, "fb" },
	{ SYS_access, "ni" },
	{ SYS_faccessat, "Dni" },
	{ SYS_faccessat2, "Dnii" },
	{ SYS_getdents64, "fbl" },
	{ SYS_getcwd, "bl" },
	{ SYS_chdir, "p" },
	{ SYS_fchdir, "f" },
	{ SYS_umask, "m" },
	{ SYS_mkdir, "pm" },
	{ SYS_mkdirat, "Dpm" },
	{ SYS_rmdir, "p" },
	{ SYS_unlink, "p" },
	{ SYS_unlinkat, "Dpi" },
	{ SYS_rename, "pp" },
	{ SYS_renameat, "DpDp" },
	{ SYS_renameat2, "DpDpi" },
	{ SYS_link, "pp" },
	{ SYS_linkat, "DpDpi" },
	{ SYS_symlink, "pp" },
	{ SYS_symlinkat, "pDp" },
	{ SYS_readlink, "nbl" },
	{ SYS_readlinkat, "Dnbl" },
	{ SYS_chmod, "pm" },
	{ SYS_fchmod, "fm" },
	{ SYS_fchmodat, "Dpm" },
	{ SYS_chown, "pii" },
	{ SYS_fchown, "fii" },
	{ SYS_lchown, "pii" },
	{ SYS_fchownat, "Dpiii" },
	{ SYS_utimensat, "DpTi" },
	{ SYS_futimesat, "DpT" },
	{ SYS_utimes, "pT" },
	{ SYS_getdents, "fbl" },
	{ SYS_fadvise64, "fssi" },
	{ SYS_readahead, "fsl" },
	{ SYS_sync_file_range, "fssi" },
	{ SYS_syncfs, "f" },
	{ SYS_getxattr, "nbbl" },
	{ SYS_listxattr, "nbl" },
	{ SYS_mmap, "arrgfs" }, /* its own case */
	{ SYS_mmap, "arrgfs" },
	{ SYS_munmap, "al" },
	{ SYS_mprotect, "alr" },
	{ SYS_madvise, "alG" },
	{ SYS_brk, "l" }, /* its own case */
	{ SYS_poll, "Pc0" },
	{ SYS_ppoll, "Pct0z" },
	{ SYS_select, "iSSSt" },
	{ SYS_pselect6, "iSSSt0" },
	{ SYS_getrandom, "bli" },
	{ SYS_nanosleep, "tb" },
	{ SYS_clock_nanosleep, "i0tb" },
	{ SYS_clock_gettime, "ib" },
	{ SYS_clock_getres, "ib" },
	{ SYS_gettimeofday, "b0" },
	{ SYS_time, "b" },
	{ SYS_times, "b" },
	{ SYS_getrusage, "ib" },
	{ SYS_sysinfo, "b" },
	{ SYS_uname, "b" },
	{ SYS_getrlimit, "ib" },
	{ SYS_prlimit64, "0i0b" },
	{ SYS_prctl, "wbiii" },
	{ SYS_rt_sigaction, "i0bz" },
	{ SYS_rt_sigprocmask, "i0bz" },
	{ SYS_rt_sigpending, "bz" },
	{ SYS_futex, "bFi000" },
	{ SYS_sched_yield, "" },
	{ SYS_sched_getaffinity, "0lb" },
	{ SYS_getcpu, "bb0" },
	{ SYS_getpid, "" },
	{ SYS_getppid, "" },
	{ SYS_getuid, "" },
	{ SYS_getresuid, "bbb" },
	{ SYS_getresgid, "bbb" },
	{ SYS_getgroups, "ib" },
	{ SYS_getpgid, "i" },
	{ SYS_getsid, "i" },
};

/* Never with anything: what the comment at the top says. */
/* clang-format off */
static const long left_out[] = {
	SYS_exit, SYS_exit_group, SYS_fork, SYS_vfork, SYS_clone, SYS_clone3, SYS_execve,
	SYS_execveat, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
	SYS_pidfd_send_signal, SYS_pidfd_open, SYS_reboot, SYS_pause, SYS_rt_sigsuspend,
	SYS_rt_sigtimedwait, SYS_rt_sigreturn, SYS_rt_sigaction, SYS_rt_sigprocmask,
	SYS_sigaltstack, SYS_alarm, SYS_setitimer, SYS_timer_create, SYS_timer_settime, SYS_wait4,
	SYS_waitid, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_poll, SYS_ppoll,
	SYS_select, SYS_pselect6, SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_flock,
	SYS_msgrcv, SYS_msgsnd, SYS_semop, SYS_semtimedop, SYS_accept, SYS_accept4, SYS_connect,
	SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_sendto, SYS_sendmsg, SYS_sendmmsg,
	SYS_io_getevents, SYS_mq_timedreceive, SYS_mq_timedsend, SYS_read, SYS_readv, SYS_preadv,
	SYS_preadv2, SYS_pread64, SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_pwritev2,
	SYS_sendfile, SYS_splice, SYS_tee, SYS_vmsplice, SYS_copy_file_range, SYS_ioctl,
	SYS_fcntl, SYS_dup, SYS_dup2, SYS_dup3, SYS_close, SYS_close_range, SYS_mmap, SYS_munmap,
	SYS_mprotect, SYS_pkey_mprotect, SYS_mremap, SYS_madvise, SYS_process_madvise, SYS_brk,
	SYS_remap_file_pages, SYS_mlockall, SYS_shmat, SYS_shmdt, SYS_process_vm_readv,
	SYS_process_vm_writev, SYS_ptrace, SYS_arch_prctl, SYS_set_thread_area, SYS_modify_ldt,
	SYS_prctl, SYS_seccomp, SYS_rseq, SYS_set_robust_list, SYS_set_tid_address, SYS_setrlimit,
	SYS_prlimit64, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid,
	SYS_setresgid, SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_capset, SYS_chroot,
	SYS_pivot_root, SYS_mount, SYS_umount2, SYS_swapon, SYS_swapoff, SYS_sethostname,
	SYS_setdomainname, SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex,
	SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load,
	SYS_iopl, SYS_ioperm, SYS_syslog, SYS_vhangup, SYS_acct, SYS_unshare, SYS_setns,
	SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr, SYS_sched_setaffinity,
	SYS_personality, SYS_userfaultfd, SYS_io_uring_enter, SYS_unlink, SYS_unlinkat, SYS_rmdir,
	SYS_rename, SYS_renameat, SYS_renameat2, SYS_link, SYS_linkat, SYS_truncate, SYS_mknod,
	SYS_mknodat, SYS_eventfd, SYS_eventfd2, SYS_signalfd, SYS_signalfd4, SYS_timerfd_create,
	SYS_inotify_init, SYS_inotify_init1, SYS_pipe, SYS_pipe2, SYS_socketpair, SYS_socket,
	SYS_shmget, SYS_shmctl, SYS_semget, SYS_semctl, SYS_msgget, SYS_msgctl, 449, /* futex_waitv */
};
/* clang-format on */

/* In the scratch directory, whatever the working directory below it is. */
static const char *const paths[] = {
	"a",
	"b",
	"c",
	"d",
	"e",
	"d/a",
	"d/b",
	"d/e",
	"d/e/f",
	"e/../a",
	"./a",
	"./d/./b",
	"a/",
	"d/",
	"a/b",
	"",
	".",
	"nope/x",
	SCRATCH "/a",
	SCRATCH "/d",
	SCRATCH "/d/c",
	SCRATCH "//b",
	SCRATCH "/d/e/g",
	SCRATCH,
	SCRATCH "/",
};
/* To be looked at. */
static const char *const places[] = {
	"/",
	"..",
	"/bin",
	"/bin/busybox",
	"/proc/self/exe",
	"/proc",
	"/proc/self",
	"/dev/tty",
	"/no/such/name",
	"/bin/../tmp/./hawser-fuzz/a",
	"/tmp/../..//proc/self/exe/",
};
/* To be opened, on Hawser only: descriptors are not only looked at. */
static const char *const specials[] = {
	"/proc/self/exe", "/proc/self/maps", "/proc/meminfo", "/proc/census", "/dev/null",
	"/dev/zero",      "/dev/full",       "/dev/urandom",  "/dev/kmsg",
};

static bool hawser;
static unsigned char *buffer; /* BUFFER_SIZE bytes, then a page without any right */
static unsigned char *arena;
static const char *long_name, *long_path;
static struct iovec vectors[VECTORS];
static struct __kernel_timespec times[2], no_time;
static struct pollfd entries[VECTORS];

/* --- arguments ------------------------------------------------------------------------------------ */

/* Not in the program's own memory, but for the buffer. */
static uint64_t any_pointer(void)
{
	switch (below(8)) {
	case 0:
		return any_edge();
	case 1:
		return (uintptr_t)buffer + BUFFER_SIZE - below(64);
	case 2:
		return (uintptr_t)long_path; /* may not be written */
	case 3:
		return (uintptr_t)buffer + PAGE * below(BUFFER_SIZE / PAGE) + PAGE - below(32);
	default:
		return (uintptr_t)buffer + below(BUFFER_SIZE / 2);
	}
}

static uint64_t any_path(void)
{
	switch (below(20)) {
	case 0:
		return (uintptr_t)long_name;
	case 1:
		return (uintptr_t)long_path;
	case 2:
		return 0;
	case 3:
		return 0xffff800000000000;
	default:
		return (uintptr_t)PICK(paths);
	}
}

static uint64_t any_fd(void)
{
	static const int odd[] = { -1, -2, 1000, 1 << 20, INT_MAX, INT_MIN };

	int fd;

	if (below(16) == 0)
		return (uint64_t)PICK(odd);
	fd = FD_FIRST + (int)below(below(4) ? 8 : FD_COUNT);
	/* It may be a pipe or the like by now, which an unknown call has made: those are not waited for. */
	if (hawser)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return (uint64_t)fd;
}

static uint64_t any_length(void)
{
	switch (below(8)) {
	case 0:
		return 0;
	case 1:
		return any_number();
	case 2:
		return below(32);
	default:
		return below(BUFFER_SIZE / 2);
	}
}

static uint64_t any_open_flags(void)
{
	static const int some[] = { O_CREAT,   O_CREAT | O_TRUNC, O_TRUNC,    O_EXCL | O_CREAT,
				    O_APPEND,  O_DIRECTORY,       O_NOFOLLOW, O_PATH,
				    O_CLOEXEC, O_NONBLOCK };
	uint64_t flags = below(4);

	for (unsigned n = below(4); n > 0; n--)
		flags |= PICK(some);
	return below(64) ? flags : flags ^ (1u << below(31) & ~FASYNC);
}

static uint64_t any_vectors(void)
{
	for (unsigned i = 0; i < VECTORS; i++)
		vectors[i] = (struct iovec){ (void *)any_pointer(), any_length() };
	return below(16) ? (uintptr_t)vectors : any_pointer();
}

static uint64_t any_entries(void)
{
	for (unsigned i = 0; i < VECTORS; i++)
		entries[i] = (struct pollfd){ .fd = (int)any_fd(), .events = (short)next() };
	return below(16) ? (uintptr_t)entries : any_pointer();
}

static uint64_t any_times(void)
{
	static const long odd[] = { UTIME_NOW, UTIME_OMIT, 0, 999999999, 1000000000, -1, LONG_MIN };

	for (unsigned i = 0; i < 2; i++)
		times[i] = (struct __kernel_timespec){ (long)below(1u << 31), PICK(odd) };
	return below(4) ? (uintptr_t)times : 0;
}

static uint64_t argument(char kind)
{
	static const long options[] = { PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, -1, 9999 };
	static const long commands[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, -1 };
	static const long requests[] = { TCGETS,  TCSETS,   TIOCGWINSZ, FIONREAD, FIONBIO,
					 FIOCLEX, FIONCLEX, TIOCGPGRP,  0,        -1 };
	static const long advice[] = { MADV_NORMAL, MADV_DONTNEED, MADV_WILLNEED,
				       MADV_FREE,   MADV_DONTDUMP, -1,
				       999 };

	switch (kind) {
	case 'f':
		return any_fd();
	case 'D':
		return below(3) ? (uint64_t)AT_FDCWD : any_fd();
	case 'p':
		return any_path();
	case 'n':
		return below(3) ? any_path() : (uintptr_t)PICK(places);
	case 'N':
		return hawser ? (uintptr_t)PICK(specials) : any_path();
	case 'R':
		return below(4) ? 0 : O_PATH | O_CLOEXEC;
	case 'b':
		return any_pointer();
	case 'v':
		return any_vectors();
	case 'l':
		return any_length();
	case 'c':
		return below(16) ? below(VECTORS + 1) : any_number() | 1u << 20;
	case 'o':
		return any_open_flags();
	case 'm':
		return below(8) ? 0700 | below(01000) : next();
	case 'a':
		return (uintptr_t)arena + PAGE * below(ARENA_SIZE / PAGE);
	case 'i':
		return below(8) ? below(16) : any_number();
	case 's':
		return below(8) ? below(SMALL_FILE) : any_number();
	case 't':
		no_time = (struct __kernel_timespec){ 0, 0 };
		return (uintptr_t)&no_time;
	case 'T':
		return any_times();
	case 'P':
		return any_entries();
	case 'S':
		return below(3) ? (uintptr_t)buffer + 8 * below(64) : any_pointer();
	case 'w':
		return PICK(options);
	case 'k':
		return hawser && below(4) == 0 ? any_number() : (uint64_t)PICK(commands);
	case 'q':
		return hawser && below(4) == 0 ? any_number() : (uint64_t)PICK(requests);
	case 'r':
		return below(16) ? below(8) : any_number();
	case 'G':
		return PICK(advice);
	case 'F':
		return FUTEX_WAKE | (below(2) ? FUTEX_PRIVATE_FLAG : 0);
	case 'z':
		return below(8) ? 8 : any_number();
	case '0':
		return 0;
	default:
		return below(2) ? any_pointer() : any_number();
	}
}

/* --- calls ------------------------------------------------------------------------------------------ */

static void call_mmap(void)
{
	static const int flags[] = { MAP_ANONYMOUS,
				     MAP_ANONYMOUS | MAP_NORESERVE,
				     0,
				     0,
				     MAP_STACK,
				     MAP_ANONYMOUS | MAP_GROWSDOWN,
				     MAP_ANONYMOUS | MAP_POPULATE };
	uint64_t page = below(ARENA_SIZE / PAGE);
	uint64_t length = 1 + below(ARENA_SIZE - page * PAGE);
	uint64_t type = 1 + below(3), more = PICK(flags);
	uint64_t offset = below(4) ? PAGE * below(SMALL_FILE / PAGE) : any_number();
	int rights = (int)below(8);
	char *address;

	if (below(4)) {
		syscall(SYS_mmap, arena + page * PAGE, length, rights, type | more | MAP_FIXED,
			any_fd(), offset);
		return;
	}
	/* Wherever there is room, and away again. */
	if (below(2))
		length = any_number();
	address = (char *)syscall(SYS_mmap, any_number(), length, rights,
				  type | (more & ~(uint64_t)MAP_POPULATE), any_fd(), offset);
	if (address == MAP_FAILED)
		return;
	if (rights & PROT_READ)
		syscall(SYS_write, (int)any_fd(), address, below(2 * PAGE));
	if (rights & PROT_WRITE)
		syscall(SYS_pread64, (int)any_fd(), address, below(2 * PAGE), 0);
	syscall(SYS_munmap, address, length);
}

static void call_brk(void)
{
	uint64_t here = (uint64_t)syscall(SYS_brk, 0);

	syscall(SYS_brk, here + below(ARENA_SIZE));
	syscall(SYS_brk, below(2) ? any_number() | INT64_MIN : 0);
	syscall(SYS_brk, here);
}

static void call_known(const struct known *call)
{
	uint64_t a[6] = { 0 };

	if (call->number == SYS_mmap || call->number == SYS_brk) {
		call->number == SYS_mmap ? call_mmap() : call_brk();
		return;
	}
	for (unsigned i = 0; call->arguments[i]; i++)
		a[i] = argument(call->arguments[i]);
	/* What is below the arena's first page and above its last is not ours to give away. */
	if (call->arguments[0] == 'a')
		a[1] = below(16) ? below((uintptr_t)arena + ARENA_SIZE - a[0] + 1)
				 : any_number() | INT64_MIN;
	if (call->number == SYS_close_range && a[1] > FD_COUNT)
		a[1] = a[0];
	syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static bool is_left_out(long number)
{
	for (unsigned i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (left_out[i] == number)
			return true;
	return false;
}

static void call_any(void)
{
	long number =
		hawser && below(64) ? (long)below(CALL_MAX) : (long)(any_number() | CALL_NONE);
	uint64_t a[6];

	if (is_left_out(number))
		return;
	for (unsigned i = 0; i < 6; i++)
		a[i] = argument("xxxbfp"[below(6)]);
	syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* --- before and after ------------------------------------------------------------------------------- */

static void begin(uint64_t seed)
{
	char *text =
		mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	hawser = on_hawser();
	/* Read-only: some calls would write to them. */
	long_name = memset(text, 'n', NAME_MAX + below(2));
	long_path = memset(text + PAGE, 'p', 2 * PAGE - 1);
	mprotect(text, 3 * PAGE, PROT_READ);
	buffer = mmap(NULL, BUFFER_SIZE + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	mprotect(buffer + BUFFER_SIZE, PAGE, PROT_NONE);
	arena = mmap(NULL, ARENA_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	syscall(SYS_close_range, FD_FIRST, UINT32_MAX, 0);
	mkdir(SCRATCH, 0700);
}

int main(int argc, char **argv)
{
	unsigned long calls = argc > 1 ? strtoul(argv[1], NULL, 0) : CALLS_DEFAULT;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : SEED_DEFAULT;
	unsigned long made;
	struct stat status;

	tap_begin(argv);
	begin(seed);
	for (made = 0; made < calls; made++) {
		/* The working directory may have gone, and most paths are relative. */
		if (made % 256 == 0) {
			mkdir(SCRATCH, 0700);
			if (chdir(SCRATCH) != 0)
				break;
		}
		if (below(8) == 0)
			call_any();
		else
			call_known(&PICK(known));
	}
	ok(made == calls, "%lu calls, seed %lu", made, (unsigned long)seed);

	syscall(SYS_close_range, FD_FIRST, UINT32_MAX, 0);
	umask(022);
	ok(munmap(arena, ARENA_SIZE) == 0 && munmap(buffer, BUFFER_SIZE + PAGE) == 0,
	   "memory is given back");
	ok(chdir("/") == 0 && remove_all(SCRATCH), "the files are removed");
	fails(lstat(SCRATCH, &status), ENOENT, "all of them");
	ok(open("/dev/null", O_RDWR) == FD_FIRST && close(FD_FIRST) == 0, "files open as before");
	return done();
}
