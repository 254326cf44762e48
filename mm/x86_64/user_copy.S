/*
 * mm/x86_64/user_copy.S - the only instructions that touch user memory.
 *
 * Each may fault: kernel/trap.c then either makes the page present and repeats the instruction, or
 * goes on at the fixup named beside it. The window in which SMAP is open is as long as the copy.
 *
 * Bulk goes by quadwords (`rep movsq`); the last bytes by 4, 2 and 1. If a quadword cannot be moved,
 * the bytes of it that lie before the bad page still are, one by one, so that what is returned is
 * exact to the byte.
 */
#include "kernel/x86_64/entry.h"

	.text

	/* size_t user_copy(void *to, const void *from, size_t length): how many bytes are left. */
	.globl	user_copy
	.type	user_copy, @function
user_copy:
	user_access_begin
	movq	%rdx, %rcx
	andl	$7, %edx
	shrq	$3, %rcx
	jz	2f
1:	rep movsq
	on_fault 1b, .Lcopy_quads_left
2:	testl	%edx, %edx
	jz	.Lcopy_done
	testb	$4, %dl
	jz	5f
3:	movl	(%rsi), %eax
4:	movl	%eax, (%rdi)
	on_fault 3b, .Lcopy_tail_left
	on_fault 4b, .Lcopy_tail_left
	addq	$4, %rsi
	addq	$4, %rdi
	subl	$4, %edx
5:	testb	$2, %dl
	jz	8f
6:	movw	(%rsi), %ax
7:	movw	%ax, (%rdi)
	on_fault 6b, .Lcopy_tail_left
	on_fault 7b, .Lcopy_tail_left
	addq	$2, %rsi
	addq	$2, %rdi
	subl	$2, %edx
8:	testb	$1, %dl
	jz	.Lcopy_done
9:	movb	(%rsi), %al
10:	movb	%al, (%rdi)
	on_fault 9b, .Lcopy_tail_left
	on_fault 10b, .Lcopy_tail_left
.Lcopy_done:
	user_access_end
	xorl	%eax, %eax
	ret

.Lcopy_quads_left:				# RCX quadwords and EDX bytes
	leaq	(%rdx, %rcx, 8), %rcx
	jmp	11f
.Lcopy_tail_left:				# EDX bytes
	movl	%edx, %ecx
11:	rep movsb
	on_fault 11b, .Lcopy_failed
.Lcopy_failed:
	user_access_end
	movq	%rcx, %rax
	ret
	.size	user_copy, . - user_copy

	/* size_t user_zero(void *to, size_t length): how many bytes are left. */
	.globl	user_zero
	.type	user_zero, @function
user_zero:
	user_access_begin
	xorl	%eax, %eax
	movq	%rsi, %rcx
	andl	$7, %esi
	shrq	$3, %rcx
1:	rep stosq
	on_fault 1b, .Lzero_quads_left
	movl	%esi, %ecx
2:	rep stosb
	on_fault 2b, .Lzero_done
.Lzero_done:
	user_access_end
	movq	%rcx, %rax
	ret
.Lzero_quads_left:
	leaq	(%rsi, %rcx, 8), %rcx
	jmp	2b
	.size	user_zero, . - user_zero

	/*
	 * ssize_t user_copy_string(char *to, const char *from, size_t size): the length of the string
	 * without its NUL; `size` if there is no NUL so far; -1 if a byte of it cannot be read.
	 *
	 * Byte by byte until `from` is aligned, then by quadwords, which then never reach into a page
	 * that the string does not. A quadword w has a zero byte if (w - 01…01) & ~w & 80…80.
	 */
	.globl	user_copy_string
	.type	user_copy_string, @function
user_copy_string:
	user_access_begin
	movq	%rdx, %rcx			# RCX: room left
	movabsq	$0x0101010101010101, %r8
	movabsq	$0x8080808080808080, %r9
1:	testb	$7, %sil
	jz	4f
2:	testq	%rcx, %rcx
	jz	.Lstring_end
3:	movb	(%rsi), %al
	on_fault 3b, .Lstring_failed
	movb	%al, (%rdi)
	testb	%al, %al
	jz	.Lstring_end
	incq	%rsi
	incq	%rdi
	decq	%rcx
	jmp	1b
4:	cmpq	$8, %rcx
	jb	2b
5:	movq	(%rsi), %rax
	on_fault 5b, .Lstring_failed
	movq	%rax, %r10
	movq	%rax, %r11
	subq	%r8, %r10
	notq	%r11
	andq	%r11, %r10
	andq	%r9, %r10
	jnz	2b				# the NUL is within: by bytes, until it ends the loop
	movq	%rax, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	subq	$8, %rcx
	jmp	4b
.Lstring_end:
	user_access_end
	movq	%rdx, %rax
	subq	%rcx, %rax
	ret
.Lstring_failed:
	user_access_end
	movq	$-1, %rax
	ret
	.size	user_copy_string, . - user_copy_string

	/* bool user_touch(const void *at): true if the byte can be read. */
	.globl	user_touch
	.type	user_touch, @function
user_touch:
	user_access_begin
	movl	$1, %eax
1:	testb	$0, (%rdi)
	on_fault 1b, .Ltouch_failed
	jmp	.Ltouch_done

	/* bool user_touch_write(void *at): true if it can be written. Changes nothing, atomically. */
	.globl	user_touch_write
	.type	user_touch_write, @function
user_touch_write:
	user_access_begin
	movl	$1, %eax
2:	lock orb $0, (%rdi)
	on_fault 2b, .Ltouch_failed
	jmp	.Ltouch_done
.Ltouch_failed:
	xorl	%eax, %eax
.Ltouch_done:
	user_access_end
	ret
	.size	user_touch_write, . - user_touch_write

	/*
	 * bool user_exchange(uint32_t *at, uint32_t *seen, uint32_t wanted): writes `wanted` if the word is
	 * *seen, which becomes what was there; false if it cannot be.
	 */
	.globl	user_exchange
	.type	user_exchange, @function
user_exchange:
	movl	(%rsi), %eax
	user_access_begin
1:	lock cmpxchgl %edx, (%rdi)
	on_fault 1b, .Lexchange_failed
	user_access_end
	movl	%eax, (%rsi)
	movl	$1, %eax
	ret
.Lexchange_failed:
	user_access_end
	xorl	%eax, %eax
	ret
	.size	user_exchange, . - user_exchange

	/* bool user_fxsave(void *to): the FPU's registers, to an aligned address; false if it cannot be. */
	.globl	user_fxsave
	.type	user_fxsave, @function
user_fxsave:
	user_access_begin
1:	fxsave64 (%rdi)
	on_fault 1b, .Lfpu_failed
.Lfpu_saved:
	user_access_end
	movl	$1, %eax
	ret

	/*
	 * bool user_xsave(void *to, uint64_t components): XSAVE leaves all of its header but XSTATE_BV as it
	 * is, and XRSTOR wants zeroes there.
	 */
	.globl	user_xsave
	.type	user_xsave, @function
user_xsave:
	user_access_begin
	movq	%rdi, %r8
	addq	$XSAVE_HEADER, %rdi
	movl	$(XSAVE_HEADER_SIZE / 8), %ecx
	xorl	%eax, %eax
2:	rep stosq
	on_fault 2b, .Lfpu_failed
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
3:	xsave64	(%r8)
	on_fault 3b, .Lfpu_failed
	jmp	.Lfpu_saved
.Lfpu_failed:
	user_access_end
	xorl	%eax, %eax
	ret
	.size	user_xsave, . - user_xsave

	.section .note.GNU-stack, "", @progbits
