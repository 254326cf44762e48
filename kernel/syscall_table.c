/*
 * kernel/syscall_table.c - every system call, by number: who answers it, and what it is called.
 *
 * One of the two files that see every room (the other is kernel/main.c). The names of all calls that
 * Linux has come from <asm/unistd_64.h> (tools/mksyscalls), so that one which nobody answers can be
 * logged by its name; the list below says which are answered, in the room where they are found.
 */
#include "kernel/syscall.h"

#include <asm/unistd_64.h>

/* clang-format off */
#define ROOM_LOADER(call)                                                                          \
	/* execve.c */ call(execve) call(execveat)

#define ROOM_PROC(call)                                                                            \
	/* capabilities.c */ call(capget) call(capset)                                             \
	/* clocks.c */ call(clock_gettime) call(clock_getres) call(clock_settime)                  \
	    call(gettimeofday) call(settimeofday) call(time) call(adjtimex) call(clock_adjtime)    \
	/* clone.c */ call(fork) call(vfork) call(clone) call(clone3)                              \
	/* credentials.c */ call(getuid) call(geteuid) call(getgid) call(getegid)                  \
	    call(getresuid) call(getresgid) call(getgroups) call(setuid) call(setgid)              \
	    call(setreuid) call(setregid) call(setresuid) call(setresgid) call(setfsuid)           \
	    call(setfsgid) call(setgroups)                                                         \
	/* exit.c */ call(exit) call(exit_group)                                                   \
	/* futex.c */ call(futex)                                                                  \
	/* futex_waitv.c */ call(futex_waitv)                                                      \
	/* hostname.c */ call(sethostname) call(setdomainname)                                     \
	/* identity.c */ call(getpid) call(gettid) call(getppid) call(getpgid) call(getpgrp)       \
	    call(getsid) call(setsid) call(setpgid)                                                \
	/* itimers.c */ call(getitimer) call(setitimer) call(alarm)                                \
	/* kcmp.c */ call(kcmp)                                                                    \
	/* posix_timers.c */ call(timer_create) call(timer_settime) call(timer_gettime)            \
	    call(timer_getoverrun) call(timer_delete)                                              \
	/* process_vm.c */ call(process_vm_readv) call(process_vm_writev)                         \
	/* robust.c */ call(set_tid_address) call(set_robust_list) call(get_robust_list)           \
	/* msg.c */ call(msgget) call(msgsnd) call(msgrcv) call(msgctl)                            \
	/* pidfd.c */ call(pidfd_open) call(pidfd_send_signal) call(pidfd_getfd)                  \
	/* rlimit.c */ call(prlimit64) call(getrlimit) call(setrlimit)                             \
	/* sem.c */ call(semget) call(semop) call(semtimedop) call(semctl)                         \
	/* shm.c */ call(shmget) call(shmat) call(shmdt) call(shmctl)                              \
	/* signal_calls.c */ call(rt_sigaction) call(rt_sigprocmask) call(rt_sigpending)           \
	    call(sigaltstack) call(pause) call(rt_sigsuspend) call(rt_sigtimedwait)                \
	    call(kill) call(tkill) call(tgkill) call(rt_sigqueueinfo)                              \
	    call(rt_tgsigqueueinfo)                                                            \
	/* signalfd.c */ call(signalfd) call(signalfd4)                                            \
	/* signal_frame.c */ call(rt_sigreturn)                                                    \
	/* system.c */ call(uname) call(sysinfo) call(reboot)                         \
	/* syslog.c */ call(syslog)                                                               \
	/* attributes.c */ call(personality)                                                       \
	/* sched_calls.c */ call(sched_setscheduler) call(sched_setparam) call(sched_getscheduler) \
	    call(sched_getparam) call(sched_get_priority_max) call(sched_get_priority_min)         \
	    call(sched_rr_get_interval) call(sched_setattr) call(sched_getattr)                    \
	    call(sched_setaffinity) call(sched_getaffinity) call(getpriority) call(setpriority)    \
	    call(ioprio_get) call(ioprio_set)                                                      \
	/* prctl.c */ call(prctl)                                                                  \
	/* thread.c */ call(arch_prctl) call(rseq) call(sched_yield)                               \
	    call(getcpu)                                                                           \
	/* time.c */ call(nanosleep) call(clock_nanosleep) call(times) call(getrusage)             \
	/* wait.c */ call(wait4) call(waitid)

#define ROOM_FS(call)                                                                              \
	/* allocate.c */ call(fallocate) call(memfd_create)                                       \
	/* attributes.c */ call(chmod) call(fchmod) call(fchmodat) call(chown)                     \
	    call(lchown) call(fchown) call(fchownat) call(truncate) call(readlink)                 \
	    call(readlinkat) call(umask)                                                           \
	/* dev.c */ call(getrandom)                                                                \
	/* directory.c */ call(getdents64) call(getdents)                                        \
	/* epoll.c */ call(epoll_create) call(epoll_create1) call(epoll_ctl) call(epoll_wait)       \
	    call(epoll_pwait) call(epoll_pwait2)                                                   \
	/* eventfd.c */ call(eventfd) call(eventfd2)                                               \
	/* fcntl.c */ call(close) call(dup) call(dup2) call(dup3) call(fcntl)                      \
	    call(close_range)                                                                      \
	/* inotify.c */ call(inotify_init) call(inotify_init1) call(inotify_add_watch)             \
	    call(inotify_rm_watch)                                                                 \
	/* io.c */ call(read) call(write) call(pread64) call(pwrite64) call(readv)                 \
	    call(writev) call(preadv) call(pwritev) call(preadv2) call(pwritev2)                  \
	    call(lseek) call(ftruncate) call(ioctl)                                                \
	/* locks.c */ call(flock)                                                                 \
	/* mmap.c */ call(mmap)                                                                    \
	/* mount_calls.c */ call(mount) call(umount2) call(pivot_root)                                                    \
	/* names.c */ call(mkdir) call(mkdirat) call(symlink) call(symlinkat) call(unlink)         \
	    call(rmdir) call(unlinkat) call(link) call(linkat) call(mknod) call(mknodat)           \
	/* open.c */ call(open) call(openat) call(openat2) call(creat)                             \
	/* pipe_open.c */ call(pipe) call(pipe2)                                                   \
	/* place.c */ call(chdir) call(fchdir) call(chroot) call(getcwd)                           \
	/* poll.c */ call(poll) call(ppoll) call(select) call(pselect6)                            \
	/* rename.c */ call(rename) call(renameat) call(renameat2)                                 \
	/* socket.c */ call(socket) call(socketpair) call(bind) call(connect) call(listen)         \
	    call(accept) call(accept4) call(getsockname) call(getpeername) call(shutdown)          \
	    call(setsockopt) call(getsockopt)                                                      \
	/* socket_message.c */ call(sendto) call(sendmsg) call(sendmmsg) call(recvfrom)            \
	    call(recvmsg) call(recvmmsg)                                                           \
	/* splice.c */ call(sendfile) call(splice) call(tee) call(vmsplice)                        \
	    call(copy_file_range)                                                                  \
	/* stat.c */ call(stat) call(lstat) call(fstat) call(newfstatat) call(statx)               \
	    call(access) call(faccessat) call(faccessat2) call(statfs) call(fstatfs)               \
	/* sync.c */ call(sync) call(syncfs) call(fsync) call(fdatasync) call(sync_file_range)     \
	    call(fadvise64) call(readahead)                                        \
	/* timerfd.c */ call(timerfd_create) call(timerfd_settime) call(timerfd_gettime)         \
	/* tty_ioctl.c */ call(vhangup)                                                           \
	/* times.c */ call(utimensat) call(futimesat) call(utimes) call(utime) \
	/* xattr.c */ call(getxattr) call(lgetxattr) call(fgetxattr) \
	    call(listxattr) call(llistxattr) call(flistxattr) \
	    call(setxattr) call(lsetxattr) call(fsetxattr) \
	    call(removexattr) call(lremovexattr) call(fremovexattr)

#define ROOM_MM(call)                                                                              \
	/* membarrier.c */ call(membarrier)                                                        \
	/* syscalls.c */ call(munmap) call(brk) call(mprotect) call(madvise) call(mremap)          \
	    call(mlock) call(mlock2) call(munlock) call(mlockall) call(munlockall)                 \
	    call(mincore) call(msync) call(pkey_mprotect) call(pkey_alloc) call(pkey_free)
/* clang-format on */

#define EVERY_CALL(call) ROOM_LOADER(call) ROOM_PROC(call) ROOM_FS(call) ROOM_MM(call)

#define DECLARE(name)    extern syscall_fn sys_##name;
EVERY_CALL(DECLARE)

/* First the names of all, then once more, in their place, those that are answered. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define SYSCALL_NAME(number, text) [number] = { .fn = NULL, .name = #text },
#define ANSWERED(call)             [__NR_##call] = { .fn = sys_##call, .name = #call },
const struct syscall syscall_table[] = {
#include "syscall_names.h"
	EVERY_CALL(ANSWERED)
};
const unsigned syscall_count = ARRAY_SIZE(syscall_table);
