/*
 * fs/discipline.h - the line discipline: what a terminal does between the keys and the program,
 * termios(3) on POSIX's model (XBD 11) with Linux's N_TTY as the authority where POSIX is silent.
 *
 * Pure: bytes go in, echo comes out through a sink, complete lines are read. It locks nothing, and
 * waits for nothing; the host tests run this very file.
 *
 *	tail            canon            head
 *	├────────────────┼────────────────┤      free-running positions in a ring
 *	  lines that may    the line being
 *	  be read           edited            (canonical mode; otherwise canon == head)
 *
 * With EXTPROC somebody at the other end edits: what comes is complete, is not echoed, and has no meaning here.
 *
 * A byte that ends a line has a mark. An end-of-file character is kept as a NUL in its place, marked, and
 * never given to the reader.
 */
#ifndef HAWSER_FS_DISCIPLINE_H
#define HAWSER_FS_DISCIPLINE_H

#include "kernel/base.h"
#include <asm/termbits.h>

#define DISCIPLINE_SIZE 4096 /* bytes of input kept; Linux's N_TTY_BUF_SIZE */

/* Where echo and processed output go: flushed when it is full, and by its owner. */
struct sink {
	uint8_t bytes[256];
	size_t used;
	void (*flush)(struct sink *sink); /* empties it */
};

/* What a key means to those in the foreground. */
enum key_signal { KEY_NONE, KEY_INTERRUPT, KEY_QUIT, KEY_SUSPEND };

struct discipline {
	struct termios2 termios;
	uint8_t ring[DISCIPLINE_SIZE];
	uint8_t marks[DISCIPLINE_SIZE / 8]; /* a bit per byte of the ring: it ends a line */
	uint64_t tail, canon, head;
	unsigned lines;       /* marks in [tail, canon) */
	unsigned column;      /* of the cursor */
	unsigned edit_column; /* where the line being edited begins */
	bool literal;         /* the next byte has no meaning (VLNEXT) */
	bool erasing;         /* between the marks around what has been erased (ECHOPRT) */
	bool stopped;         /* output is, by a key (VSTOP) */
	bool held;            /* output is, by a program (TCOOFF) */
};

/* The settings of a fresh terminal, as Linux's. */
void discipline_init(struct discipline *d);

/* True if lines are read, and edited here. */
bool discipline_edits(const struct discipline *d);

/* True if output is to wait. */
bool discipline_holds_output(const struct discipline *d);

/* A byte from the keyboard. What it means to others is the result. */
enum key_signal discipline_input(struct discipline *d, uint8_t byte, struct sink *echo);

/* A byte from a program to the screen. */
void discipline_output(struct discipline *d, uint8_t byte, struct sink *out);

/* Bytes that a read could have now: in canonical mode those of complete lines. */
size_t discipline_readable(const struct discipline *d);
/* True if a read has something to return, be it only an end of file. */
bool discipline_ready(const struct discipline *d);
/* True if poll(2) is to say so: without canonical mode and VTIME that takes VMIN bytes. */
bool discipline_pollable(const struct discipline *d);
/* True if more input would be lost, and a reader could make room. */
bool discipline_full(const struct discipline *d);

/*
 * Takes up to `size` bytes, in canonical mode of one line; `*end` when the line ends with them (an
 * end-of-file character counts as an end, and not as a byte).
 */
size_t discipline_read(struct discipline *d, uint8_t *out, size_t size, bool *end);

/* New settings; input that is there stays readable. */
void discipline_set(struct discipline *d, const struct termios2 *termios);
/* Forgets the input (tcflush(3)). */
void discipline_flush(struct discipline *d);

#endif
