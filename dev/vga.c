/*
 * dev/vga.c - the VGA's text screen: an array of characters and colours at 0xb8000.
 *
 * Reading that memory is slow, on emulators and on real cards, so what is on the screen is kept in
 * `cells` and only ever copied there, once at the end of each write and only the rows that changed.
 *
 * Of ECMA-48 there is what line editors use: moving the cursor, erasing to the end of line or
 * screen. Other sequences are read to their end and forgotten, so that they leave no litter.
 */
#include "dev/vga.h"

#include "kernel/boot_info.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "kernel/x86_64/regs.h"
#include "mm/kmap.h"

#define TEXT_BASE UINT64_C(0xb8000)
#define COLUMNS   80
#define ROWS      25
#define TAB_STOP  8

/* Light grey on black, and a blank in it. */
#define ATTRIBUTE 0x0700
#define BLANK     (ATTRIBUTE | ' ')

/* CRT controller: index and data port, registers (VGA: all in decimal in IBM's manual). */
#define CRTC_INDEX       0x3d4
#define CRTC_DATA        0x3d5
#define CRTC_CURSOR_HIGH 14
#define CRTC_CURSOR_LOW  15

enum parser {
	TEXT,
	ESCAPE,        /* ESC seen */
	CONTROL,       /* ESC [ and parameters: ends with a byte of 0x40…0x7e */
	STRING,        /* ESC ] P X ^ _ …: ends with BEL or ESC \ */
	STRING_ESCAPE, /* ESC within it */
	CHARSET,       /* ESC ( ) # % …: one byte more */
};

#define PARAMETERS_MAX 4
#define PARAMETER_MAX  999

static struct {
	struct spinlock lock; /* RANK_CONSOLE: all that follows */
	uint16_t *screen;     /* the card's memory; NULL: not started */
	unsigned row, column; /* of the cursor; column == COLUMNS: the next character wraps */
	unsigned dirty_from, dirty_to; /* rows [from, to) differ from the screen */
	enum parser parser;
	unsigned parameters[PARAMETERS_MAX];
	unsigned parameter_count; /* the index of the one that is being read */
} vga = {
	.lock = SPINLOCK_INIT("vga", RANK_CONSOLE),
};
static uint16_t cells[ROWS][COLUMNS]; /* what the screen is to show; vga.lock */

static void touch(unsigned from, unsigned to)
{
	vga.dirty_from = MIN(vga.dirty_from, from);
	vga.dirty_to = MAX(vga.dirty_to, to);
}

static void erase(unsigned row, unsigned from, unsigned to)
{
	for (unsigned column = from; column < to; column++)
		cells[row][column] = BLANK;
	touch(row, row + 1);
}

static void line_feed(void)
{
	if (vga.row + 1 < ROWS) {
		vga.row++;
		return;
	}
	memmove(cells[0], cells[1], sizeof(cells) - sizeof(cells[0]));
	erase(ROWS - 1, 0, COLUMNS);
	touch(0, ROWS);
}

static void put_character(uint8_t c)
{
	if (vga.column == COLUMNS) {
		vga.column = 0;
		line_feed();
	}
	cells[vga.row][vga.column++] = ATTRIBUTE | c;
	touch(vga.row, vga.row + 1);
}

/* --- ECMA-48 -------------------------------------------------------------------------------------------- */

static unsigned parameter(unsigned i, unsigned absent)
{
	return vga.parameters[i] != 0 ? vga.parameters[i] : absent;
}

static void move_to(unsigned row, unsigned column)
{
	vga.row = MIN(row, ROWS - 1u);
	vga.column = MIN(column, COLUMNS - 1u);
}

static unsigned minus(unsigned a, unsigned b)
{
	return a > b ? a - b : 0;
}

/* EL (8.3.41): 0 to the end, 1 from the beginning, 2 all of it. */
static void erase_line(unsigned what)
{
	unsigned column = MIN(vga.column, COLUMNS - 1u);

	erase(vga.row, what == 0 ? column : 0, what == 1 ? column + 1 : COLUMNS);
}

/* ED (8.3.39): the same for the screen. */
static void erase_screen(unsigned what)
{
	erase_line(what);
	for (unsigned row = 0; row < ROWS; row++) {
		if ((what != 1 && row > vga.row) || (what != 0 && row < vga.row))
			erase(row, 0, COLUMNS);
	}
}

static void control_sequence(char final)
{
	switch (final) {
	case 'A': /* CUU */
		move_to(minus(vga.row, parameter(0, 1)), vga.column);
		break;
	case 'B': /* CUD */
		move_to(vga.row + parameter(0, 1), vga.column);
		break;
	case 'C': /* CUF */
		move_to(vga.row, vga.column + parameter(0, 1));
		break;
	case 'D': /* CUB */
		move_to(vga.row, minus(vga.column, parameter(0, 1)));
		break;
	case 'G': /* CHA */
		move_to(vga.row, parameter(0, 1) - 1);
		break;
	case 'H': /* CUP */
	case 'f': /* HVP */
		move_to(parameter(0, 1) - 1, parameter(1, 1) - 1);
		break;
	case 'J':
		if (vga.parameters[0] <= 2)
			erase_screen(vga.parameters[0]);
		break;
	case 'K':
		if (vga.parameters[0] <= 2)
			erase_line(vga.parameters[0]);
		break;
	}
}

static void parameter_byte(char c)
{
	if (c >= '0' && c <= '9') {
		unsigned *value = &vga.parameters[vga.parameter_count];
		*value = MIN(*value * 10 + (unsigned)(c - '0'), PARAMETER_MAX);
	} else if (c == ';' && vga.parameter_count + 1 < PARAMETERS_MAX) {
		vga.parameter_count++;
	}
}

static enum parser after_escape(char c)
{
	switch (c) {
	case '[':
		memset(vga.parameters, 0, sizeof(vga.parameters));
		vga.parameter_count = 0;
		return CONTROL;
	case ']':
	case 'P':
	case 'X':
	case '^':
	case '_':
		return STRING;
	default:
		/* Intermediate bytes (5.3) announce one more. */
		return c >= 0x20 && c <= 0x2f ? CHARSET : TEXT;
	}
}

/* --- text ------------------------------------------------------------------------------------------------- */

static void text_byte(uint8_t c)
{
	switch (c) {
	case '\r':
		vga.column = 0;
		break;
	case '\n':
		line_feed();
		break;
	case '\b':
		vga.column = minus(vga.column, 1);
		break;
	case '\t':
		vga.column = MIN(ALIGN_UP(vga.column + 1, TAB_STOP), COLUMNS - 1u);
		break;
	default:
		/* The font is not Unicode's: one mark for each character beyond ASCII. */
		if (c >= 0xc0)
			put_character('?');
		else if (c >= 0x20 && c < 0x7f)
			put_character(c);
		break;
	}
}

static void take(char c)
{
	if (c == '\033') {
		vga.parser = vga.parser == STRING ? STRING_ESCAPE : ESCAPE;
		return;
	}
	switch (vga.parser) {
	case TEXT:
		text_byte((uint8_t)c);
		break;
	case ESCAPE:
		vga.parser = after_escape(c);
		break;
	case CONTROL:
		if (c >= 0x40 && c <= 0x7e) {
			vga.parser = TEXT;
			control_sequence(c);
		} else {
			parameter_byte(c);
		}
		break;
	case STRING:
		if (c == '\a')
			vga.parser = TEXT;
		break;
	case STRING_ESCAPE:
		vga.parser = c == '\\' ? TEXT : after_escape(c);
		break;
	case CHARSET:
		vga.parser = TEXT;
		break;
	}
}

static void set_crtc(uint8_t reg, uint8_t value)
{
	outb(CRTC_INDEX, reg);
	outb(CRTC_DATA, value);
}

static void show(void)
{
	if (vga.dirty_from < vga.dirty_to)
		memcpy(vga.screen + vga.dirty_from * COLUMNS, cells[vga.dirty_from],
		       (vga.dirty_to - vga.dirty_from) * sizeof(cells[0]));
	vga.dirty_from = ROWS;
	vga.dirty_to = 0;

	unsigned cursor = vga.row * COLUMNS + MIN(vga.column, COLUMNS - 1u);
	set_crtc(CRTC_CURSOR_HIGH, (uint8_t)(cursor >> 8));
	set_crtc(CRTC_CURSOR_LOW, (uint8_t)cursor);
}

void vga_write(const char *text, size_t length)
{
	bool locked = !panic_active();

	if (vga.screen == NULL)
		return;
	if (locked)
		spin_lock(&vga.lock);
	for (size_t i = 0; i < length; i++)
		take(text[i]);
	if (vga.screen != NULL)
		show();
	if (locked)
		spin_unlock(&vga.lock);
}

void vga_stop(void)
{
	spin_lock(&vga.lock);
	vga.screen = NULL;
	spin_unlock(&vga.lock);
}

bool vga_start(void)
{
	if (boot_info.framebuffer.base != 0)
		return false;
	uint16_t *screen = mmio_map(TEXT_BASE, sizeof(cells));
	if (screen == NULL)
		return false;

	spin_lock(&vga.lock);
	vga.screen = screen;
	for (unsigned row = 0; row < ROWS; row++)
		erase(row, 0, COLUMNS);
	touch(0, ROWS);
	show();
	spin_unlock(&vga.lock);
	return true;
}
