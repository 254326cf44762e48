/*
 * Load averages: what they come to, how they fade, and that a long silence costs no more than a short one.
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/clock.h"
#include "kernel/load.h"

#define SECOND NSEC_PER_SEC
#define ONE    (1u << LOAD_SHIFT)

static void between(uint64_t value, double low, double high)
{
	assert_in_range(value, (uint64_t)(low * ONE), (uint64_t)(high * ONE));
}

static void nothing_running_is_no_load(void **state)
{
	struct load load = { 0 };

	for (uint64_t now = 0; now < 1000 * SECOND; now += SECOND / 2)
		load_fold(&load, now);
	for (unsigned i = 0; i < LOAD_AVERAGES; i++)
		assert_int_equal(load.averages[i], 0);
}

static void a_sample_is_taken_every_five_seconds(void **state)
{
	struct load load = { .due_ns = 5 * SECOND, .active = 1 };

	load_fold(&load, 5 * SECOND - 1);
	assert_int_equal(load.averages[0], 0);
	load_fold(&load, 5 * SECOND);
	between(load.averages[0], 0.07, 0.09);
	load_fold(&load, 10 * SECOND - 1);
	between(load.averages[0], 0.07, 0.09);
	assert_int_equal(load.due_ns, 10 * SECOND);
}

static void a_minute_of_work_is_two_thirds_of_it(void **state)
{
	struct load load = { .active = 3 };

	for (uint64_t now = 0; now < 60 * SECOND; now += 5 * SECOND)
		load_fold(&load, now);
	between(load.averages[0], 3 * 0.62, 3 * 0.65);
	between(load.averages[1], 3 * 0.17, 3 * 0.20);
	between(load.averages[2], 3 * 0.06, 3 * 0.08);
}

static void it_gets_where_it_goes_and_back(void **state)
{
	struct load load = { .active = 2 };

	load_fold(&load, 24 * 3600 * SECOND);
	for (unsigned i = 0; i < LOAD_AVERAGES; i++)
		assert_int_equal(load.averages[i], 2 * ONE);
	load.active = 0;
	load_fold(&load, 24 * 3600 * SECOND + 60 * SECOND);
	between(load.averages[0], 2 * 0.35, 2 * 0.39);
	load_fold(&load, 48 * 3600 * SECOND);
	for (unsigned i = 0; i < LOAD_AVERAGES; i++)
		assert_int_equal(load.averages[i], 0);
}

static void many_samples_at_once_are_as_one_after_the_other(void **state)
{
	struct load at_once = { .active = 5 }, one_by_one = { .active = 5 };

	load_fold(&at_once, 300 * SECOND);
	for (uint64_t now = 0; now <= 300 * SECOND; now += 5 * SECOND)
		load_fold(&one_by_one, now);
	for (unsigned i = 0; i < LOAD_AVERAGES; i++)
		assert_in_range(at_once.averages[i], one_by_one.averages[i] - ONE / 20,
				one_by_one.averages[i] + ONE / 20);
	assert_int_equal(at_once.due_ns, one_by_one.due_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_running_is_no_load),
		cmocka_unit_test(a_sample_is_taken_every_five_seconds),
		cmocka_unit_test(a_minute_of_work_is_two_thirds_of_it),
		cmocka_unit_test(it_gets_where_it_goes_and_back),
		cmocka_unit_test(many_samples_at_once_are_as_one_after_the_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
