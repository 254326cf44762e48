/*
 * A program's first stack, and the strings that go into it, read back as a libc reads them.
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "kernel/string.h"
#include "loader/stack.h"
#include "loader/strings.h"
#include "mm/slab.h"
#include <linux/auxvec.h>
#include <linux/elf.h>

/* --- memory, with a failure on demand --------------------------------------------------------- */

static int allocations_left = -1; /* -1: no end */

void *kalloc(size_t size)
{
	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return malloc(size);
}

void kfree(void *pointer)
{
	free(pointer);
}

/* --- strings ---------------------------------------------------------------------------------- */

/* All bytes, one after another. */
static size_t flatten(const struct strings *strings, char *out, size_t size)
{
	struct strings_position position = { 0 };
	const char *run;
	size_t length, total = 0;

	while ((length = strings_next_run(strings, &position, &run)) > 0) {
		assert_true(total + length <= size);
		memcpy(out + total, run, length);
		total += length;
	}
	return total;
}

static void are(const struct strings *strings, size_t count, const char *bytes, size_t length)
{
	char all[256];

	assert_int_equal(strings->count, count);
	assert_int_equal(strings->bytes, length);
	assert_int_equal(flatten(strings, all, sizeof(all)), length);
	assert_memory_equal(all, bytes, length);
}

static void strings_keep_their_order(void **state)
{
	struct strings strings;

	strings_init(&strings);
	assert_int_equal(strings_append(&strings, "b"), 0);
	assert_int_equal(strings_append(&strings, ""), 0);
	assert_int_equal(strings_prepend(&strings, "aa"), 0);
	assert_int_equal(strings_append_bytes(&strings, "c\0d", 3), 0);
	assert_int_equal(strings_append_bytes(&strings, "e\0", 2), 0);
	are(&strings, 5, "aa\0b\0\0c\0de\0", 11);
	strings_free(&strings);
	are(&strings, 0, "", 0);
}

static void the_first_string_can_be_dropped(void **state)
{
	struct strings strings;

	strings_init(&strings);
	strings_drop_first(&strings);
	are(&strings, 0, "", 0);
	assert_int_equal(strings_append(&strings, "b"), 0);
	assert_int_equal(strings_append(&strings, "c"), 0);
	assert_int_equal(strings_prepend(&strings, "a"), 0);
	strings_drop_first(&strings);
	are(&strings, 2, "b\0c\0", 4);
	strings_drop_first(&strings);
	are(&strings, 1, "c\0", 2);
	strings_drop_first(&strings);
	are(&strings, 0, "", 0);
	assert_int_equal(strings_append(&strings, "d"), 0);
	are(&strings, 1, "d\0", 2);
	strings_free(&strings);
}

static void a_string_may_cross_chunks(void **state)
{
	char *big = test_malloc(3 * PAGE_SIZE);
	char *all = test_malloc(4 * PAGE_SIZE);
	struct strings strings;

	memset(big, 'x', 3 * PAGE_SIZE);
	big[3 * PAGE_SIZE - 1] = '\0';
	strings_init(&strings);
	assert_int_equal(strings_append(&strings, big), 0);
	assert_int_equal(strings_append(&strings, "end"), 0);
	assert_int_equal(strings.count, 2);
	assert_int_equal(flatten(&strings, all, 4 * PAGE_SIZE), 3 * PAGE_SIZE + 4);
	assert_string_equal(all, big);
	strings_drop_first(&strings);
	are(&strings, 1, "end\0", 4);
	strings_free(&strings);
	test_free(all);
	test_free(big);
}

static void no_memory_is_told_and_nothing_leaks(void **state)
{
	struct strings strings;

	for (int left = 0; left < 3; left++) {
		strings_init(&strings);
		allocations_left = left;
		assert_int_equal(strings_append(&strings, "a"), left > 0 ? 0 : -ENOMEM);
		assert_int_equal(strings_prepend(&strings, "b"), left > 1 ? 0 : -ENOMEM);
		allocations_left = -1;
		strings_free(&strings);
	}
}

/* --- the stack -------------------------------------------------------------------------------- */

#define TOP  UINT64_C(0x7ffffffff000)
#define SIZE (8 * MIB)

static char *memory; /* [TOP - SIZE, TOP) */

static int put(void *context, vaddr_t to, const void *from, size_t length)
{
	assert_true(to >= TOP - SIZE && length <= TOP - to);
	memcpy(memory + (to - (TOP - SIZE)), from, length);
	return 0;
}

static const char *at(uint64_t address)
{
	assert_true(address >= TOP - SIZE && address < TOP);
	return memory + (address - (TOP - SIZE));
}

static uint64_t word_at(uint64_t address)
{
	uint64_t value;

	assert_int_equal(address % 8, 0);
	memcpy(&value, at(address), sizeof(value));
	return value;
}

static int setup(void **state)
{
	memory = test_malloc(SIZE);
	memset(memory, 0xee, SIZE);
	return 0;
}

static int teardown(void **state)
{
	test_free(memory);
	return 0;
}

static struct stack_request request_of(struct strings *argv, struct strings *envp)
{
	return (struct stack_request){
		.top = TOP,
		.argv = argv,
		.envp = envp,
		.program = "/bin/prog",
		.aux = { .hwcap = 0x1234,
			 .hwcap2 = 2,
			 .phdr = 0x400040,
			 .phnum = 5,
			 .entry = 0x401000,
			 .random = "0123456789abcde" },
		.write = put,
	};
}

static uint64_t aux_value(uint64_t aux, uint64_t type)
{
	for (; word_at(aux) != AT_NULL; aux += 16) {
		if (word_at(aux) == type)
			return word_at(aux + 8);
	}
	fail_msg("auxv has no %lu", (unsigned long)type);
	return 0;
}

static void a_libc_finds_everything(void **state)
{
	static const char *const args[] = { "prog", "", "an argument" };
	struct strings argv, envp;
	struct stack_request request;
	struct stack_layout layout;
	uint64_t p, aux;

	strings_init(&argv);
	strings_init(&envp);
	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		assert_int_equal(strings_append(&argv, args[i]), 0);
	assert_int_equal(strings_append(&envp, "HOME=/"), 0);
	memset(memory, 0, SIZE); /* as a new stack is */
	request = request_of(&argv, &envp);
	assert_int_equal(stack_build(&request, &layout), 0);

	assert_int_equal(layout.sp % 16, 0);
	assert_int_equal(TOP - layout.sp, stack_size(&request));
	p = layout.sp;
	assert_int_equal(word_at(p), ARRAY_SIZE(args));
	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		assert_string_equal(at(word_at(p += 8)), args[i]);
	assert_int_equal(word_at(layout.sp + 8), layout.arg_start);
	assert_int_equal(word_at(p += 8), 0);
	assert_string_equal(at(word_at(p += 8)), "HOME=/");
	assert_int_equal(word_at(p), layout.env_start);
	assert_int_equal(word_at(p += 8), 0);
	assert_int_equal(layout.arg_end - layout.arg_start, argv.bytes);
	assert_int_equal(word_at(layout.aux_end - 16), AT_NULL);
	assert_int_equal(word_at(layout.aux_start - 8), 0);
	assert_int_equal(word_at(layout.aux_start), AT_HWCAP);
	assert_int_equal(layout.env_end - layout.env_start, envp.bytes);

	aux = p + 8;
	assert_int_equal(aux_value(aux, AT_HWCAP), 0x1234);
	assert_int_equal(aux_value(aux, AT_HWCAP2), 2);
	assert_int_equal(aux_value(aux, AT_PAGESZ), 4096);
	assert_int_equal(aux_value(aux, AT_CLKTCK), 100);
	assert_int_equal(aux_value(aux, AT_PHDR), 0x400040);
	assert_int_equal(aux_value(aux, AT_PHENT), sizeof(Elf64_Phdr));
	assert_int_equal(aux_value(aux, AT_PHNUM), 5);
	assert_int_equal(aux_value(aux, AT_ENTRY), 0x401000);
	assert_int_equal(aux_value(aux, AT_BASE), 0);
	assert_int_equal(aux_value(aux, AT_SECURE), 0);
	assert_string_equal(at(aux_value(aux, AT_EXECFN)), "/bin/prog");
	assert_string_equal(at(aux_value(aux, AT_PLATFORM)), "x86_64");
	assert_memory_equal(at(aux_value(aux, AT_RANDOM)), request.aux.random, 16);
	/* The table ends where the strings begin. */
	while (word_at(aux) != AT_NULL)
		aux += 16;
	assert_true(aux + 16 <= aux_value(p + 8, AT_RANDOM));
	strings_free(&argv);
	strings_free(&envp);
}

static void many_and_long_strings_fit(void **state)
{
	enum { COUNT = 50000 };
	char *big = test_malloc(128 * KIB);
	struct strings argv, envp;
	struct stack_request request;
	struct stack_layout layout;
	char text[16];

	memset(big, 'y', 128 * KIB);
	big[128 * KIB - 1] = '\0';
	strings_init(&argv);
	strings_init(&envp);
	assert_int_equal(strings_append(&argv, big), 0);
	for (int i = 1; i < COUNT; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(strings_append(&argv, text), 0);
	}
	request = request_of(&argv, &envp);
	assert_int_equal(stack_build(&request, &layout), 0);
	assert_int_equal(layout.sp % 16, 0);
	assert_int_equal(word_at(layout.sp), COUNT);
	assert_string_equal(at(word_at(layout.sp + 8)), big);
	for (int i = 1; i < COUNT; i++)
		assert_int_equal(atoi(at(word_at(layout.sp + 8 + 8 * (uint64_t)i))), i);
	assert_int_equal(word_at(layout.sp + 8 + 8 * COUNT), 0);
	strings_free(&argv);
	test_free(big);
}

static void the_stack_pointer_is_aligned_whatever_the_strings(void **state)
{
	char text[40];

	for (size_t length = 0; length < 33; length++) {
		struct strings argv, envp;
		struct stack_request request;
		struct stack_layout layout;

		memset(text, 'z', sizeof(text));
		text[length] = '\0';
		strings_init(&argv);
		strings_init(&envp);
		assert_int_equal(strings_append(&argv, text), 0);
		if (length & 1)
			assert_int_equal(strings_append(&envp, text), 0);
		request = request_of(&argv, &envp);
		assert_int_equal(stack_build(&request, &layout), 0);
		assert_int_equal(layout.sp % 16, 0);
		strings_free(&argv);
		strings_free(&envp);
	}
}

static int writes_left;

static int put_failing(void *context, vaddr_t to, const void *from, size_t length)
{
	return writes_left-- > 0 ? put(context, to, from, length) : -ENOMEM;
}

static void the_first_failure_ends_it(void **state)
{
	struct strings argv, envp;
	struct stack_request request;
	struct stack_layout layout;
	int writes = 0;

	strings_init(&argv);
	strings_init(&envp);
	assert_int_equal(strings_append(&argv, "a"), 0);
	assert_int_equal(strings_append(&envp, "b"), 0);
	request = request_of(&argv, &envp);
	request.write = put_failing;
	for (;; writes++) {
		int error;

		writes_left = writes;
		error = stack_build(&request, &layout);
		if (error == 0)
			break;
		assert_int_equal(error, -ENOMEM);
		assert_int_equal(writes_left, -1);
	}
	assert_true(writes >= 6);
	strings_free(&argv);
	strings_free(&envp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_keep_their_order),
		cmocka_unit_test(the_first_string_can_be_dropped),
		cmocka_unit_test(a_string_may_cross_chunks),
		cmocka_unit_test(no_memory_is_told_and_nothing_leaks),
		cmocka_unit_test(a_libc_finds_everything),
		cmocka_unit_test(many_and_long_strings_fit),
		cmocka_unit_test(the_stack_pointer_is_aligned_whatever_the_strings),
		cmocka_unit_test(the_first_failure_ends_it),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
