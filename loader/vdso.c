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

int vdso_map(struct space *space, vaddr_t *header)
{
	uint64_t size = (uint64_t)(vdso_image_end - vdso_image);
	struct map_request request = {
		.length = PAGE_SIZE + size,
		.prot = PROT_READ,
		.max_prot = PROT_READ | PROT_EXEC,
		.flags = REGION_DEVICE,
		.object = &object,
		.name = data_name,
	};
	vaddr_t at;
	int error;

	*header = 0;
	if (!wanted)
		return 0;
	error = space_map(space, &request, &at);
	if (error != 0)
		return error;
	request.address = at + PAGE_SIZE;
	request.length = size;
	request.prot = PROT_READ | PROT_EXEC;
	request.offset = PAGE_SIZE;
	request.name = code_name;
	request.fixed = true;
	return space_map(space, &request, header);
}

void vdso_init(void)
{
	int64_t setting = 1;

	object_init(&object, &ops, PAGE_SIZE + (uint64_t)(vdso_image_end - vdso_image));
	data_name = file_name_create("[vvar]", 0);
	code_name = file_name_create("[vdso]", 0);
	if (!data_name || !code_name)
		panic("no memory for the vDSO's names");
	wanted = !cmdline_number("vdso", &setting) || setting != 0;
}
