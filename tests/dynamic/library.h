/*
 * tests/dynamic/library.h - what tests/dynamic/program.c and its two libraries know of each other.
 *
 * libfirst.so is linked to the program, libplugin.so is opened by it and needs libfirst.so itself.
 */
#ifndef HAWSER_TESTS_DYNAMIC_LIBRARY_H
#define HAWSER_TESTS_DYNAMIC_LIBRARY_H

extern int first_data;                  /* copied into a program that is not position-independent */
extern int first_order;                 /* constructors that had run before the library's */
extern __thread int first_local;        /* 7 in each thread that has not changed it */
extern const char *const first_text[2]; /* relocated once, and read-only then */

int first_square(int number);
int *first_local_here(void);
const char *first_version(void); /* as the library was made: -DVERSION= */

/* What the plug-in calls in whoever has opened it. */
int program_answers(int number);

typedef int plugin_call(int number);

#endif
