/*
 * dev/rtc.h - the PC's battery-backed clock (MC146818 and its descendants), read once.
 */
#ifndef HAWSER_DEV_RTC_H
#define HAWSER_DEV_RTC_H

/*
 * Reads the date, taken as UTC, and sets the wall clock; logs and leaves it alone if what is read is
 * no date. After clock_init() and acpi_init().
 */
void rtc_init(void);

#endif
