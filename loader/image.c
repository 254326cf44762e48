/*
 * loader/image.c - see loader/image.h.
 */
#include "loader/image.h"

#include "fs/path.h"
#include "fs/version.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "loader/elf.h"
#include "loader/flat.h"
#include "loader/script.h"
#include "mm/slab.h"
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

/* The first bytes of a file: a script's line, a file header, nearly always the program headers. */
#define HEAD_SIZE 1024
_Static_assert(HEAD_SIZE >= SCRIPT_LINE_SIZE, "a script's line is looked for in the head");

struct head {
	size_t length; /* shorter only if the file is */
	char bytes[HEAD_SIZE];
};

/* --- what kind of file it is ------------------------------------------------------------------ */

/* Reads exactly `length` bytes; a file that ends before is no executable. */
static int read_exactly(struct version *version, uint64_t offset, void *out, size_t length)
{
	ssize_t got;

	if (offset > (uint64_t)INT64_MAX - length)
		return -ENOEXEC;
	got = version_read(version, offset, out, length);
	if (got < 0)
		return (int)got;
	return (size_t)got == length ? 0 : -ENOEXEC;
}

/* Whatever becomes of the plan, its segments are the image's from when they are there. */
static int plan_elf(struct image *image, const struct head *head)
{
	struct elf_file file;
	void *phdrs;
	int error;

	error = elf_read_header(head->bytes, head->length, &file);
	if (error != 0)
		return error;

	image->plan.segments = kalloc(file.phnum * sizeof(*image->plan.segments));
	phdrs = kalloc(file.phdrs_size);
	if (!image->plan.segments || !phdrs) {
		error = -ENOMEM;
		goto out;
	}
	if (file.phdrs_offset <= head->length &&
	    file.phdrs_size <= head->length - file.phdrs_offset)
		memcpy(phdrs, head->bytes + file.phdrs_offset, file.phdrs_size);
	else
		error = read_exactly(image->version, file.phdrs_offset, phdrs, file.phdrs_size);
	if (error == 0)
		error = elf_make_plan(&file, phdrs, image->plan.segments, &image->plan);
out:
	kfree(phdrs);
	return error;
}

static int plan_flat(struct image *image, const struct head *head)
{
	image->plan.segments = kalloc(FLAT_SEGMENTS * sizeof(*image->plan.segments));
	if (!image->plan.segments)
		return -ENOMEM;
	return flat_make_plan(head->bytes, head->length, image->plan.segments, &image->plan);
}

static int make_plan(struct image *image, const struct head *head)
{
	if (elf_probe(head->bytes, head->length))
		return plan_elf(image, head);
	if (flat_probe(head->bytes, head->length))
		return plan_flat(image, head);
	return -ENOEXEC;
}

/* --- from the wire ---------------------------------------------------------------------------- */

/*
 * Fetches what the segments show, in whole pages so that no fault has to ask the server again, and
 * lets the transfer go.
 */
static int stream(struct image *image)
{
	uint64_t needed = image->plan.file_needed;
	char last;
	int error;

	if (needed == 0)
		return 0;
	error = version_require(image->version, ALIGN_UP(needed, PAGE_SIZE));
	if (error == 0)
		error = read_exactly(image->version, needed - 1, &last, 1);
	if (error == 0)
		version_settle(image->version);
	return error;
}

/* Opens a file to run: its version, its name, its first bytes. */
static int image_open(int dirfd, const char *path, int flags, struct image *image,
		      struct head *head)
{
	ssize_t got;
	int error;

	*image = (struct image){ 0 };
	error = path_open_exec(dirfd, path, flags, &image->version, &image->name, &image->owner);
	if (error != 0)
		return error;
	error = version_deny_write(image->version);
	if (error != 0)
		goto bad_version;
	got = version_read(image->version, 0, head->bytes, sizeof(head->bytes));
	if (got < 0) {
		error = (int)got;
		goto bad_image;
	}
	head->length = (size_t)got;
	return 0;

bad_image:
	image_put(image);
	return error;
bad_version:
	version_put(image->version);
	file_name_put(image->name);
	*image = (struct image){ 0 };
	return error;
}

void image_put(struct image *image)
{
	if (image->version) {
		version_allow_write(image->version);
		version_put(image->version);
	}
	file_name_put(image->name);
	kfree(image->plan.segments);
	*image = (struct image){ 0 };
}

/*
 * Makes `script` the interpreter's argument: argv[0] gives way to the interpreter's name, its
 * argument and the script's name.
 */
static int interpret(const struct script_line *line, const char *script, struct strings *argv)
{
	int error;

	strings_drop_first(argv);
	error = strings_prepend(argv, script);
	if (error == 0 && line->has_argument)
		error = strings_prepend(argv, line->argument);
	if (error == 0)
		error = strings_prepend(argv, line->interpreter);
	return error;
}

/* Everything that image_load() needs beside the image: too much for a kernel stack. */
struct load {
	struct head head;
	struct script_line line;
	char script[SCRIPT_LINE_SIZE]; /* the interpreter that turned out to be a script itself */
};

int image_load(int dirfd, const char *path, int flags, const char *program, struct strings *argv,
	       struct image *out)
{
	struct load *load = kalloc(sizeof(*load));
	const char *script = program;
	int error;

	if (!load)
		return -ENOMEM;
	error = image_open(dirfd, path, flags, out, &load->head);
	for (unsigned depth = 0; error == 0; depth++) {
		if (!script_probe(load->head.bytes, load->head.length))
			break;
		image_put(out);
		if (depth == SCRIPT_DEPTH_MAX)
			error = -ELOOP;
		if (error == 0)
			error = script_parse(load->head.bytes, load->head.length, &load->line);
		if (error == 0)
			error = interpret(&load->line, script, argv);
		if (error == 0) {
			strlcpy(load->script, load->line.interpreter, sizeof(load->script));
			script = load->script;
			error = image_open(AT_FDCWD, script, 0, out, &load->head);
		}
	}
	if (error != 0)
		goto out_load;

	error = make_plan(out, &load->head);
	if (error == 0)
		error = stream(out);
	if (error != 0)
		image_put(out);
out_load:
	kfree(load);
	return error;
}

/* --- the interpreter of a dynamic program ----------------------------------------------------- */

/* Its name, in memory of the caller's; what Linux says of one that is not there in full. */
static int interpreter_name(const struct image *program, char **out)
{
	const struct image_plan *plan = &program->plan;
	size_t length = plan->interpreter_length;
	ssize_t got;

	*out = kalloc(length);
	if (!*out)
		return -ENOMEM;
	got = version_read(program->version, plan->interpreter_offset, *out, length);
	if (got < 0)
		return (int)got;
	if ((size_t)got != length)
		return -EIO;
	return (*out)[length - 1] == '\0' ? 0 : -ENOEXEC;
}

/* As a program, but for what it may be (ELF, no script) and what a mistake in it is called. */
static int interpreter_open(const char *path, struct head *head, struct image *out)
{
	/* As on Linux, an empty name is the working directory's, which is no program. */
	int error = image_open(AT_FDCWD, path, AT_EMPTY_PATH, out, head);

	if (error != 0)
		return error;
	error = head->length < sizeof(Elf64_Ehdr) ? -EIO : plan_elf(out, head);
	if (error == 0)
		error = stream(out);
	if (error != 0)
		image_put(out);
	return error == -ENOEXEC ? -ELIBBAD : error;
}

int image_load_interpreter(const struct image *program, struct image *out)
{
	struct head *head = kalloc(sizeof(*head));
	char *path = NULL;
	int error;

	error = head ? interpreter_name(program, &path) : -ENOMEM;
	if (error == 0) {
		error = interpreter_open(path, head, out);
		/* Or it looks as if the program itself were missing. */
		if (error != 0)
			log_warn(
				"exec: %s wants the interpreter %s, which cannot be used: error %d",
				program->name->path, path, -error);
	}
	kfree(path);
	kfree(head);
	return error;
}

/* --- into memory ------------------------------------------------------------------------------ */

static int map_at(struct space *space, const struct map_request *request)
{
	vaddr_t at;

	return space_map(space, request, &at);
}

static int map_segment(const struct image *image, const struct image_segment *segment,
		       struct space *space, uint64_t bias)
{
	vaddr_t start = segment->address + bias;
	vaddr_t file_end = segment->file_end + bias;
	vaddr_t file_pages_end = ALIGN_UP(file_end, PAGE_SIZE);
	vaddr_t end = ALIGN_UP(segment->end + bias, PAGE_SIZE);
	int error = 0;

	if (file_pages_end > start) {
		error = map_at(space, &(struct map_request){
					      .address = start,
					      .length = file_pages_end - start,
					      .prot = segment->prot,
					      .max_prot = PROT_ALL,
					      .object = version_object(image->version),
					      .offset = segment->offset,
					      .name = image->name,
					      .fixed = true,
				      });
		if (error != 0)
			return error;
		/*
		 * The bss begins in the middle of the last file page. A segment that is not
		 * writable keeps what the file has there, as on Linux.
		 */
		if (segment->end > segment->file_end && (segment->prot & PROT_WRITE))
			error = space_zero(space, file_end, file_pages_end - file_end);
	}
	if (error == 0 && end > file_pages_end)
		error = map_at(space, &(struct map_request){
					      .address = file_pages_end,
					      .length = end - file_pages_end,
					      .prot = segment->prot,
					      .max_prot = PROT_ALL,
					      .fixed = true,
				      });
	return error;
}

int image_map(const struct image *image, struct space *space, uint64_t bias)
{
	int error = 0;

	/* In order: where two segments share a page, the later one is mapped over the earlier. */
	for (unsigned i = 0; error == 0 && i < image->plan.count; i++)
		error = map_segment(image, &image->plan.segments[i], space, bias);
	return error;
}
