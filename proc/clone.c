/*
 * proc/clone.c - fork(2), vfork(2), clone(2): one becomes two, processes or threads.
 *
 * Everything that can fail is acquired for a child that nobody knows: memory, descriptors, a thread.
 * Then it gets its number and its place in the family, and its thread starts; from there nothing fails.
 *
 *	          fork          vfork             clone, CLONE_…
 *	space     copied        shared            VM: shared
 *	files     copied        copied            FILES: shared
 *	cwd       copied        copied            FS: shared
 *	handlers  copied        copied            SIGHAND: shared (wants VM)
 *	process   new           new               THREAD: the same (wants SIGHAND)
 *	parent    goes on       waits, killably,  VFORK: waits
 *	                        until the child execs or ends
 *
 * Name spaces are EINVAL.
 */
#include "fs/file.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/version.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/trap.h"
#include "kernel/x86_64/cpu.h"
#include "mm/slab.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/pidfd.h"
#include "proc/process.h"
#include <asm/signal.h>
#include <linux/sched.h>

/*
 * Flags of this kernel; the last five change nothing here: nothing is traced, or shared further, and
 * Linux itself has forgotten CLONE_DETACHED.
 */
#define CLONE_KNOWN                                                                       \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_PIDFD | CLONE_SIGHAND | CLONE_THREAD | \
	 CLONE_VFORK | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |          \
	 CLONE_CHILD_CLEARTID | CLONE_CLEAR_SIGHAND | CLONE_PARENT | CLONE_UNTRACED |     \
	 CLONE_PTRACE | CLONE_DETACHED | CLONE_IO | CLONE_SYSVSEM)

/* Where the registers of a child begin their life. */
struct clone_request {
	uint64_t flags;
	int exit_signal;
	vaddr_t stack; /* what RSP becomes; 0: the parent's */
	vaddr_t tls, parent_tid, child_tid;
	vaddr_t pidfd; /* CLONE_PIDFD: where to put it */
};

/* --- what the child has of its parent ----------------------------------------------------------- */

static int give_space(struct thread *child, uint64_t flags)
{
	if (flags & CLONE_VM) {
		space_get(current->space);
		child->space = current->space;
		return 0;
	}
	return space_fork(current->space, &child->space);
}

static int give_files(struct thread *child, uint64_t flags)
{
	if (flags & CLONE_FILES) {
		files_get(current->files);
		child->files = current->files;
	} else {
		child->files = files_copy(current->files);
	}
	if (flags & CLONE_FS) {
		fs_context_get(current->fs);
		child->fs = current->fs;
	} else {
		child->fs = fs_context_copy(current->fs);
	}
	return child->files && child->fs ? 0 : -ENOMEM;
}

static int give_handlers(struct process *child, uint64_t flags)
{
	struct handlers *handlers = current_process()->handlers;

	if (flags & CLONE_SIGHAND) {
		handlers_get(handlers);
		child->handlers = handlers;
		return 0;
	}
	child->handlers = handlers_copy(handlers);
	if (!child->handlers)
		return -ENOMEM;
	if (flags & CLONE_CLEAR_SIGHAND)
		handlers_reset(child->handlers);
	return 0;
}

/* To another process: limits, the image. Nothing of it can fail. */
static void give_properties(struct process *child)
{
	struct process *self = current_process();

	child->oom_score_adj = self->oom_score_adj;
	spin_lock(&self->limits.lock);
	memcpy(child->limits.limit, self->limits.limit, sizeof(child->limits.limit));
	spin_unlock(&self->limits.lock);

	mutex_lock(&family_lock);
	strlcpy(child->command, current->name, sizeof(child->command));
	if (self->exe) {
		int error = version_deny_write(self->exe);

		assert(error == 0); /* we deny it ourselves */
		version_get(self->exe);
		file_name_get(self->exe_name);
		child->exe = self->exe;
		child->exe_name = self->exe_name;
		child->exe_owner = self->exe_owner;
	}
	mutex_unlock(&family_lock);
}

/* The registers: the parent's, but that the call returns 0, perhaps on another stack. */
static void give_registers(struct thread *child, struct trapframe *registers,
			   const struct clone_request *request)
{
	*registers = *current->trapframe;
	registers->rax = 0;
	if (request->stack != 0)
		registers->rsp = request->stack;
	fpu_save(current->fpu);
	memcpy(child->fpu, current->fpu, fpu_area_size());
	child->fs_base = (request->flags & CLONE_SETTLS) ? request->tls : cpu_user_fs_base();
	child->gs_base = cpu_user_gs_base();
}

/* What is a thread's own: mask, name, other stack, registers, the words that say its number. */
static void give_state(struct task *task, const struct clone_request *request)
{
	const struct task *self = current_task();
	uint64_t flags = request->flags;

	task->signal_mask = self->signal_mask;
	strlcpy(task->thread.name, current->name, sizeof(task->thread.name));
	/* Two programs in one memory must not use one stack: sigaltstack(2). */
	if (!(flags & CLONE_VM) || (flags & CLONE_VFORK))
		task->alternate_stack = self->alternate_stack;
	process_inherit_attributes(task);
	give_registers(&task->thread, task->registers, request);
	if (flags & CLONE_CHILD_SETTID)
		task->set_child_tid = request->child_tid;
	if (flags & CLONE_CHILD_CLEARTID)
		task->thread.clear_child_tid = request->child_tid;
}

/* The child's first steps. */
static void begin(void *arg)
{
	struct task *self = arg;
	struct trapframe registers = *self->registers;
	uint32_t tid = current->tid;

	kfree(self->registers);
	self->registers = NULL;
	/* As on Linux, whoever gives a bad address is not told. */
	if (self->set_child_tid != 0 && put_user(self->set_child_tid, tid) != 0)
		self->set_child_tid = 0;
	trap_enter_user(&registers);
}

/* --- reserve, commit ------------------------------------------------------------------------------ */

/* What has been acquired for a child that will not be. `child`: NULL if it would be our own thread. */
static void discard(struct process *child, struct task *task)
{
	if (task) {
		struct thread *thread = &task->thread;

		if (thread->fs)
			fs_context_put(thread->fs);
		if (thread->files)
			files_put(thread->files);
		if (thread->space)
			space_put(thread->space);
		task_discard(task);
	}
	if (child) {
		process_drop_image(child);
		process_put(child);
	}
}

static int reserve_process(const struct clone_request *request, struct process **process)
{
	struct process *child = process_alloc();

	*process = child;
	if (!child)
		return -ENOMEM;
	give_properties(child);
	child->exit_signal = request->exit_signal;
	return give_handlers(child, request->flags);
}

static int reserve(const struct clone_request *request, struct process **process, struct task **out)
{
	struct task *task;
	int error = 0;

	*process = NULL;
	*out = NULL;
	if (!(request->flags & CLONE_THREAD))
		error = reserve_process(request, process);
	if (error != 0)
		return error;
	task = task_create(*process ? *process : current_process(), begin, NULL);
	*out = task;
	if (!task)
		return -ENOMEM;
	task->thread.arg = task;
	task->registers = kalloc(sizeof(*task->registers));
	if (!task->registers)
		return -ENOMEM;
	error = give_files(&task->thread, request->flags);
	if (error == 0)
		error = give_space(&task->thread, request->flags);
	if (error == 0)
		give_state(task, request);
	return error;
}

/* Family lock held. */
static int add_process(const struct clone_request *request, struct process *child,
		       struct task *task)
{
	struct process *self = current_process(), *parent = self;
	uint32_t parent_tid = current->tid;
	int error;

	if ((request->flags & CLONE_PARENT) && self->parent) {
		parent = self->parent;
		parent_tid = self->parent_tid;
		child->exit_signal = self->exit_signal;
	}
	/* Who ends a whole group has seen us, and would not see the child. */
	if (current->kill_pending)
		return -EINTR;
	error = family_add(child, task, parent);
	if (error != 0)
		return error;
	child->parent_tid = parent_tid;
	/* CLONE_PARENT: siblings are of one group. */
	child->pgid = self->pgid;
	child->sid = self->sid;
	child->has_no_terminal = self->has_no_terminal;
	return 0;
}

static int commit(const struct clone_request *request, struct process *child, struct task *task)
{
	int error;

	mutex_lock(&family_lock);
	error = child ? add_process(request, child, task) : family_add_task(task);
	if (error == 0 && (request->flags & CLONE_VFORK)) {
		task->vfork_parent = current_task();
		current_task()->vfork_child = task;
	}
	mutex_unlock(&family_lock);
	return error;
}

/* Until the child is done with our memory; only our own end makes us go on sooner. */
static void await_release(void)
{
	struct task *self = current_task();

	(void)wait_event_killable(&self->vfork_wait, self->vfork_child == NULL);
	mutex_lock(&family_lock);
	if (self->vfork_child)
		self->vfork_child->vfork_parent = NULL;
	self->vfork_child = NULL;
	mutex_unlock(&family_lock);
}

/* CLONE_PIDFD: a descriptor for the child, which nobody knows yet. */
static int give_pidfd(const struct clone_request *request, struct process *child, int *fd)
{
	if (!(request->flags & CLONE_PIDFD))
		return 0;
	*fd = pidfd_install(child, 0);
	if (*fd < 0)
		return *fd;
	return put_user(request->pidfd, *fd);
}

static void take_pidfd(int fd)
{
	struct file *file = fd >= 0 ? files_remove(current->files, fd) : NULL;

	if (file)
		file_put(file);
}

static int64_t do_clone(const struct clone_request *request)
{
	struct process *child;
	struct task *task;
	uint32_t tid;
	int fd = -1, error = reserve(request, &child, &task);

	if (error == 0)
		error = give_pidfd(request, child, &fd);
	if (error == 0)
		error = commit(request, child, task);
	if (error != 0) {
		take_pidfd(fd);
		discard(child, task);
		return error;
	}
	tid = task->thread.tid;
	if ((request->flags & CLONE_PARENT_SETTID) && put_user(request->parent_tid, tid) != 0)
		log_debug("clone: the parent's thread id cannot be stored");
	thread_start(&task->thread);
	if (request->flags & CLONE_VFORK)
		await_release();
	return tid;
}

/* --- system calls ----------------------------------------------------------------------------------- */

static int check_request(const struct clone_request *request)
{
	if (request->flags & ~(uint64_t)CLONE_KNOWN)
		return -EINVAL;
	if (request->exit_signal < 0 || request->exit_signal > NSIG_KERNEL)
		return -EINVAL;
	if (((request->flags & CLONE_THREAD) && !(request->flags & CLONE_SIGHAND)) ||
	    ((request->flags & CLONE_SIGHAND) && !(request->flags & CLONE_VM)) ||
	    ((request->flags & CLONE_SIGHAND) && (request->flags & CLONE_CLEAR_SIGHAND)))
		return -EINVAL;
	/* A pidfd is a process's. */
	if ((request->flags & CLONE_PIDFD) && (request->flags & (CLONE_THREAD | CLONE_DETACHED)))
		return -EINVAL;
	if ((request->flags & CLONE_SETTLS) && request->tls >= USER_MAX)
		return -EPERM;
	/* The first process has no siblings. */
	if ((request->flags & CLONE_PARENT) && !(request->flags & CLONE_THREAD) &&
	    current_process() == first_process)
		return -EINVAL;
	return 0;
}

SYSCALL0(fork)
{
	const struct clone_request request = { .exit_signal = SIGCHLD };

	return do_clone(&request);
}

SYSCALL0(vfork)
{
	const struct clone_request request = {
		.flags = CLONE_VFORK | CLONE_VM,
		.exit_signal = SIGCHLD,
	};

	return do_clone(&request);
}

SYSCALL5(clone, uint64_t, flags, vaddr_t, stack, vaddr_t, parent_tid, vaddr_t, child_tid, vaddr_t,
	 tls)
{
	const struct clone_request request = {
		.flags = (uint32_t)flags & ~CSIGNAL,
		.exit_signal = (int)(flags & CSIGNAL),
		.stack = stack,
		.tls = tls,
		.parent_tid = parent_tid,
		.child_tid = child_tid,
		.pidfd = parent_tid, /* as on Linux: one argument for both */
	};
	int error = check_request(&request);

	if (error == 0 && (flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID))
		error = -EINVAL;

	return error != 0 ? error : do_clone(&request);
}

/* clone3(2): later versions of its structure are longer, and what we do not know must be zero. */
static int get_clone_args(struct clone_args *args, vaddr_t from, size_t size)
{
	size_t known = MIN(size, sizeof(*args));
	int error;

	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(args, 0, sizeof(*args));
	error = copy_from_user(args, from, known);
	for (size_t at = known; error == 0 && at < size; at++) {
		uint8_t byte;

		error = get_user(&byte, from + at);
		if (error == 0 && byte != 0)
			error = -E2BIG;
	}
	return error;
}

SYSCALL2(clone3, vaddr_t, from, size_t, size)
{
	struct clone_request request;
	struct clone_args args;
	int error = get_clone_args(&args, from, size);

	if (error != 0)
		return error;
	if (args.set_tid != 0 || args.set_tid_size != 0 ||
	    (args.stack == 0) != (args.stack_size == 0) || args.exit_signal > NSIG_KERNEL ||
	    (args.flags & (CLONE_DETACHED | CSIGNAL)) ||
	    ((args.flags & (CLONE_THREAD | CLONE_PARENT)) && args.exit_signal != 0) ||
	    !user_range_ok(args.stack, args.stack_size))
		return -EINVAL;
	request = (struct clone_request){
		.flags = args.flags,
		.exit_signal = (int)args.exit_signal,
		.stack = args.stack + args.stack_size,
		.tls = args.tls,
		.parent_tid = args.parent_tid,
		.child_tid = args.child_tid,
		.pidfd = args.pidfd,
	};
	error = check_request(&request);
	return error != 0 ? error : do_clone(&request);
}
