/*
 * fs/discipline.c - the line discipline. See the header.
 */
#include "fs/discipline.h"
#include "kernel/string.h"

#define CONTROL(c)  ((c)&0x1f)
#define DELETE      0x7f
#define BELL        '\a'
#define END_OF_FILE '\0' /* in the ring, with a mark */
#define PARITY_MARK 0xff /* PARMRK: what begins a sequence, and is doubled in data */
#define TAB_STOP    8
#define CONTROL_BIT 0x40 /* ^X is written with the letter that has this bit too */

/* --- positions in the ring ----------------------------------------------------------------------- */

static uint8_t *at(struct discipline *d, uint64_t position)
{
	return &d->ring[position % DISCIPLINE_SIZE];
}

static bool marked(const struct discipline *d, uint64_t position)
{
	size_t i = position % DISCIPLINE_SIZE;

	return (d->marks[i / 8] >> (i % 8) & 1) != 0;
}

static void set_mark(struct discipline *d, uint64_t position, bool on)
{
	size_t i = position % DISCIPLINE_SIZE;

	if (on)
		d->marks[i / 8] |= (uint8_t)(1u << (i % 8));
	else
		d->marks[i / 8] &= (uint8_t) ~(1u << (i % 8));
}

static bool has(const struct discipline *d, tcflag_t local)
{
	return (d->termios.c_lflag & local) != 0;
}

static bool has_input(const struct discipline *d, tcflag_t input)
{
	return (d->termios.c_iflag & input) != 0;
}

/* A control character that is set; 0 disables one (_POSIX_VDISABLE). */
static bool is_key(const struct discipline *d, unsigned key, uint8_t byte)
{
	return byte != 0 && d->termios.c_cc[key] == byte;
}

/* --- output and echo --------------------------------------------------------------------------------- */

static void emit(struct sink *sink, uint8_t byte)
{
	if (sink->used == sizeof(sink->bytes))
		sink->flush(sink);
	sink->bytes[sink->used++] = byte;
}

static bool is_control(uint8_t byte)
{
	return byte < ' ' || byte == DELETE;
}

/* Second and later bytes of a character in UTF-8 take no column of their own. */
static bool is_continuation(const struct discipline *d, uint8_t byte)
{
	return has_input(d, IUTF8) && (byte & 0xc0) == 0x80;
}

void discipline_output(struct discipline *d, uint8_t byte, struct sink *out)
{
	tcflag_t mode = d->termios.c_oflag;

	if ((mode & OPOST) == 0) {
		emit(out, byte);
		return;
	}
	switch (byte) {
	case '\n':
		if ((mode & ONLRET) != 0)
			d->column = 0;
		if ((mode & ONLCR) != 0) {
			d->column = 0;
			emit(out, '\r');
		}
		emit(out, '\n');
		break;
	case '\r':
		if ((mode & ONOCR) != 0 && d->column == 0)
			break;
		if ((mode & OCRNL) != 0) {
			if ((mode & ONLRET) != 0)
				d->column = 0;
			emit(out, '\n');
			break;
		}
		d->column = 0;
		emit(out, '\r');
		break;
	case '\t': {
		unsigned spaces = TAB_STOP - d->column % TAB_STOP;
		d->column += spaces;
		if ((mode & TABDLY) != XTABS) {
			emit(out, '\t');
			break;
		}
		while (spaces-- > 0)
			emit(out, ' ');
		break;
	}
	case '\b':
		if (d->column > 0)
			d->column--;
		emit(out, '\b');
		break;
	default:
		if ((mode & OLCUC) != 0 && byte >= 'a' && byte <= 'z')
			byte = (uint8_t)(byte - 'a' + 'A');
		if (!is_control(byte) && !is_continuation(d, byte))
			d->column++;
		emit(out, byte);
	}
}

/* A byte as it is shown while it is typed. */
static void echo_byte(struct discipline *d, uint8_t byte, struct sink *echo)
{
	if (is_control(byte) && byte != '\t' && byte != '\n' && has(d, ECHOCTL)) {
		discipline_output(d, '^', echo);
		discipline_output(d, byte ^ CONTROL_BIT, echo);
	} else {
		discipline_output(d, byte, echo);
	}
}

/* Columns that [from, to) of the edited line takes on the screen. */
static unsigned width(struct discipline *d, uint64_t from, uint64_t to)
{
	unsigned column = d->edit_column;
	unsigned start = column;

	for (uint64_t i = d->canon; i < to; i++) {
		uint8_t byte = *at(d, i);
		if (i == from)
			start = column;
		if (byte == '\t')
			column += TAB_STOP - column % TAB_STOP;
		else if (is_control(byte))
			column += has(d, ECHOCTL) ? 2 : 0;
		else if (!is_continuation(d, byte))
			column++;
	}
	return from < to ? column - start : 0;
}

/* --- editing the line --------------------------------------------------------------------------------- */

/* ECHOPRT: what was erased stands between a backslash and a slash. */
static void print_erased(struct discipline *d, uint64_t from, struct sink *echo)
{
	if (!d->erasing)
		discipline_output(d, '\\', echo);
	d->erasing = true;
	for (uint64_t i = from; i < d->head; i++)
		echo_byte(d, *at(d, i), echo);
}

static void finish_erasing(struct discipline *d, struct sink *echo)
{
	if (d->erasing)
		discipline_output(d, '/', echo);
	d->erasing = false;
}

/* Takes [from, head) away again, from the screen too if that is `seen`. */
static void erase_to(struct discipline *d, uint64_t from, bool seen, struct sink *echo)
{
	unsigned columns = width(d, from, d->head);
	bool tab = false;

	for (uint64_t i = from; i < d->head; i++)
		tab |= *at(d, i) == '\t';
	if (seen && has(d, ECHOPRT))
		print_erased(d, from, echo);
	d->head = from;
	if (!seen || has(d, ECHOPRT))
		return;
	for (unsigned i = 0; i < columns; i++) {
		discipline_output(d, '\b', echo);
		/* A tab left nothing behind that would have to be overwritten. */
		if (!tab) {
			discipline_output(d, ' ', echo);
			discipline_output(d, '\b', echo);
		}
	}
}

/* The last character, of however many bytes. */
static void erase_character(struct discipline *d, bool seen, struct sink *echo)
{
	uint64_t from = d->head;

	if (from == d->canon)
		return;
	do {
		from--;
	} while (from > d->canon && is_continuation(d, *at(d, from)));
	erase_to(d, from, seen, echo);
}

/* VERASE. Without ECHOE the key itself is all that is to be seen of it. */
static void erase_one(struct discipline *d, struct sink *echo)
{
	bool plain = has(d, ECHO) && !has(d, ECHOE | ECHOPRT);

	if (plain && d->head > d->canon)
		echo_byte(d, d->termios.c_cc[VERASE], echo);
	erase_character(d, has(d, ECHO) && !plain, echo);
}

static bool is_word(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
	       (byte >= 'A' && byte <= 'Z') || byte == '_' || byte >= 0x80;
}

/* The last word and what stands behind it. */
static void erase_word(struct discipline *d, struct sink *echo)
{
	uint64_t from = d->head;

	while (from > d->canon && !is_word(*at(d, from - 1)))
		from--;
	while (from > d->canon && is_word(*at(d, from - 1)))
		from--;
	while (d->head > from) {
		uint64_t before = d->head;
		erase_character(d, has(d, ECHO), echo);
		if (d->head == before)
			break;
	}
}

static void erase_line(struct discipline *d, struct sink *echo)
{
	if (has(d, ECHO) && !(has(d, ECHOK) && has(d, ECHOKE) && has(d, ECHOE))) {
		d->head = d->canon;
		finish_erasing(d, echo);
		echo_byte(d, d->termios.c_cc[VKILL], echo);
		if (has(d, ECHOK))
			discipline_output(d, '\n', echo);
		return;
	}
	while (d->head > d->canon)
		erase_character(d, has(d, ECHO), echo);
}

static void reprint(struct discipline *d, struct sink *echo)
{
	finish_erasing(d, echo);
	echo_byte(d, d->termios.c_cc[VREPRINT], echo);
	discipline_output(d, '\n', echo);
	d->edit_column = d->column;
	for (uint64_t i = d->canon; i < d->head; i++)
		echo_byte(d, *at(d, i), echo);
}

/* --- input ---------------------------------------------------------------------------------------------- */

bool discipline_edits(const struct discipline *d)
{
	return has(d, ICANON) && !has(d, EXTPROC);
}

static size_t used(const struct discipline *d)
{
	return (size_t)(d->head - d->tail);
}

static void put(struct discipline *d, uint8_t byte)
{
	*at(d, d->head) = byte;
	set_mark(d, d->head, false);
	d->head++;
}

/* The edited line is complete with this byte, unless the whole ring is full of unread lines. */
static void end_line(struct discipline *d, uint8_t byte)
{
	if (used(d) == DISCIPLINE_SIZE)
		return;
	put(d, byte);
	set_mark(d, d->head - 1, true);
	d->canon = d->head;
	d->lines++;
}

/* An ordinary byte; in canonical mode the last place is kept for the end of the line. */
static void insert(struct discipline *d, uint8_t byte, struct sink *echo)
{
	bool canonical = discipline_edits(d);
	bool twice = byte == PARITY_MARK && has_input(d, PARMRK) && !has_input(d, ISTRIP);

	if (used(d) + twice + canonical >= DISCIPLINE_SIZE) {
		if (has_input(d, IMAXBEL))
			emit(echo, BELL);
		return;
	}
	if (has(d, ECHO) && !has(d, EXTPROC)) {
		finish_erasing(d, echo);
		if (d->head == d->canon)
			d->edit_column = d->column;
		echo_byte(d, byte, echo);
	}
	put(d, byte);
	if (twice)
		put(d, byte);
	if (!canonical)
		d->canon = d->head;
}

/* True if the byte was an editing key or the end of a line. */
static bool edit(struct discipline *d, uint8_t byte, struct sink *echo)
{
	bool extended = has(d, IEXTEN);

	if (is_key(d, VERASE, byte)) {
		erase_one(d, echo);
	} else if (is_key(d, VKILL, byte)) {
		erase_line(d, echo);
	} else if (extended && is_key(d, VWERASE, byte)) {
		erase_word(d, echo);
	} else if (extended && is_key(d, VLNEXT, byte)) {
		d->literal = true;
		if (has(d, ECHO))
			finish_erasing(d, echo);
		if (has(d, ECHO) && has(d, ECHOCTL)) {
			if (d->head == d->canon)
				d->edit_column = d->column;
			discipline_output(d, '^', echo);
			discipline_output(d, '\b', echo);
		}
	} else if (extended && has(d, ECHO) && is_key(d, VREPRINT, byte)) {
		reprint(d, echo);
	} else if (byte == '\n') {
		if (has(d, ECHO | ECHONL)) {
			finish_erasing(d, echo);
			discipline_output(d, '\n', echo);
		}
		end_line(d, byte);
	} else if (is_key(d, VEOF, byte)) {
		end_line(d, END_OF_FILE);
	} else if (is_key(d, VEOL, byte) || (extended && is_key(d, VEOL2, byte))) {
		if (has(d, ECHO))
			echo_byte(d, byte, echo);
		end_line(d, byte);
	} else {
		return false;
	}
	return true;
}

static enum key_signal signal_of(const struct discipline *d, uint8_t byte)
{
	if (!has(d, ISIG))
		return KEY_NONE;
	if (is_key(d, VINTR, byte))
		return KEY_INTERRUPT;
	if (is_key(d, VQUIT, byte))
		return KEY_QUIT;
	if (is_key(d, VSUSP, byte))
		return KEY_SUSPEND;
	return KEY_NONE;
}

/* What c_iflag makes of a byte before it means anything. */
static uint8_t fold(const struct discipline *d, uint8_t byte)
{
	if (has_input(d, ISTRIP))
		byte &= 0x7f;
	if (has_input(d, IUCLC) && has(d, IEXTEN) && byte >= 'A' && byte <= 'Z')
		byte = (uint8_t)(byte - 'A' + 'a');
	return byte;
}

/* c_iflag's translations; false: the byte is not wanted. */
static bool translate(const struct discipline *d, uint8_t *byte)
{
	tcflag_t mode = d->termios.c_iflag;

	*byte = fold(d, *byte);
	if (*byte == '\r') {
		if ((mode & IGNCR) != 0)
			return false;
		if ((mode & ICRNL) != 0)
			*byte = '\n';
	} else if (*byte == '\n' && (mode & INLCR) != 0) {
		*byte = '\r';
	}
	return true;
}

enum key_signal discipline_input(struct discipline *d, uint8_t byte, struct sink *echo)
{
	enum key_signal signal;

	if (has(d, EXTPROC)) {
		insert(d, fold(d, byte), echo);
		return KEY_NONE;
	}
	if (d->literal) {
		d->literal = false;
		insert(d, byte, echo);
		return KEY_NONE;
	}
	if (has_input(d, IXON)) {
		if (is_key(d, VSTART, byte) || is_key(d, VSTOP, byte)) {
			d->stopped = !is_key(d, VSTART, byte);
			return KEY_NONE;
		}
		if (has_input(d, IXANY))
			d->stopped = false;
	}
	if (!translate(d, &byte))
		return KEY_NONE;
	signal = signal_of(d, byte);
	if (signal != KEY_NONE) {
		if (!has(d, NOFLSH))
			discipline_flush(d);
		d->stopped = false;
		if (has(d, ECHO)) {
			finish_erasing(d, echo);
			echo_byte(d, byte, echo);
		}
		return signal;
	}
	if (!has(d, ICANON) || !edit(d, byte, echo))
		insert(d, byte, echo);
	return KEY_NONE;
}

/* --- reading ---------------------------------------------------------------------------------------------- */

/* At `position` is no byte of anyone's. */
static bool is_end_of_file(const struct discipline *d, uint64_t position)
{
	return discipline_edits(d) && marked(d, position) &&
	       d->ring[position % DISCIPLINE_SIZE] == END_OF_FILE;
}

size_t discipline_readable(const struct discipline *d)
{
	uint64_t end = discipline_edits(d) ? d->canon : d->head;
	size_t count = (size_t)(end - d->tail);

	for (uint64_t i = d->tail; discipline_edits(d) && i < end; i++)
		count -= is_end_of_file(d, i);
	return count;
}

bool discipline_ready(const struct discipline *d)
{
	return discipline_edits(d) ? d->lines > 0 : d->head != d->tail;
}

bool discipline_pollable(const struct discipline *d)
{
	const cc_t *cc = d->termios.c_cc;
	size_t enough = cc[VTIME] == 0 && cc[VMIN] > 0 ? cc[VMIN] : 1;

	return discipline_edits(d) ? d->lines > 0 : discipline_readable(d) >= enough;
}

bool discipline_holds_output(const struct discipline *d)
{
	return d->stopped || d->held;
}

bool discipline_full(const struct discipline *d)
{
	return used(d) + 1 >= DISCIPLINE_SIZE && discipline_ready(d);
}

size_t discipline_read(struct discipline *d, uint8_t *out, size_t size, bool *end)
{
	bool canonical = discipline_edits(d);
	uint64_t limit = canonical ? d->canon : d->head;
	size_t count = 0;

	*end = false;
	/* Who edits at the other end says so that the input ends: with the byte itself, alone. */
	if (has(d, ICANON) && !canonical && limit - d->tail == 1 &&
	    is_key(d, VEOF, d->ring[d->tail % DISCIPLINE_SIZE])) {
		d->tail++;
		*end = true;
	}
	while (d->tail < limit && !*end) {
		uint8_t byte = *at(d, d->tail);
		bool last = marked(d, d->tail);
		bool eof = is_end_of_file(d, d->tail);

		/* An end of file behind the last byte that fits belongs to it. */
		if (count == size && !eof)
			break;
		if (!eof)
			out[count++] = byte;
		if (last)
			d->lines--;
		*end = canonical && last;
		d->tail++;
	}
	return count;
}

void discipline_set(struct discipline *d, const struct termios2 *termios)
{
	bool toggled = ((d->termios.c_lflag ^ termios->c_lflag) & (ICANON | EXTPROC)) != 0;

	d->termios = *termios;
	if ((termios->c_iflag & IXON) == 0)
		d->stopped = false;
	if (!toggled)
		return;
	/* What has been typed so far is one line, or just bytes. */
	for (uint64_t i = d->tail; i < d->head; i++)
		set_mark(d, i, false);
	d->canon = d->head;
	d->lines = 0;
	d->literal = false;
	if (has(d, ICANON) && d->head != d->tail) {
		set_mark(d, d->head - 1, true);
		d->lines = 1;
	}
}

void discipline_flush(struct discipline *d)
{
	d->tail = d->canon = d->head;
	d->lines = 0;
	d->literal = false;
	d->erasing = false;
}

void discipline_init(struct discipline *d)
{
	static const struct termios2 fresh = {
		.c_iflag = ICRNL | IXON,
		.c_oflag = OPOST | ONLCR,
		.c_cflag = B38400 | CS8 | CREAD | HUPCL,
		.c_ispeed = 38400,
		.c_ospeed = 38400,
		.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.c_cc = {
			[VINTR] = CONTROL('C'),
			[VQUIT] = CONTROL('\\'),
			[VERASE] = DELETE,
			[VKILL] = CONTROL('U'),
			[VEOF] = CONTROL('D'),
			[VMIN] = 1,
			[VSTART] = CONTROL('Q'),
			[VSTOP] = CONTROL('S'),
			[VSUSP] = CONTROL('Z'),
			[VREPRINT] = CONTROL('R'),
			[VDISCARD] = CONTROL('O'),
			[VWERASE] = CONTROL('W'),
			[VLNEXT] = CONTROL('V'),
		},
	};

	memset(d, 0, sizeof(*d));
	d->termios = fresh;
}
