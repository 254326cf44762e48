/*
 * fs/stat.h - struct stat of <asm/stat.h>, which has a member of the name of a macro of libbsd's.
 */
#ifndef HAWSER_FS_STAT_H
#define HAWSER_FS_STAT_H

#include "kernel/base.h"

#pragma push_macro("__unused")
#undef __unused
#include <asm/stat.h>
#pragma pop_macro("__unused")

#endif
