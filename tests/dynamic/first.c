/*
 * tests/dynamic/first.c - libfirst.so: data, text, thread-local storage and a constructor.
 */
#include "library.h"

#ifndef VERSION
#define VERSION "1"
#endif

int first_data = 41;
int first_order = -1;
__thread int first_local = 7;
const char *const first_text[2] = { "relocated", VERSION };
static int constructors;

__attribute__((constructor)) static void start(void)
{
	first_order = constructors++;
	first_data++;
}

int first_square(int number)
{
	return number * number;
}

int *first_local_here(void)
{
	return &first_local;
}

const char *first_version(void)
{
	return first_text[1];
}
