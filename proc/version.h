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
#define UNAME_VERSION "#1 Hawser"
#define UNAME_MACHINE "x86_64"

#endif
