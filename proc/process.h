/*
 * proc/process.h - processes: what a thread group shares, and who is whose child.
 */
#ifndef HAWSER_PROC_PROCESS_H
#define HAWSER_PROC_PROCESS_H

#include "kernel/base.h"
#include "kernel/limits.h"
#include "kernel/lock.h"
#include "kernel/sched.h"
#include <bsd/sys/queue.h>

#define NSIG_KERNEL 64

struct version;
struct file_name;
struct trapframe;

/* As the kernel's struct sigaction of <asm/signal.h>, with addresses as numbers. */
struct signal_action {
	vaddr_t handler; /* SIG_DFL, SIG_IGN or a function */
	uint64_t flags;
	vaddr_t restorer;
	uint64_t mask;
};

struct process {
	_Atomic uint32_t refs;
	uint32_t pid;                   /* for ever */
	_Atomic uint32_t pgid, sid;     /* family lock to change; read by anyone */
	struct process *parent;         /* family lock */
	TAILQ_HEAD(, process) children; /* family lock */
	TAILQ_ENTRY(process) sibling;   /* family lock */
	TAILQ_ENTRY(process) all;       /* family lock */
	struct thread *main_thread;     /* family and signal lock; NULL once it has gone */
	bool exiting;                   /* family lock */
	int exit_status;                /* as wait(2) encodes it; family lock */

	struct limits limits;
	struct spinlock signal_lock;               /* RANK_SIGNAL */
	struct signal_action actions[NSIG_KERNEL]; /* signal_lock */
	uint64_t signal_mask;    /* signal_lock; bit n - 1 for signal n: blocked */
	uint64_t signal_pending; /* signal_lock; posted while blocked */
	int kill_signal;         /* signal_lock; what ends it, 0 while it lives */

	struct mutex exec_lock;     /* RANK_FAMILY: one exec at a time */
	struct version *exe;        /* held, denied to writers; family lock */
	struct file_name *exe_name; /* held; family lock */
	char command[16];           /* comm; family lock */
	uint64_t start_ns;
};

extern struct mutex family_lock; /* RANK_FAMILY */

static inline struct process *current_process(void)
{
	return current->process;
}

/* Registers with traps, the file system and the terminal. Once, before the first process. */
void process_init(void);

/*
 * Makes process 1 with a fresh descriptor table, and starts its thread in `entry`, which opens
 * /dev/console as 0, 1 and 2 and ends in loader's exec. Once. NULL without memory.
 */
struct process *process_create_first(void (*entry)(void *arg), void *arg);

/*
 * exec's commit, on the calling process: it runs `exe` now, known as `name`, with comm `command`.
 * Takes over both references (and the denial of writes) and drops the old ones; handled signals
 * return to their default; the thread's addresses in the old space are forgotten. May sleep.
 */
void process_new_image(struct version *exe, struct file_name *name, const char *command);

/* exit_group(2): ends the calling process with a wait(2) status. */
__noreturn void process_exit(int status);

/* The wait(2) status of a process that called exit(code), or that a signal ended. */
#define PROCESS_EXITED(code)   (((code)&0xff) << 8)
#define PROCESS_KILLED(signal) ((signal)&0x7f)

/*
 * A signal, to the whole process. Handlers are not run yet: a signal that has one only ends
 * interruptible sleeps; an ignored one is dropped; otherwise the default action is taken, of which
 * stopping is not there yet. The first process is no exception: it is what the machine is for. Any
 * context.
 */
void process_post_signal(struct process *process, int signal);

/* The trap hooks: a user's mistake, and the way back to user mode. */
void process_user_exception(struct trapframe *tf, int signal, int code, vaddr_t address);
void process_user_return(struct trapframe *tf);

/* futex(2)'s queues; by process_init(). */
void futex_init(void);

/* "SIGSEGV"; "signal 40" has no name: NULL. */
const char *signal_name(int signal);

#endif
