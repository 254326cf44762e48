/*
 * The real-time clock, with a CMOS made of an array: every way of writing a date is understood, and
 * agrees with the host's timegm().
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "dev/acpi.h"
#include "kernel/clock.h"

/* In place of the processor's instructions (kernel/x86_64/regs.h). */
#define HAWSER_KERNEL_X86_64_REGS_H
static uint8_t cmos[256];
static uint8_t cmos_index;
static unsigned updating_reads; /* so many more reads of status A see an update going on */
static unsigned ticks_after;    /* after so many reads of the seconds, they change; 0: never */

static void outb(uint16_t port, uint8_t value)
{
	assert_int_equal(port, 0x70);
	cmos_index = value;
}

static uint8_t inb(uint16_t port)
{
	assert_int_equal(port, 0x71);
	if (cmos_index == 0x0a && updating_reads > 0) {
		updating_reads--;
		return cmos[0x0a] | 0x80;
	}
	if (cmos_index == 0 && ticks_after > 0 && --ticks_after == 0)
		cmos[0]++;
	return cmos[cmos_index];
}

static uint8_t fadt_century;
static uint64_t set_ns;
static bool was_set;

uint8_t acpi_century_register(void)
{
	return fadt_century;
}

void clock_set_wall_ns(uint64_t now_ns)
{
	set_ns = now_ns;
	was_set = true;
}

void clock_delay_us(unsigned microseconds)
{
}

#include "dev/rtc.c"

static uint8_t bcd(unsigned value)
{
	return (uint8_t)(value / 10 << 4 | value % 10);
}

/* The date in the registers, in the form that status B (0x02: 24 hours, 0x04: binary) says. */
static void set_cmos(const struct tm *tm, uint8_t status_b)
{
	unsigned year = (unsigned)tm->tm_year + 1900, hour = (unsigned)tm->tm_hour, pm = 0;

	if (!(status_b & 0x02)) {
		pm = hour >= 12 ? 0x80 : 0;
		hour = hour % 12 == 0 ? 12 : hour % 12;
	}
	unsigned values[] = {
		(unsigned)tm->tm_sec,     (unsigned)tm->tm_min, hour,      (unsigned)tm->tm_mday,
		(unsigned)tm->tm_mon + 1, year % 100,           year / 100
	};
	static const uint8_t registers[] = { 0, 2, 4, 7, 8, 9, 0x32 };
	for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
		cmos[registers[i]] = status_b & 0x04 ? (uint8_t)values[i] : bcd(values[i]);
	cmos[4] |= (uint8_t)pm;
	cmos[0x0b] = status_b;
}

static void read_gives(time_t expected)
{
	was_set = false;
	rtc_init();
	assert_true(was_set);
	assert_int_equal(set_ns, (uint64_t)expected * NSEC_PER_SEC);
}

/* From 1970 to 2199, some odd step at a time: leap years, century years, every hour. */
static void dates_agree_with_libc_in_every_form(void **state)
{
	const time_t end = 7258118400, step = 86400 * 5 + 3661 * 7;

	fadt_century = 0x32;
	for (time_t t = 0; t < end; t += step) {
		struct tm tm;
		gmtime_r(&t, &tm);
		for (uint8_t form = 0; form <= 0x06; form += 2) {
			set_cmos(&tm, form);
			read_gives(t);
		}
	}
}

static void without_a_century_two_digits_mean_1970_to_2069(void **state)
{
	const time_t times[] = { 0, 946684799, 946684800, 1700000000, 3155759999 };

	fadt_century = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(times); i++) {
		struct tm tm;
		gmtime_r(&times[i], &tm);
		set_cmos(&tm, 0x02);
		read_gives(times[i]);
	}
}

static void a_reading_during_an_update_is_repeated(void **state)
{
	time_t t = 1700000000;
	struct tm tm;

	gmtime_r(&t, &tm);
	set_cmos(&tm, 0x02);
	fadt_century = 0;
	updating_reads = 17;
	read_gives(t);
	assert_int_equal(updating_reads, 0);

	/* The seconds change between the two readings. */
	set_cmos(&tm, 0x02);
	ticks_after = 2;
	read_gives(t + 1);
}

static void nonsense_leaves_the_clock_alone(void **state)
{
	was_set = false;
	memset(cmos, 0xff, sizeof(cmos));
	cmos[0x0a] = 0x26;
	rtc_init();
	assert_false(was_set);
	memset(cmos, 0, sizeof(cmos));
	rtc_init(); /* month 0, day 0 */
	assert_false(was_set);
	updating_reads = UINT32_MAX;
	rtc_init(); /* for ever updating */
	assert_false(was_set);
	updating_reads = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_agree_with_libc_in_every_form),
		cmocka_unit_test(without_a_century_two_digits_mean_1970_to_2069),
		cmocka_unit_test(a_reading_during_an_update_is_repeated),
		cmocka_unit_test(nonsense_leaves_the_clock_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
