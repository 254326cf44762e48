/*
 * dev/rtc.c - reading the real-time clock.
 *
 * Its registers change once a second, one after the other; while they do, status A says so. They
 * are read twice and believed when no update was going on and both readings agree, instead of
 * waiting for the beginning of a second. Numbers are in BCD or binary, hours in 12 or 24, as status
 * B says. The century is wherever the FADT says, or nowhere.
 */
#include "dev/rtc.h"

#include "dev/acpi.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/x86_64/regs.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

/* Registers (MC146818 data sheet). */
#define RTC_SECONDS       0x00
#define RTC_MINUTES       0x02
#define RTC_HOURS         0x04
#define RTC_DAY           0x07
#define RTC_MONTH         0x08
#define RTC_YEAR          0x09
#define RTC_STATUS_A      0x0a
#define RTC_STATUS_B      0x0b

#define STATUS_A_UPDATING 0x80
#define STATUS_B_24_HOURS 0x02
#define STATUS_B_BINARY   0x04
#define HOURS_PM          0x80
#define CMOS_REGISTERS    0x80

/* An update takes 2 ms at most; a reading some 20 µs. */
#define READ_TRIES   1000
#define READ_STEP_US 10

struct reading {
	uint8_t seconds, minutes, hours, day, month, year, century;
};

struct date {
	unsigned year, month, day, hours, minutes, seconds;
};

static uint8_t cmos_read(uint8_t reg)
{
	outb(CMOS_INDEX, reg);
	return inb(CMOS_DATA);
}

/* The registers as they are; false if they are being changed. */
static bool read_once(uint8_t century_register, struct reading *out)
{
	memset(out, 0, sizeof(*out));
	if (cmos_read(RTC_STATUS_A) & STATUS_A_UPDATING)
		return false;
	out->seconds = cmos_read(RTC_SECONDS);
	out->minutes = cmos_read(RTC_MINUTES);
	out->hours = cmos_read(RTC_HOURS);
	out->day = cmos_read(RTC_DAY);
	out->month = cmos_read(RTC_MONTH);
	out->year = cmos_read(RTC_YEAR);
	if (century_register != 0)
		out->century = cmos_read(century_register);
	return true;
}

static bool read_twice(uint8_t century_register, struct reading *out)
{
	struct reading again;

	for (unsigned i = 0; i < READ_TRIES; i++) {
		if (read_once(century_register, out) && read_once(century_register, &again) &&
		    memcmp(out, &again, sizeof(again)) == 0)
			return true;
		clock_delay_us(READ_STEP_US);
	}
	return false;
}

static unsigned number(uint8_t value, bool binary)
{
	return binary ? value : (value >> 4) * 10u + (value & 0x0f);
}

static struct date decode(const struct reading *reading, uint8_t status_b)
{
	bool binary = status_b & STATUS_B_BINARY;
	struct date date = {
		.year = number(reading->year, binary),
		.month = number(reading->month, binary),
		.day = number(reading->day, binary),
		.hours = number(reading->hours & (uint8_t)~HOURS_PM, binary),
		.minutes = number(reading->minutes, binary),
		.seconds = number(reading->seconds, binary),
	};
	unsigned century = number(reading->century, binary);

	/* 12 am is midnight, 12 pm is noon. */
	if (!(status_b & STATUS_B_24_HOURS))
		date.hours = date.hours % 12 + (reading->hours & HOURS_PM ? 12 : 0);
	/* Without a believable century: 1970 to 2069. */
	if (century < 19 || century > 29)
		century = date.year >= 70 ? 19 : 20;
	date.year += century * 100;
	return date;
}

static bool plausible(const struct date *date)
{
	return date->year >= 1970 && date->month >= 1 && date->month <= 12 && date->day >= 1 &&
	       date->day <= 31 && date->hours < 24 && date->minutes < 60 && date->seconds <= 60;
}

/*
 * Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that
 * the leap day is the last; (153 m + 2) / 5 is the number of days before the m-th month from then.
 */
static uint64_t days_since_1970(const struct date *date)
{
	uint64_t year = date->month > 2 ? date->year : date->year - 1;
	uint64_t month = date->month > 2 ? date->month - 3 : date->month + 9;
	uint64_t days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 +
			date->day - 1;

	/* The same for 1970-01-01: year 1969, tenth month from March. */
	return days - 719468;
}

void rtc_init(void)
{
	uint8_t century_register = acpi_century_register();
	struct reading reading;

	if (century_register >= CMOS_REGISTERS)
		century_register = 0;
	if (!read_twice(century_register, &reading)) {
		log_warn("rtc: the clock does not come to rest");
		return;
	}
	struct date date = decode(&reading, cmos_read(RTC_STATUS_B));
	if (!plausible(&date)) {
		log_warn("rtc: what it says is no date");
		return;
	}
	uint64_t seconds = ((days_since_1970(&date) * 24 + date.hours) * 60 + date.minutes) * 60 +
			   date.seconds;
	clock_set_wall_ns(seconds * NSEC_PER_SEC);
	log_info("rtc: %u-%02u-%02u %02u:%02u:%02u UTC", date.year, date.month, date.day,
		 date.hours, date.minutes, date.seconds);
}
