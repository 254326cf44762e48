/*
 * loader/stack.c - see loader/stack.h.
 *
 * The strings go down as they are; the pointers to them are made by walking the NULs once more, so
 * that no table of the strings' lengths has to be kept. Words are gathered in a small buffer, since
 * each write may take locks and faults.
 */
#include "loader/stack.h"

#include "kernel/string.h"
#include <asm/param.h>
#include <linux/auxvec.h>
#include <linux/elf.h>

static const char platform[] = "x86_64";

#define STACK_ALIGNMENT 16
#define AUX_PAIRS       19 /* without AT_SYSINFO_EHDR */

/* A cursor that writes words upwards. */
struct words {
	const struct stack_request *request;
	vaddr_t to;     /* where buffer[0] goes */
	unsigned count; /* words in the buffer */
	int error;      /* the first one; nothing is written after it */
	uint64_t buffer[64];
};

static void words_flush(struct words *words)
{
	size_t length = words->count * sizeof(words->buffer[0]);

	if (words->error == 0)
		words->error = words->request->write(words->request->context, words->to,
						     words->buffer, length);
	words->to += length;
	words->count = 0;
}

static void word(struct words *words, uint64_t value)
{
	words->buffer[words->count++] = value;
	if (words->count == ARRAY_SIZE(words->buffer))
		words_flush(words);
}

static void aux(struct words *words, uint64_t type, uint64_t value)
{
	word(words, type);
	word(words, value);
}

/* The addresses of the strings, which lie from `address` on, and a NULL. */
static void word_pointers(struct words *words, const struct strings *strings, vaddr_t address)
{
	struct strings_position position = { 0 };
	bool at_start = true;
	const char *run;
	size_t length;

	while ((length = strings_next_run(strings, &position, &run)) > 0) {
		for (size_t i = 0; i < length; i++, address++) {
			if (at_start)
				word(words, address);
			at_start = run[i] == '\0';
		}
	}
	word(words, 0);
}

static int write_strings(const struct stack_request *request, const struct strings *strings,
			 vaddr_t to)
{
	struct strings_position position = { 0 };
	const char *run;
	size_t length;
	int error = 0;

	while (error == 0 && (length = strings_next_run(strings, &position, &run)) > 0) {
		error = request->write(request->context, to, run, length);
		to += length;
	}
	return error;
}

/* Where everything goes. */
struct places {
	vaddr_t program, env, arg, platform, random, sp, aux, aux_end;
};

static struct places find_places(const struct stack_request *request)
{
	size_t pairs = AUX_PAIRS + (request->aux.vdso != 0);
	size_t words = 1 + (request->argv->count + 1) + (request->envp->count + 1) + 2 * pairs;
	struct places at;

	at.program = request->top - sizeof(uint64_t) - (strlen(request->program) + 1);
	at.env = at.program - request->envp->bytes;
	at.arg = at.env - request->argv->bytes;
	at.platform = at.arg - sizeof(platform);
	at.random = at.platform - STACK_RANDOM_BYTES;
	at.sp = ALIGN_DOWN(at.random - words * sizeof(uint64_t), STACK_ALIGNMENT);
	at.aux_end = at.sp + words * sizeof(uint64_t);
	at.aux = at.aux_end - 2 * pairs * sizeof(uint64_t);
	return at;
}

size_t stack_size(const struct stack_request *request)
{
	return request->top - find_places(request).sp;
}

/* argc, argv, envp and auxv, from sp upwards. */
static int write_table(const struct stack_request *request, const struct places *at)
{
	const struct stack_aux *values = &request->aux;
	struct words words = { .request = request, .to = at->sp };

	word(&words, request->argv->count);
	word_pointers(&words, request->argv, at->arg);
	word_pointers(&words, request->envp, at->env);

	if (values->vdso != 0)
		aux(&words, AT_SYSINFO_EHDR, values->vdso);
	/* AUX_PAIRS of them. */
	aux(&words, AT_HWCAP, values->hwcap);
	aux(&words, AT_PAGESZ, PAGE_SIZE);
	aux(&words, AT_CLKTCK, HZ);
	aux(&words, AT_PHDR, values->phdr);
	aux(&words, AT_PHENT, sizeof(Elf64_Phdr));
	aux(&words, AT_PHNUM, values->phnum);
	aux(&words, AT_BASE, values->base);
	aux(&words, AT_FLAGS, 0);
	aux(&words, AT_ENTRY, values->entry);
	aux(&words, AT_UID, values->uid);
	aux(&words, AT_EUID, values->euid);
	aux(&words, AT_GID, values->gid);
	aux(&words, AT_EGID, values->egid);
	aux(&words, AT_SECURE, values->secure);
	aux(&words, AT_RANDOM, at->random);
	aux(&words, AT_HWCAP2, values->hwcap2);
	aux(&words, AT_EXECFN, at->program);
	aux(&words, AT_PLATFORM, at->platform);
	aux(&words, AT_NULL, 0);
	words_flush(&words);
	return words.error;
}

int stack_build(const struct stack_request *request, struct stack_layout *out)
{
	struct places at = find_places(request);
	int error;

	*out = (struct stack_layout){
		.sp = at.sp,
		.arg_start = at.arg,
		.arg_end = at.env,
		.env_start = at.env,
		.env_end = at.program,
		.aux_start = at.aux,
		.aux_end = at.aux_end,
	};
	error = request->write(request->context, at.random, request->aux.random,
			       STACK_RANDOM_BYTES);
	if (error == 0)
		error = request->write(request->context, at.platform, platform, sizeof(platform));
	if (error == 0)
		error = write_strings(request, request->argv, at.arg);
	if (error == 0)
		error = write_strings(request, request->envp, at.env);
	if (error == 0)
		error = request->write(request->context, at.program, request->program,
				       strlen(request->program) + 1);
	if (error == 0)
		error = write_table(request, &at);
	return error;
}
