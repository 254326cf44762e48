/*
 * kernel/sched.h - threads, the run queue, and waiting.
 *
 * Kernel code runs with interrupts on and is never preempted involuntarily; user code is, at the
 * return from an interrupt. A thread waits in a wait queue; who changes what it waits for wakes
 * it. The pattern is
 *
 *	wait_event(&queue, condition)            cannot be cut short
 *	wait_event_killable(&queue, condition)   0, or -EINTR once the thread is being killed
 *	wait_event_signal(&queue, condition)     0, or -EINTR once a signal is pending
 *	wait_event_timeout(&queue, condition, deadline_ns)  0, -ETIMEDOUT, or -EINTR (killed)
 *
 * where the condition is evaluated without the queue's lock, and waking is
 * `change; waitq_wake_all(&queue)`.
 */
#ifndef HAWSER_KERNEL_SCHED_H
#define HAWSER_KERNEL_SCHED_H

#include "kernel/base.h"
#include "kernel/load.h"
#include "kernel/lock.h"
#include "kernel/x86_64/entry.h"

struct space;
struct process;
struct files;
struct fs_context;
struct limits;
struct cred;
struct trapframe;
struct cpu;

#define KSTACK_SIZE (16 * KIB)

/* Sleeping locks that one thread may hold at a time. */
#define SLEEP_LOCKS_MAX 12

/* What the threads of one process have used together; the CPUs that run them add to it. */
struct cpu_usage {
	_Atomic uint64_t user_ns, system_ns;
	_Atomic uint64_t voluntary, involuntary; /* switches: it slept, or had to give way */
};

/* What read(2), write(2) and their like have moved: /proc/PID/io. */
struct io_counts {
	uint64_t read_bytes, written_bytes, reads, writes;
};

/* How a thread takes its turns (sched(7)); Linux's numbers. */
struct sched_params {
	uint8_t policy; /* SCHED_* */
	int8_t nice;
	uint8_t rt_priority; /* 1 … 99 with SCHED_FIFO and SCHED_RR */
	bool reset_on_fork;
	uint64_t cpus; /* that it may run on, as a mask */
};
#define NICE_MIN        (-20)
#define NICE_MAX        19
#define RT_PRIORITY_MAX 99

enum thread_state { THREAD_NEW, THREAD_RUNNABLE, THREAD_RUNNING, THREAD_SLEEPING, THREAD_DEAD };

struct thread {
	/* Offsets known to kernel/x86_64/switch.S: checked by _Static_assert in kernel/sched.c. */
	vaddr_t kernel_sp; /* saved by the switch while not running */
	vaddr_t stack_top; /* where a trap from user mode begins */

	char name[16]; /* comm, as Linux's TASK_COMM_LEN */
	uint32_t tid;
	enum thread_state state;      /* run queue lock */
	TAILQ_ENTRY(thread) run_link; /* run queue lock */
	struct cpu *cpu;              /* the CPU it runs or last ran on; run queue lock */
	_Atomic bool on_cpu;          /* its context is still live there; see kernel/sched.c */
	struct sched_params sched;    /* run queue lock */
	uint8_t level; /* run queue lock; 0, or the real-time priority that it has now */
	uint8_t lent;  /* run queue lock; the priority of who waits for what it holds, or 0 */
	uint64_t slice_end_ns;
	uint64_t user_ns, system_ns; /* CPU time used, see sched_charge(); the running CPU only */
	uint64_t account_ns;         /* when the present accounting interval began */
	uint64_t urgent_ns; /* CPU time above level 0 since it last slept; the running CPU only */
	uint64_t voluntary, involuntary; /* switches; the running CPU only */
	uint64_t faults, faults_io;      /* page faults: all, those that waited; this thread only */
	struct io_counts io;             /* this thread only */
	bool in_system;                  /* where the last tick found it; the running CPU only */
	struct cpu_usage *group;         /* its process's; NULL in kernel threads */

	bool blocked; /* a program's thread that sleeps for what will come in any case; run queue lock */

	/* Set from any CPU: reasons to leave a sleep early. */
	uint32_t io_flags;           /* RWF_* of the call, preadv2(2); the thread's own */
	_Atomic bool kill_pending;   /* must end; killable sleeps end with -EINTR */
	_Atomic bool signal_pending; /* a signal is to be handled; interruptible sleeps end */
	/*
	 * A call that sleeps for a time and is cut short leaves here until when, and finds it when it is
	 * restarted without a handler in between (sleep_deadline()). 0: none; this thread only.
	 */
	uint64_t restart_deadline_ns;

	vaddr_t stack_base;   /* lowest usable address of the kernel stack */
	vaddr_t window;       /* user_window_open()'s memory, or 0; this thread only */
	size_t window_length; /* ditto */
	uint32_t nofault;     /* >0: user copies fail instead of faulting; this thread only */
	bool starved;         /* a user copy found no memory, and will say so; this thread only */
	uint32_t sleep_locks; /* held mutexes and rwlocks, debug */
	uint32_t rank_mask;   /* ranks of held sleeping locks, debug */
	const void *held[SLEEP_LOCKS_MAX];   /* which, in the order taken, debug */
	uint8_t held_ranks[SLEEP_LOCKS_MAX]; /* debug */

	/* From thread_init(). */
	void (*entry)(void *arg);
	void *arg;
	void (*release)(struct thread *thread);

	/* User state; NULL in kernel threads. Owned by the rooms that know the types. */
	struct trapframe *trapframe; /* registers at the entry from user mode */
	void *fpu;                   /* XSAVE area, fpu_area_size() bytes, 64-aligned */
	uint64_t fs_base, gs_base;   /* user's, while not running */
	bool no_tsc;                 /* RDTSC is an exception; this thread only */
	struct space *space;         /* mm: the address space that it runs in */
	struct process *process;     /* proc */
	struct files *files;         /* fs/file.h: descriptor table */
	struct fs_context *fs;       /* fs/path.h: working directory, umask */
	struct limits *limits;       /* kernel/limits.h */
	struct cred *cred;           /* kernel/cred.h: held; NULL: the kernel's; family lock */
	vaddr_t clear_child_tid;     /* proc: set_tid_address(2) */
	vaddr_t robust_list;         /* proc */
};

/* The thread that is running. Never NULL after sched_init(). */
#ifdef __HAWSER__
static inline struct thread *current_thread(void)
{
	struct thread *thread;

	/* One load: between two, the thread could have moved to another CPU. */
	asm("mov %%gs:%c1, %0" : "=r"(thread) : "i"(CPU_THREAD));
	return thread;
}
#else
struct thread *current_thread(void);
#endif
#define current current_thread()

/* Makes the boot context the first CPU's idle thread. Once, before anything may sleep. */
void sched_init(void);

/* What the boot context does once all is set up: runs threads, and halts while there are none. */
__noreturn void sched_idle(void);

/*
 * Initialises `thread` (all its memory the caller's) to run entry(arg) on the kernel stack
 * [stack_base, stack_base + KSTACK_SIZE), in state NEW. `release` is called, on another stack and
 * outside every lock, when the thread has exited and its stack is no longer in use.
 */
void thread_init(struct thread *thread, const char *name, vaddr_t stack_base,
		 void (*entry)(void *arg), void *arg, void (*release)(struct thread *thread));
void thread_start(struct thread *thread);
__noreturn void thread_exit(void);

/*
 * Waits until every thread that had exited before the call has been released (a census wants its
 * stack back). A thread, no lock held that a `release` takes.
 */
void sched_reap(void);

/* Ends every killable and interruptible sleep of the thread; any context. */
void thread_kill(struct thread *thread);
void thread_signal(struct thread *thread);

void sched_yield(void);
/* sched_yield(2): among threads of one real-time priority, the caller is the last now. */
void sched_end_turn(void);

struct sched_params sched_get_params(struct thread *thread);
void sched_set_params(struct thread *thread, const struct sched_params *params);
/* Of a thread that has not started: as the calling one. */
void sched_inherit(struct thread *child);
/*
 * The thread runs at least on that real-time priority, since one of that priority waits for what it holds;
 * 0: nobody does any more. Any lock of lower rank than RANK_RUNQUEUE.
 */
void sched_lend(struct thread *thread, unsigned level);
/* The real-time priority on which it runs; 0: on none. */
unsigned sched_level(const struct thread *thread);
/* How long it may run while others wait. */
uint64_t sched_slice_ns(const struct sched_params *params);

/*
 * Brings the current thread's user_ns and system_ns, and its group's, up to now. What it has used is
 * exact; which of the two it counts as is sampled by a tick (as Linux does it), which runs only while
 * user threads do.
 */
void sched_charge(void);

/* Called by each tick, in its interrupt: `thread` runs and has been charged. Once, at start. */
void sched_register_tick(void (*tick)(struct thread *thread));

/* True if a runnable thread waits and the current slice is over; asked on return to user mode. */
bool sched_needs_resched(void);

/* True if a thread waits for a processor: who only polls should sleep instead. Any context. */
bool sched_contended(void);

/* Called by a switch, interrupts off, no lock: loads next->space (or keeps the old one). */
void sched_register_switch_space(void (*switch_space)(struct thread *prev, struct thread *next));

/* For /proc/stat, /proc/loadavg and sysinfo(2); until now, but for the present turns of other CPUs. */
struct sched_stats {
	uint64_t switches;
	uint64_t user_ns, nice_ns, system_ns,
		idle_ns;              /* of all CPUs; nice: user time of the nice */
	uint32_t threads;             /* that exist */
	uint32_t runnable;            /* with those that run */
	uint32_t blocked;             /* see struct thread */
	uint64_t load[LOAD_AVERAGES]; /* kernel/load.h */
};
void sched_get_stats(struct sched_stats *out);

/* --- waiting ------------------------------------------------------------------------------ */

struct waiter {
	TAILQ_ENTRY(waiter) link; /* waitq.lock */
	struct thread *thread;
	_Atomic bool queued; /* set and cleared under waitq.lock; clearing it is the wake-up */
};

void waitq_init(struct waitq *queue, const char *name);
#define WAITQ_INIT(queue, lockname)                                \
	{                                                          \
		.lock = SPINLOCK_INIT(lockname, RANK_WAITQ),       \
		.waiters = TAILQ_HEAD_INITIALIZER((queue).waiters) \
	}

/*
 * Any context, any lock of lower rank than RANK_WATCH. Who watches the queue is told by either
 * (kernel/watch.h).
 */
void waitq_wake_one(struct waitq *queue);
void waitq_wake_all(struct waitq *queue);

/* WAIT_STOPPED: killable, and shown as a stop (signal(7)) and no wait. */
enum wait_mode { WAIT_UNINTERRUPTIBLE, WAIT_KILLABLE, WAIT_STOPPED, WAIT_SIGNAL };
#define NO_DEADLINE UINT64_MAX

/*
 * The steps of wait_event: prepare puts the waiter on the queue, or keeps it there; commit sleeps
 * unless a wake-up has taken it off since, and returns 0, -EINTR or -ETIMEDOUT; finish takes it
 * off. Since what is remembered is the waiter and not a state of the thread, the condition may
 * itself sleep.
 */
void waitq_prepare(struct waitq *queue, struct waiter *waiter);
int waitq_commit(struct waiter *waiter, enum wait_mode mode, uint64_t deadline_ns);
void waitq_finish(struct waitq *queue, struct waiter *waiter);

#define wait_event_full(queue, condition, mode, deadline_ns)                          \
	({                                                                            \
		struct waiter we_waiter_ = { 0 };                                     \
		int we_error_ = 0;                                                    \
		for (;;) {                                                            \
			waitq_prepare((queue), &we_waiter_);                          \
			if (condition) {                                              \
				we_error_ = 0;                                        \
				break;                                                \
			}                                                             \
			if (we_error_ != 0)                                           \
				break;                                                \
			we_error_ = waitq_commit(&we_waiter_, (mode), (deadline_ns)); \
		}                                                                     \
		waitq_finish((queue), &we_waiter_);                                   \
		we_error_;                                                            \
	})
#define wait_event(queue, condition) \
	((void)wait_event_full((queue), (condition), WAIT_UNINTERRUPTIBLE, NO_DEADLINE))
#define wait_event_killable(queue, condition) \
	wait_event_full((queue), (condition), WAIT_KILLABLE, NO_DEADLINE)
#define wait_event_signal(queue, condition) \
	wait_event_full((queue), (condition), WAIT_SIGNAL, NO_DEADLINE)
#define wait_event_timeout(queue, condition, deadline_ns) \
	wait_event_full((queue), (condition), WAIT_KILLABLE, (deadline_ns))

/* Sleeps until the monotonic clock reaches deadline_ns; 0, or -EINTR (killed / signalled). */
int sleep_until(uint64_t deadline_ns, enum wait_mode mode);

/*
 * For system calls that sleep for a time: the deadline that is `ns` from now, or that of the call which
 * is being restarted, and which left it by sleep_cut_short() when it returned -EINTR.
 */
uint64_t sleep_deadline(uint64_t ns);
void sleep_cut_short(uint64_t deadline_ns);

#endif
