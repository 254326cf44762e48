/*
 * proc/hostname.h - what the machine is called: as the network says, until somebody says otherwise.
 */
#ifndef HAWSER_PROC_HOSTNAME_H
#define HAWSER_PROC_HOSTNAME_H

#include "kernel/base.h"
#include <linux/utsname.h>

#define HOSTNAME_SIZE (__NEW_UTS_LEN + 1) /* with its NUL */

void hostname_get(char name[HOSTNAME_SIZE]);
void hostname_get_domain(char name[HOSTNAME_SIZE]);
/* `length` bytes, at most __NEW_UTS_LEN. 0, -EINVAL, or -EPERM without CAP_SYS_ADMIN. */
int hostname_set(const char *name, size_t length);
int hostname_set_domain(const char *name, size_t length);

#endif
