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

/* The open operation of /dev/console, and of /dev/tty: -ENXIO to whom no terminal controls. (fs/console.c) */
int console_open(struct file *file);
int tty_open_controlling(struct file *file);
/* What terminals do when they are opened without O_NOCTTY. (fs/console.c) */
void tty_offer(struct file *file);
/* Starts the thread that reads the console. 0 or -ENOMEM. (fs/console.c) */
int console_terminal_init(void);

/* The open operation of /dev/kmsg. (fs/kmsg.c) */
int kmsg_open(struct file *file);
/* The open operation of /dev/ptmx. (fs/pty.c) */
int pty_open_master(struct file *file);
/* Boot, once the root has its directories. 0 or -ENOMEM. (fs/pty.c) */
int pty_init(void);

#endif
