/*
 * proc/version.h - what uname(2) and /proc/version say.
 *
 * Programs ask for the system's name and release to learn what they may expect: Linux's interface,
 * of the release whose UAPI headers the kernel is built with. Hawser's own name comes after it.
 */
#ifndef HAWSER_PROC_VERSION_H
#define HAWSER_PROC_VERSION_H

#include <linux/version.h>

#define VERSION_TEXT_(x) #x
#define VERSION_TEXT(x)  VERSION_TEXT_(x)

#define UNAME_SYSTEM     "Linux"
#define UNAME_RELEASE \
	VERSION_TEXT(LINUX_VERSION_MAJOR) "." VERSION_TEXT(LINUX_VERSION_PATCHLEVEL) ".0-hawser"
/* For programs that know of nothing newer than Linux 2.6: personality(2), UNAME26; and of PER_LINUX32. */
#define UNAME_RELEASE_26_MINOR (LINUX_VERSION_PATCHLEVEL + 60)
#define UNAME_RELEASE_26       "2.6.%d-hawser"
#define UNAME_MACHINE_32       "i686"
#define UNAME_VERSION          "#1 Hawser"
#define UNAME_MACHINE          "x86_64"

#endif
