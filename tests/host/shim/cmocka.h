/*
 * cmocka.h wants these included before it; so that nobody has to remember, or to keep an order of
 * includes that a formatter would change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include_next <cmocka.h>
