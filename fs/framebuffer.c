/*
 * fs/framebuffer.c - /dev/fb0: a framebuffer as Linux's programs know it (linux/fb.h).
 *
 * The memory is read, written, and mapped: shared, so that what is stored is seen. It is no RAM, so nothing of
 * it is counted, copied or freed. Opening the device turns the screen from text to graphics.
 */
#include "dev/framebuffer.h"
#include "fs/dev.h"
#include "fs/inode.h"
#include "fs/ops.h"
#include "kernel/string.h"
#include "mm/user.h"
#include <linux/fb.h>
#include <linux/kdev_t.h>
#include <linux/major.h>
#include <linux/mman.h>
#include <linux/stat.h>

static int device_page(struct object *object, uint64_t index, paddr_t *out)
{
	if (index >= object->size >> PAGE_SHIFT)
		return -EFAULT;
	*out = framebuffer_base() + (index << PAGE_SHIFT);
	return 0;
}

static const struct object_ops object_ops = {
	.name = "framebuffer",
	.device_page = device_page,
};
/* There for ever: it keeps its first reference. */
static struct object memory;

static uint32_t bytes_per_line(const struct framebuffer_mode *mode)
{
	return mode->width * (mode->bits / 8);
}

/* --- what it is, and what it shows ------------------------------------------------------------ */

static struct fb_bitfield field(uint32_t offset, uint32_t length)
{
	return (struct fb_bitfield){ .offset = offset, .length = length };
}

static void describe_mode(const struct framebuffer_mode *mode, struct fb_var_screeninfo *info)
{
	memset(info, 0, sizeof(*info));
	info->xres = info->xres_virtual = mode->width;
	info->yres = info->yres_virtual = mode->height;
	info->bits_per_pixel = mode->bits;
	info->height = info->width = UINT32_MAX; /* in mm; unknown */
	info->vmode = FB_VMODE_NONINTERLACED;
	if (mode->bits == 16) {
		info->red = field(11, 5);
		info->green = field(5, 6);
		info->blue = field(0, 5);
	} else {
		info->red = field(16, 8);
		info->green = field(8, 8);
		info->blue = field(0, 8);
	}
}

static int get_variable(vaddr_t to)
{
	struct framebuffer_mode mode = framebuffer_get_mode();
	struct fb_var_screeninfo info;

	describe_mode(&mode, &info);
	return copy_to_user(to, &info, sizeof(info));
}

static int get_fixed(vaddr_t to)
{
	struct framebuffer_mode mode = framebuffer_get_mode();
	struct fb_fix_screeninfo info;

	memset(&info, 0, sizeof(info));
	(void)strlcpy(info.id, "QEMU VGA", sizeof(info.id));
	info.smem_start = framebuffer_base();
	info.smem_len = (uint32_t)framebuffer_size();
	info.type = FB_TYPE_PACKED_PIXELS;
	info.visual = FB_VISUAL_TRUECOLOR;
	info.line_length = bytes_per_line(&mode);
	info.accel = FB_ACCEL_NONE;
	return copy_to_user(to, &info, sizeof(info));
}

/* There is nothing beyond what is shown, so it has no place to be moved to. */
static bool is_moved(const struct fb_var_screeninfo *info)
{
	return info->xoffset != 0 || info->yoffset != 0;
}

static int put_variable(vaddr_t user)
{
	struct framebuffer_mode now = framebuffer_get_mode(), mode;
	struct fb_var_screeninfo info;
	int error = copy_from_user(&info, user, sizeof(info));

	if (error != 0)
		return error;
	mode = (struct framebuffer_mode){ info.xres, info.yres, info.bits_per_pixel };
	if (!framebuffer_can(&mode) || info.xres_virtual > info.xres ||
	    info.yres_virtual > info.yres || is_moved(&info))
		return -EINVAL;
	/* Setting what is set leaves the picture, unless that is asked for. */
	if ((info.activate & FB_ACTIVATE_MASK) == FB_ACTIVATE_NOW &&
	    (memcmp(&mode, &now, sizeof(mode)) != 0 || (info.activate & FB_ACTIVATE_FORCE)))
		framebuffer_set_mode(&mode);
	describe_mode(&mode, &info);
	return copy_to_user(user, &info, sizeof(info));
}

static int pan(vaddr_t user)
{
	struct fb_var_screeninfo info;
	int error = copy_from_user(&info, user, sizeof(info));

	return error != 0 ? error : is_moved(&info) ? -EINVAL : 0;
}

static int ioctl_framebuffer(struct file *file, unsigned request, vaddr_t argument)
{
	switch (request) {
	case FBIOGET_VSCREENINFO:
		return get_variable(argument);
	case FBIOPUT_VSCREENINFO:
		return put_variable(argument);
	case FBIOGET_FSCREENINFO:
		return get_fixed(argument);
	case FBIOPAN_DISPLAY:
		return pan(argument);
	default:
		return -ENOTTY;
	}
}

/* --- its memory ------------------------------------------------------------------------------- */

static ssize_t read_framebuffer(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	uint64_t size = framebuffer_size(), at = (uint64_t)*offset;
	const char *pixels = framebuffer_map();
	int error;

	if (pixels == NULL)
		return -ENOMEM;
	if (at >= size)
		return 0;
	length = MIN(length, size - at);
	error = copy_to_user(to, pixels + at, length);
	if (error != 0)
		return error;
	*offset += (loff_t)length;
	return (ssize_t)length;
}

/* As Linux: behind the end is EFBIG, at it ENOSPC. */
static ssize_t write_framebuffer(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	uint64_t size = framebuffer_size(), at = (uint64_t)*offset;
	char *pixels = framebuffer_map();
	int error;

	if (pixels == NULL)
		return -ENOMEM;
	if (at > size)
		return -EFBIG;
	if (at == size && length > 0)
		return -ENOSPC;
	length = MIN(length, size - at);
	error = copy_from_user(pixels + at, from, length);
	if (error != 0)
		return error;
	*offset += (loff_t)length;
	return (ssize_t)length;
}

static loff_t seek_framebuffer(struct file *file, loff_t offset, int whence)
{
	return seek_in(file, offset, whence, (loff_t)framebuffer_size());
}

/* A private mapping may read: a copy of it would be no picture. */
static int mmap_framebuffer(struct file *file, struct map_request *request)
{
	bool shared = (request->flags & REGION_SHARED) != 0;
	uint64_t end;

	if (__builtin_add_overflow(request->offset, request->length, &end) ||
	    end > framebuffer_size())
		return -EINVAL;
	if (!shared && (request->prot & PROT_WRITE) != 0)
		return -EINVAL;
	if (!shared || (atomic_load(&file->flags) & O_ACCMODE) != O_RDWR)
		request->max_prot &= ~(uint32_t)PROT_WRITE;
	request->flags |= REGION_DEVICE;
	request->object = &memory;
	return 0;
}

static const struct file_ops framebuffer_ops = {
	.read = read_framebuffer,
	.write = write_framebuffer,
	.seek = seek_framebuffer,
	.stat = stat_inode_file,
	.ioctl = ioctl_framebuffer,
	.mmap = mmap_framebuffer,
};

static int open_framebuffer(struct file *file)
{
	(void)framebuffer_get_mode();
	file->ops = &framebuffer_ops;
	return 0;
}

const struct device *framebuffer_device(void)
{
	/* What is on the screen is not for everybody. */
	static const struct device device = {
		.name = "fb0",
		.number = MKDEV(FB_MAJOR, 0),
		.open = open_framebuffer,
		.permissions = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP,
	};

	return framebuffer_present() ? &device : NULL;
}

void framebuffer_init(void)
{
	framebuffer_probe();
	object_init(&memory, &object_ops,
		    framebuffer_present() ? ALIGN_DOWN(framebuffer_size(), PAGE_SIZE) : 0);
}
