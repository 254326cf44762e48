/*
 * loader/exec.c - one program gives way to another. See loader/exec.h.
 *
 * Everything that can fail happens in reserve(), beside the running program: its space, files and
 * registers are not touched. exec_commit() then only exchanges pointers and lets go of the old.
 *
 * The new space belongs to this thread alone until the switch, so nothing in it is locked against
 * anybody; it is filled through space_write(), since no CPU has it loaded.
 */
#include "loader/exec.h"

#include "fs/file.h"
#include "kernel/cmdline.h"
#include "kernel/limits.h"
#include "kernel/random.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/trapframe.h"
#include "loader/image.h"
#include "loader/stack.h"
#include "loader/vdso.h"
#include "mm/layout.h"
#include "mm/space.h"
#include "proc/cred.h"
#include "proc/process.h"
#include <asm/hwcap2.h>
#include <asm/processor-flags.h>
#include <linux/mman.h>
#include <linux/personality.h>

/* Below the arguments, what a new program's stack has at once (Linux's stack_expand). */
#define STACK_EXTRA (128 * KIB)
/* Linux: arguments never take more than three quarters of the default stack of 8 MiB. */
#define STRINGS_LIMIT_MAX (6 * MIB)
#define STRINGS_LIMIT_MIN (128 * KIB)
/* What one page table of the lowest level covers. */
#define PAGE_TABLE_SPAN (2 * MIB)

/* What reserve() has acquired. */
struct exec {
	struct image image;
	struct image interpreter; /* empty unless the program names one */
	struct space *space;
	struct cred *cred;         /* what the program may do */
	bool secure;               /* which is more than the caller may */
	struct fs_context *fs;     /* a copy of directories and umask, if `secure`; or NULL */
	struct files *files;       /* a copy of the descriptor table, if it was shared; or NULL */
	struct handlers *handlers; /* the same of what is done about signals */
	vaddr_t entry;
	struct stack_layout stack;
};

size_t exec_strings_limit(void)
{
	uint64_t limit = MIN(limit_get(RLIMIT_STACK) / 4, STRINGS_LIMIT_MAX);

	return MAX(limit, STRINGS_LIMIT_MIN);
}

/* Scripts add to argv: the whole is measured once more. */
static int check_strings(const struct exec_request *request)
{
	size_t total = strlen(request->program) + 1 + request->argv.bytes + request->envp.bytes +
		       (request->argv.count + request->envp.count) * sizeof(uint64_t);

	return total <= exec_strings_limit() ? 0 : -E2BIG;
}

/* --- the new space ---------------------------------------------------------------------------- */

/*
 * A random distance of less than `pages` pages; none with `norandmaps`, or if the caller has asked for none and
 * starts nobody who may do more.
 */
static uint64_t random_distance(const struct exec *exec, uint64_t pages)
{
	if (cmdline_flag("norandmaps") ||
	    (!exec->secure && (current_process()->attributes.personality & ADDR_NO_RANDOMIZE)))
		return 0;
	return random_below(pages) << PAGE_SHIFT;
}

/* Above the stack, as Linux; under the same page table, of which there will be no other. */
static vaddr_t place_vdso(const struct exec *exec)
{
	const struct space *space = exec->space;
	vaddr_t end = MIN(ALIGN_UP(space->stack_top, PAGE_TABLE_SPAN), USER_MAX);
	uint64_t room = end - space->stack_top;

	return space->stack_top + random_distance(exec, (room - vdso_size()) / PAGE_SIZE + 1);
}

/* The stack at the top, the mmap area below it with room for the stack to grow; as Linux. */
static void place_areas(const struct exec *exec)
{
	struct space *space = exec->space;
	uint64_t gap = MIN(space->limits.stack, USER_MAX / 6 * 5 - STACK_GUARD_GAP);

	space->stack_top = USER_MAX - vdso_size() - random_distance(exec, STACK_RANDOM_PAGES);
	if (ALIGN_UP(space->stack_top, PAGE_TABLE_SPAN) - space->stack_top < vdso_size())
		space->stack_top -= vdso_size();
	gap = MAX(ALIGN_UP(gap, PAGE_SIZE) + STACK_GUARD_GAP, MMAP_MIN_GAP);
	space->mmap_top = space->stack_top - gap - random_distance(exec, MMAP_RANDOM_PAGES);
}

static int map_stack(struct space *space, size_t needed, bool executable)
{
	uint64_t used = ALIGN_UP(needed, PAGE_SIZE);
	uint64_t allowed = ALIGN_DOWN(space->limits.stack, PAGE_SIZE);
	uint64_t length = MAX(used, MIN(used + STACK_EXTRA, allowed));
	struct map_request request = {
		.address = space->stack_top - length,
		.length = length,
		.prot = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0u),
		.max_prot = PROT_ALL,
		.flags = REGION_GROWSDOWN | REGION_STACK,
		.fixed = true,
		.noreplace = true,
	};
	vaddr_t at;
	int error = space_map(space, &request, &at);

	/* A fixed-address image lies where the stack must be. */
	return error == -EEXIST ? -ENOMEM : error;
}

/*
 * Maps the interpreter where mmap(2) would: at the top of its area. The place that holds all of it,
 * aligned as it asks for, is found by mapping nothing there. One with addresses of its own goes
 * there, over the program if that is how they were made, as on Linux.
 */
static int map_interpreter(struct exec *exec, uint64_t *bias)
{
	const struct image_plan *plan = &exec->interpreter.plan;
	struct map_request room = { .prot = PROT_NONE, .max_prot = PROT_ALL };
	vaddr_t start = ALIGN_DOWN(plan_start(plan), plan->alignment);
	vaddr_t at;
	int error;

	*bias = 0;
	if (!plan->relocatable)
		return image_map(&exec->interpreter, exec->space, 0);
	if (__builtin_add_overflow(plan_end(plan) - start, plan->alignment - PAGE_SIZE,
				   &room.length))
		return -ENOMEM;
	error = space_map(exec->space, &room, &at);
	if (error == 0)
		error = space_unmap(exec->space, at, room.length);
	if (error != 0)
		return error;
	*bias = ALIGN_UP(at, plan->alignment) - start;
	return image_map(&exec->interpreter, exec->space, *bias);
}

static int write_to_space(void *context, vaddr_t to, const void *from, size_t length)
{
	return space_write(context, to, from, length);
}

static void fill_aux(struct stack_aux *aux, const struct exec *exec, uint64_t bias)
{
	const struct image_plan *plan = &exec->image.plan;

	aux->uid = exec->cred->uid;
	aux->euid = exec->cred->euid;
	aux->gid = exec->cred->gid;
	aux->egid = exec->cred->egid;
	aux->secure = exec->secure;
	aux->hwcap = cpuid(1, 0).edx;
	aux->hwcap2 = (read_cr4() & X86_CR4_FSGSBASE) ? HWCAP2_FSGSBASE : 0;
	aux->phdr = plan->phdr ? plan->phdr + bias : 0;
	aux->phnum = plan->phnum;
	aux->entry = plan->entry + bias;
	random_bytes(aux->random, sizeof(aux->random));
}

/* Where the program's code and its data are, as Linux finds it. */
static void note_places(struct space *space, const struct image_plan *plan, uint64_t bias)
{
	space->code_start = UINT64_MAX;
	for (unsigned i = 0; i < plan->count; i++) {
		const struct image_segment *segment = &plan->segments[i];

		if (segment->prot & PROT_EXEC) {
			space->code_start = MIN(space->code_start, segment->address + bias);
			space->code_end = MAX(space->code_end, segment->file_end + bias);
		}
		space->data_start = segment->address + bias;
		space->data_end = MAX(space->data_end, segment->file_end + bias);
	}
}

static int build_space(struct exec *exec, const struct exec_request *request)
{
	const struct image_plan *plan = &exec->image.plan;
	struct space *space = exec->space;
	struct stack_request stack = {
		.argv = &request->argv,
		.envp = &request->envp,
		.program = request->program,
		.write = write_to_space,
		.context = space,
	};
	uint64_t bias, interpreter_bias = 0;
	vaddr_t vdso;
	int error;

	space->limits = (struct space_limits){
		.as = limit_get(RLIMIT_AS),
		.data = limit_get(RLIMIT_DATA),
		.stack = limit_get(RLIMIT_STACK),
		.memlock = limit_get(RLIMIT_MEMLOCK),
	};
	space->never_large = current->space && current->space->never_large;
	place_areas(exec);
	error = plan_bias(plan, PIE_BASE + random_distance(exec, PIE_RANDOM_PAGES), &bias);
	if (error == 0)
		error = image_map(&exec->image, space, bias);
	if (error == 0 && exec->interpreter.version)
		error = map_interpreter(exec, &interpreter_bias);
	if (error == 0)
		error = vdso_map(space, place_vdso(exec), &vdso);
	if (error != 0)
		return error;
	note_places(space, plan, bias);
	space_set_brk_start(space, plan_end(plan) + bias + random_distance(exec, BRK_RANDOM_PAGES));

	stack.top = space->stack_top;
	fill_aux(&stack.aux, exec, bias);
	stack.aux.base = interpreter_bias;
	stack.aux.vdso = vdso;
	error = map_stack(space, stack_size(&stack), plan->executable_stack);
	if (error == 0)
		error = stack_build(&stack, &exec->stack);
	assert(exec->stack.aux_end - exec->stack.aux_start <= sizeof(space->auxv));
	if (error == 0)
		error = space_read(space, exec->stack.aux_start, space->auxv,
				   exec->stack.aux_end - exec->stack.aux_start);
	if (error != 0)
		return error;

	space->stack_start = exec->stack.sp;
	space->arg_start = exec->stack.arg_start;
	space->arg_end = exec->stack.arg_end;
	space->env_start = exec->stack.env_start;
	space->env_end = exec->stack.env_end;
	exec->entry = exec->interpreter.version ? exec->interpreter.plan.entry + interpreter_bias
						: stack.aux.entry;
	return 0;
}

/* --- reserve, commit, release ----------------------------------------------------------------- */

static void exec_release(struct exec *exec)
{
	cred_put(exec->cred);
	if (exec->handlers)
		handlers_put(exec->handlers);
	if (exec->files)
		files_put(exec->files);
	if (exec->fs)
		fs_context_put(exec->fs);
	if (exec->space)
		space_put(exec->space);
	image_put(&exec->interpreter);
	image_put(&exec->image);
}

static int reserve(struct exec_request *request, struct exec *exec)
{
	int error;

	*exec = (struct exec){ 0 };
	/* Since Linux 5.18 a program always has an argv[0]. */
	if (request->argv.count == 0) {
		error = strings_append(&request->argv, "");
		if (error != 0)
			return error;
	}
	error = image_load(request->dirfd, request->path, request->flags, request->program,
			   &request->argv, &exec->image);
	if (error != 0)
		return error;
	error = check_strings(request);
	if (error == 0 && exec->image.plan.interpreter_length > 0)
		error = image_load_interpreter(&exec->image, &exec->interpreter);
	if (error != 0)
		goto bad;

	error = -ENOMEM;
	exec->space = space_create();
	exec->cred = cred_for_exec(exec->image.owner.mode, exec->image.owner.uid,
				   exec->image.owner.gid, &exec->secure);
	if (!exec->space || !exec->cred)
		goto bad;
	/* Nobody with fewer rights says where such a program is: CLONE_FS. */
	if (exec->secure) {
		exec->fs = fs_context_copy(current->fs);
		if (!exec->fs)
			goto bad;
	}
	if (files_shared(current->files)) {
		exec->files = files_copy(current->files);
		if (!exec->files)
			goto bad;
	}
	error = process_unshare_handlers(&exec->handlers);
	if (error == 0)
		error = build_space(exec, request);
	/* Nothing else can fail: from here on this thread is alone, or ends. */
	if (error == 0)
		error = process_end_siblings();
	if (error != 0)
		goto bad;
	return 0;
bad:
	exec_release(exec);
	return error;
}

/* The last component of a path, for comm. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The registers of a program that has not run yet. */
static void reset_registers(const struct exec *exec)
{
	struct trapframe *tf = current->trapframe;

	*tf = (struct trapframe){
		.vector = tf->vector,
		.error = TRAP_NO_SYSCALL,
		.rip = exec->entry,
		.rsp = exec->stack.sp,
		.cs = GDT_USER_CODE,
		.ss = GDT_USER_DATA,
		.rflags = X86_EFLAGS_IF | X86_EFLAGS_FIXED,
	};
	cpu_set_user_fs_base(0);
	cpu_set_user_gs_base(0);
	fpu_reset();
}

/* Cannot fail. Takes over all that `exec` holds. */
static void exec_commit(struct exec *exec, const struct exec_request *request)
{
	struct space *old_space = current->space;
	struct files *old_files = NULL;
	struct fs_context *old_fs = NULL;

	task_leave_memory();
	task_take_lead();
	mutex_lock(&family_lock);
	if (old_space)
		process_note_peak();
	/* At once, or who may look into the old program might reach into the new one (cred_may_inspect()). */
	process_exec_attributes(exec->image.owner.readable && (!exec->interpreter.version ||
							       exec->interpreter.owner.readable),
				exec->secure);
	cred_commit_locked(exec->cred);
	space_switch(exec->space);
	/* If only siblings had shared it, it is ours alone now. */
	if (exec->files && files_shared(current->files)) {
		old_files = current->files;
		current->files = exec->files;
	} else {
		old_files = exec->files;
	}
	if (exec->fs) {
		old_fs = current->fs;
		current->fs = exec->fs;
	}
	mutex_unlock(&family_lock);
	process_new_image(exec->image.version, exec->image.name, &exec->image.owner,
			  base_name(request->program), exec->handlers);
	reset_registers(exec);

	files_close_on_exec(current->files);
	if (old_files)
		files_put(old_files);
	if (old_fs)
		fs_context_put(old_fs);
	if (old_space)
		space_put(old_space);
	shm_sweep();

	/* The process holds version and name now; the plan has served. */
	exec->image.version = NULL;
	exec->image.name = NULL;
	image_put(&exec->image);
	image_put(&exec->interpreter);
}

int exec_replace(struct exec_request *request)
{
	struct process *process = current_process();
	struct exec exec;
	int error;

	error = mutex_lock_killable(&process->exec_lock);
	if (error != 0)
		return error;
	error = reserve(request, &exec);
	if (error == 0)
		exec_commit(&exec, request);
	mutex_unlock(&process->exec_lock);
	return error;
}
