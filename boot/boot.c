/*
 * boot/boot.c - from boot_params to struct boot_info, whoever loaded us.
 *
 * boot_relocate() runs at physical addresses on the identity map; it is the one function that must
 * do without relocated pointers. boot_main() runs in the kernel's high mapping with the identity
 * map still in place, and copies all it wants from low memory before that goes away.
 */
#include "boot/boot.h"

#include "kernel/boot_info.h"
#include "kernel/cmdline.h"
#include "kernel/main.h"
#include "kernel/string.h"
#include "kernel/x86_64/regs.h"
#include "mm/layout.h"
#include <asm/bootparam.h>

_Static_assert(offsetof(struct boot_params, scratch) == 0x1e4, "unpack/head.S knows it");
_Static_assert(offsetof(struct boot_params, e820_entries) == 0x1e8, "setup.S knows it");
_Static_assert(offsetof(struct boot_params, hdr) == 0x1f1, "setup.S knows it");
_Static_assert(offsetof(struct boot_params, e820_table) == 0x2d0, "setup.S knows it");
_Static_assert(sizeof(struct boot_e820_entry) == 20, "setup.S knows it");

#define TABLE_ENTRIES      512
#define ENTRY_PRESENT      UINT64_C(0x001)
#define ENTRY_WRITE        UINT64_C(0x002)
#define ENTRY_LARGE        UINT64_C(0x080)
#define BOOT_TABLES        4 /* boot_high_pt: an image of up to 8 MiB */
#define SLIDE_ALIGN        (2 * MIB)
#define SLIDE_MAX          (1 * GIB - BOOT_TABLES * 2 * MIB) /* boot_high_pd: the lower of the two GiB */
#define CPUID_1_ECX_RDRAND (1u << 30)

extern char __image_start[], __image_end[];
extern const uint64_t __relr_start[], __relr_end[];
extern uint64_t boot_pml4[], boot_pdpt[], boot_pd[], boot_high_pdpt[], boot_high_pd[],
	boot_high_pt[];

/* E820 types (ACPI 6.4, 15.1). */
enum { E820_RAM = 1, E820_ACPI = 3 };

struct boot_info boot_info;

static bool contains_word(const char *line, const char *word)
{
	for (const char *at = line; *at; at++) {
		size_t i = 0;
		while (word[i] && at[i] == word[i])
			i++;
		if (!word[i] && (at == line || at[-1] == ' ') && (at[i] == 0 || at[i] == ' '))
			return true;
	}
	return false;
}

/* The kernel's place in its 2 GiB: as linked with `norandmaps` or `nokaslr`, else by chance. */
static uint64_t choose_slide(const struct boot_params *params)
{
	const char *line = (const char *)(uintptr_t)params->hdr.cmd_line_ptr;
	unsigned char carry = 0;
	uint64_t chance = rdtsc() * UINT64_C(0x9e3779b97f4a7c15) >> 32;

	if (line && (contains_word(line, "norandmaps") || contains_word(line, "nokaslr")))
		return 0;
	if (cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND) {
		uint64_t drawn;
		asm volatile("rdrand %0; setc %1" : "=r"(drawn), "=qm"(carry)::"cc");
		if (carry)
			chance ^= drawn;
	}
	return chance % (SLIDE_MAX / SLIDE_ALIGN + 1) * SLIDE_ALIGN;
}

static void link_table(uint64_t *table, unsigned slot, const uint64_t *next)
{
	table[slot] = (uintptr_t)next | ENTRY_PRESENT | ENTRY_WRITE;
}

/*
 * Adds `slide` to every pointer in the image's data; `offset` leads from a linked address to where it
 * lies now. All relocations are relative ones, which the linker packs (gABI, "Relative Relocation
 * Table"): an even entry is the address of a pointer, an odd one a bitmap of the 63 that follow it.
 */
static void relocate(uint64_t offset, uint64_t slide)
{
	uint64_t *next = NULL;

	for (const uint64_t *entry = __relr_start; entry < __relr_end; entry++) {
		if (!(*entry & 1)) {
			next = (uint64_t *)(*entry + offset);
			*next++ += slide;
			continue;
		}
		for (unsigned i = 0; i < 63; i++)
			if (*entry >> (i + 1) & 1)
				next[i] += slide;
		next += 63;
	}
}

uint64_t boot_relocate(const struct boot_params *params, paddr_t base)
{
	uint64_t slide = choose_slide(params);
	uint64_t link_base = KERNEL_BASE;
	uint64_t size = (uint64_t)(__image_end - __image_start);

	for (unsigned i = 0; i < 4 * TABLE_ENTRIES; i++)
		boot_pd[i] = i * 2 * MIB | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_LARGE;
	for (unsigned i = 0; i < 4; i++)
		link_table(boot_pdpt, i, boot_pd + i * TABLE_ENTRIES);
	link_table(boot_pml4, 0, boot_pdpt);

	link_table(boot_pml4, 511, boot_high_pdpt);
	link_table(boot_high_pdpt, 510, boot_high_pd);
	for (unsigned i = 0; i < BOOT_TABLES; i++)
		link_table(boot_high_pd, slide / (2 * MIB) + i, boot_high_pt + i * TABLE_ENTRIES);
	for (uint64_t at = 0; at < size; at += PAGE_SIZE)
		boot_high_pt[at / PAGE_SIZE] = (base + at) | ENTRY_PRESENT | ENTRY_WRITE;

	relocate(base - link_base, slide);
	return link_base + slide - base;
}

/* The assigned identities of Documentation/arch/x86/boot.rst, as far as a machine may meet them. */
static const char *loader_name(const struct setup_header *header)
{
	static char other[24];

	switch (header->type_of_loader >> 4) {
	case 0x0:
		return "LILO";
	case 0x1:
		return "Loadlin";
	case 0x3:
		return "PXELINUX";
	case 0x4:
		return "iPXE";
	case 0x5:
		return "ELILO";
	case 0x7:
		return "GRUB";
	case 0xb:
		return "QEMU";
	default:
		snprintf(other, sizeof(other), "loader type 0x%02x", header->type_of_loader);
		return other;
	}
}

static void add_memory(paddr_t start, uint64_t size, enum boot_memory_type type)
{
	struct boot_info *info = &boot_info;
	paddr_t end;

	if (info->memory_count == BOOT_MEMORY_MAX || __builtin_add_overflow(start, size, &end))
		return;
	info->memory[info->memory_count++] = (struct boot_memory){ start, end, type };
}

void boot_main(const struct boot_params *params, uint64_t entry_tsc, paddr_t base)
{
	const struct setup_header *header = &params->hdr;
	const struct screen_info *screen = &params->screen_info;
	struct boot_info *info = &boot_info;

	info->entry_tsc = entry_tsc;
	info->loader = loader_name(header);
	info->kernel_start = base;
	info->kernel_end = base + (uint64_t)(__image_end - __image_start);
	info->rsdp = params->acpi_rsdp_addr;
	if (header->ramdisk_size) {
		info->initrd_start = header->ramdisk_image;
		info->initrd_end = info->initrd_start + header->ramdisk_size;
	}
	for (unsigned i = 0; i < MIN(params->e820_entries, E820_MAX_ENTRIES_ZEROPAGE); i++) {
		const struct boot_e820_entry *entry = &params->e820_table[i];
		enum boot_memory_type type = entry->type == E820_RAM    ? BOOT_RAM
					     : entry->type == E820_ACPI ? BOOT_ACPI
									: BOOT_RESERVED;
		add_memory(entry->addr, entry->size, type);
	}
	if (screen->orig_video_isVGA == VIDEO_TYPE_VLFB ||
	    screen->orig_video_isVGA == VIDEO_TYPE_EFI) {
		info->framebuffer.base = screen->lfb_base | (paddr_t)screen->ext_lfb_base << 32;
		info->framebuffer.width = screen->lfb_width;
		info->framebuffer.height = screen->lfb_height;
		info->framebuffer.pitch = screen->lfb_linelength;
		info->framebuffer.bits_per_pixel = screen->lfb_depth;
	}
	if (header->cmd_line_ptr)
		cmdline_set((const char *)(uintptr_t)header->cmd_line_ptr);
	kernel_main();
}
