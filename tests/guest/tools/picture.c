/*
 * Draws a picture on /dev/fb0, in all the ways there are, and says so; then it waits for a line and ends. What
 * the screen shows is for a system test to look at, which knows the same formula.
 */
#define _GNU_SOURCE
#include "../tap.h"

#include <fcntl.h>
#include <linux/fb.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define WIDTH  640
#define HEIGHT 480
#define PAGE   4096L

/* tests/system/test_framebuffer.py has it, too. */
static uint32_t pixel(int x, int y)
{
	return (uint32_t)(x & 255) << 16 | (uint32_t)(y & 255) << 8 |
	       (uint32_t)((x * y) >> 6 & 255);
}

static void draw(uint32_t *screen, int from, int to)
{
	for (int y = from; y < to; y++) {
		for (int x = 0; x < WIDTH; x++)
			screen[y * WIDTH + x] = pixel(x, y);
	}
}

static void set_mode(int fd)
{
	struct fb_var_screeninfo mode;
	struct fb_fix_screeninfo fixed;

	ok(ioctl(fd, FBIOGET_VSCREENINFO, &mode) == 0 && mode.xres == 1024 && mode.yres == 768 &&
		   mode.bits_per_pixel == 32,
	   "it begins with 1024 by 768");
	mode.xres = mode.xres_virtual = WIDTH;
	mode.yres = mode.yres_virtual = HEIGHT;
	mode.bits_per_pixel = 16;
	ok(ioctl(fd, FBIOPUT_VSCREENINFO, &mode) == 0 && mode.green.length == 6 &&
		   mode.red.offset == 11,
	   "16 bits for a pixel");
	ok(ioctl(fd, FBIOGET_FSCREENINFO, &fixed) == 0 && fixed.line_length == 2 * WIDTH,
	   "are half the length of a line");
	mode.bits_per_pixel = 32;
	mode.activate = FB_ACTIVATE_TEST;
	ok(ioctl(fd, FBIOPUT_VSCREENINFO, &mode) == 0 &&
		   ioctl(fd, FBIOGET_VSCREENINFO, &mode) == 0 && mode.bits_per_pixel == 16,
	   "a mode that is tried is not set");
	mode.bits_per_pixel = 32;
	mode.activate = FB_ACTIVATE_NOW;
	ok(ioctl(fd, FBIOPUT_VSCREENINFO, &mode) == 0, "%d by %d with 32", WIDTH, HEIGHT);
	ok(ioctl(fd, FBIOGET_FSCREENINFO, &fixed) == 0 && fixed.line_length == 4 * WIDTH &&
		   fixed.smem_len >= 4 * WIDTH * HEIGHT && fixed.type == FB_TYPE_PACKED_PIXELS &&
		   fixed.visual == FB_VISUAL_TRUECOLOR,
	   "with its memory");
	mode.xres = mode.xres_virtual = 20000;
	fails(ioctl(fd, FBIOPUT_VSCREENINFO, &mode), EINVAL, "one that is too large is EINVAL");
	fails(ioctl(fd, FBIOGET_VSCREENINFO, NULL), EFAULT, "no place for the answer is EFAULT");
	fails(ioctl(fd, FBIOBLANK, 0), ENOTTY, "what it cannot do is ENOTTY");
}

static void draw_in_every_way(int fd)
{
	size_t size = WIDTH * HEIGHT * 4;
	uint32_t *screen = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint32_t line[WIDTH];
	const struct iovec here = { line, 4 }, there = { screen, 4 };
	const uint32_t *copy;
	int status;
	pid_t child;

	if (!ok(screen != MAP_FAILED, "its memory is mapped"))
		return;
	draw(screen, 0, 160);
	child = fork();
	if (child == 0) {
		draw(screen, 160, 320);
		_exit(0);
	}
	waitpid(child, &status, 0);
	ok(status == 0 && screen[200 * WIDTH + 7] == pixel(7, 200),
	   "a child draws on the same screen");
	lseek(fd, 320 * WIDTH * 4, SEEK_SET);
	for (int y = 320; y < HEIGHT; y++) {
		for (int x = 0; x < WIDTH; x++)
			line[x] = pixel(x, y);
		if (write(fd, line, sizeof(line)) != sizeof(line))
			ok(false, "line %d is written", y);
	}
	ok(screen[400 * WIDTH + 9] == pixel(9, 400), "write(2) draws what a mapping reads");
	ok(pread(fd, line, sizeof(line), 100 * WIDTH * 4) == sizeof(line) &&
		   line[11] == pixel(11, 100),
	   "read(2) reads what a mapping drew");
	fails(process_vm_readv(getpid(), &here, 1, &there, 1, 0), EFAULT,
	      "process_vm_readv(2) does not read it");
	fails(process_vm_writev(getpid(), &here, 1, &there, 1, 0), EFAULT,
	      "nor is it written that way");
	copy = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	ok(copy != MAP_FAILED && copy[5] == pixel(5, 0), "a private mapping may read");
	fails(mprotect((void *)copy, PAGE, PROT_READ | PROT_WRITE), EACCES,
	      "and not be made to write");
	munmap((void *)copy, PAGE);
	munmap(screen, size);
}

static void misuse(int fd)
{
	struct fb_fix_screeninfo fixed;
	char byte = 0;

	ioctl(fd, FBIOGET_FSCREENINFO, &fixed);
	fails(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), EINVAL,
	      "a private mapping that writes is EINVAL");
	fails(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, fixed.smem_len - PAGE), EINVAL,
	      "and so is one beyond the end");
	ok(pread(fd, &byte, 1, fixed.smem_len) == 0, "there is nothing to read there");
	fails(pwrite(fd, &byte, 1, fixed.smem_len), ENOSPC, "and no room to write");
	fails(pwrite(fd, &byte, 1, fixed.smem_len + 1L), EFBIG, "and behind that it is EFBIG");
}

/* Mapping, unmapping, fork and exit give nothing to the frames and take nothing. */
static void no_frame_is_counted(int fd)
{
	long before = 0;

	for (int round = 0; round < 12; round++) {
		pid_t child;

		if (round <= 2) /* asking takes memory, too, the first time */
			before = tap_proc_number("/proc/census", "nr_free_frames");
		child = fork();
		if (child == 0) {
			volatile char *map = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
						  MAP_SHARED, fd, 300 * PAGE);

			for (int i = 0; i < 64; i++)
				map[i * PAGE] = map[i * PAGE];
			if (fork() == 0)
				_exit(map[0] & 0);
			wait(NULL);
			munmap((void *)map, 32 * PAGE);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
	ok(tap_proc_number("/proc/census", "nr_free_frames") == before,
	   "every frame is where it was before ten rounds of mapping, fork and exit");
}

int main(int argc, char **argv)
{
	struct stat is;
	char line[16];
	int fd;

	(void)argc;
	tap_begin(argv);
	fd = open("/dev/fb0", O_RDWR);
	if (!ok(fd >= 0, "/dev/fb0 is opened"))
		return done();
	ok(fstat(fd, &is) == 0 && (is.st_mode & S_IRWXO) == 0, "and is not everybody's");
	set_mode(fd);
	misuse(fd);
	no_frame_is_counted(fd);
	draw_in_every_way(fd);
	tap_end();
	printf("the picture is drawn\n");
	return fgets(line, sizeof(line), stdin) == NULL;
}
