/*
 * fs/unix_rights.c - descriptors in flight: open files that packets hold, unix(7), SCM_RIGHTS.
 *
 * A socket that has been sent, and closed by everybody, is held by the packet that it is in. If that
 * packet waits at the socket itself, or at one that is held in the same way, nobody can ever receive it:
 *
 *	a's queue: [b]        b's queue: [a]        no descriptor leads to a or b
 *
 * Such circles are looked for whenever a socket is closed while others are in flight (as Linux's
 * unix_gc() does): of the sockets that only packets hold, those are kept that a packet at any other
 * socket holds, and all that are in packets at these, and so on. The queues of the rest are emptied.
 *
 * So that flights cannot hold more than descriptors could, there are at most as many of all
 * processes together as the sender may have descriptors: RLIMIT_NOFILE, or ETOOMANYREFS.
 */
#include "fs/file.h"
#include "fs/unix.h"
#include "kernel/limits.h"
#include "mm/slab.h"

LIST_HEAD(flights, unix_socket);

static struct flights flights = LIST_HEAD_INITIALIZER(flights); /* unix_lock */
static uint64_t files_in_flight;                                /* unix_lock */
/* To be freed, one after the other: a packet may hold the last reference to a socket with packets. */
static struct packet_list orphans = TAILQ_HEAD_INITIALIZER(orphans); /* unix_lock */
static bool freeing;                                                 /* unix_lock */

static struct unix_socket *unix_of_file(struct file *file)
{
	struct socket *socket = socket_of(file);

	return socket != NULL && socket->domain == AF_UNIX ? unix_of(socket) : NULL;
}

int rights_take_off(const struct rights *rights)
{
	if (files_in_flight + rights->count > limit_get(RLIMIT_NOFILE))
		return -ETOOMANYREFS;
	files_in_flight += rights->count;
	for (unsigned i = 0; i < rights->count; i++) {
		struct unix_socket *us = unix_of_file(rights->files[i]);
		if (us != NULL && us->in_flight++ == 0)
			LIST_INSERT_HEAD(&flights, us, flight_link);
	}
	return 0;
}

void rights_land(const struct rights *rights)
{
	files_in_flight -= rights->count;
	for (unsigned i = 0; i < rights->count; i++) {
		struct unix_socket *us = unix_of_file(rights->files[i]);
		if (us != NULL && --us->in_flight == 0)
			LIST_REMOVE(us, flight_link);
	}
}

/* --- freeing ------------------------------------------------------------------------------------------ */

static void free_orphan(struct packet *packet)
{
	rights_put(packet->rights);
	unix_address_put(packet->from);
	kfree(packet);
}

void unix_drop(struct packet_list *packets)
{
	struct packet *packet;

	mutex_lock(&unix_lock);
	TAILQ_CONCAT(&orphans, packets, link);
	/* Closing a file may bring us here again: then whoever has begun goes on with these as well. */
	if (!freeing) {
		freeing = true;
		while ((packet = TAILQ_FIRST(&orphans)) != NULL) {
			TAILQ_REMOVE(&orphans, packet, link);
			mutex_unlock(&unix_lock);
			free_orphan(packet);
			mutex_lock(&unix_lock);
		}
		freeing = false;
	}
	mutex_unlock(&unix_lock);
}

/* --- circles; unix_lock held --------------------------------------------------------------------- */

TAILQ_HEAD(work_list, unix_socket);

static struct work_list work = TAILQ_HEAD_INITIALIZER(work); /* unix_lock */

/* Calls `visit` for every candidate in the packets at a socket. */
static void visit_packets(const struct unix_socket *us, void (*visit)(struct unix_socket *inner))
{
	const struct packet *packet;

	TAILQ_FOREACH (packet, &us->packets, link) {
		for (unsigned i = 0; packet->rights != NULL && i < packet->rights->count; i++) {
			struct unix_socket *inner = unix_of_file(packet->rights->files[i]);
			if (inner != NULL && inner->candidate)
				visit(inner);
		}
	}
}

/* Also in those at its connections that wait to be accepted. */
static void visit_contents(const struct unix_socket *us, void (*visit)(struct unix_socket *inner))
{
	const struct unix_socket *child;

	visit_packets(us, visit);
	TAILQ_FOREACH (child, &us->pending, pending_link)
		visit_packets(child, visit);
}

static void count_inside(struct unix_socket *inner)
{
	inner->outside--;
}

/* It may be received, and so may what is in its packets. */
static void keep(struct unix_socket *us)
{
	us->candidate = false;
	TAILQ_INSERT_TAIL(&work, us, work_link);
}

static void find_candidates(void)
{
	struct unix_socket *us;

	/* Who is held by packets only gets no other reference without our lock: what is true stays true. */
	LIST_FOREACH (us, &flights, flight_link) {
		us->outside = us->in_flight;
		us->candidate = us->in_flight == atomic_load(&us->socket.file->refs);
	}
	LIST_FOREACH (us, &flights, flight_link) {
		if (us->candidate)
			visit_contents(us, count_inside);
	}
}

static void keep_reachable(void)
{
	struct unix_socket *us;

	LIST_FOREACH (us, &flights, flight_link) {
		if (us->candidate && us->outside > 0)
			keep(us);
	}
	while ((us = TAILQ_FIRST(&work)) != NULL) {
		TAILQ_REMOVE(&work, us, work_link);
		visit_contents(us, keep);
	}
}

static void purge_rest(struct packet_list *freed)
{
	struct unix_socket *us, *child;

	LIST_FOREACH (us, &flights, flight_link) {
		if (us->candidate)
			TAILQ_INSERT_TAIL(&work, us, work_link);
	}
	while ((us = TAILQ_FIRST(&work)) != NULL) {
		TAILQ_REMOVE(&work, us, work_link);
		us->candidate = false;
		unix_purge(us, freed);
		TAILQ_FOREACH (child, &us->pending, pending_link)
			unix_purge(child, freed);
	}
}

void unix_collect(void)
{
	struct packet_list freed = TAILQ_HEAD_INITIALIZER(freed);

	mutex_lock(&unix_lock);
	find_candidates();
	keep_reachable();
	purge_rest(&freed);
	mutex_unlock(&unix_lock);
	unix_drop(&freed);
}
