/*
 * dev/serial.h - the PC's serial ports: 16550 UARTs at the classic places.
 */
#ifndef HAWSER_DEV_SERIAL_H
#define HAWSER_DEV_SERIAL_H

#include "kernel/base.h"

#define SERIAL_PORTS        2 /* ttyS0, ttyS1 */
#define SERIAL_BAUD_DEFAULT 115200

struct serial;

/* Finds the UART and sets it to `baud`, 8 bits, no parity. NULL if none answers. Output is polled. */
struct serial *serial_open(unsigned index, unsigned baud);

/*
 * Turns interrupts on: output then goes through a ring, and `received` is called, in interrupt
 * context, when bytes have arrived. An error of irq_register_line() leaves the port polled.
 */
int serial_start(struct serial *port, void (*received)(void));

/* Takes as many bytes as there is room for and returns their number. Never sleeps; any context. */
size_t serial_write(struct serial *port, const char *data, size_t length);

/* Takes them all, polling the UART for room. Any context, any lock but another console's. */
void serial_write_polled(struct serial *port, const char *data, size_t length);

/* Sleeps until there is much room. 0, or -EINTR when killed. */
int serial_wait_room(struct serial *port);
/* Sleeps until all has gone to the UART. 0, or -EINTR when killed. */
int serial_wait_empty(struct serial *port);

/* Polls until the last bit is on the wire, within reason. Any context. */
void serial_flush(struct serial *port);

/* Up to `size` bytes that have arrived; 0 if none. */
size_t serial_read(struct serial *port, char *out, size_t size);
bool serial_readable(struct serial *port);

/* How often so far the UART has lost bytes because nobody took them in time. */
uint64_t serial_overruns(struct serial *port);

#endif
