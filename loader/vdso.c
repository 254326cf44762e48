/*
 * loader/vdso.c - see loader/vdso.h.
 *
 *	at          vvar: clock_vvar()     r--p [vvar]
 *	at + 4096   vdso_image …           r-xp [vdso]  ◄ AT_SYSINFO_EHDR
 *
 * Both are pages of the kernel's image, so they are one object whose pages are a device's to mm: mapped,
 * never counted, never copied. Nobody can get the right to write to them.
 */
#include "loader/vdso.h"

#include "fs/path.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "mm/x86_64/kernel_map.h"
#include <linux/mman.h>

extern const uint8_t vdso_image[], vdso_image_end[];

static int image_page(struct object *object, uint64_t index, paddr_t *out)
{
	const uint8_t *page =
		index == 0 ? (const uint8_t *)clock_vvar() : vdso_image + (index - 1) * PAGE_SIZE;

	if (page >= vdso_image_end && index != 0)
		return -EFAULT;
	*out = kernel_image_paddr(page);
	return 0;
}

/* It is there for ever: the reference from object_init() is never dropped. */
static const struct object_ops ops = {
	.name = "vdso",
	.device_page = image_page,
	.device_is_memory = true,
};

/* Set once by vdso_init(). */
static struct object object;
static struct file_name *data_name, *code_name;
static bool wanted;

uint64_t vdso_size(void)
{
	return PAGE_SIZE + (uint64_t)(vdso_image_end - vdso_image);
}

static int map(struct space *space, vaddr_t at, uint64_t offset, uint64_t length, uint32_t prot,
	       struct file_name *name)
{
	struct map_request request = {
		.address = at + offset,
		.length = length,
		.prot = prot,
		.max_prot = PROT_READ | PROT_EXEC,
		.flags = REGION_DEVICE,
		.object = &object,
		.offset = offset,
		.name = name,
		.fixed = true,
		.noreplace = true,
	};
	vaddr_t mapped;
	int error = space_map(space, &request, &mapped);

	/* A fixed-address image lies there. */
	return error == -EEXIST ? -ENOMEM : error;
}

int vdso_map(struct space *space, vaddr_t at, vaddr_t *header)
{
	int error;

	*header = 0;
	if (!wanted)
		return 0;
	error = map(space, at, 0, PAGE_SIZE, PROT_READ, data_name);
	if (error == 0)
		error = map(space, at, PAGE_SIZE, vdso_size() - PAGE_SIZE, PROT_READ | PROT_EXEC,
			    code_name);
	if (error == 0)
		*header = at + PAGE_SIZE;
	return error;
}

void vdso_init(void)
{
	int64_t setting = 1;

	object_init(&object, &ops, vdso_size());
	data_name = file_name_create("[vvar]", 0);
	code_name = file_name_create("[vdso]", 0);
	if (!data_name || !code_name)
		panic("no memory for the vDSO's names");
	wanted = !cmdline_number("vdso", &setting) || setting != 0;
}
