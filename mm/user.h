/*
 * mm/user.h - moving bytes between the kernel and the current thread's user memory.
 *
 * Two kinds. The *faulting* copies page memory in, break COW and may sleep: the caller holds
 * nothing but a file's offset lock. The *no-fault* copies may be used under any lock and stop
 * short at the first page that is not there; the caller drops its locks, calls user_fault_in() and
 * tries again. No pointer is trusted: everything at or above USER_MAX is -EFAULT.
 */
#ifndef HAWSER_MM_USER_H
#define HAWSER_MM_USER_H

#include "kernel/base.h"
#include "mm/layout.h"

/*
 * 0, or -EFAULT (some bytes may have been copied); -EINTR when killed while a page is fetched; -ENOMEM when
 * there was none for a page, and nobody who could be ended for it.
 */
int __must_check copy_from_user(void *to, vaddr_t from, size_t length);
int __must_check copy_to_user(vaddr_t to, const void *from, size_t length);
int __must_check zero_user(vaddr_t to, size_t length);

/* A string with its NUL. Length without the NUL, or -EFAULT, or -ENAMETOOLONG if it does not fit. */
ssize_t __must_check copy_string_from_user(char *to, vaddr_t from, size_t size);

/* Bytes copied before the first page that would have faulted. */
size_t __must_check copy_from_user_nofault(void *to, vaddr_t from, size_t length);
size_t __must_check copy_to_user_nofault(vaddr_t to, const void *from, size_t length);

/*
 * Writes `wanted` to a word, aligned, if it is `*seen`, atomically; what was there in `*seen`. False: its
 * page is not there, or may not be written; nothing is faulted in.
 */
bool __must_check user_exchange_nofault(vaddr_t address, uint32_t *seen, uint32_t wanted);

/* Writes the FPU's registers, as fpu_save_whole() does, to an address that is aligned to 64. As the copies. */
int __must_check save_fpu_to_user(vaddr_t to);

/* Faults in the pages of [start, start + length) for reading or writing. As the copies. */
int __must_check user_fault_in(vaddr_t start, size_t length, bool write);

/*
 * A window: until it is closed, copies of the calling thread to and from [memory, memory + length), which is
 * the kernel's, work as if it were the user's. For moving data between two files (sendfile(2)): their
 * operations know user memory only. Nothing that the user says can be an address in it; one at a time.
 */
void user_window_open(void *memory, size_t length);
void user_window_close(void);

#define get_user(out, from) copy_from_user((out), (from), sizeof(*(out)))
#define put_user(to, value)                                          \
	({                                                           \
		typeof(value) put_value_ = (value);                  \
		copy_to_user((to), &put_value_, sizeof(put_value_)); \
	})

#endif
