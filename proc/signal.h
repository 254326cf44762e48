/*
 * proc/signal.h - signals: posted, pending, delivered. Inside proc/ only; others post through
 * process_post_signal().
 *
 *	post ──> pending ──────────> delivered at the return to user mode
 *	  │         ▲ blocked         ├─ handler: a frame on the user's stack (proc/signal_frame.c)
 *	  └ ignored │                 ├─ default: ends, stops, or nothing
 *	    dropped └ signal_mask     └─ the call that it interrupted is restarted, or EINTR
 */
#ifndef HAWSER_PROC_SIGNAL_H
#define HAWSER_PROC_SIGNAL_H

#include "proc/process.h"
#include <linux/signal.h>

#define SIGNAL_BIT(signal) (UINT64_C(1) << ((signal)-1))
/* What nobody can block, ignore or handle. */
#define UNSTOPPABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
/* Default actions (signal(7)): to be ignored, and to stop. */
#define DEFAULT_IGNORE \
	(SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH) | SIGNAL_BIT(SIGCONT))
#define DEFAULT_STOP \
	(SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))

/* Posts to the process what `info` says; any context. */
void signal_post(struct process *process, const siginfo_t *info);
/*
 * The calling thread has done what it may not. Its handler is run if there is one that is not blocked;
 * otherwise the process is ended, whatever it has asked for. `fatal`: in any case.
 */
void signal_force(const siginfo_t *info, bool fatal);

/* Forgets what is pending of a set; signal lock held. */
void signal_discard(struct process *process, uint64_t set);
/* Takes the first pending one of a set, with what is known about it; 0: none. Signal lock held. */
int signal_take(struct process *process, uint64_t set, siginfo_t *info);
/* The calling thread's mask; what it lets through now is delivered on the way out. */
void signal_set_mask(uint64_t mask);
/* A mask until the next delivery, or the next return without one: sigsuspend(2), ppoll(2). */
void signal_set_mask_for_wait(uint64_t mask);
void signal_end_mask_for_wait(void);

/* True if the calling process blocks or ignores it. */
bool signal_is_withheld(int signal);

/* True if stopping the group would leave nobody to continue it. Family lock held. */
bool signal_group_is_orphaned(uint32_t pgid);
/* Stopped processes of a group that has become orphaned are told: exit(3). Family lock held. */
void signal_orphaned_group(uint32_t pgid);

/* SS_DISABLE, SS_ONSTACK or 0: where `sp` is with regard to sigaltstack(2). */
int signal_stack_flags(vaddr_t sp);
/* The other stack as a handler's frame says it was; the handler has returned to `sp`. */
void signal_restore_stack(const stack_t *stack, vaddr_t sp);

/* What is about to be handled. */
struct delivery {
	int signal;
	siginfo_t info;
	struct signal_action action;
	uint64_t mask; /* to go back to when the handler returns */
};
/* Puts the frame on the user's stack and the registers into the handler. False: there is no room. */
bool signal_push_frame(struct trapframe *tf, const struct delivery *delivery);

#endif
