/*
 * fs/mount_options.h - what can be chosen of a mount, as text.
 */
#ifndef HAWSER_FS_MOUNT_OPTIONS_H
#define HAWSER_FS_MOUNT_OPTIONS_H

#include "fs/mount.h"

#define TMPFS "tmpfs"

/* What mounts remember of mount(2)'s flags; the others make no difference here. */
#define MOUNT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)

/*
 * "size=1m,mode=755" and so on into `options`, over what is there. `data` may be NULL; it is used up. 0 or
 * -EINVAL.
 */
int mount_options_parse(char *data, const char *type, struct mount_options *options);

enum mount_show { MOUNT_SHOW_FLAGS = 1, MOUNT_SHOW_SUPER = 2, MOUNT_SHOW_ALL = 3 };
void mount_options_describe(struct text *text, const struct filesystem *filesystem,
			    enum mount_show what);

#endif
