/*
 * proc/signal.h - signals: posted, pending, delivered. Inside proc/ only; others post through
 * process_post_signal().
 *
 *	post ──> pending ──────────> delivered at the return to user mode
 *	  │         ▲ blocked         ├─ handler: a frame on the user's stack (proc/signal_frame.c)
 *	  └ ignored │                 ├─ default: ends, stops, or nothing
 *	    dropped └ signal_mask     └─ the call that it interrupted is restarted, or EINTR
 *
 * What is meant for one thread is pending there; what is meant for the process is pending once for all,
 * and one that does not block it takes it. Ending and stopping are always of the whole process.
 */
#ifndef HAWSER_PROC_SIGNAL_H
#define HAWSER_PROC_SIGNAL_H

#include "proc/process.h"
#include <linux/signal.h>

struct io_owner;
struct io_signal;

#define SIGNAL_BIT(signal) (UINT64_C(1) << ((signal)-1))
/* What nobody can block, ignore or handle. */
#define UNSTOPPABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
/* Default actions (signal(7)): to be ignored, and to stop. */
#define DEFAULT_IGNORE \
	(SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH) | SIGNAL_BIT(SIGCONT))
#define DEFAULT_STOP \
	(SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))

/*
 * Posts to the process, or to one of its threads, what `info` says; any context. 0, also where it is
 * ignored or nobody is there any more; -EAGAIN: it would have to be queued, and RLIMIT_SIGPENDING says no.
 */
int signal_post(struct process *process, const siginfo_t *info);
int signal_post_task(struct task *task, const siginfo_t *info); /* on its process's list */
/* The same to one of its threads by number, if it is still there. */
int signal_post_tid(struct process *process, uint32_t tid, const siginfo_t *info);
/*
 * The calling thread has done what it may not. Its handler is run if there is one that is not blocked;
 * otherwise the process is ended, whatever it has asked for. `fatal`: in any case.
 */
void signal_force(const siginfo_t *info, bool fatal);

/* Something has been posted: for who reads or polls a signalfd. Any context. (proc/signalfd.c) */
void signal_announce(void);

/* What kill(2) (SI_USER) and its like (code) say of the caller. */
void signal_from_caller(siginfo_t *info, int signal, int code);
/*
 * A program's own words for a signal to `pid`, which it has to have the right to send. False: nobody may pretend to be
 * the kernel, or kill(2), to another. Whatever they say, it is no timer's.
 */
bool signal_accept(siginfo_t *info, uint32_t pid);
/* True of what a timer of timer_create(2) has sent: there is one for each at most. */
static inline bool signal_is_of_timer(const siginfo_t *info)
{
	return info->si_code == SI_TIMER && info->si_sys_private != 0;
}

/* What is to be done about a signal. Takes the signal and handlers locks. */
struct signal_action signal_action(struct process *process, int signal);
/* Its handler alone, or SIG_DFL, SIG_IGN. Signal lock held. */
static inline vaddr_t signal_handler(const struct process *process, int signal)
{
	return *(const volatile vaddr_t *)&process->handlers->actions[signal - 1].handler;
}
static inline bool signal_is_ignored(vaddr_t handler, int signal)
{
	return handler == (vaddr_t)SIG_IGN ||
	       (handler == (vaddr_t)SIG_DFL && (SIGNAL_BIT(signal) & DEFAULT_IGNORE));
}
/* The first process is spared what others send it and it has not asked for; not what keys and faults do. */
bool signal_spares(const struct process *process, vaddr_t handler, const siginfo_t *info);

/* Forgets what is pending of a set, for the process and each of its threads; signal lock held. */
void signal_discard(struct process *process, uint64_t set);
/*
 * Takes the first pending one of a set, the calling thread's own before the process's, with what is known
 * about it; 0: none. Signal lock held.
 */
int signal_take(uint64_t set, siginfo_t *info);
/* True if the signal of that timer of timer_create(2) is pending. Takes the signal lock. */
bool signal_timer_is_pending(struct process *process, int id);
/* What is pending for the calling thread. Signal lock held. */
uint64_t signal_pending_set(void);
/* The calling thread's mask; what it lets through now is delivered on the way out. Signal lock held. */
void signal_change_mask(uint64_t mask);
/* The same, with the lock taken. */
void signal_set_mask(uint64_t mask);
/* A mask until the next delivery, or the next return without one: sigsuspend(2), ppoll(2). */
void signal_set_mask_for_wait(uint64_t mask);
void signal_end_mask_for_wait(void);
/* A thread has left its process: others take what it was told of. Signal lock held. */
void signal_leave(struct task *task);

/* What files tell their owners. Family lock not held. (proc/signal_io.c) */
void signal_io_post(const struct io_signal *io);
bool signal_io_exists(const struct io_owner *owner);

/* True if the calling thread blocks or its process ignores it. */
bool signal_is_withheld(int signal);

/* --- stopping (proc/signal_stop.c) -------------------------------------------------------------- */

/* Stopping and continuing cancel each other while they are pending, and SIGCONT wakes. Signal lock held. */
void signal_settle_stop(struct process *process, int signal);
/* The default action of `signal`, which the calling thread has taken: the process stops. */
void signal_stop(int signal);
/* Sleeps while the calling thread's process is to be stopped. */
void signal_stay_stopped(void);
/* A thread has left a process that is to stop: perhaps all others have. Family lock held. */
void signal_check_stopped(struct process *process);
/* True if stopping the group would leave nobody to continue it. Family lock held. */
bool signal_group_is_orphaned(uint32_t pgid);
/* Stopped processes of a group that has become orphaned are told: exit(3). Family lock held. */
void signal_orphaned_group(uint32_t pgid);

/* --- frames (proc/signal_frame.c) --------------------------------------------------------------- */

/* SS_DISABLE, SS_ONSTACK or 0: where `sp` is with regard to sigaltstack(2). */
int signal_stack_flags(vaddr_t sp);
/* The other stack as sigaltstack(2) tells it to whoever is at `sp`. */
void signal_stack(stack_t *stack, vaddr_t sp);
/* The other stack as a handler's frame says it was; the handler has returned to `sp`. */
void signal_restore_stack(const stack_t *stack, vaddr_t sp);

/* What is about to be handled. */
struct delivery {
	int signal;
	siginfo_t info;
	struct signal_action action;
	uint64_t mask;        /* to go back to when the handler returns */
	uint64_t mask_before; /* to go back to if it is not entered */
};
/* Puts the frame on the user's stack and the registers into the handler. False: there is no room. */
bool signal_push_frame(struct trapframe *tf, const struct delivery *delivery);

#endif
