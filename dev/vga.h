/*
 * dev/vga.h - the VGA's text screen of 80 by 25, output only.
 */
#ifndef HAWSER_DEV_VGA_H
#define HAWSER_DEV_VGA_H

#include "kernel/base.h"

/* Maps the screen and clears it. False if it is in a graphics mode, or cannot be mapped. */
bool vga_start(void);

/* The screen is a picture from now on: nothing is printed any more. */
void vga_stop(void);

/* Prints; understands CR, LF, BS, TAB and the commonest of ECMA-48. Any context, as a log console. */
void vga_write(const char *text, size_t length);

#endif
