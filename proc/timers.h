/*
 * proc/timers.h - what a process has of timers: three interval timers (setitimer(2)), those it has made
 * (timer_create(2)), and the CPU time that some of them, and RLIMIT_CPU, run on.
 */
#ifndef HAWSER_PROC_TIMERS_H
#define HAWSER_PROC_TIMERS_H

#include "kernel/alarm.h"
#include "kernel/base.h"
#include "kernel/lock.h"
#include <bsd/sys/queue.h>
#include <linux/signal.h>

struct process;

/* Numbered as in the clock numbers that getcpuclockid(3) makes. */
enum cpu_clock_kind { CPU_CLOCK_ALL, CPU_CLOCK_USER, CPU_CLOCK_SCHED };

/* A timer on CPU time: looked at by the tick, so it fires up to that much late. */
struct cpu_timer {
	LIST_ENTRY(cpu_timer) link; /* among the process's armed ones; CPU timer lock */
	struct process *process;
	enum cpu_clock_kind kind;
	uint32_t tid;                             /* of the thread that it measures; 0: all */
	void (*expired)(struct cpu_timer *timer); /* in an interrupt, CPU timer lock held */
	bool repeats;                             /* armed anew at once, not when it is taken */
	bool armed, fired;                        /* CPU timer lock, as the rest */
	uint64_t expires_ns, interval_ns;
};

struct posix_timer;

struct process_timers {
	struct alarm real;                  /* ITIMER_REAL */
	struct cpu_timer virtual, profiled; /* ITIMER_VIRTUAL, ITIMER_PROF */
	LIST_HEAD(, cpu_timer) cpu_armed;   /* CPU timer lock */
	struct mutex lock;                  /* RANK_STREAM: those that follow */
	LIST_HEAD(, posix_timer) made;
	uint32_t count;
	int next_id;
};

/* Of a process that is being made. */
void timers_init(struct process *process);
/* The process ends: all are stopped. May sleep. */
void timers_end(struct process *process);
/* exec: those that timer_create(2) has made are deleted. May sleep. */
void timers_exec(struct process *process);
/*
 * A signal has been taken out of the queue to be handled or reported. If a timer has sent it, that is
 * armed anew, and the signal told how many expirations it stands for. No lock held; may sleep.
 */
void timers_signal_taken(siginfo_t *info);

/* Those of timer_create(2) (proc/posix_timers.c). */
void posix_timers_delete(struct process *process);
void posix_timer_taken(siginfo_t *info);
/* The calling process does not ignore that signal any more: timers that send it go on. May sleep. */
void posix_timers_heed(int signal);

#endif
