/*
 * boot/setup.S - the real-mode half of the image (Linux boot protocol 2.12,
 * Documentation/arch/x86/boot.rst), for loaders that start it there: iPXE, PXELINUX, QEMU.
 *
 * Linked at 0 and loaded at any segment by the loader, with the rest of the image at code32_start:
 *
 *	0x0000  nothing; the DOS and PE headers of an EFI application fit in front of the setup header
 *	0x01f1  setup header; the sizes in it are filled in by tools/mkimage
 *	0x0200  the entry, at segment + 0x20
 *	0x4000  boot_params, built here
 *	0x8000  top of the stack
 *
 * It asks the BIOS for what only the BIOS can tell (the memory map), opens the A20 gate, and goes
 * to the 32-bit entry with ESI = boot_params. Loaders that ask the BIOS themselves (GRUB) start
 * there at once.
 */
#define __ASSEMBLY__ /* of <asm/bootparam.h> the numbers only */
#include <asm/bootparam.h>

#define SETUP_SECTS      3      /* beside the first one: the code ends below 0x800 */
#define BOOT_PARAMS      0x4000
#define STACK_TOP        0x8000
#define BOOT_PARAMS_SIZE 0x1000

/* Offsets into struct boot_params of <asm/bootparam.h>, checked in boot/boot.c. */
#define BP_E820_ENTRIES  0x1e8
#define BP_HDR           0x1f1
#define BP_E820_TABLE    0x2d0
#define E820_ENTRY_SIZE  20
#define E820_MAX         128
#define HEADER_END       0x268

#define SELECTOR_CODE32  0x10
#define SELECTOR_DATA32  0x18
#define SMAP             0x534d4150

	.code16
	.section .text, "ax"
	.globl _start
_start:
	.org BP_HDR
setup_sects:		.byte SETUP_SECTS
root_flags:		.word 0
syssize:		.long 0
ram_size:		.word 0
vid_mode:		.word 0xffff
root_dev:		.word 0
boot_flag:		.word 0xaa55

	/* 0x200: a jump whose length also says where the header ends. */
	.byte 0xeb, start - 1f
1:
	.ascii "HdrS"
	.word 0x020c			# protocol version
realmode_swtch:		.long 0
start_sys_seg:		.word 0
kernel_version:		.word version_string - 0x200
type_of_loader:		.byte 0
loadflags:		.byte LOADED_HIGH
setup_move_size:	.word 0
code32_start:		.long 0x100000
ramdisk_image:		.long 0
ramdisk_size:		.long 0
bootsect_kludge:	.long 0
heap_end_ptr:		.word 0
ext_loader_ver:		.byte 0
ext_loader_type:	.byte 0
cmd_line_ptr:		.long 0
initrd_addr_max:	.long 0x7fffffff
kernel_alignment:	.long 0x1000
relocatable_kernel:	.byte 1
min_alignment:		.byte 12	# 2^12
xloadflags:		.word XLF_KERNEL_64	# a 64-bit entry at 0x200
cmdline_size:		.long 2047
hardware_subarch:	.long 0
hardware_subarch_data:	.quad 0
payload_offset:		.long 0
payload_length:		.long 0
setup_data:		.quad 0
pref_address:		.quad 0x100000
init_size:		.long 0
handover_offset:	.long 0

start:
	cld
	cli
	movw	%ds, %ax		# the loader's real-mode segment, as the protocol has it
	movw	%ax, %es
	movw	%ax, %ss
	movl	$STACK_TOP, %esp
	pushw	%ax
	pushw	$1f
	lretw				# CS = that segment too: one base for everything
1:
	sti

	/* boot_params: zero, with a copy of the header as the loader left it. */
	movw	$BOOT_PARAMS, %di
	xorl	%eax, %eax
	movw	$(BOOT_PARAMS_SIZE / 4), %cx
	rep stosl
	movw	$BP_HDR, %si
	movw	$(BOOT_PARAMS + BP_HDR), %di
	movw	$(HEADER_END - BP_HDR), %cx
	rep movsb

	/* INT 15h, E820h: one range of memory a call (ACPI 6.4, 15.1). */
	xorl	%ebx, %ebx
	movw	$(BOOT_PARAMS + BP_E820_TABLE), %di
1:
	movl	$0xe820, %eax
	movl	$E820_ENTRY_SIZE, %ecx
	movl	$SMAP, %edx
	int	$0x15
	jc	2f			# past the last one, or not supported
	cmpl	$SMAP, %eax
	jne	2f
	addw	$E820_ENTRY_SIZE, %di
	incb	BOOT_PARAMS + BP_E820_ENTRIES
	cmpb	$E820_MAX, BOOT_PARAMS + BP_E820_ENTRIES
	jae	2f
	testl	%ebx, %ebx
	jnz	1b
2:
	/* A20: by the BIOS, and by the fast gate in case it would not (never touching bit 0: reset). */
	movw	$0x2401, %ax
	int	$0x15
	inb	$0x92, %al
	testb	$2, %al
	jnz	1f
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92
1:
	cli
	movb	$0x80, %al		# no NMI until there is an IDT
	outb	%al, $0x70

	/* Linear addresses of what protected mode needs, from the segment we run in. */
	xorl	%ebx, %ebx
	movw	%ds, %bx
	shll	$4, %ebx
	leal	gdt(%ebx), %eax
	movl	%eax, gdt_pointer + 2
	leal	protected(%ebx), %eax
	movl	%eax, far_target
	leal	BOOT_PARAMS(%ebx), %esi
	movl	code32_start, %ecx
	lgdtl	gdt_pointer
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	.byte	0x66, 0xea		# ljmpl $SELECTOR_CODE32, $far_target
far_target:
	.long	0
	.word	SELECTOR_CODE32

	.code32
protected:
	movl	$SELECTOR_DATA32, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	xorl	%ebx, %ebx
	jmp	*%ecx

	.balign 8
gdt:
	.quad	0
	.quad	0
	.quad	0x00cf9b000000ffff	# 0x10: code, 4 GiB flat
	.quad	0x00cf93000000ffff	# 0x18: data, 4 GiB flat
gdt_pointer:
	.word	. - gdt - 1
	.long	0

version_string:
	.asciz	"Hawser"

	.org (SETUP_SECTS + 1) * 512
