/*
 * tests/guest/tools/fuzz_calls.h - what fuzz.c calls, with what kind of arguments, and the names that it has
 * for files.
 */
#ifndef HAWSER_TESTS_GUEST_FUZZ_CALLS_H
#define HAWSER_TESTS_GUEST_FUZZ_CALLS_H

#include <asm/unistd_64.h>

/*
 * What arguments are:
 *	f descriptor  D the same or AT_FDCWD  p path to do anything to  n path to look at
 *	b memory  w words that are filled in before  v vectors  l length  c small count
 *	a address in the arena  A length in it  i small number  x anything  s offset or size
 *	t a short time  T two times  o open flags  m mode  r rights  g mmap flags  G advice
 *	P pid of this session  S signal  z size of a signal set  k clone flags  K socket address
 *	F futex operation  R resource limit  L its value  M reboot's magic, wrong  0 zero
 */
/* clang-format off */
#define CALL(name, arguments) { __NR_##name, arguments, 1 },
#define OFTEN(name, arguments, weight) { __NR_##name, arguments, weight },
static const struct known {
	long number;
	const char *arguments;
	unsigned weight;
} known[] = {
	/* files */
	OFTEN(open, "pom", 4) OFTEN(openat, "Dpom", 4) CALL(openat2, "Dpwi") CALL(creat, "pm")
	OFTEN(read, "fbl", 2) OFTEN(write, "fbl", 2) CALL(pread64, "fbls") CALL(pwrite64, "fbls")
	CALL(readv, "fvc") CALL(writev, "fvc") CALL(preadv, "fvcs") CALL(pwritev, "fvcs")
	CALL(preadv2, "fvcs0i") CALL(pwritev2, "fvcs0i") CALL(lseek, "fsi")
	CALL(ftruncate, "fs") CALL(truncate, "ps") CALL(fallocate, "fiss") CALL(fsync, "f")
	CALL(fdatasync, "f") CALL(sync_file_range, "fssi") CALL(syncfs, "f") CALL(sync, "")
	CALL(fadvise64, "fssi") CALL(readahead, "fsl") CALL(copy_file_range, "fwfwli")
	OFTEN(close, "f", 2) CALL(close_range, "ffi") CALL(dup, "f") CALL(dup2, "ff")
	CALL(dup3, "ffo") CALL(fcntl, "fiw") CALL(fcntl, "fxx") CALL(ioctl, "fxb") CALL(flock, "fi")
	CALL(stat, "nb") CALL(lstat, "nb") CALL(fstat, "fb") CALL(newfstatat, "Dnbi")
	CALL(statx, "Dnixb") CALL(statfs, "nb") CALL(fstatfs, "fb") CALL(ustat, "xb")
	CALL(access, "ni") CALL(faccessat, "Dni") CALL(faccessat2, "Dnii") CALL(getdents64, "fbl")
	CALL(getdents, "fbl") CALL(getcwd, "bl") CALL(chdir, "p") CALL(fchdir, "f")
	CALL(umask, "m") CALL(mkdir, "pm") CALL(mkdirat, "Dpm") CALL(mknod, "pmx")
	CALL(mknodat, "Dpmx") CALL(rmdir, "p") CALL(unlink, "p") CALL(unlinkat, "Dpi")
	CALL(rename, "pp") CALL(renameat, "DpDp") CALL(renameat2, "DpDpi") CALL(link, "pp")
	CALL(linkat, "DpDpi") CALL(symlink, "pp") CALL(symlinkat, "pDp") CALL(readlink, "nbl")
	CALL(readlinkat, "Dnbl") CALL(chmod, "pm") CALL(fchmod, "fm") CALL(fchmodat, "Dpm")
	CALL(chown, "pii") CALL(fchown, "fii") CALL(lchown, "pii") CALL(fchownat, "Dpiii")
	CALL(utime, "pw") CALL(utimes, "pw") CALL(utimensat, "DpTi") CALL(futimesat, "Dpw")
	CALL(setxattr, "ppbli") CALL(lsetxattr, "ppbli") CALL(fsetxattr, "fpbli")
	CALL(getxattr, "npbl") CALL(lgetxattr, "npbl") CALL(fgetxattr, "fpbl")
	CALL(listxattr, "nbl") CALL(llistxattr, "nbl") CALL(flistxattr, "fbl")
	CALL(removexattr, "pp") CALL(lremovexattr, "pp") CALL(fremovexattr, "fp")
	CALL(mount, "ppbi0") CALL(umount2, "pi") CALL(name_to_handle_at, "Dnwbi")
	CALL(open_by_handle_at, "fwo") CALL(quotactl, "xpxb")
	/* pipes, sockets, what is waited for */
	OFTEN(pipe, "w", 2) CALL(pipe2, "wo") CALL(sendfile, "ffwl") CALL(splice, "fwfwli")
	CALL(tee, "ffli") CALL(vmsplice, "fvci") OFTEN(socket, "iii", 2)
	OFTEN(socketpair, "1i0w", 2) CALL(bind, "fKl") CALL(connect, "fKl") CALL(listen, "fi")
	CALL(accept, "fbw") CALL(accept4, "fbwo") CALL(shutdown, "fi") CALL(getsockname, "fbw")
	CALL(getpeername, "fbw") CALL(setsockopt, "fiibl") CALL(getsockopt, "fiibw")
	CALL(sendto, "fbliKl") CALL(recvfrom, "fblibw") CALL(sendmsg, "fwi") CALL(recvmsg, "fwi")
	CALL(sendmmsg, "fwci") CALL(recvmmsg, "fwcit") CALL(poll, "wci") CALL(ppoll, "wctwz")
	CALL(select, "iwwwt") CALL(pselect6, "iwwwtw") CALL(epoll_create, "i")
	OFTEN(epoll_create1, "o", 2) OFTEN(epoll_ctl, "fifw", 3) CALL(epoll_wait, "fbci")
	CALL(epoll_pwait, "fbciwz") CALL(epoll_pwait2, "fbctwz") CALL(eventfd, "i")
	CALL(eventfd2, "ii") CALL(eventfd2, "io") CALL(signalfd, "fwz") CALL(signalfd4, "fwzo")
	OFTEN(timerfd_create, "io", 2) CALL(timerfd_settime, "fiTb") CALL(timerfd_gettime, "fb")
	CALL(inotify_init, "") CALL(inotify_init1, "o") CALL(inotify_add_watch, "fpx")
	CALL(inotify_rm_watch, "fi") CALL(fanotify_init, "xo") CALL(fanotify_mark, "fixfp")
	CALL(memfd_create, "pi") CALL(memfd_secret, "i") CALL(pidfd_open, "Pi")
	CALL(pidfd_send_signal, "fSbi") CALL(pidfd_getfd, "ffi") CALL(userfaultfd, "o")
	CALL(io_setup, "iw") CALL(io_destroy, "x") CALL(io_submit, "xiw") CALL(io_getevents, "xiibt")
	CALL(io_uring_setup, "iw") CALL(io_uring_enter, "fiiibz") CALL(io_uring_register, "fibi")
	CALL(mq_open, "pomw") CALL(mq_unlink, "p") CALL(shmget, "xsx") CALL(shmctl, "iib")
	CALL(shmget, "0si") CALL(semget, "xii") CALL(semget, "0im") CALL(semctl, "iiib")
	CALL(semop, "iwi") CALL(semtimedop, "iwit") CALL(msgget, "xi") CALL(msgget, "0m")
	CALL(msgctl, "iib") CALL(msgsnd, "iwli") CALL(msgrcv, "iblxi")
	/* memory */
	OFTEN(mmap, "aArgfs", 5) OFTEN(munmap, "aA", 2) OFTEN(mprotect, "aAr", 2)
	OFTEN(madvise, "aAG", 2) OFTEN(mremap, "aAAia", 3) CALL(msync, "aAi") CALL(mincore, "aAb")
	CALL(mlock, "aA") CALL(mlock2, "aAi") CALL(munlock, "aA") CALL(mlockall, "i")
	CALL(munlockall, "") CALL(remap_file_pages, "aAiii") CALL(mbind, "aAibii")
	CALL(get_mempolicy, "bbiai") CALL(set_mempolicy, "ibi") CALL(migrate_pages, "Pibb")
	CALL(move_pages, "Piwbbi") CALL(brk, "x") CALL(process_vm_readv, "Pvcvci")
	CALL(process_vm_writev, "Pvcvci") CALL(process_madvise, "fvcGi") CALL(process_mrelease, "fi")
	CALL(pkey_alloc, "ii") CALL(pkey_free, "i") CALL(pkey_mprotect, "aAri")
	CALL(membarrier, "iii") CALL(shmat, "iai") CALL(shmdt, "a")
	/* processes and threads */
	CALL(clone, "k0000") CALL(clone3, "wi") CALL(fork, "") CALL(execve, "nww")
	CALL(execveat, "Dnwwi") CALL(exit, "i") CALL(exit_group, "i") CALL(wait4, "Pwib")
	CALL(waitid, "iPwib") CALL(getpid, "") CALL(gettid, "") CALL(getppid, "") CALL(getpgid, "P")
	CALL(getpgrp, "") CALL(getsid, "P") CALL(setpgid, "PP") CALL(setsid, "")
	CALL(getuid, "") CALL(geteuid, "") CALL(getgid, "") CALL(getegid, "") CALL(getresuid, "bbb")
	CALL(getresgid, "bbb") CALL(getgroups, "ib") CALL(setgroups, "iw") CALL(setuid, "i")
	CALL(setgid, "i") CALL(setreuid, "ii") CALL(setregid, "ii") CALL(setresuid, "iii")
	CALL(setresgid, "iii") CALL(setfsuid, "i") CALL(setfsgid, "i") CALL(capget, "wb")
	CALL(capset, "ww") CALL(prctl, "ibiii") CALL(prctl, "xxxxx") CALL(arch_prctl, "xb")
	CALL(personality, "x") CALL(set_tid_address, "b") CALL(set_robust_list, "wl")
	CALL(get_robust_list, "Pbb") CALL(rseq, "bliz") CALL(futex, "wFitwi") CALL(futex, "wiitwi")
	CALL(futex_waitv, "wcit0") CALL(unshare, "i") CALL(setns, "fi") CALL(ptrace, "iPaa")
	CALL(kcmp, "PPiff") CALL(chroot, "p") CALL(pivot_root, "pp") CALL(seccomp, "iib")
	CALL(landlock_create_ruleset, "bli") CALL(landlock_add_rule, "fibi")
	CALL(landlock_restrict_self, "fi") CALL(bpf, "iwl") CALL(perf_event_open, "wPifi")
	CALL(keyctl, "ixxxx") CALL(add_key, "ppbli") CALL(request_key, "pppi")
	CALL(modify_ldt, "ibl") CALL(ioperm, "iii") CALL(iopl, "i") CALL(acct, "p")
	/* signals */
	CALL(kill, "PS") CALL(tkill, "PS") CALL(tgkill, "PPS") CALL(rt_sigqueueinfo, "PSw")
	CALL(rt_tgsigqueueinfo, "PPSw") CALL(rt_sigaction, "S0bz") CALL(rt_sigaction, "Swbz")
	CALL(rt_sigprocmask, "iwbz") CALL(rt_sigpending, "bz") CALL(rt_sigsuspend, "wz")
	CALL(rt_sigtimedwait, "wbtz") CALL(rt_sigreturn, "") CALL(sigaltstack, "wb")
	CALL(pause, "") CALL(restart_syscall, "")
	/* time */
	CALL(nanosleep, "tb") CALL(clock_nanosleep, "iitb") CALL(clock_gettime, "xb")
	CALL(clock_gettime, "ib") CALL(clock_getres, "ib") CALL(clock_settime, "iT")
	CALL(clock_adjtime, "iw") CALL(adjtimex, "w") CALL(gettimeofday, "bb")
	CALL(settimeofday, "wb") CALL(time, "b") CALL(times, "b") CALL(alarm, "i")
	CALL(getitimer, "ib") CALL(setitimer, "iwb") OFTEN(timer_create, "i0b", 2)
	CALL(timer_create, "iwb") CALL(timer_settime, "iiTb") CALL(timer_gettime, "ib")
	CALL(timer_getoverrun, "i") CALL(timer_delete, "i")
	/* limits, scheduling, the machine */
	CALL(getrlimit, "ib") CALL(setrlimit, "RL") CALL(prlimit64, "PRLb") CALL(getrusage, "ib")
	CALL(sched_yield, "") CALL(sched_getaffinity, "Plb") CALL(sched_setaffinity, "Plw")
	CALL(sched_getparam, "Pb") CALL(sched_setparam, "Pw") CALL(sched_getscheduler, "P")
	CALL(sched_setscheduler, "Piw") CALL(sched_get_priority_max, "i")
	CALL(sched_get_priority_min, "i") CALL(sched_rr_get_interval, "Pb")
	CALL(sched_setattr, "Pwi") CALL(sched_getattr, "Pbli") CALL(getpriority, "iP")
	CALL(setpriority, "iPi") CALL(ioprio_get, "iP") CALL(ioprio_set, "iPi")
	CALL(getcpu, "bb0") CALL(sysinfo, "b") CALL(uname, "b") CALL(sethostname, "bi")
	CALL(setdomainname, "bi") CALL(getrandom, "bli") CALL(syslog, "ibl") CALL(reboot, "Mxxx")
	CALL(vhangup, "") CALL(swapon, "pi") CALL(swapoff, "p") CALL(sysfs, "ixb")
	CALL(init_module, "blb") CALL(finit_module, "fbi") CALL(delete_module, "pi")
	CALL(kexec_load, "xxbx") CALL(lookup_dcookie, "xbl") CALL(nfsservctl, "ibb")
	CALL(mount_setattr, "Dpiwl") CALL(open_tree, "Dpi") CALL(move_mount, "DpDpi")
	CALL(fsopen, "pi") CALL(fsconfig, "fipbi") CALL(fsmount, "fii") CALL(fspick, "Dpi")
};
/* clang-format on */

/* In the worker's directory. */
static const char *const paths[] = {
	"a",   "b",     "c",  "d",  "e",   "d/a", "d/b", "d/e", "d/e/f", "e/../a",
	"./a", "./d/b", "a/", "d/", "a/b", "",    ".",   "x/y", "d//a",  "memory",
};
/* To be looked at, opened for reading, run. */
static const char *const places[] = {
	"/",         "..",           "/bin/sh",         "/bin/busybox",    "/proc/self/exe",
	"/proc",     "/proc/self",   "/proc/self/fd",   "/proc/self/maps", "/proc/meminfo",
	"/dev/null", "/dev/zero",    "/dev/full",       "/dev/urandom",    "/dev/ptmx",
	"/dev/tty",  "/no/such",     "/proc/stat",      "/proc/1/status",  "/dev/shm",
	"/dev/kmsg", "/proc/mounts", "/proc/self/stat", "/proc/self/mem",  "/dev/console",
};

#endif
