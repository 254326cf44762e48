/*
 * tests/dynamic/plugin.c - libplugin.so, which comes with dlopen(3): thread-local storage that no thread has yet
 * when it comes, and calls in all directions.
 */
#include "library.h"

static __thread int calls = 100;

int plugin_state;

__attribute__((constructor)) static void start(void)
{
	plugin_state = 1;
}

int plugin_calls(int number);
int plugin_calls(int number)
{
	calls++;
	return calls + first_square(number) + program_answers(number);
}
