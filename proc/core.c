/*
 * proc/core.c - core files: what a process leaves of itself when a signal ends it that says so (core(5)).
 *
 * RLIMIT_CORE has to allow it, which it does not by default. The other threads end first; what is told of
 * registers is the thread's that took the signal. The file is called "core", in the working directory:
 *
 *	ELF header, program headers | notes | page boundary | the contents of one region after the other
 *
 * Pages that nobody has touched are holes. Code and constants are left to the files that they are from.
 */
#include "proc/core.h"

#include "fs/file.h"
#include "fs/inode.h"
#include "fs/io.h"
#include "fs/path.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "kernel/timespec.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/trapframe.h"
#include "mm/slab.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/signal.h"
#include <linux/auxvec.h>
#include <linux/elf-em.h>
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/stat.h>

#define CORE_NAME "core"
/* signal(7): those whose default is "Core". */
#define CORE_SIGNALS                                                                            \
	(SIGNAL_BIT(SIGQUIT) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGABRT) | \
	 SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGSYS) |   \
	 SIGNAL_BIT(SIGXCPU) | SIGNAL_BIT(SIGXFSZ))

#define FXSAVE_SIZE 512

/* Linux's struct elf_prstatus and elf_prpsinfo, which no UAPI header has. */
struct registers {
	uint64_t general[15]; /* r15 … rdi, as in a trapframe */
	uint64_t orig_rax, rip, cs, rflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};
struct status_note {
	int32_t signal, code, error;
	int16_t current_signal;
	uint64_t pending, held;
	uint32_t pid, ppid, pgrp, sid;
	struct __kernel_old_timeval user, system, children_user, children_system;
	struct registers registers;
	int32_t has_fpu;
};
_Static_assert(sizeof(struct status_note) == 336, "the file's format");
struct process_note {
	char state, state_name, zombie, nice;
	uint64_t flags;
	uint32_t uid, gid;
	uint32_t pid, ppid, pgrp, sid;
	char name[16], arguments[80];
};
_Static_assert(sizeof(struct process_note) == 136, "the file's format");

struct segment {
	vaddr_t start, end;
	uint32_t prot;
	uint64_t length; /* of its contents in the file */
	bool sparse;     /* what is not there yet is zero */
};

struct dump {
	struct file *file;
	uint64_t limit;
	loff_t at;
	bool failed;
	struct segment *segments;
	uint32_t count;
	void *page;
};

bool core_is_wanted(const struct process *process, int signal)
{
	return (SIGNAL_BIT(signal) & CORE_SIGNALS) && process->attributes.dumpable &&
	       process->limits.limit[RLIMIT_CORE].rlim_cur >= PAGE_SIZE;
}

/* --- writing ------------------------------------------------------------------------------------------- */

static void put(struct dump *dump, const void *from, size_t length)
{
	uint64_t room = dump->limit - MIN(dump->limit, (uint64_t)dump->at);
	size_t done = 0;

	if (length > room)
		dump->failed = true;
	length = MIN(length, room);
	while (done < length) {
		ssize_t part = file_write_kernel(dump->file, (const char *)from + done,
						 length - done, &dump->at);

		if (part <= 0) {
			dump->failed = true;
			return;
		}
		done += (size_t)part;
	}
}

/* Up to that offset, which is not behind where we are. */
static void skip_to(struct dump *dump, uint64_t offset)
{
	dump->at = (loff_t)MIN(offset, dump->limit);
}

static size_t note_size(size_t length)
{
	return sizeof(Elf64_Nhdr) + sizeof("CORE") + 3 + ALIGN_UP(length, 4);
}

static void put_note(struct dump *dump, uint32_t type, const void *from, size_t length)
{
	static const char name[8] = "CORE", padding[4];
	const Elf64_Nhdr header = {
		.n_namesz = sizeof("CORE"),
		.n_descsz = (uint32_t)length,
		.n_type = type,
	};

	put(dump, &header, sizeof(header));
	put(dump, name, sizeof(name));
	put(dump, from, length);
	put(dump, padding, ALIGN_UP(length, 4) - length);
}

/* --- what is told --------------------------------------------------------------------------------------- */

static size_t aux_length(void)
{
	const uint64_t *auxv = current->space->auxv;
	size_t words = 0;

	while (words + 2 < SPACE_AUX_WORDS && auxv[words] != AT_NULL)
		words += 2;
	return (words + 2) * sizeof(auxv[0]);
}

static size_t notes_size(void)
{
	return note_size(sizeof(struct status_note)) + note_size(sizeof(struct process_note)) +
	       note_size(sizeof(siginfo_t)) + note_size(aux_length()) + note_size(FXSAVE_SIZE);
}

static struct status_note describe_status(const struct trapframe *tf, const siginfo_t *info)
{
	const struct process *self = current_process();
	struct process_times times;
	struct status_note note;

	memset(&note, 0, sizeof(note));
	note.signal = note.current_signal = (int16_t)info->si_signo;
	note.code = info->si_code;
	note.held = current_task()->signal_mask;
	note.pid = current->tid;
	note.ppid = self->parent_pid;
	note.pgrp = self->pgid;
	note.sid = self->sid;
	sched_charge();
	mutex_lock(&family_lock);
	times = process_cpu_times(self);
	note.children_user = timeval_of_ns(self->children_times.user_ns);
	note.children_system = timeval_of_ns(self->children_times.system_ns);
	mutex_unlock(&family_lock);
	note.user = timeval_of_ns(times.user_ns);
	note.system = timeval_of_ns(times.system_ns);
	memcpy(note.registers.general, tf, sizeof(note.registers.general));
	note.registers.orig_rax = tf->error;
	note.registers.rip = tf->rip;
	note.registers.cs = tf->cs;
	note.registers.rflags = tf->rflags;
	note.registers.rsp = tf->rsp;
	note.registers.ss = tf->ss;
	note.registers.fs_base = cpu_user_fs_base();
	note.registers.gs_base = cpu_user_gs_base();
	note.has_fpu = 1;
	return note;
}

static struct process_note describe_process(void)
{
	const struct process *self = current_process();
	const struct cred *cred = current_cred();
	struct space *space = current->space;
	struct process_note note;
	size_t length = MIN(space->arg_end - space->arg_start, sizeof(note.arguments) - 1);

	memset(&note, 0, sizeof(note));
	note.state_name = 'R';
	note.uid = cred->uid;
	note.gid = cred->gid;
	note.pid = self->pid;
	note.ppid = self->parent_pid;
	note.pgrp = self->pgid;
	note.sid = self->sid;
	strlcpy(note.name, current->name, sizeof(note.name));
	if (copy_from_user(note.arguments, space->arg_start, length) != 0)
		length = 0;
	for (size_t i = 0; i < length; i++)
		note.arguments[i] = note.arguments[i] ? note.arguments[i] : ' ';
	note.arguments[length] = '\0';
	return note;
}

static void put_notes(struct dump *dump, const struct trapframe *tf, const siginfo_t *info)
{
	const struct status_note status = describe_status(tf, info);
	const struct process_note process = describe_process();

	put_note(dump, NT_PRSTATUS, &status, sizeof(status));
	put_note(dump, NT_PRPSINFO, &process, sizeof(process));
	put_note(dump, NT_SIGINFO, info, sizeof(*info));
	put_note(dump, NT_AUXV, current->space->auxv, aux_length());
	irq_push_off();
	fpu_save_whole(current->fpu);
	irq_pop_off();
	put_note(dump, NT_PRFPREG, current->fpu, FXSAVE_SIZE);
}

/* --- memory ------------------------------------------------------------------------------------------------ */

/* How much of a region is written: not what is in a file anyway, but for the page that says which. */
static uint64_t contents_of(const struct region *region)
{
	uint64_t length = region->end - region->start;
	bool special = region->name && region->name->path[0] == '[';

	if (!(region->prot & PROT_READ))
		return 0;
	if (special)
		return length;
	if (region->flags & REGION_DEVICE)
		return 0;
	if (!region->object || (region->prot & PROT_WRITE))
		return length;
	return region->offset == 0 ? PAGE_SIZE : 0;
}

/* All regions, or as many as there is room for. -ENOMEM. */
static int list_regions(struct dump *dump)
{
	struct space *space = current->space;
	struct region *region;
	uint32_t room;

	rw_read_lock(&space->lock);
	room = (uint32_t)MIN(space->region_count, (uint64_t)PN_XNUM - 2);
	rw_read_unlock(&space->lock);
	dump->segments = kalloc(MAX(room, 1u) * sizeof(dump->segments[0]));
	if (!dump->segments)
		return -ENOMEM;
	rw_read_lock(&space->lock);
	for (region = space_find_above(space, 0); region && dump->count < room;
	     region = space_next(region))
		dump->segments[dump->count++] = (struct segment){
			.start = region->start,
			.end = region->end,
			.prot = region->prot,
			.length = contents_of(region),
			.sparse = !region->object,
		};
	rw_read_unlock(&space->lock);
	return 0;
}

static void put_headers(struct dump *dump)
{
	uint64_t notes_at = sizeof(Elf64_Ehdr) + (dump->count + 1) * sizeof(Elf64_Phdr);
	uint64_t at = ALIGN_UP(notes_at + notes_size(), PAGE_SIZE);
	const Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (uint16_t)(dump->count + 1),
	};
	Elf64_Phdr program = {
		.p_type = PT_NOTE,
		.p_offset = notes_at,
		.p_filesz = notes_size(),
	};

	put(dump, &header, sizeof(header));
	put(dump, &program, sizeof(program));
	for (uint32_t i = 0; i < dump->count; i++) {
		const struct segment *segment = &dump->segments[i];

		program = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = (segment->prot & PROT_READ ? PF_R : 0) |
				   (segment->prot & PROT_WRITE ? PF_W : 0) |
				   (segment->prot & PROT_EXEC ? PF_X : 0),
			.p_offset = at,
			.p_vaddr = segment->start,
			.p_filesz = segment->length,
			.p_memsz = segment->end - segment->start,
			.p_align = PAGE_SIZE,
		};
		put(dump, &program, sizeof(program));
		at += segment->length;
	}
}

/* True if the page is there, or can be had, and is now in `dump->page`. */
static bool get_page(const struct dump *dump, const struct segment *segment, vaddr_t address)
{
	if (segment->sparse)
		return copy_from_user_nofault(dump->page, address, PAGE_SIZE) == PAGE_SIZE;
	return copy_from_user(dump->page, address, PAGE_SIZE) == 0;
}

static void put_segment(struct dump *dump, const struct segment *segment)
{
	uint64_t begin = (uint64_t)dump->at;

	for (uint64_t offset = 0; offset < segment->length && !dump->failed; offset += PAGE_SIZE) {
		skip_to(dump, begin + offset);
		if (get_page(dump, segment, segment->start + offset))
			put(dump, dump->page, PAGE_SIZE);
		if (current->kill_pending || (uint64_t)dump->at >= dump->limit)
			dump->failed = true;
		else if (sched_needs_resched())
			sched_yield();
	}
	skip_to(dump, begin + segment->length);
}

/* --- the file ---------------------------------------------------------------------------------------------- */

/* core(5): the file has no other name, is the caller's own, and no link. */
static struct file *open_file(void)
{
	const int flags = O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_LARGEFILE;
	struct file *file;
	const struct inode *inode;

	if (file_open(CORE_NAME, flags, S_IRUSR | S_IWUSR, &file) != 0)
		return NULL;
	inode = file->inode;
	if (inode && S_ISREG(inode->mode) && inode->links == 1 &&
	    inode->uid == current_cred()->fsuid && file->ops->truncate &&
	    file->ops->truncate(file, 0) == 0)
		return file;
	file_put(file);
	return NULL;
}

static void write_all(struct dump *dump, const struct trapframe *tf, const siginfo_t *info)
{
	put_headers(dump);
	put_notes(dump, tf, info);
	skip_to(dump, ALIGN_UP((uint64_t)dump->at, PAGE_SIZE));
	for (uint32_t i = 0; i < dump->count && !dump->failed; i++)
		put_segment(dump, &dump->segments[i]);
	/* With what has been skipped at the end. */
	(void)dump->file->ops->truncate(dump->file, (uint64_t)dump->at);
}

bool core_dump(const struct trapframe *tf, const siginfo_t *info)
{
	struct dump dump = {
		.limit = MIN(limit_get(RLIMIT_CORE), limit_get(RLIMIT_FSIZE)),
	};
	bool done = false;

	dump.limit = MIN(dump.limit, (uint64_t)INT64_MAX);
	if (process_end_siblings() != 0 || dump.limit < PAGE_SIZE)
		return false;
	dump.page = kalloc(PAGE_SIZE);
	if (dump.page && list_regions(&dump) == 0)
		dump.file = open_file();
	if (dump.file) {
		write_all(&dump, tf, info);
		file_put(dump.file);
		done = true;
	}
	kfree(dump.segments);
	kfree(dump.page);
	return done;
}
