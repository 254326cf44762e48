/*
 * fs/tty_jobs.c - whose terminal it is: controlling terminals and job control, termios(3) and
 * tty_ioctl(4). See fs/tty.h for what proc/ adds.
 *
 * A session has one terminal at most, and a terminal one session. The terminals that have one are on a
 * list; a session's reference keeps its terminal until the session ends, even where it has hung up, since
 * whoever was in the foreground is told when the leader ends.
 */
#include "fs/tty.h"
#include "fs/tty_core.h"
#include "kernel/cred.h"
#include "mm/user.h"
#include <asm/signal.h>
#include <linux/capability.h>

static struct {
	struct mutex lock;      /* RANK_STREAM; no other of that rank is held with it */
	TAILQ_HEAD(, tty) ttys; /* lock */
} jobs;

static const struct tty_job_hooks *_Atomic hooks; /* set once, at boot */

void tty_register_job_hooks(const struct tty_job_hooks *job_hooks)
{
	atomic_store(&hooks, job_hooks);
}

void tty_jobs_init(void)
{
	mutex_init(&jobs.lock, "jobs", RANK_STREAM);
	TAILQ_INIT(&jobs.ttys);
}

/* The terminal of a session, whether or not it has hung up; job lock held. */
static struct tty *of_session(uint32_t session)
{
	struct tty *tty = NULL;

	if (session == 0)
		return NULL;
	TAILQ_FOREACH (tty, &jobs.ttys, link) {
		if (tty->session == session)
			break;
	}
	return tty;
}

/* The calling process's session, or 0. */
static uint32_t own_session(void)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);

	return h != NULL ? h->session() : 0;
}

/* Whether it is the caller's controlling terminal; job lock held. */
static bool controls_caller(const struct tty *tty)
{
	return tty->session != 0 && tty->session == own_session() && !atomic_load(&tty->gone);
}

int tty_check_foreground(struct tty *tty, int signal)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);
	bool background;

	mutex_lock(&jobs.lock);
	background = controls_caller(tty) && tty->group != h->group();
	mutex_unlock(&jobs.lock);
	return background ? h->background(signal) : 0;
}

void tty_signal_foreground(struct tty *tty, int signal)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);
	uint32_t group;

	mutex_lock(&jobs.lock);
	group = tty->group;
	mutex_unlock(&jobs.lock);
	if (signal != 0 && h != NULL && group != 0)
		h->signal(group, signal);
}

void tty_signal_leader(struct tty *tty)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);
	uint32_t session;

	mutex_lock(&jobs.lock);
	session = tty->session;
	mutex_unlock(&jobs.lock);
	if (h != NULL && session != 0) {
		h->signal_one(session, SIGHUP);
		h->signal_one(session, SIGCONT);
	}
}

struct tty *tty_controlling(void)
{
	struct tty *tty;

	mutex_lock(&jobs.lock);
	tty = of_session(own_session());
	if (tty != NULL && atomic_load(&tty->gone))
		tty = NULL;
	if (tty != NULL)
		tty_get(tty);
	mutex_unlock(&jobs.lock);
	return tty;
}

uint32_t tty_session_device(uint32_t session, uint32_t *group)
{
	const struct tty *tty;
	uint32_t number;

	mutex_lock(&jobs.lock);
	tty = of_session(session);
	number = tty != NULL ? tty->number : 0;
	*group = tty != NULL ? tty->group : 0;
	mutex_unlock(&jobs.lock);
	return number;
}

/* --- giving and taking; job lock held ---------------------------------------------------------------- */

static void give(struct tty *tty, uint32_t session, uint32_t group)
{
	if (tty->session == 0) {
		tty_get(tty);
		TAILQ_INSERT_TAIL(&jobs.ttys, tty, link);
	}
	tty->session = session;
	tty->group = group;
}

/* The session's reference becomes the caller's. */
static void take(struct tty *tty)
{
	TAILQ_REMOVE(&jobs.ttys, tty, link);
	tty->session = tty->group = 0;
}

/* --- calls -------------------------------------------------------------------------------------------- */

/* The session that the caller leads and that has no terminal, or 0; job lock held. */
static uint32_t session_without(void)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);
	uint32_t session = h != NULL && h->leads() ? h->session() : 0;

	return of_session(session) == NULL ? session : 0;
}

void tty_offer_control(struct tty *tty)
{
	mutex_lock(&jobs.lock);
	uint32_t session = session_without();
	if (session != 0 && tty->session == 0)
		give(tty, session, atomic_load(&hooks)->group());
	mutex_unlock(&jobs.lock);
}

/* TIOCSCTTY: from another session only if `steal` is asked for. */
static int take_control(struct tty *tty, bool steal)
{
	uint32_t session;
	int error = 0;

	mutex_lock(&jobs.lock);
	session = session_without();
	if (controls_caller(tty) && atomic_load(&hooks)->leads())
		error = 0;
	else if (session == 0 || (tty->session != 0 && !(steal && capable(CAP_SYS_ADMIN))))
		error = -EPERM;
	else
		give(tty, session, atomic_load(&hooks)->group());
	mutex_unlock(&jobs.lock);
	return error;
}

uint32_t tty_end_session(uint32_t session)
{
	struct tty *tty;
	uint32_t group = 0;

	mutex_lock(&jobs.lock);
	tty = of_session(session);
	if (tty != NULL) {
		group = tty->group;
		take(tty);
	}
	mutex_unlock(&jobs.lock);
	if (tty != NULL)
		tty_put(tty);
	return group;
}

void tty_disown(struct tty *tty)
{
	bool had;

	mutex_lock(&jobs.lock);
	had = tty->session != 0;
	if (had)
		take(tty);
	mutex_unlock(&jobs.lock);
	if (had)
		tty_put(tty);
}

/* TIOCNOTTY: the leader's is the whole session's; another gives up its own. */
static int give_up_control(struct tty *tty)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);
	uint32_t group = 0;
	bool ours, leads;

	mutex_lock(&jobs.lock);
	ours = controls_caller(tty);
	leads = ours && h->leads();
	if (leads) {
		group = tty->group;
		take(tty);
	}
	mutex_unlock(&jobs.lock);
	if (!ours)
		return -ENOTTY;
	if (!leads) {
		h->give_up();
		return 0;
	}
	if (group != 0) {
		h->signal(group, SIGHUP);
		h->signal(group, SIGCONT);
	}
	tty_put(tty);
	return 0;
}

/* TIOCGPGRP and TIOCGSID. */
static int get_owner(struct tty *tty, vaddr_t argument, const uint32_t *owner, bool beyond)
{
	int32_t value = 0;
	bool known;

	mutex_lock(&jobs.lock);
	known = controls_caller(tty) || (beyond && (tty->session != 0 || owner == &tty->group));
	value = (int32_t)*owner;
	mutex_unlock(&jobs.lock);
	return known ? put_user(argument, value) : -ENOTTY;
}

static int set_group(struct tty *tty, vaddr_t argument)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);
	int32_t group;
	bool ours;
	int error = tty_check_foreground(tty, SIGTTOU);

	if (error != 0)
		return error == -EIO ? -ENOTTY : error;
	mutex_lock(&jobs.lock);
	ours = controls_caller(tty);
	mutex_unlock(&jobs.lock);
	if (!ours)
		return -ENOTTY;
	error = get_user(&group, argument);
	if (error != 0)
		return error;
	error = group < 0 ? -EINVAL : h->check_group((uint32_t)group);
	if (error != 0)
		return error;
	mutex_lock(&jobs.lock);
	if (controls_caller(tty))
		tty->group = (uint32_t)group;
	else
		error = -ENOTTY;
	mutex_unlock(&jobs.lock);
	return error;
}

int tty_ioctl_jobs(struct tty *tty, unsigned request, vaddr_t argument, bool beyond)
{
	switch (request) {
	case TIOCSCTTY:
		return take_control(tty, argument == 1);
	case TIOCNOTTY:
		return give_up_control(tty);
	case TIOCGPGRP:
		return get_owner(tty, argument, &tty->group, beyond);
	case TIOCGSID:
		return get_owner(tty, argument, &tty->session, beyond);
	case TIOCSPGRP:
		return set_group(tty, argument);
	default:
		return -ENOTTY;
	}
}
