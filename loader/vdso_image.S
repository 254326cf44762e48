/*
 * loader/vdso_image.S - the vDSO's file, in pages of its own: they are mapped into every program.
 */
	.section .rodata.vdso, "a"
	.balign	4096
	.globl	vdso_image, vdso_image_end
	.hidden	vdso_image, vdso_image_end
vdso_image:
	.incbin VDSO_FILE
	.balign	4096
vdso_image_end:
