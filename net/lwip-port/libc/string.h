/*
 * net/lwip-port/libc/string.h - <string.h> as lwIP's sources include it.
 */
#include "kernel/string.h"
