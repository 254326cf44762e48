/*
 * proc/procfs.h - /proc: what busybox, glibc and the tests want to read there.
 */
#ifndef HAWSER_PROC_PROCFS_H
#define HAWSER_PROC_PROCFS_H

#include "kernel/base.h"

struct text;
struct place;
struct space;
struct region;
struct synthetic_entries;

/* In the number that files of /proc/PID/task/TID are told: it is a thread's, and not a process's. */
#define PROCFS_TASK (UINT32_C(1) << 31)

/* Register the files about processes, and about the machine. Boot, after fs_init(). */
void procfs_init_processes(void);
void procfs_init_system(void);
void procfs_init_sys(void);
void procfs_init_net(void);
void procfs_init_devices(void);
void procfs_init_cpuinfo(void);

/* Of /proc/PID and /proc/PID/task/TID: numbers. (proc/procfs_stat.c) */
int procfs_generate_stat(struct text *text, uint32_t number);
int procfs_generate_statm(struct text *text, uint32_t number);
int procfs_generate_status(struct text *text, uint32_t number);
int procfs_generate_io(struct text *text, uint32_t number);

/* The address space, and what the program in it was started with. (proc/procfs_space.c) */
int procfs_generate_maps(struct text *text, uint32_t number);
int procfs_generate_cmdline(struct text *text, uint32_t number);
int procfs_generate_environ(struct text *text, uint32_t number);
int procfs_generate_auxv(struct text *text, uint32_t number);

/* Of /proc/PID. (proc/procfs_small.c) */
int procfs_generate_limits(struct text *text, uint32_t pid);
int procfs_generate_mounts(struct text *text, uint32_t pid);
int procfs_generate_mountinfo(struct text *text, uint32_t pid);
int procfs_generate_wchan(struct text *text, uint32_t number);
int procfs_generate_personality(struct text *text, uint32_t pid);
int procfs_generate_loginuid(struct text *text, uint32_t pid);

/* The lines of /proc/PID/status about users and capabilities. (proc/procfs_cred.c) */
void procfs_describe_umask(struct text *text, uint32_t pid); /* not of a zombie */
void procfs_describe_identity(struct text *text, uint32_t pid);
void procfs_describe_capabilities(struct text *text, uint32_t pid);

/*
 * The process's memory, with a reference, or NULL if it has none any more. -ESRCH. And a region of it as a
 * line of /proc/PID/maps; the space's lock is held.
 */
int procfs_get_space(uint32_t pid, struct space **out);
void procfs_print_region(struct text *text, const struct space *space, const struct region *region);

/* Of /proc/PID: memory. (proc/procfs_memory.c) */
int procfs_generate_smaps(struct text *text, uint32_t pid);
int procfs_generate_smaps_rollup(struct text *text, uint32_t pid);
int procfs_generate_oom_score(struct text *text, uint32_t pid);
int procfs_generate_oom_score_adj(struct text *text, uint32_t pid);
int procfs_write_oom_score_adj(uint32_t pid, const char *bytes, size_t length);

/* Of /proc/PID: descriptors, and where the process is. (proc/procfs_fd.c) */
extern const struct synthetic_entries procfs_fd, procfs_fdinfo;
int procfs_generate_cwd(struct text *text, uint32_t pid);
int procfs_follow_cwd(uint32_t pid, uint32_t unused, struct place *out);
int procfs_generate_root(struct text *text, uint32_t pid);
int procfs_follow_root(uint32_t pid, uint32_t unused, struct place *out);

#endif
