/*
 * The log's ring: what is written comes out again, in order, until it is overwritten; consoles see
 * what they should.
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/panic.h"

static uint64_t now_ns;
static bool panicking;

uint64_t clock_ns(void)
{
	return now_ns;
}

bool panic_active(void)
{
	return panicking;
}

static char shown[4096];
static size_t shown_length;

static void show(const char *text, size_t length)
{
	assert_true(shown_length + length < sizeof(shown));
	memcpy(shown + shown_length, text, length);
	shown_length += length;
	shown[shown_length] = '\0';
}

static void show_nothing(void)
{
	shown_length = 0;
	shown[0] = '\0';
}

static struct log_console console = { .name = "test", .write = show };

/* The first test: the ring is empty, and there is no console yet. */
static void a_console_is_told_what_it_has_missed(void **state)
{
	log_set_console_level(LOG_DEBUG);
	now_ns = 12 * NSEC_PER_SEC + 345678 * NSEC_PER_USEC;
	log_info("first %d", 1);
	log_debug("not shown");
	log_err("second");
	log_console_add(&console);
	assert_string_equal(shown, "[   12.345678] first 1\r\n[   12.345678] second\r\n");
	show_nothing();
}

static void lines_below_the_level_are_shown(void **state)
{
	log_set_console_level(LOG_WARNING);
	log_warn("hidden");
	log_err("told");
	assert_string_equal(shown, "[   12.345678] told\r\n");
	show_nothing();
	log_set_console_level(0);
}

static void records_are_read_in_order_with_their_fields(void **state)
{
	uint64_t sequence = 0;
	struct log_record record;

	assert_true(log_read(&sequence, &record));
	assert_int_equal(record.sequence, 0);
	assert_int_equal(sequence, 1);
	assert_int_equal(record.level, LOG_INFO);
	assert_int_equal(record.time_ns, now_ns);
	assert_string_equal(record.text, "first 1");
	assert_int_equal(record.length, 7);
	while (log_read(&sequence, &record))
		;
	assert_int_equal(record.sequence + 1, sequence);
	assert_string_equal(record.text, "told");
	assert_false(log_read(&sequence, &record));
}

/* Numbered lines of random length: the ring wraps in every way that there is. */
static void the_newest_records_survive_in_order(void **state)
{
	static char filler[LOG_LINE_MAX + 50];
	uint64_t sequence = 0, first, count = 0;
	struct log_record record;

	memset(filler, 'x', sizeof(filler) - 1);
	while (log_read(&sequence, &record))
		;
	srand(1);
	uint64_t base = sequence;
	for (unsigned i = 0; i < 20000; i++) {
		log_info("%u %.*s", i, rand() % (LOG_LINE_MAX + 40), filler);
		if (i % 97 != 0)
			continue;
		uint64_t number = 0;
		assert_true(log_read(&number, &record));
		first = record.sequence;
		number = first;
		for (count = 0; log_read(&number, &record); count++) {
			assert_int_equal(record.sequence, first + count);
			assert_int_equal(record.length, strlen(record.text));
			assert_true(record.length < LOG_LINE_MAX);
			if (record.sequence >= base)
				assert_int_equal(strtoul(record.text, NULL, 10),
						 record.sequence - base);
		}
		assert_int_equal(first + count, base + i + 1);
	}
	assert_true(count > 100);
}

static void a_sequence_number_that_is_gone_gives_the_oldest(void **state)
{
	uint64_t oldest = 0, asked = 5;
	struct log_record record;

	assert_true(log_read(&oldest, &record));
	assert_true(oldest > 5);
	assert_true(log_read(&asked, &record));
	assert_int_equal(asked, oldest);
}

static void the_tail_is_the_last_lines_of_every_level(void **state)
{
	show_nothing();
	log_debug("one");
	log_printf(LOG_EMERG, "two");
	log_dump_tail(2);
	assert_string_equal(shown, "[   12.345678] one\r\n[   12.345678] two\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_console_is_told_what_it_has_missed),
		cmocka_unit_test(lines_below_the_level_are_shown),
		cmocka_unit_test(records_are_read_in_order_with_their_fields),
		cmocka_unit_test(the_newest_records_survive_in_order),
		cmocka_unit_test(a_sequence_number_that_is_gone_gives_the_oldest),
		cmocka_unit_test(the_tail_is_the_last_lines_of_every_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
