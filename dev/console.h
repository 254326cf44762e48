/*
 * dev/console.h - the machine's console: where a person and the log meet.
 *
 * Output goes to every device that `console=` names (default: ttyS0 and tty0, the VGA text
 * screen). Input comes from the serial line's receive interrupt into a ring. Drivers move bytes;
 * the line discipline is fs/console.c's.
 */
#ifndef HAWSER_DEV_CONSOLE_H
#define HAWSER_DEV_CONSOLE_H

#include "kernel/base.h"
#include "kernel/lock.h"

/* Polled output only, first thing at boot: log lines appear from here on. Reads `console=`. */
void console_init(void);
/* Serial interrupts in both directions, once IRQs work. */
void console_start(void);

/*
 * Writes `length` bytes as they are (no NL to CR NL: that is the tty's). Sleeps while the transmit
 * ring is full. 0, or -EINTR when killed meanwhile.
 */
int console_write(const void *data, size_t length);
/* Sleeps until all that was written has left the machine (tcdrain), or the thread is being killed. */
void console_drain(void);
/* The same by polling, within reason: before power-off and reboot. Any context. */
void console_flush(void);

/* Takes up to `size` received bytes; 0 if there are none. Never sleeps. */
size_t console_read(void *out, size_t size);
/* Woken when bytes arrive. */
extern struct waitq console_input;
bool console_input_ready(void);

#endif
