/*
 * loader/image.h - a file on its way to being a running program.
 *
 * image_load() opens it, follows `#!` lines to an interpreter, recognises the format, checks every
 * header, and streams exactly the bytes that its segments show. image_map() puts the segments into a
 * space. Whoever holds the image holds its version (nobody may write it) and name. A dynamic program has
 * a second image beside its own: the interpreter (ld.so) that it names.
 */
#ifndef HAWSER_LOADER_IMAGE_H
#define HAWSER_LOADER_IMAGE_H

#include "fs/path.h"
#include "kernel/base.h"
#include "loader/plan.h"
#include "loader/strings.h"
#include "mm/space.h"

struct version;
struct file_name;

struct image {
	struct version *version; /* held, and denied to writers */
	struct file_name *name;  /* held */
	struct program_owner owner;
	struct image_plan plan; /* its segments are the image's own */
};

/*
 * Loads what `path` names. A script's interpreter takes its place, and `argv` becomes the
 * interpreter's, with `program` as the script's name. Sleeps for the wire, killably. Errors of
 * execve(2); on one nothing is held, but `argv` may have changed.
 */
int image_load(int dirfd, const char *path, int flags, const char *program, struct strings *argv,
	       struct image *out);
void image_put(struct image *image); /* may sleep */

/*
 * Loads the interpreter that a dynamic program names (its plan has an interpreter_length): an ELF file,
 * found, checked and streamed as a program is. The errors of image_load(), and -ELIBBAD: it is no
 * ELF file that could be mapped; -ENOEXEC, -EIO: its name is not one.
 */
int image_load_interpreter(const struct image *program, struct image *out);

/* Maps every segment at its address + bias into a new space. -ENOMEM, -EIO, -EINTR. */
int image_map(const struct image *image, struct space *space, uint64_t bias);

#endif
