/*
 * fs/pty.c - pseudo-terminals, pty(7): a terminal whose keys and screen are a program's.
 *
 *	 whoever opened /dev/ptmx                        whoever opened /dev/pts/N
 *	 write(2) ── keys ──> discipline ──────────────────> read(2)
 *	                          │ echo
 *	 read(2) <──── ring <─────┴──── output processing <── write(2)
 *
 * The two ends are one terminal. A program fills the ring to within ECHO_RESERVE of its end, and echo may
 * take the rest; what of it does not fit either is lost. An end that has never been opened is waited
 * for. When the last file of the program's end is closed, the master reads EIO, until there is another;
 * when the master is closed, the terminal has hung up for good, and its name is gone.
 */
#include "fs/dev.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/mount_options.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/poll.h"
#include "fs/root.h"
#include "fs/tty_core.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/kdev_t.h>
#include <linux/major.h>

#define PTY_MAX      256
#define RING_SIZE    8192
#define ECHO_RESERVE 2048
#define PIECE        256 /* bytes that are moved at a time, on the stack */

/* As distributions mount it. */
#define TTY_GROUP 5
#define NODE_MODE (S_IRUSR | S_IWUSR | S_IWGRP)
#define PTMX_MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)

struct pty {
	struct tty tty;          /* first */
	unsigned index;          /* fixed */
	struct inode *node;      /* held; fixed */
	uint8_t ring[RING_SIZE]; /* tty.lock */
	uint64_t tail, head;     /* free-running positions in it; tty.lock */
	unsigned slaves;         /* open files of the program's end; tty.lock */
	bool was_open;           /* there has been one; tty.lock */
	bool locked;             /* TIOCSPTLCK: it cannot be opened yet; tty.lock */
	bool has_master;         /* tty.lock */
	bool packets;            /* TIOCPKT: the master reads what happens, too; tty.lock */
	uint8_t happened;        /* TIOCPKT_*, and has not been read; tty.lock */
};

static struct {
	struct mutex lock;         /* RANK_STREAM; no other of that rank is held with it */
	struct pty *ptys[PTY_MAX]; /* lock */
} table;

static struct device nodes[PTY_MAX]; /* fixed at boot */

static struct pty *pty_of(struct tty *tty)
{
	return container_of(tty, struct pty, tty);
}

/* --- the ring; the terminal's lock is held ----------------------------------------------------------- */

static size_t used(const struct pty *pty)
{
	return (size_t)(pty->head - pty->tail);
}

static size_t room(struct tty *tty)
{
	size_t limit = RING_SIZE - ECHO_RESERVE;

	return limit - MIN(limit, used(pty_of(tty)));
}

static void put(struct tty *tty, const uint8_t *bytes, size_t length)
{
	struct pty *pty = pty_of(tty);

	length = MIN(length, RING_SIZE - used(pty));
	for (size_t i = 0; i < length; i++)
		pty->ring[pty->head++ % RING_SIZE] = bytes[i];
}

static size_t take(struct pty *pty, uint8_t *out, size_t length)
{
	length = MIN(length, used(pty));
	for (size_t i = 0; i < length; i++)
		out[i] = pty->ring[pty->tail++ % RING_SIZE];
	return length;
}

static void discard(struct tty *tty)
{
	pty_of(tty)->tail = pty_of(tty)->head;
}

/* Of things that undo each other only the last is told. */
static void tell(struct tty *tty, uint8_t what)
{
	static const uint8_t pairs[] = { TIOCPKT_STOP | TIOCPKT_START,
					 TIOCPKT_DOSTOP | TIOCPKT_NOSTOP };
	struct pty *pty = pty_of(tty);

	if (!pty->packets)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		if ((what & pairs[i]) != 0)
			pty->happened &= (uint8_t)~pairs[i];
	}
	pty->happened |= what;
}

/* --- the program's end ------------------------------------------------------------------------------------ */

static void release_slave(struct file *file)
{
	struct pty *pty = pty_of(tty_of(file));

	mutex_lock(&pty->tty.lock);
	pty->slaves--;
	mutex_unlock(&pty->tty.lock);
	tty_announce(&pty->tty);
	tty_detach(file);
}

static const struct file_ops slave_ops = {
	.read = tty_read,
	.write = tty_write,
	.stat = stat_inode_file,
	.ioctl = tty_ioctl,
	.poll = tty_poll,
	.async = ASYNC_EDGES,
	.release = release_slave,
};

static int attach_slave(struct tty *tty, struct file *file)
{
	struct pty *pty = pty_of(tty);
	int error = tty_attach(file, tty, &slave_ops);
	bool refused;

	if (error != 0)
		return error;
	mutex_lock(&tty->lock);
	refused = pty->locked || !pty->has_master;
	if (!refused) {
		pty->slaves++;
		pty->was_open = true;
	}
	mutex_unlock(&tty->lock);
	if (refused) {
		tty_detach(file);
		file->ops = NULL;
		return -EIO;
	}
	tty_announce(tty);
	return 0;
}

/* /dev/pts/N. */
static int open_slave(struct file *file)
{
	unsigned index = (unsigned)(file->inode->device - nodes);
	struct pty *pty;
	int error;

	mutex_lock(&table.lock);
	pty = table.ptys[index];
	/* An old node may have been kept open, and the number be another's by now. */
	if (pty != NULL && pty->node == file->inode)
		tty_get(&pty->tty);
	else
		pty = NULL;
	mutex_unlock(&table.lock);
	if (pty == NULL)
		return -EIO;
	error = attach_slave(&pty->tty, file);
	tty_put(&pty->tty);
	return error;
}

/* --- the master ---------------------------------------------------------------------------------------------- */

/* True if there was a program at the other end and is none any more; the terminal's lock is held. */
static bool is_deserted(const struct pty *pty)
{
	return pty->was_open && pty->slaves == 0;
}

/*
 * What a read gets next, to be followed by more only if `*more`. With TIOCPKT a read begins with a byte that
 * tells what has happened, alone, or that data follows. The terminal's lock is held.
 */
static size_t take_next(struct pty *pty, uint8_t *out, size_t length, bool first, bool *more)
{
	*more = true;
	if (!pty->packets)
		return take(pty, out, length);
	if (pty->happened != 0) {
		*more = false;
		if (!first)
			return 0;
		out[0] = pty->happened;
		pty->happened = 0;
		return 1;
	}
	if (!first || used(pty) == 0)
		return take(pty, out, length);
	out[0] = TIOCPKT_DATA;
	return 1 + take(pty, out + 1, length - 1);
}

static ssize_t read_master(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	bool nonblocking = !file_may_wait(file);
	struct tty *tty = tty_of(file);
	struct pty *pty = pty_of(tty);
	uint8_t piece[PIECE];
	size_t done = 0;
	bool more = true;
	int error = 0;

	while (error == 0 && more && done < length) {
		mutex_lock(&tty->lock);
		uint32_t seen = atomic_load(&tty->changes);
		size_t part =
			take_next(pty, piece, MIN(sizeof(piece), length - done), done == 0, &more);
		bool deserted = is_deserted(pty);
		mutex_unlock(&tty->lock);

		if (part > 0) {
			error = copy_to_user(to + done, piece, part);
			if (error == 0)
				done += part;
			continue;
		}
		if (done > 0)
			break;
		if (deserted)
			error = -EIO;
		else if (nonblocking)
			error = -EAGAIN;
		else
			error = wait_event_signal(&tty->changed,
						  atomic_load(&tty->changes) != seen);
	}
	if (done > 0)
		tty_announce(tty); /* there is room again */
	return done > 0 ? (ssize_t)done : error;
}

static ssize_t write_master(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	bool nonblocking = !file_may_wait(file);
	struct tty *tty = tty_of(file);
	uint8_t piece[PIECE];
	size_t done = 0;
	int error = 0;

	while (error == 0 && done < length) {
		uint32_t seen = atomic_load(&tty->changes);
		size_t part = MIN(sizeof(piece), length - done);

		error = copy_from_user(piece, from + done, part);
		if (error != 0)
			break;
		part = tty_press(tty, piece, part);
		done += part;
		if (part > 0)
			tty_announce(tty);
		else if (nonblocking)
			error = -EAGAIN;
		else
			error = wait_event_signal(&tty->changed,
						  atomic_load(&tty->changes) != seen);
	}
	return done > 0 ? (ssize_t)done : error;
}

static unsigned poll_master(struct file *file, struct poll_table *table_of_poller)
{
	struct tty *tty = tty_of(file);
	struct pty *pty = pty_of(tty);
	unsigned events = 0;

	poll_wait(table_of_poller, &tty->changed);
	mutex_lock(&tty->lock);
	if (used(pty) > 0)
		events |= POLLIN | POLLRDNORM;
	if (pty->packets && pty->happened != 0)
		events |= POLLPRI | POLLIN | POLLRDNORM;
	if (is_deserted(pty))
		events |= POLLHUP;
	if (!discipline_full(&tty->discipline))
		events |= POLLOUT | POLLWRNORM;
	mutex_unlock(&tty->lock);
	return events;
}

/* However many there are by now. */
static void take_name(struct pty *pty)
{
	struct name_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct name *name;

	mutex_lock(&root_lock);
	while ((name = TAILQ_FIRST(&pty->node->names)) != NULL)
		name_remove(name, NULL, &freed);
	mutex_unlock(&root_lock);
	names_put(&freed);
}

/* The name goes, and who has the program's end open is left with a terminal that has hung up. */
static void release_master(struct file *file)
{
	struct tty *tty = tty_of(file);
	struct pty *pty = pty_of(tty);

	mutex_lock(&tty->lock);
	pty->has_master = false;
	mutex_unlock(&tty->lock);
	atomic_store(&tty->gone, true);
	tty_hang_up(tty);
	tty_signal_leader(tty);
	take_name(pty);
	tty_detach(file);
}

/* TIOCGPTPEER: the program's end without its name, whatever is mounted or hidden there. */
static int open_peer(struct pty *pty, vaddr_t flags)
{
	struct file *file;
	char name[32];
	int result;

	file = file_create(NULL, (uint32_t)flags & (O_ACCMODE | O_NONBLOCK));
	if (file == NULL)
		return file_create_error();
	file_set_inode(file, pty->node);
	file->mount = filesystem_mount(pts_inode->filesystem);
	(void)snprintf(name, sizeof(name), "/dev/pts/%u", pty->index);
	file->name = file_name_create(name, pty->node->number);
	result = file->name != NULL ? attach_slave(&pty->tty, file) : -ENOMEM;
	if (result == 0 && (flags & O_NOCTTY) == 0)
		tty_offer_control(&pty->tty);
	if (result == 0)
		result = files_install(current->files, file, 0, (flags & O_CLOEXEC) != 0);
	file_put(file);
	return result;
}

static int set_lock(struct pty *pty, vaddr_t argument)
{
	int locked;
	int error = get_user(&locked, argument);

	if (error != 0)
		return error;
	mutex_lock(&pty->tty.lock);
	pty->locked = locked != 0;
	mutex_unlock(&pty->tty.lock);
	return 0;
}

/* TIOCPKT */
static int set_packets(struct pty *pty, vaddr_t argument)
{
	int packets;
	int error = get_user(&packets, argument);

	if (error != 0)
		return error;
	mutex_lock(&pty->tty.lock);
	if (!pty->packets)
		pty->happened = 0;
	pty->packets = packets != 0;
	mutex_unlock(&pty->tty.lock);
	return 0;
}

static int get_value(struct pty *pty, unsigned request, vaddr_t argument)
{
	mutex_lock(&pty->tty.lock);
	int value = request == TIOCGPTLCK ? pty->locked
		    : request == TIOCGPKT ? pty->packets
		    : request == FIONREAD ? (int)used(pty)
					  : (int)pty->index;
	mutex_unlock(&pty->tty.lock);
	return put_user(argument, value);
}

/* TCFLSH: what is input here is output there. */
static int flush_master(struct tty *tty, vaddr_t queue)
{
	if (queue != TCIFLUSH && queue != TCOFLUSH && queue != TCIOFLUSH)
		return -EINVAL;
	mutex_lock(&tty->lock);
	if (queue != TCOFLUSH)
		discard(tty);
	if (queue != TCIFLUSH)
		discipline_flush(&tty->discipline);
	mutex_unlock(&tty->lock);
	tty_announce(tty);
	return 0;
}

/* TIOCSIG: as a key would. */
static int send_signal(struct tty *tty, vaddr_t signal)
{
	if (signal != SIGINT && signal != SIGQUIT && signal != SIGTSTP)
		return -EINVAL;
	tty_signal_foreground(tty, (int)signal);
	return 0;
}

static int ioctl_master(struct file *file, unsigned request, vaddr_t argument)
{
	struct tty *tty = tty_of(file);
	struct pty *pty = pty_of(tty);
	int result;

	switch (request) {
	case TIOCGPTN:
	case TIOCGPTLCK:
	case TIOCGPKT:
	case FIONREAD:
		return get_value(pty, request, argument);
	case TIOCOUTQ:
		return put_user(argument, (int)0);
	case TIOCSPTLCK:
		return set_lock(pty, argument);
	case TIOCPKT:
		return set_packets(pty, argument);
	case TIOCGPTPEER:
		return open_peer(pty, argument);
	case TIOCSIG:
		return send_signal(tty, argument);
	case TCFLSH:
		return flush_master(tty, argument);
	case TCSBRK:
		return 0;
	default:
		result = tty_ioctl_settings(tty, request, argument);
		return result != -ENOTTY ? result : tty_ioctl_jobs(tty, request, argument, true);
	}
}

static const struct file_ops master_ops = {
	.read = read_master,
	.write = write_master,
	.stat = stat_inode_file,
	.ioctl = ioctl_master,
	.poll = poll_master,
	.async = ASYNC_EDGES,
	.release = release_master,
};

/* --- making one ------------------------------------------------------------------------------------------- */

/* The last reference of both ends is gone. */
static void destroy(struct tty *tty)
{
	struct pty *pty = pty_of(tty);

	mutex_lock(&table.lock);
	table.ptys[pty->index] = NULL;
	mutex_unlock(&table.lock);
	inode_put(pty->node);
	kfree(pty);
}

static const struct tty_driver driver = {
	.open = attach_slave,
	.room = room,
	.put = put,
	.discard = discard,
	.tell = tell,
	.destroy = destroy,
};

/* Takes the lowest free number. -ENOSPC. */
static int reserve_number(struct pty *pty)
{
	int error = -ENOSPC;

	mutex_lock(&table.lock);
	for (unsigned i = 0; i < PTY_MAX && error != 0; i++) {
		if (table.ptys[i] != NULL)
			continue;
		table.ptys[i] = pty;
		pty->index = i;
		error = 0;
	}
	mutex_unlock(&table.lock);
	return error;
}

/* As the mount's options say. root_lock held. */
static void set_owner(struct inode *node, const struct mount_options *options)
{
	const struct cred *cred = current_cred();

	node->mode = S_IFCHR | options->mode;
	node->uid = options->uid != MOUNT_ID_NONE ? options->uid : cred->fsuid;
	node->gid = options->gid != MOUNT_ID_NONE ? options->gid : cred->fsgid;
}

static int give_name(struct pty *pty)
{
	char name[16];
	int error;

	(void)snprintf(name, sizeof(name), "%u", pty->index);
	mutex_lock(&root_lock);
	set_owner(pty->node, &pts_inode->filesystem->options);
	error = name_find(pts_inode, name) == NULL ? inode_link(pts_inode, name, pty->node)
						   : -EEXIST;
	mutex_unlock(&root_lock);
	return error;
}

int pty_open_master(struct file *file)
{
	struct pty *pty = kzalloc(sizeof(*pty));
	int error;

	if (pty == NULL)
		return -ENOMEM;
	pty->node = inode_create(S_IFCHR);
	error = pty->node != NULL ? reserve_number(pty) : -ENOMEM;
	if (error != 0) {
		inode_put(pty->node);
		kfree(pty);
		return error;
	}
	pty->node->device = &nodes[pty->index];
	pty->node->device_number = nodes[pty->index].number;
	pty->locked = pty->has_master = true;
	tty_setup(&pty->tty, &driver, nodes[pty->index].number);
	error = tty_attach(file, &pty->tty, &master_ops);
	if (error == 0) {
		error = give_name(pty);
		if (error != 0) {
			tty_detach(file);
			file->ops = NULL;
		}
	}
	tty_put(&pty->tty); /* the file has its own */
	return error;
}

int pty_init(void)
{
	static const struct device ptmx = { "ptmx", MKDEV(TTYAUX_MAJOR, 2), pty_open_master };
	static const struct mount_options options = {
		.mode = NODE_MODE,
		.uid = MOUNT_ID_NONE,
		.gid = TTY_GROUP,
		.ptmx_mode = PTMX_MODE,
	};
	int error = root_add_device(pts_inode, &ptmx);

	mutex_init(&table.lock, "ptys", RANK_STREAM);
	for (unsigned i = 0; i < PTY_MAX; i++) {
		nodes[i].number = MKDEV(UNIX98_PTY_SLAVE_MAJOR, i);
		nodes[i].open = open_slave;
		nodes[i].offer = tty_offer;
	}
	mutex_lock(&root_lock);
	mount_options_apply(pts_inode->filesystem, &options);
	mutex_unlock(&root_lock);
	return error;
}
