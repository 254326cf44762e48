/*
 * test_tty.c - the line discipline: what is typed, what is shown, what is read.
 */
#include "fs/discipline.h"
#include "kernel/string.h"

#include <cmocka.h>

static struct discipline d;
static struct {
	struct sink sink;
	char text[16384];
	size_t length;
} screen;

static void flush(struct sink *sink)
{
	assert_true(screen.length + sink->used < sizeof(screen.text));
	memcpy(screen.text + screen.length, sink->bytes, sink->used);
	screen.length += sink->used;
	sink->used = 0;
}

static int fresh(void **state)
{
	(void)state;
	discipline_init(&d);
	memset(&screen, 0, sizeof(screen));
	screen.sink.flush = flush;
	return 0;
}

/* Types; the last key's signal. */
static enum key_signal type(const char *keys)
{
	enum key_signal signal = KEY_NONE;

	for (; *keys != '\0'; keys++)
		signal = discipline_input(&d, (uint8_t)*keys, &screen.sink);
	return signal;
}

/* What has appeared since the last time. */
static const char *shown(void)
{
	static char text[sizeof(screen.text)];

	flush(&screen.sink);
	memcpy(text, screen.text, screen.length);
	text[screen.length] = '\0';
	screen.length = 0;
	return text;
}

/* One read(2) of up to `size` bytes. */
static const char *get(size_t size)
{
	static char text[DISCIPLINE_SIZE + 1];
	bool end;
	size_t length = discipline_read(&d, (uint8_t *)text, size, &end);

	text[length] = '\0';
	return text;
}

static void local(tcflag_t set, tcflag_t clear)
{
	struct termios2 termios = d.termios;

	termios.c_lflag = (termios.c_lflag | set) & ~clear;
	discipline_set(&d, &termios);
}

static void input(tcflag_t set, tcflag_t clear)
{
	struct termios2 termios = d.termios;

	termios.c_iflag = (termios.c_iflag | set) & ~clear;
	discipline_set(&d, &termios);
}

static void letters_change_their_case(void **state)
{
	struct termios2 termios = d.termios;

	input(IUCLC, 0);
	type("ABc\r");
	assert_string_equal(get(10), "abc\n");
	(void)shown();
	local(0, IEXTEN);
	type("ABc\r");
	assert_string_equal(get(10), "ABc\n");
	(void)shown();
	termios.c_oflag |= OLCUC;
	discipline_set(&d, &termios);
	type("xY\r");
	assert_string_equal(shown(), "XY\r\n");
}

static void a_byte_that_looks_like_a_mark_is_doubled(void **state)
{
	input(PARMRK, 0);
	type("a\377b\r");
	assert_string_equal(get(10), "a\377\377b\n");
	input(ISTRIP, 0);
	type("a\377b\r"); /* seven bits of it are the key that erases */
	assert_string_equal(get(10), "b\n");
}

static void paper_shows_what_is_erased(void **state)
{
	local(ECHOPRT, 0);
	type("abc\177\177d\025e\r");
	assert_string_equal(shown(), "abc\\cb/d\\da/e\r\n");
	assert_string_equal(get(10), "e\n");
}

static void poll_waits_for_as_many_as_vmin(void **state)
{
	struct termios2 termios = d.termios;

	termios.c_lflag &= ~(tcflag_t)ICANON;
	termios.c_cc[VMIN] = 3;
	discipline_set(&d, &termios);
	type("ab");
	assert_true(discipline_ready(&d));
	assert_false(discipline_pollable(&d));
	type("c");
	assert_true(discipline_pollable(&d));
	termios.c_cc[VTIME] = 1;
	discipline_set(&d, &termios);
	(void)get(2);
	assert_true(discipline_pollable(&d));
}

static void only_a_program_lets_go_what_a_program_holds(void **state)
{
	input(IXANY, 0);
	d.held = true;
	type("\023x");
	assert_false(d.stopped);
	assert_true(discipline_holds_output(&d));
	d.held = false;
	assert_false(discipline_holds_output(&d));
	type("\023");
	assert_true(discipline_holds_output(&d));
}

static void an_end_of_file_stays_one_when_its_key_changes(void **state)
{
	struct termios2 termios = d.termios;
	uint8_t byte;
	bool end;

	type("\004");
	termios.c_cc[VEOF] = 'z';
	discipline_set(&d, &termios);
	assert_int_equal(discipline_readable(&d), 0);
	assert_int_equal(discipline_read(&d, &byte, 1, &end), 0);
	assert_true(end);
}

/* The other end does, and says that the input ends with the key alone. */
static void the_other_end_edits(void **state)
{
	uint8_t byte;
	bool end;

	local(EXTPROC, 0);
	type("\004");
	assert_true(discipline_ready(&d));
	assert_int_equal(discipline_read(&d, &byte, 1, &end), 0);
	assert_true(end);
	assert_false(discipline_ready(&d));
	type("typed");
	local(0, EXTPROC);
	assert_string_equal(get(100), "typed");
}

static void nothing_is_edited_twice(void **state)
{
	local(EXTPROC, 0);
	type("a\003b\n");
	assert_int_equal(discipline_readable(&d), 4);
	assert_string_equal(get(100), "a\003b\n");
	assert_string_equal(shown(), "");
	type("\177\004");
	assert_string_equal(get(100), "\177\004");
}

static void a_line_is_read_when_it_is_complete(void **state)
{
	type("abc");
	assert_false(discipline_ready(&d));
	assert_int_equal(discipline_readable(&d), 0);
	type("\r");
	assert_true(discipline_ready(&d));
	assert_int_equal(discipline_readable(&d), 4);
	assert_string_equal(get(100), "abc\n");
	assert_string_equal(shown(), "abc\r\n");
	assert_false(discipline_ready(&d));
}

static void a_read_takes_one_line_or_a_part_of_it(void **state)
{
	type("one\ntwo\n");
	assert_string_equal(get(2), "on");
	assert_string_equal(get(100), "e\n");
	assert_string_equal(get(100), "two\n");
	assert_string_equal(get(100), "");
}

static void erase_takes_the_character_from_line_and_screen(void **state)
{
	type("ab\x7f");
	assert_string_equal(shown(), "ab\b \b");
	type("\x7f\x7f\x7f"); /* more than there is */
	assert_string_equal(shown(), "\b \b");
	type("c\n");
	assert_string_equal(get(100), "c\n");
}

static void erase_takes_both_columns_of_a_control_character(void **state)
{
	type("a\x01");
	assert_string_equal(shown(), "a^A");
	type("\x7f");
	assert_string_equal(shown(), "\b \b\b \b");
	type("\n");
	assert_string_equal(get(100), "a\n");
}

static void erase_goes_back_over_a_tab(void **state)
{
	type("ab\t");
	shown();
	type("\x7f");
	assert_string_equal(shown(), "\b\b\b\b\b\b");
	type("\x7f");
	assert_string_equal(shown(), "\b \b");
}

static void a_tab_behind_a_prompt_is_as_wide_as_it_looks(void **state)
{
	for (const char *c = "$ "; *c != '\0'; c++)
		discipline_output(&d, (uint8_t)*c, &screen.sink);
	type("ab\t");
	shown();
	type("\x7f");
	assert_string_equal(shown(), "\b\b\b\b");
}

static void erase_takes_a_whole_character_of_utf8(void **state)
{
	struct termios2 termios = d.termios;

	termios.c_iflag |= IUTF8;
	discipline_set(&d, &termios);
	type("a\xc3\xa4\x7f\n");
	assert_string_equal(get(100), "a\n");
	assert_string_equal(shown(), "a\xc3\xa4\b \b\r\n");
}

static void kill_takes_the_line_and_word_erase_a_word(void **state)
{
	type("one two  \x17");
	assert_string_equal(shown(), "one two  \b \b\b \b\b \b\b \b\b \b");
	type("\x15");
	assert_string_equal(shown(), "\b \b\b \b\b \b\b \b");
	type("x\n");
	assert_string_equal(get(100), "x\n");
}

static void without_echoke_kill_shows_itself_and_a_new_line(void **state)
{
	local(0, ECHOKE);
	type("ab\x15");
	assert_string_equal(shown(), "ab^U\r\n");
}

static void end_of_file_ends_a_read_and_is_not_read(void **state)
{
	type("ab\x04");
	assert_int_equal(discipline_readable(&d), 2);
	assert_string_equal(get(100), "ab");
	assert_false(discipline_ready(&d));
	type("\x04");
	assert_true(discipline_ready(&d));
	assert_int_equal(discipline_readable(&d), 0);
	assert_string_equal(get(100), "");
	assert_false(discipline_ready(&d));
	assert_string_equal(shown(), "ab");
}

static void end_of_file_behind_a_full_read_is_no_second_end(void **state)
{
	type("ab\x04");
	assert_string_equal(get(2), "ab");
	assert_false(discipline_ready(&d));
}

static void signal_keys_discard_the_line(void **state)
{
	type("abc");
	assert_int_equal(type("\x03"), KEY_INTERRUPT);
	assert_string_equal(shown(), "abc^C");
	type("d\n");
	assert_string_equal(get(100), "d\n");
	assert_int_equal(type("\x1a"), KEY_SUSPEND);
	assert_int_equal(type("\x1c"), KEY_QUIT);
	local(NOFLSH, 0);
	type("e");
	type("\x03\n");
	assert_string_equal(get(100), "e\n");
	local(0, ISIG);
	assert_int_equal(type("\x03"), KEY_NONE);
}

static void literal_next_takes_the_meaning_from_a_key(void **state)
{
	type("a\x16\x03"
	     "\x16\x7f"
	     "b\n");
	assert_string_equal(get(100), "a\x03\x7f"
				      "b\n");
	assert_string_equal(shown(), "a^\b^C^\b^?b\r\n");
}

static void reprint_shows_the_line_again(void **state)
{
	type("ab\x12");
	assert_string_equal(shown(), "ab^R\r\nab");
}

static void raw_bytes_are_read_as_they_come(void **state)
{
	local(0, ICANON | ECHO | ISIG | IEXTEN);
	type("a\x7f\x03\x04");
	assert_true(discipline_ready(&d));
	assert_int_equal(discipline_readable(&d), 4);
	assert_string_equal(get(100), "a\x7f\x03\x04");
	assert_string_equal(shown(), "");
}

static void a_change_of_mode_keeps_what_was_typed(void **state)
{
	type("half");
	local(0, ICANON);
	assert_string_equal(get(2), "ha");
	local(ICANON, 0);
	assert_true(discipline_ready(&d));
	assert_string_equal(get(100), "lf");
	type("x\n");
	assert_string_equal(get(100), "x\n");
}

static void no_echo_still_shows_new_lines_if_asked_to(void **state)
{
	local(0, ECHO);
	type("secret\n");
	assert_string_equal(shown(), "");
	local(ECHONL, 0);
	type("secret\n");
	assert_string_equal(shown(), "\r\n");
}

static void carriage_returns_are_translated_as_told(void **state)
{
	struct termios2 termios = d.termios;

	termios.c_iflag = INLCR;
	discipline_set(&d, &termios);
	type("a\n");
	assert_false(discipline_ready(&d));
	termios.c_iflag = IGNCR;
	discipline_set(&d, &termios);
	type("\rb\n");
	assert_string_equal(get(100), "a\rb\n");
}

static void stop_and_start_hold_output(void **state)
{
	type("\x13");
	assert_true(d.stopped);
	type("\x11");
	assert_false(d.stopped);
	type("\x13\x03"); /* a signal must get through */
	assert_false(d.stopped);
	assert_string_equal(shown(), "^C");
}

static void output_is_processed_as_told(void **state)
{
	struct termios2 termios = d.termios;

	for (const char *c = "a\n\tb"; *c != '\0'; c++)
		discipline_output(&d, (uint8_t)*c, &screen.sink);
	assert_string_equal(shown(), "a\r\n\tb");
	termios.c_oflag |= XTABS;
	discipline_set(&d, &termios);
	for (const char *c = "\r12\tb"; *c != '\0'; c++)
		discipline_output(&d, (uint8_t)*c, &screen.sink);
	assert_string_equal(shown(), "\r12      b");
	termios.c_oflag = 0;
	discipline_set(&d, &termios);
	discipline_output(&d, '\n', &screen.sink);
	assert_string_equal(shown(), "\n");
}

static void a_line_too_long_can_still_be_ended(void **state)
{
	for (int i = 0; i < 2 * DISCIPLINE_SIZE; i++)
		discipline_input(&d, 'x', &screen.sink);
	assert_false(discipline_full(&d)); /* no reader could make room */
	type("\n");
	assert_int_equal(discipline_readable(&d), DISCIPLINE_SIZE);
	assert_true(discipline_full(&d));
	assert_int_equal(strlen(get(DISCIPLINE_SIZE)), DISCIPLINE_SIZE);
	type("y\n");
	assert_string_equal(get(100), "y\n");
}

static void full_of_lines_it_loses_no_count_of_them(void **state)
{
	for (int i = 0; i < DISCIPLINE_SIZE + 10; i++)
		discipline_input(&d, '\n', &screen.sink);
	assert_int_equal(d.lines, DISCIPLINE_SIZE);
	for (int i = 0; i < DISCIPLINE_SIZE; i++)
		assert_string_equal(get(100), "\n");
	assert_false(discipline_ready(&d));
}

static void a_long_life_wraps_the_ring(void **state)
{
	for (int i = 0; i < 1000; i++) {
		type("some line\n");
		assert_string_equal(get(100), "some line\n");
		shown();
	}
}

static void a_disabled_key_is_an_ordinary_byte(void **state)
{
	struct termios2 termios = d.termios;

	termios.c_cc[VERASE] = 0;
	discipline_set(&d, &termios);
	type("a\x7f\n");
	discipline_input(&d, 0, &screen.sink);
	assert_string_equal(get(100), "a\x7f\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_line_is_read_when_it_is_complete, fresh),
		cmocka_unit_test_setup(a_read_takes_one_line_or_a_part_of_it, fresh),
		cmocka_unit_test_setup(erase_takes_the_character_from_line_and_screen, fresh),
		cmocka_unit_test_setup(erase_takes_both_columns_of_a_control_character, fresh),
		cmocka_unit_test_setup(erase_goes_back_over_a_tab, fresh),
		cmocka_unit_test_setup(a_tab_behind_a_prompt_is_as_wide_as_it_looks, fresh),
		cmocka_unit_test_setup(erase_takes_a_whole_character_of_utf8, fresh),
		cmocka_unit_test_setup(kill_takes_the_line_and_word_erase_a_word, fresh),
		cmocka_unit_test_setup(without_echoke_kill_shows_itself_and_a_new_line, fresh),
		cmocka_unit_test_setup(end_of_file_ends_a_read_and_is_not_read, fresh),
		cmocka_unit_test_setup(end_of_file_behind_a_full_read_is_no_second_end, fresh),
		cmocka_unit_test_setup(signal_keys_discard_the_line, fresh),
		cmocka_unit_test_setup(literal_next_takes_the_meaning_from_a_key, fresh),
		cmocka_unit_test_setup(reprint_shows_the_line_again, fresh),
		cmocka_unit_test_setup(raw_bytes_are_read_as_they_come, fresh),
		cmocka_unit_test_setup(a_change_of_mode_keeps_what_was_typed, fresh),
		cmocka_unit_test_setup(no_echo_still_shows_new_lines_if_asked_to, fresh),
		cmocka_unit_test_setup(carriage_returns_are_translated_as_told, fresh),
		cmocka_unit_test_setup(stop_and_start_hold_output, fresh),
		cmocka_unit_test_setup(output_is_processed_as_told, fresh),
		cmocka_unit_test_setup(a_line_too_long_can_still_be_ended, fresh),
		cmocka_unit_test_setup(full_of_lines_it_loses_no_count_of_them, fresh),
		cmocka_unit_test_setup(a_long_life_wraps_the_ring, fresh),
		cmocka_unit_test_setup(a_disabled_key_is_an_ordinary_byte, fresh),
		cmocka_unit_test_setup(letters_change_their_case, fresh),
		cmocka_unit_test_setup(a_byte_that_looks_like_a_mark_is_doubled, fresh),
		cmocka_unit_test_setup(paper_shows_what_is_erased, fresh),
		cmocka_unit_test_setup(poll_waits_for_as_many_as_vmin, fresh),
		cmocka_unit_test_setup(only_a_program_lets_go_what_a_program_holds, fresh),
		cmocka_unit_test_setup(an_end_of_file_stays_one_when_its_key_changes, fresh),
		cmocka_unit_test_setup(nothing_is_edited_twice, fresh),
		cmocka_unit_test_setup(the_other_end_edits, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
