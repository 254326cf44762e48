/*
 * System V's shared memory, semaphores and message queues: made by key, shared between processes, their
 * owners and rights, and what becomes of those that sleep, end, or have something attached when they go.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define PAGE      4096
#define USER      1000
#define NOREPLACE 0x100000 /* MAP_FIXED_NOREPLACE of <linux/mman.h> */

union semun {
	int value;
	struct semid_ds *status;
	unsigned short *all;
};

static key_t some_key(int n)
{
	return 0x48000000 + (getpid() << 4) + n;
}

static bool refuses(long result, int error)
{
	return result == -1 && errno == error;
}

/* --- shared memory --------------------------------------------------------------------------------------- */

static int made_by_key(void)
{
	key_t key = some_key(1);
	struct shmid_ds status;
	int id = shmget(key, 3 * PAGE - 5, IPC_CREAT | IPC_EXCL | 0640);

	want(id >= 0 && shmget(key, 0, 0) == id && shmget(key, PAGE, IPC_CREAT | 0600) == id);
	want(refuses(shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST));
	want(refuses(shmget(key, 4 * PAGE, 0), EINVAL));
	want(refuses(shmget(some_key(2), PAGE, 0), ENOENT));
	want(refuses(shmget(IPC_PRIVATE, 0, 0600), EINVAL));
	memset(&status, 0, sizeof(status));
	want(shmctl(id, IPC_STAT, &status) == 0 && status.shm_segsz == 3 * PAGE - 5);
	want(status.shm_cpid == getpid() && status.shm_nattch == 0 && status.shm_lpid == 0);
	want((status.shm_perm.mode & 0777) == 0640 && status.shm_ctime > 0);
	status.shm_perm.mode = 0600;
	want(shmctl(id, IPC_SET, &status) == 0 && shmctl(id, IPC_STAT, &status) == 0);
	want((status.shm_perm.mode & 0777) == 0600);
	status.shm_perm.uid = (uid_t)-1;
	want(refuses(shmctl(id, IPC_SET, &status), EINVAL));
	want(shmctl(id, IPC_RMID, NULL) == 0 && refuses(shmctl(id, IPC_STAT, &status), EINVAL));
	want(refuses(shmctl(id, IPC_RMID, NULL), EINVAL) && refuses(shmget(key, 0, 0), ENOENT));
	return 0;
}

static int shared_by_processes(void)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE, 0600);
	volatile int *memory = shmat(id, NULL, 0), *again = shmat(id, NULL, SHM_RDONLY);
	struct shmid_ds status;
	pid_t child;

	want(memory != (void *)-1 && again != (void *)-1 && memory[0] == 0);
	want(shmctl(id, IPC_STAT, &status) == 0 && status.shm_nattch == 2);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		memory[PAGE / sizeof(int)] = 42;
		_exit(shmctl(id, IPC_STAT, &status) == 0 && status.shm_nattch == 4 ? 0 : 1);
	}
	int result;

	waitpid(child, &result, 0);
	want(result == 0 && again[PAGE / sizeof(int)] == 42);
	want(soon(shmctl(id, IPC_STAT, &status) == 0 && status.shm_nattch == 2));
	want(mprotect((void *)again, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
	want(shmdt((void *)again) == 0 && refuses(shmdt((void *)again), EINVAL));
	want(refuses(shmdt((char *)memory + PAGE), EINVAL));
	/* Removed, it stays for who has it. */
	want(shmctl(id, IPC_RMID, NULL) == 0 && memory[PAGE / sizeof(int)] == 42);
	want(shmctl(id, IPC_STAT, &status) == 0 && status.shm_perm.mode & SHM_DEST);
	again = shmat(id, NULL, 0);
	want(again != (void *)-1 && again[PAGE / sizeof(int)] == 42);
	want(shmdt((void *)again) == 0 && shmdt((void *)memory) == 0);
	want(refuses(shmctl(id, IPC_STAT, &status), EINVAL));
	want(refuses((long)shmat(id, NULL, 0), EINVAL));
	return 0;
}

static int placed(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0600);
	char *place = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	want(refuses((long)shmat(id, place, 0), EINVAL));
	want(shmat(id, place, SHM_REMAP) == place);
	place[5] = 1;
	want(shmdt(place) == 0);
	munmap(place, 4 * PAGE);
	want(refuses((long)shmat(id, place + 5, 0), EINVAL));
	want(shmat(id, place + 5, SHM_RND) == place && place[5] == 1);
	want(refuses((long)shmat(id, NULL, SHM_REMAP), EINVAL));
	/* In two pieces, of which one goes before. */
	want(shmctl(id, IPC_RMID, NULL) == 0 && shmdt(place) == 0);
	id = shmget(IPC_PRIVATE, 3 * PAGE, 0600);
	want(shmat(id, place, 0) == place && munmap(place + PAGE, PAGE) == 0);
	place[2 * PAGE] = 7;
	want(shmctl(id, IPC_RMID, NULL) == 0 && shmdt(place) == 0);
	want(mmap(place, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | NOREPLACE, -1, 0) ==
	     place); /* nothing is left there */
	want(refuses(shmdt(place), EINVAL));
	return 0;
}

static int others(void)
{
	int mine = shmget(some_key(3), PAGE, IPC_CREAT | 0600);
	int open = shmget(some_key(4), PAGE, IPC_CREAT | 0644);
	key_t keys[] = { some_key(3), some_key(4) };
	struct shmid_ds status;
	pid_t child;
	int result;

	want(mine >= 0 && open >= 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		bool good = setgid(USER) == 0 && setuid(USER) == 0 &&
			    refuses(shmget(keys[0], PAGE, 0600), EACCES) &&
			    shmget(keys[0], PAGE, 0) == mine &&
			    refuses((long)shmat(mine, NULL, SHM_RDONLY), EACCES) &&
			    refuses((long)shmat(open, NULL, 0), EACCES) &&
			    shmat(open, NULL, SHM_RDONLY) != (void *)-1 &&
			    refuses((long)shmat(open, NULL, SHM_RDONLY | SHM_EXEC), EACCES) &&
			    refuses(shmctl(mine, IPC_STAT, &status), EACCES) &&
			    refuses(shmctl(open, IPC_RMID, NULL), EPERM) &&
			    refuses(shmctl(open, IPC_SET, &status), EPERM);
		_exit(good ? 0 : 1);
	}
	waitpid(child, &result, 0);
	want(shmctl(mine, IPC_RMID, NULL) == 0 && shmctl(open, IPC_RMID, NULL) == 0);
	want(result == 0);
	return 0;
}

/* A process that ends, or becomes another program, lets go of what has been removed. */
static int doomed(void)
{
	int id = shmget(IPC_PRIVATE, 16 * PAGE, 0600);
	struct shmid_ds status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		memset(shmat(id, NULL, 0), 1, 16 * PAGE);
		shmctl(id, IPC_RMID, NULL);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	want(soon(refuses(shmctl(id, IPC_STAT, &status), EINVAL)));
	return 0;
}

static int told_of(void)
{
	struct shminfo limits;
	struct shm_info usage;
	struct shmid_ds status;
	int id = shmget(IPC_PRIVATE, PAGE, 0600), highest, found = 0;

	want(shmctl(0, IPC_INFO, (struct shmid_ds *)&limits) >= 0 && limits.shmmin == 1);
	highest = shmctl(0, SHM_INFO, (struct shmid_ds *)&usage);
	want(highest >= 0 && usage.used_ids >= 1);
	for (int i = 0; i <= highest; i++)
		found += shmctl(i, SHM_STAT, &status) == id;
	want(found == 1);
	want(refuses(shmctl(id, 999, &status), EINVAL) &&
	     refuses(shmctl(-1, IPC_STAT, &status), EINVAL));
	return shmctl(id, IPC_RMID, NULL);
}

/* --- semaphores --------------------------------------------------------------------------------------------- */

static int operate(int id, int number, int by, int flags)
{
	struct sembuf operation = { (unsigned short)number, (short)by, (short)flags };

	return semop(id, &operation, 1);
}

static int value_of(int id, int number)
{
	return semctl(id, number, GETVAL);
}

static int values(void)
{
	int id = semget(some_key(5), 3, IPC_CREAT | IPC_EXCL | 0600);
	unsigned short in[] = { 1, 2, 3 }, out[3] = { 0 };
	union semun argument = { .all = in };
	struct semid_ds status;
	struct sembuf both[] = { { 0, -1, IPC_NOWAIT }, { 1, -5, IPC_NOWAIT } };

	want(id >= 0 && semget(some_key(5), 2, 0) == id);
	want(refuses(semget(some_key(5), 4, 0), EINVAL) &&
	     refuses(semget(IPC_PRIVATE, 0, 0600), EINVAL));
	want(semctl(id, 0, SETALL, argument) == 0);
	argument.all = out;
	want(semctl(id, 0, GETALL, argument) == 0 && out[0] == 1 && out[2] == 3);
	want(operate(id, 1, 5, 0) == 0 && value_of(id, 1) == 7);
	want(semctl(id, 1, GETPID) == getpid());
	/* All or none. */
	want(operate(id, 1, -4, 0) == 0 && refuses(semop(id, both, 2), EAGAIN));
	want(value_of(id, 0) == 1 && value_of(id, 1) == 3);
	want(refuses(operate(id, 0, 0, IPC_NOWAIT), EAGAIN));
	want(operate(id, 0, -1, 0) == 0 && operate(id, 0, 0, 0) == 0);
	want(refuses(operate(id, 3, 1, 0), EFBIG));
	want(operate(id, 0, 32767, 0) == 0 && refuses(operate(id, 0, 1, 0), ERANGE));
	want(refuses(semop(id, both, 0), EINVAL) && refuses(semop(id, both, 100000), E2BIG));
	argument.value = 40000;
	want(refuses(semctl(id, 0, SETVAL, argument), ERANGE));
	want(refuses(semctl(id, 9, GETVAL), EINVAL));
	argument.status = &status;
	want(semctl(id, 0, IPC_STAT, argument) == 0 && status.sem_nsems == 3 &&
	     status.sem_otime > 0);
	want(semctl(id, 0, IPC_RMID) == 0 && refuses(value_of(id, 0), EINVAL));
	return 0;
}

static int set;

static void *take_one(void *unused)
{
	return operate(set, 0, -1, 0) == 0 ? unused : (void *)(long)errno;
}

static void *wait_for_zero(void *unused)
{
	return operate(set, 1, 0, 0) == 0 ? unused : (void *)(long)errno;
}

static void interrupt(int signal)
{
	(void)signal;
}

static int sleeping(void)
{
	struct sigaction action = { .sa_handler = interrupt, .sa_flags = SA_RESTART };
	struct timespec time = { 0, 10000000 };
	struct sembuf take = { 0, -1, 0 };
	pthread_t threads[3];
	void *result;

	set = semget(IPC_PRIVATE, 2, 0600);
	operate(set, 1, 1, 0);
	want(refuses(semtimedop(set, &take, 1, &time), EAGAIN));
	threads[0] = start(take_one, NULL);
	threads[1] = start(take_one, NULL);
	threads[2] = start(wait_for_zero, NULL);
	want(soon(semctl(set, 0, GETNCNT) == 2) && soon(semctl(set, 1, GETZCNT) == 1));
	want(operate(set, 0, 1, 0) == 0 && soon(semctl(set, 0, GETNCNT) == 1));
	want(operate(set, 0, 1, 0) == 0 && operate(set, 1, -1, 0) == 0);
	for (int i = 0; i < 3; i++)
		want(pthread_join(threads[i], &result) == 0 && result == NULL);
	want(value_of(set, 0) == 0);
	/* A handler ends it, whatever SA_RESTART says. */
	sigaction(SIGUSR1, &action, NULL);
	threads[0] = start(take_one, NULL);
	want(soon(semctl(set, 0, GETNCNT) == 1));
	pthread_kill(threads[0], SIGUSR1);
	want(pthread_join(threads[0], &result) == 0 && result == (void *)EINTR);
	want(semctl(set, 0, GETNCNT) == 0);
	/* So does the set's end. */
	threads[0] = start(take_one, NULL);
	want(soon(semctl(set, 0, GETNCNT) == 1) && semctl(set, 0, IPC_RMID) == 0);
	want(pthread_join(threads[0], &result) == 0 && result == (void *)EIDRM);
	return 0;
}

static int undone(void)
{
	int id = semget(IPC_PRIVATE, 2, 0600), status;
	pid_t child;

	operate(id, 0, 3, 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		bool good = operate(id, 0, -2, SEM_UNDO) == 0 && operate(id, 1, 4, SEM_UNDO) == 0 &&
			    value_of(id, 0) == 1 && value_of(id, 1) == 4;

		if (good)
			raise(SIGKILL);
		_exit(1);
	}
	waitpid(child, &status, 0);
	want(WIFSIGNALED(status));
	want(soon(value_of(id, 0) == 3 && value_of(id, 1) == 0));
	want(semctl(id, 0, IPC_RMID) == 0);
	return 0;
}

/* --- messages ------------------------------------------------------------------------------------------------ */

struct message {
	long type;
	char text[100];
};

static int queue;

static int send_text(int id, long type, const char *text, int flags)
{
	struct message message = { .type = type };

	snprintf(message.text, sizeof(message.text), "%s", text);
	return msgsnd(id, &message, strlen(text), flags);
}

static bool receives(int id, long type, int flags, const char *text)
{
	struct message message;
	ssize_t length;

	memset(&message, 0, sizeof(message));
	length = msgrcv(id, &message, sizeof(message.text), type, flags | IPC_NOWAIT);
	return length == (ssize_t)strlen(text) && strcmp(message.text, text) == 0;
}

static int messages(void)
{
	int id = msgget(some_key(6), IPC_CREAT | IPC_EXCL | 0600);
	struct msqid_ds status;
	struct message message;

	want(id >= 0 && msgget(some_key(6), 0) == id);
	want(refuses(send_text(id, 0, "x", 0), EINVAL) &&
	     refuses(msgsnd(id, &message, 100000, 0), EINVAL));
	want(refuses(msgrcv(id, &message, 10, 0, IPC_NOWAIT), ENOMSG));
	want(send_text(id, 5, "five", 0) == 0 && send_text(id, 3, "three", 0) == 0);
	want(send_text(id, 4, "four", 0) == 0 && send_text(id, 5, "more", 0) == 0);
	want(msgctl(id, IPC_STAT, &status) == 0 && status.msg_qnum == 4 &&
	     status.msg_lspid == getpid());
	want(receives(id, 4, 0, "four"));
	want(receives(id, -4, 0, "three"));
	want(receives(id, 0, 0, "five"));
	want(refuses(msgrcv(id, &message, 2, 0, 0), E2BIG));
	want(!receives(id, 5, MSG_EXCEPT, "more"));
	want(msgrcv(id, &message, 2, 0, MSG_NOERROR) == 2 && message.type == 5 &&
	     message.text[1] == 'o');
	want(msgctl(id, IPC_STAT, &status) == 0 && status.msg_qnum == 0 && status.msg_qbytes > 0);
	/* A queue is full at some point. */
	while (send_text(id, 1, "0123456789012345678901234567890123456789", IPC_NOWAIT) == 0)
		;
	want(errno == EAGAIN && msgctl(id, IPC_STAT, &status) == 0 && status.msg_qnum > 10);
	want(msgctl(id, IPC_RMID, NULL) == 0 && refuses(send_text(id, 1, "x", 0), EINVAL));
	return 0;
}

/* Messages stay in the kernel, whoever ends: they may not take all memory. */
static int too_many(void)
{
	static struct {
		long type;
		char text[8192];
	} large = { .type = 1 };
	static int ids[600];
	int count = 0, error = 0;

	while (count < 600 && (ids[count] = msgget(IPC_PRIVATE, 0600)) >= 0) {
		count++;
		while (msgsnd(ids[count - 1], &large, sizeof(large.text), IPC_NOWAIT) == 0)
			;
		error = errno;
		if (error != EAGAIN)
			break;
	}
	for (int i = 0; i < count; i++)
		want(msgctl(ids[i], IPC_RMID, NULL) == 0);
	want(error == ENOMEM);
	want((queue = msgget(IPC_PRIVATE, 0600)) >= 0 && send_text(queue, 1, "x", 0) == 0);
	return msgctl(queue, IPC_RMID, NULL);
}

static void *receive_one(void *unused)
{
	struct message message;

	return msgrcv(queue, &message, sizeof(message.text), 7, 0) >= 0 ? unused
									: (void *)(long)errno;
}

static int waiting_for_messages(void)
{
	pthread_t thread;
	void *result;

	queue = msgget(IPC_PRIVATE, 0600);
	thread = start(receive_one, NULL);
	nap(5);
	want(send_text(queue, 6, "not that", 0) == 0);
	nap(2);
	want(send_text(queue, 7, "that", 0) == 0);
	want(pthread_join(thread, &result) == 0 && result == NULL);
	thread = start(receive_one, NULL);
	nap(5);
	want(msgctl(queue, IPC_RMID, NULL) == 0);
	want(pthread_join(thread, &result) == 0 && result == (void *)EIDRM);
	return 0;
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	ok(in_child(made_by_key) == 0, "shared memory by key: made, found, changed, removed");
	ok(in_child(shared_by_processes) == 0, "attached by several, and removed meanwhile");
	ok(in_child(placed) == 0, "where the caller wants it, and in pieces");
	ok(in_child(others) == 0, "others may what its mode says");
	ok(in_child(doomed) == 0, "removed, it goes with the last that had it");
	ok(in_child(told_of) == 0, "what there is is told");
	ok(in_child(values) == 0, "semaphores: values, and all operations or none");
	ok(in_child(sleeping) == 0, "waiting for them");
	ok(in_child(undone) == 0, "SEM_UNDO");
	ok(in_child(messages) == 0, "messages: sent, chosen, cut");
	ok(in_child(waiting_for_messages) == 0, "waiting for them");
	/* Linux counts them for a control group, if at all. */
	if (on_hawser())
		ok(in_child(too_many) == 0, "but not without end");
	return done();
}
