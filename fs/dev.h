/*
 * fs/dev.h - the devices of /dev.
 */
#ifndef HAWSER_FS_DEV_H
#define HAWSER_FS_DEV_H

#include "kernel/base.h"

struct file;
struct device;

/* Makes /dev's nodes and starts the terminal's thread. Boot, from fs_init(). 0 or -ENOMEM. */
int dev_init(void);

/* The device with that number (MKDEV of <linux/kdev_t.h>), or NULL. */
const struct device *dev_find(uint32_t number);

/* Looks for a framebuffer; then its device, or NULL if there is none. Boot. (fs/framebuffer.c) */
void framebuffer_init(void);
const struct device *framebuffer_device(void);

/* The open operation of /dev/console. (fs/tty.c) */
int tty_open(struct file *file);
/* Of /dev/tty: -ENXIO to whom the terminal does not control. (fs/tty.c) */
int tty_open_controlling(struct file *file);
/* Starts the thread that reads the console. 0 or -ENOMEM. (fs/tty.c) */
int tty_init(void);

#endif
