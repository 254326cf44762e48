/*
 * proc/process.h - processes: what a thread group shares, and who is whose child.
 */
#ifndef HAWSER_PROC_PROCESS_H
#define HAWSER_PROC_PROCESS_H

#include "fs/path.h"
#include "kernel/base.h"
#include "kernel/limits.h"
#include "kernel/lock.h"
#include "kernel/sched.h"
#include "proc/timers.h"
#include <bsd/sys/queue.h>
#include <linux/signal.h>

#define NSIG_KERNEL 64
/* Numbers are below this: Linux's default for pid_max. */
#define PID_MAX 32768

struct version;
struct file_name;
struct trapframe;
struct user;
struct futex_waiter;

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

/* What else getrusage(2) tells of, of a process or of several. */
struct process_counts {
	uint64_t voluntary, involuntary; /* switches */
	uint64_t faults, faults_io;      /* all; those that waited for a file */
	uint64_t peak_resident;          /* in pages; of several, the largest */
	struct io_counts io;
};

struct queued_signal {
	TAILQ_ENTRY(queued_signal) link;
	struct user *user; /* for whom it is counted */
	siginfo_t info;
};

/* Signals that have been posted and not delivered. Under the signal lock of the process. */
struct pending_signals {
	uint64_t set;                      /* bit n - 1 for signal n */
	TAILQ_HEAD(, queued_signal) queue; /* what is known about those */
	struct queued_signal first;        /* for one of them, which needs no memory then */
	bool first_used;
};

/* What is to be done about each signal. CLONE_SIGHAND: of several processes at once. */
struct handlers {
	_Atomic uint32_t refs;
	struct spinlock lock;                      /* RANK_HANDLERS */
	struct signal_action actions[NSIG_KERNEL]; /* lock; their handlers are read without */
};

/* One thread of a process; the process's signal lock is meant by "signal lock". */
struct task {
	struct thread
		thread; /* the kernel's part; thread.process is its process, with a reference */
	TAILQ_ENTRY(task) sibling; /* family and signal lock to change, either to read */
	LIST_ENTRY(task) by_tid;   /* family lock */

	uint64_t signal_mask;           /* signal lock; bit n - 1 for signal n: blocked */
	struct pending_signals pending; /* signal lock; meant for this thread */
	uint64_t awaited;    /* signal lock; sigtimedwait(2) takes these though they are blocked */
	uint64_t saved_mask; /* signal lock; to be restored at the next return, if: */
	bool restores_mask;  /* signal lock */
	bool stop_taken; /* signal lock; it is about to stop the process, unless SIGCONT comes */
	bool stopped;    /* signal lock */
	struct alternate_stack {
		vaddr_t base;
		size_t size; /* 0: none */
		int flags;   /* SS_AUTODISARM */
	} alternate_stack;   /* sigaltstack(2); this thread only */

	uint64_t start_ns;
	bool in_procfs; /* it has had a directory in /proc/PID/task; family lock */
	int death_signal; /* PR_SET_PDEATHSIG: when the thread that has made its process ends; family lock */

	/* prctl(2); this thread only. */
	uint64_t timer_slack_ns, default_slack_ns;
	uint8_t memory_error_policy; /* PR_MCE_KILL_* */
	bool flushes_disks;
	uint16_t io_priority; /* ioprio_set(2); family lock; 0: goes by nice */

	/* Until it runs. */
	struct trapframe *registers; /* to begin with; kalloc()ed, its own */
	vaddr_t set_child_tid;       /* CLONE_CHILD_SETTID: where to; 0: nowhere */

	/* Priority inheritance; proc/inherit.c's lock. */
	LIST_HEAD(, futex_waiter) lenders; /* who waits for a lock that it holds */
	struct futex_waiter *waits;        /* for what it waits itself; or NULL */

	/* CLONE_VFORK: who waits for whom to be done with the memory. Family lock to change. */
	struct task *vfork_parent;
	struct task *_Atomic vfork_child;
	struct waitq vfork_wait; /* for vfork_child to become NULL */
};

struct process {
	_Atomic uint32_t refs;          /* the family's until it is reaped, its threads' */
	uint32_t pid;                   /* for ever; 0 until it is in the family */
	_Atomic uint32_t pgid, sid;     /* family lock to change; read by anyone */
	struct process *parent;         /* family lock; NULL: the first process */
	_Atomic uint32_t parent_pid;    /* its number, for who has no lock; 0: the first process */
	_Atomic bool has_no_terminal;   /* TIOCNOTTY: its session's is not its own */
	uint32_t parent_tid;            /* which of the parent's threads made it; family lock */
	TAILQ_HEAD(, process) children; /* family lock; zombies, too */
	TAILQ_ENTRY(process) sibling;   /* family lock */
	TAILQ_ENTRY(process) all;       /* family lock */
	LIST_ENTRY(process) by_pid;     /* family lock */
	TAILQ_HEAD(task_list, task) tasks; /* family and signal lock to change, either to read */
	_Atomic uint32_t task_count;       /* in `tasks`; read by anyone */
	bool zombie;       /* has exited, and nobody has asked for its status; family lock */
	bool has_execed;   /* family lock */
	bool is_subreaper; /* PR_SET_CHILD_SUBREAPER: its descendants' orphans are its; family lock */
	int exit_signal;   /* to the parent at the end; 0: none; family lock */
	int exit_status;   /* as wait(2) encodes it; family lock */
	struct process_times times;          /* of the threads that have ended; family lock */
	struct process_times children_times; /* of those it has waited for; family lock */
	struct process_counts counts, children_counts; /* alike, but for `usage`; family lock */
	struct cpu_usage usage;                        /* of all its threads, so far */
	struct process_timers timers;
	LIST_HEAD(, sem_undo) undos; /* SEM_UNDO; proc/sem.c's lock */
	struct waitq child_events;   /* a child has something to be waited for */
	struct waitq ended;          /* it is a zombie, or has been waited for: pidfds */

	struct process_attributes { /* prctl(2), personality(2); single words, whoever writes last */
		uint32_t personality;
		bool dumpable;
	} attributes;

	struct limits limits;
	struct cred *cred;                     /* held: as others see it; family lock */
	struct spinlock signal_lock;           /* RANK_SIGNAL */
	struct user *user;                     /* signal_lock; for whom its signals are counted */
	struct handlers *handlers;             /* signal_lock; held */
	struct pending_signals shared_pending; /* signal_lock; for any of its threads */
	bool ending;                           /* signal_lock; all of its threads have to end: */
	int end_status;                        /* signal_lock; with that, as wait(2) encodes it */
	bool execing;                          /* signal_lock; all but one have to end, for exec */
	struct waitq alone;                    /* that one waits for the others */
	int stop_signal;        /* signal_lock; its threads stop for that, or have; 0: they run */
	bool stopped;           /* signal_lock; all of them have */
	bool tells_continued;   /* signal_lock; the first of them to go on tells the parent */
	int stop_report;        /* signal_lock; stopped by that, and wait(2) has not told; or 0 */
	bool continue_report;   /* signal_lock; continued, and wait(2) has not told */
	struct waitq stop_wait; /* while stopped */

	struct mutex exec_lock;         /* RANK_FAMILY: one exec at a time */
	struct version *exe;            /* held, denied to writers; family lock */
	struct file_name *exe_name;     /* held; family lock */
	struct program_owner exe_owner; /* family lock */
	char command[16];               /* comm of its leader; family lock */
	uint64_t start_ns;
	_Atomic int oom_score_adj; /* proc(5); a child begins with its parent's */
};

/*
 * The process tree, and every space that a thread runs in: who wants another process's space takes it
 * from one of its threads under this lock (process_space()). RANK_FAMILY.
 */
extern struct mutex family_lock;

static inline struct process *current_process(void)
{
	return current->process;
}

/* Of a thread that runs programs: kernel threads have no task. */
static inline struct task *current_task(void)
{
	return container_of(current, struct task, thread);
}

void process_get(struct process *process);
void process_put(struct process *process); /* any context that may free memory */

/* --- the family: family lock held where nothing else is said (proc/family.c) ------------------- */

/*
 * A process that is alone, with one thread, becomes a member: both get a number that no process, thread,
 * group or session has. -EAGAIN: RLIMIT_NPROC, or there is none.
 */
int family_add(struct process *process, struct task *task, struct process *parent);
/* The same for another thread of a member. */
int family_add_task(struct task *task);
/* The thread's number is not its own any more: nor is its directory in /proc. */
void family_forget_directory(struct task *task);
/* The thread leaves its process; the last one if that has none then. Signal lock held, too. */
void family_remove_task(struct task *task);
/* The one thread that a process has takes its number over. */
void family_make_leader(struct task *task);
/* The process with that number, zombies included, or NULL. */
struct process *family_find(uint32_t pid);
/* The thread with that number, or NULL. */
struct task *family_find_task(uint32_t tid);
/* One after the other in the order of their birth; NULL begins, NULL ends. */
struct process *family_next(struct process *process);
/* The number given out last, and how many processes and threads there have been. */
struct family_stats {
	uint32_t last_pid;
	uint64_t forks;
};
struct family_stats family_stats(void);
/* True if a living process of the session is in the group. */
bool family_has_group(uint32_t pgid, uint32_t sid);
/* Its children become those of the nearest subreaper above, or else of the first process. */
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

/* The same, of its end; exit_status is set. If the parent does not want to know, nothing is left of it. */
void family_tell_of_end(struct process *zombie);

/* The family's lock and first process; by process_init(). */
void family_init(void);
extern struct process *first_process; /* set once, before its thread runs */

/* --- --------------------------------------------------------------------------------------------- */

/* An empty process with one reference, in no family, without handlers; NULL without memory. */
struct process *process_alloc(void);
/*
 * A thread for it that will run `entry`, with a kernel stack and an FPU area and a reference to the
 * process, in no list yet. Until it is started, task_discard() undoes it. NULL without memory.
 */
struct task *task_create(struct process *process, void (*entry)(void *arg), void *arg);
void task_discard(struct task *task);

/* CPU time of the process so far, of all its threads. Family lock held. */
struct process_times process_cpu_times(const struct process *process);
/* The same of what else it has used. Family lock held. */
struct process_counts process_counts(const struct process *process);
/* What several have used together. */
void process_add_times(struct process_times *to, const struct process_times *from);
void process_add_counts(struct process_counts *to, const struct process_counts *from);
void process_add_io(struct io_counts *to, const struct io_counts *from);
/* The calling thread is about to leave its space: how much was resident at most. Family lock held. */
void process_note_peak(void);
/* The memory that the process runs in, with a reference; NULL: it has none any more. Family lock held. */
struct space *process_space(const struct process *process);
/* Its descriptors and working directory, as its oldest thread has them; without a reference, else alike. */
struct files *process_files(const struct process *process);
struct fs_context *process_fs(const struct process *process);

/* All of its threads have to end, the process with `status` (wait(2)'s). Signal lock held. */
void process_end(struct process *process, int status);
/*
 * All threads but the calling one end, for exec or a core file. 0, or -EINTR: it has itself to end, because
 * another was first. Sleeps until they are gone, killably.
 */
int process_end_siblings(void);
/* exec: the only thread takes the number of the process, and holds no lock of the old program's any more. */
void task_take_lead(void);

/* Memory for a thread's FPU registers, in their initial state; NULL without memory. */
void *fpu_area_alloc(void);
void fpu_area_free(void *area);

/* What it runs is let go of. May sleep. */
void process_drop_image(struct process *process);

struct handlers *handlers_create(void); /* all default; NULL: no memory */
struct handlers *handlers_copy(struct handlers *from);
void handlers_get(struct handlers *handlers);
void handlers_put(struct handlers *handlers);
/* Handled signals return to their default, as exec wants it; ignored ones stay ignored. */
void handlers_reset(struct handlers *handlers);

/* The parent that waits in vfork(2) may go on: the calling thread does not use its memory any more. */
void task_release_parent(void);

/* Registers with traps, the file system and the terminal. Once, before the first process. */
void process_init(void);

/*
 * Makes process 1 with a fresh descriptor table, and starts its thread in `entry`, which opens
 * /dev/console as 0, 1 and 2 and ends in loader's exec. Once. NULL without memory.
 */
struct process *process_create_first(void (*entry)(void *arg), void *arg);

/*
 * exec's commit, on the calling process, which has one thread: it runs `exe` now, known as `name` and `owner`'s,
 * with comm `command`.
 * Takes over both references (and the denial of writes) and drops the old ones; handled signals
 * return to their default, in `handlers` if that is not NULL (a copy, taken over; the old were shared);
 * the thread's addresses in the old space are forgotten. May sleep.
 */
void process_new_image(struct version *exe, struct file_name *name,
		       const struct program_owner *owner, const char *command,
		       struct handlers *handlers);
/* A copy of the calling process's handlers for exec, if it shares them. -ENOMEM. */
int process_unshare_handlers(struct handlers **out);

#define TIMER_SLACK_DEFAULT_NS (50 * NSEC_PER_USEC)
/* A new thread, perhaps of a new process, has them as the calling one. */
void process_inherit_attributes(struct task *child);
/*
 * exec: some go back to what they are at first. `readable`: the caller may read the program; `secure`: it may do
 * more than the caller. Family lock held.
 */
void process_exec_attributes(bool readable, bool secure);

/* exit_group(2): ends the calling process with a wait(2) status. */
__noreturn void process_exit(int status);
/* exit(2): ends the calling thread; with the last one, the process. */
__noreturn void task_exit(int status);

/* The wait(2) status of a process that called exit(code), or that a signal ended. */
#define PROCESS_EXITED(code)   (((code)&0xff) << 8)
#define PROCESS_KILLED(signal) ((signal)&0x7f)
#define PROCESS_DUMPED         0x80 /* with that: there is a core file */

/*
 * A signal of the kernel's own, to the whole process; any context. The first process is no exception:
 * it is what the machine is for, and what would end another ends it.
 */
void process_post_signal(struct process *process, int signal);

/* As process_post_signal(), to every process of a group. Takes the family lock. */
void process_signal_group(uint32_t group, int signal);

/* Nothing is pending any more: its owner is being freed. */
void signal_forget_all(struct pending_signals *pending);
void signal_init_pending(struct pending_signals *pending);

/* The trap hooks: a user's mistake, and the way back to user mode. */
void process_user_exception(struct trapframe *tf, int signal, int code, vaddr_t address);
void process_user_return(struct trapframe *tf);

/* futex(2)'s queues; by process_init(). */
void futex_init(void);
/* FUTEX_WAKE of one waiter, at an address of the current space. */
void futex_wake_one(vaddr_t address);
/* The thread's own priority is another now: so may be what it lends. */
void inherit_changed(struct task *task);
/* The calling thread ends or execs, and had that number: who waits for a lock of its looks again. */
void futex_owner_ended(uint32_t tid);
/*
 * The calling thread is about to leave its memory: the words that it has named there say so, and who waits
 * for them is woken (proc/robust.c).
 */
void task_leave_memory(void);

/*
 * Memory has been unmapped: shared segments that were removed while they were attached, and are not any more,
 * are freed. No lock held; may sleep. (proc/shm.c)
 */
void shm_sweep(void);

/* "SIGSEGV"; "signal 40" has no name: NULL. */
const char *signal_name(int signal);

#endif
