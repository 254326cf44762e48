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
struct queued_signal;

/* As the kernel's struct sigaction of <asm/signal.h>, with addresses as numbers. */
struct signal_action {
	vaddr_t handler; /* SIG_DFL, SIG_IGN or a function */
	uint64_t flags;
	vaddr_t restorer;
	uint64_t mask;
};

/* CPU time. */
struct process_times {
	uint64_t user_ns, system_ns;
};

struct process {
	_Atomic uint32_t refs;          /* the family's until it is reaped, its thread's */
	uint32_t pid;                   /* for ever; 0 until it is in the family */
	_Atomic uint32_t pgid, sid;     /* family lock to change; read by anyone */
	struct process *parent;         /* family lock; NULL: the first process */
	TAILQ_HEAD(, process) children; /* family lock; zombies, too */
	TAILQ_ENTRY(process) sibling;   /* family lock */
	TAILQ_ENTRY(process) all;       /* family lock */
	LIST_ENTRY(process) by_pid;     /* family lock */
	struct thread *main_thread;     /* family and signal lock; NULL: not begun, or gone */
	bool zombie;     /* has exited, and nobody has asked for its status; family lock */
	bool has_execed; /* family lock */
	int exit_signal; /* to the parent at the end; 0: none; family lock */
	int exit_status; /* as wait(2) encodes it; family lock */
	struct process_times times;          /* its own once it is a zombie; family lock */
	struct process_times children_times; /* of those it has waited for; family lock */
	struct waitq child_events;           /* a child has something to be waited for */

	struct limits limits;
	struct cred *cred;                         /* held: as others see it; family lock */
	struct spinlock signal_lock;               /* RANK_SIGNAL */
	struct signal_action actions[NSIG_KERNEL]; /* signal_lock */
	uint64_t signal_mask;                     /* signal_lock; bit n - 1 for signal n: blocked */
	uint64_t signal_pending;                  /* signal_lock; posted and not delivered */
	TAILQ_HEAD(, queued_signal) signal_queue; /* signal_lock; what is known about those */
	uint64_t
		signal_awaited; /* signal_lock; sigtimedwait(2) takes these though they are blocked */
	uint64_t signal_saved_mask; /* signal_lock; to be restored at the next return, if: */
	bool signal_restores_mask;  /* signal_lock */
	int kill_signal;            /* signal_lock; what ends it, 0 while it lives */
	bool stopped;               /* signal_lock */
	int stop_report;        /* signal_lock; stopped by that, and wait(2) has not told; or 0 */
	bool continue_report;   /* signal_lock; continued, and wait(2) has not told */
	struct waitq stop_wait; /* while stopped */
	struct alternate_stack {
		vaddr_t base;
		size_t size; /* 0: none */
	} alternate_stack;   /* sigaltstack(2); its thread only */

	struct mutex exec_lock;     /* RANK_FAMILY: one exec at a time */
	struct version *exe;        /* held, denied to writers; family lock */
	struct file_name *exe_name; /* held; family lock */
	char command[16];           /* comm; family lock */
	uint64_t start_ns;

	/* Of a child that is being made, until its thread runs. */
	struct trapframe *registers;   /* to begin with; kalloc()ed, its thread's */
	vaddr_t set_child_tid;         /* CLONE_CHILD_SETTID: where to; 0: nowhere */
	_Atomic bool parent_may_go_on; /* CLONE_VFORK: it has its own memory, or none any more */
	struct waitq vfork_parent;     /* waits for that */
};

/*
 * The process tree, and every space that a thread runs in: who wants another process's space takes it
 * from its main_thread under this lock. RANK_FAMILY.
 */
extern struct mutex family_lock;

static inline struct process *current_process(void)
{
	return current->process;
}

void process_get(struct process *process);
void process_put(struct process *process); /* any context that may free memory */

/* --- the family: family lock held where nothing else is said (proc/family.c) ------------------- */

/* Gives it a number that no process, group or session has, and a place. -EAGAIN: RLIMIT_NPROC. */
int family_add(struct process *process, struct process *parent);
/* The process with that number, zombies included, or NULL. */
struct process *family_find(uint32_t pid);
/* One after the other in the order of their birth; NULL begins, NULL ends. */
struct process *family_next(struct process *process);
/* True if a living process of the session is in the group. */
bool family_has_group(uint32_t pgid, uint32_t sid);
/* Its children become the first process's. */
void family_orphan_children(struct process *process);
/*
 * Takes a zombie out, its times going to its parent. The caller drops the family's reference when it
 * holds no lock.
 */
void family_remove(struct process *zombie);
/*
 * A child has something to be waited for: its parent gets SIGCHLD (or what the child was made with), with
 * `code` (CLD_*) and `status`, if it wants it, and looks.
 */
void family_tell_parent(struct process *child, int code, int status);

/* The same, of its end; exit_status is set. */
void family_tell_of_end(struct process *zombie);

/* The family's lock and first process; by process_init(). */
void family_init(void);
extern struct process *first_process; /* set once, before its thread runs */

/* --- --------------------------------------------------------------------------------------------- */

/* An empty process with one reference, in no family; NULL without memory. */
struct process *process_alloc(void);
/*
 * Gives it a thread that will run `entry`, with a kernel stack and an FPU area and a reference to the
 * process. Until it is started, process_discard_thread() undoes it. NULL without memory.
 */
struct thread *process_create_thread(struct process *process, void (*entry)(void *arg), void *arg);
void process_discard_thread(struct thread *thread);

/* Memory for a thread's FPU registers, in their initial state; NULL without memory. */
void *fpu_area_alloc(void);
void fpu_area_free(void *area);

/* What it runs is let go of. May sleep. */
void process_drop_image(struct process *process);
/* Handled signals return to their default, as exec wants it; ignored ones stay ignored. */
void process_forget_handlers(struct process *process);

/* The parent that waits in vfork(2) may go on: this process does not use its memory any more. */
void process_release_parent(struct process *process);

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
 * A signal of the kernel's own, to the whole process; any context. The first process is no exception:
 * it is what the machine is for, and what would end another ends it.
 */
void process_post_signal(struct process *process, int signal);

/* As process_post_signal(), to every process of a group. Takes the family lock. */
void process_signal_group(uint32_t group, int signal);

/* Nothing is pending any more: it is being freed. */
void process_forget_signals(struct process *process);

/* The trap hooks: a user's mistake, and the way back to user mode. */
void process_user_exception(struct trapframe *tf, int signal, int code, vaddr_t address);
void process_user_return(struct trapframe *tf);

/* futex(2)'s queues; by process_init(). */
void futex_init(void);
/* FUTEX_WAKE of one waiter, at an address of the current space. */
void futex_wake_one(vaddr_t address);

/* "SIGSEGV"; "signal 40" has no name: NULL. */
const char *signal_name(int signal);

#endif
