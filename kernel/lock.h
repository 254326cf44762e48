/*
 * kernel/lock.h - spinlocks, mutexes, rwlocks, and the order in which they are taken.
 *
 * Every lock has a rank. A lock may be taken only while every lock that the CPU (spinlocks) or
 * the thread (sleeping locks) holds has a lower rank; two of one rank only where the lower
 * address is taken first. Debug builds (`make DEBUG=1`, which the guest tests run on too) assert it,
 * and that nothing sleeps while a spinlock is held.
 */
#ifndef HAWSER_KERNEL_LOCK_H
#define HAWSER_KERNEL_LOCK_H

#include "kernel/base.h"
#include <bsd/sys/queue.h>

struct thread;

enum lock_rank {
	/* Sleeping locks. */
	RANK_FAMILY = 1, /* the process tree */
	RANK_FILES,      /* a descriptor table */
	RANK_OFFSET,     /* an open file's offset */
	RANK_WRITE,      /* a file's content, among those who write it */
	RANK_EPOLL,
	RANK_IPC,    /* System V shared memory, semaphores, message queues */
	RANK_INODE,  /* a directory or file of the root */
	RANK_SPACE,  /* an address space */
	RANK_OBJECT, /* a memory object */
	RANK_NET,    /* lwIP */
	RANK_STREAM, /* a pipe, tty or socket */
	RANK_SLEEP_MAX = RANK_STREAM,
	/* Spinlocks. */
	RANK_ALARM, /* alarms and timers of processes: outside what wakes and what signals */
	RANK_FUTEX,
	RANK_INHERIT, /* who waits for what whom holds: priority inheritance */
	RANK_SIGNAL,
	RANK_HANDLERS, /* what a process does about signals */
	RANK_DEVICE,   /* a driver's rings */
	RANK_WATCH,    /* who watches which wait queue; epoll's ready lists */
	RANK_WAITQ,
	RANK_PMAP,
	RANK_LARGE, /* whether blocks of frames that large pages share are whole */
	RANK_KMAP,  /* the kernel's own page tables */
	RANK_TIMER,
	RANK_IRQ, /* who handles which interrupt */
	RANK_RUNQUEUE,
	RANK_REAPER,
	RANK_SLAB,
	RANK_FRAMES,
	RANK_RANDOM,
	RANK_LOG,
	RANK_CONSOLE, /* a console's transmitter: log lines are printed under RANK_LOG */
	RANK_COUNT
};

/*
 * Spinlock. Interrupts are off on this CPU from the first spin_lock() to the matching last
 * spin_unlock(); nesting is counted per CPU, so there are no flags to carry.
 */
struct spinlock {
	_Atomic uint32_t word; /* 0 free, otherwise the holder's CPU number + 1 */
	enum lock_rank rank;
	const char *name;
};
#define SPINLOCK_INIT(lockname, lockrank)                         \
	{                                                         \
		.word = 0, .rank = (lockrank), .name = (lockname) \
	}
void spin_init(struct spinlock *lock, const char *name, enum lock_rank rank);
void spin_lock(struct spinlock *lock);
void spin_unlock(struct spinlock *lock);
bool spin_held(const struct spinlock *lock); /* by this CPU */

/* Asserts, in debug builds, that a lock is held: assert_locked(spin_held(&queue->lock)). */
#if defined(__HAWSER__) && !defined(DEBUG_LOCKS)
#define assert_locked(held) ((void)0)
#else
#define assert_locked(held) assert(held)
#endif

/* Interrupts off and back on by count, without a lock (per-CPU data). */
void irq_push_off(void);
void irq_pop_off(void);

/* Threads that wait for a lock or an event; struct waiter lives on the waiter's stack. */
struct waiter;
struct watch;
struct waitq {
	struct spinlock lock;
	TAILQ_HEAD(waiter_list, waiter) waiters; /* lock */
	LIST_HEAD(, watch) watches;              /* watch_lock and lock to change; kernel/watch.h */
};

/* Mutex: sleeps; not recursive; unlocked by the thread that locked it; hands over in order. */
struct mutex {
	struct thread *_Atomic owner;
	struct waitq waiters;
	enum lock_rank rank;
	const char *name;
};
void mutex_init(struct mutex *mutex, const char *name, enum lock_rank rank);
void mutex_lock(struct mutex *mutex);
/* As mutex_lock(), but gives up with -EINTR once the calling thread is being killed. */
int __must_check mutex_lock_killable(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
bool mutex_held(const struct mutex *mutex); /* by this thread */

/* Reader-writer lock: sleeps; a waiting writer holds back new readers; not recursive. */
struct rwlock {
	_Atomic uint32_t state;        /* readers, and two bits: see kernel/sleeplock.c */
	struct thread *_Atomic writer; /* who holds it exclusively; written by who gets or has it */
	struct spinlock guard;
	struct waitq read_waiters, write_waiters; /* guard */
	enum lock_rank rank;
	const char *name;
};
void rw_init(struct rwlock *lock, const char *name, enum lock_rank rank);
void rw_read_lock(struct rwlock *lock);
void rw_read_unlock(struct rwlock *lock);
void rw_write_lock(struct rwlock *lock);
void rw_write_unlock(struct rwlock *lock);
bool rw_write_held(const struct rwlock *lock); /* by this thread */
bool rw_held(const struct rwlock *lock);       /* exclusively by this thread, or shared by any */

/* Asserts that the caller may sleep: a thread, no spinlock held, interrupts on. */
#if defined(__HAWSER__) && !defined(DEBUG_LOCKS)
static inline void might_sleep(void)
{
}
#else
void might_sleep(void);
#endif

#endif
