/*
 * fs/mount_options.h - what can be chosen of a mount, as text, and the table of mounts.
 */
#ifndef HAWSER_FS_MOUNT_OPTIONS_H
#define HAWSER_FS_MOUNT_OPTIONS_H

#include "fs/mount.h"

#define TMPFS    "tmpfs"
#define WIRE     "tftp"
#define DEVPTS   "devpts"
#define DEVTMPFS "devtmpfs"

/* What mounts remember of mount(2)'s flags; the others make no difference here. */
#define MOUNT_FLAGS \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME)

/* Of a tmpfs, and of terminals. */
extern const struct mount_options mount_options_default;

/*
 * "size=1m,mode=755" and so on into `options`, over what is there. `data` may be NULL; it is used up. 0 or
 * -EINVAL.
 */
int mount_options_parse(char *data, const char *type, struct mount_options *options);
/* The whole file system is as they say from now on. root_lock held. */
void mount_options_apply(struct filesystem *filesystem, const struct mount_options *options);

#endif
