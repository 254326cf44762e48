/*
 * kernel/panic.c - the end: what happened, where, and what led to it; then what `panic=` says.
 *
 * Whatever is printed here is written straight to the consoles. No lock is taken, since whoever
 * holds it may be the one who panics, and nothing is allocated. Stacks are read only where stacks
 * are known to be: a frame pointer that leads elsewhere ends the backtrace, not the machine.
 */
#include "kernel/panic.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/stack_guard.h"
#include "kernel/x86_64/trapframe.h"

#define BACKTRACE_DEPTH 32
#define LOG_TAIL_LINES  24

#define USEC_PER_SEC    1000000

/* The image up to its end in memory: the boot stack and the interrupt stacks lie in it. */
extern const char __bss_start[], __boot_scratch_start[], __image_start[], __text_end[];

static _Atomic uint32_t panicking;            /* the number of the CPU that has begun, plus one */
static const struct machine_ops *machine_ops; /* set once at boot */

bool panic_active(void)
{
	return atomic_load_explicit(&panicking, memory_order_relaxed) != 0;
}

/* --- the machine's own end --------------------------------------------------------------------------- */

void machine_register(const struct machine_ops *ops)
{
	machine_ops = ops;
}

static __noreturn void halt(void)
{
	for (;;) {
		irq_disable();
		asm volatile("hlt");
	}
}

void machine_power_off(void)
{
	if (machine_ops != NULL)
		machine_ops->power_off();
	log_notice("the machine does not switch itself off; it is safe to do it now");
	halt();
}

void machine_reboot(void)
{
	if (machine_ops != NULL)
		machine_ops->reboot();
	cpu_triple_fault();
}

/* --- printing ------------------------------------------------------------------------------------------ */

/* A line straight to the consoles. */
static __printf(1, 2) void say(const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	int length = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_emergency_write(line, MIN((size_t)length, sizeof(line) - 1));
	log_emergency_write("\r\n", 2);
}

static void say_address(const char *label, vaddr_t address)
{
	size_t offset = 0;
	const char *name = symbol_lookup(address, &offset);

	if (name != NULL)
		say("%s%016lx %s+%#zx", label, address, name, offset);
	else
		say("%s%016lx", label, address);
}

static bool within(vaddr_t address, size_t length, vaddr_t start, vaddr_t end)
{
	return address >= start && address < end && length <= end - address;
}

/* A saved RBP and the return address above it. */
struct stack_frame {
	const struct stack_frame *caller;
	vaddr_t return_address;
};

static bool frame_readable(vaddr_t frame)
{
	const struct thread *self = this_cpu()->thread;

	if (!IS_ALIGNED(frame, sizeof(vaddr_t)))
		return false;
	if (within(frame, sizeof(struct stack_frame), (vaddr_t)__bss_start,
		   (vaddr_t)__boot_scratch_start))
		return !is_stack_guard(frame);
	return self != NULL && self->stack_base != 0 &&
	       within(frame, sizeof(struct stack_frame), self->stack_base, self->stack_top);
}

/* From a saved RBP. */
static void say_backtrace(vaddr_t frame_pointer)
{
	say("Backtrace:");
	for (unsigned depth = 0; depth < BACKTRACE_DEPTH; depth++) {
		if (!frame_readable(frame_pointer))
			return;
		const struct stack_frame *frame = (const struct stack_frame *)frame_pointer;
		if (!within(frame->return_address, 1, (vaddr_t)__image_start, (vaddr_t)__text_end))
			return;
		/* The call is before the address it returns to, which may be another function's. */
		say_address("  ", frame->return_address - 1);
		frame_pointer = (vaddr_t)frame->caller;
	}
}

static void say_registers(const struct trapframe *tf)
{
	say("rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx", tf->rax, tf->rbx, tf->rcx, tf->rdx);
	say("rsi %016lx  rdi %016lx  rbp %016lx  rsp %016lx", tf->rsi, tf->rdi, tf->rbp, tf->rsp);
	say("r8  %016lx  r9  %016lx  r10 %016lx  r11 %016lx", tf->r8, tf->r9, tf->r10, tf->r11);
	say("r12 %016lx  r13 %016lx  r14 %016lx  r15 %016lx", tf->r12, tf->r13, tf->r14, tf->r15);
	say("rflags %08lx  cs %02lx  ss %02lx  vector %lu  error %#lx", tf->rflags, tf->cs, tf->ss,
	    tf->vector, tf->error);
	say("cr0 %lx  cr2 %016lx  cr3 %lx  cr4 %lx", read_cr0(), read_cr2(), read_cr3(),
	    read_cr4());
}

/* --- panic --------------------------------------------------------------------------------------------- */

/* What `panic=` says. */
static int64_t timeout(void)
{
	int64_t seconds;

	return cmdline_number("panic", &seconds) ? seconds : 0;
}

/* The telling has gone wrong itself: nothing is believed any more but `panic=`. */
static __noreturn void give_up(void)
{
	if (timeout() != 0)
		cpu_triple_fault();
	halt();
}

static __printf(1, 0) void begin(const char *fmt, va_list ap)
{
	irq_disable();

	const struct cpu *cpu = this_cpu();
	uint32_t first = 0;
	if (!atomic_compare_exchange_strong(&panicking, &first, cpu->number + 1)) {
		if (first == cpu->number + 1)
			give_up();
		halt();
	}

	const struct thread *self = cpu->thread;
	char message[LOG_LINE_MAX];
	vsnprintf(message, sizeof(message), fmt, ap);
	log_emergency_write("\r\n", 2);
	say("Kernel panic: %s", message);
	say("CPU %u, thread %u (%s)%s", cpu->number, self != NULL ? self->tid : 0,
	    self != NULL ? self->name : "none yet",
	    cpu->interrupt_depth > 0 ? ", in an interrupt" : "");
}

static __noreturn void end(void)
{
	int64_t seconds = timeout();

	say("The log's last lines:");
	log_dump_tail(LOG_TAIL_LINES);
	if (seconds == 0) {
		say("Stopped (panic=SECONDS would reboot).");
		halt();
	}
	if (seconds > 0)
		say("Rebooting in %ld seconds.", seconds);
	for (; seconds > 0; seconds--)
		clock_delay_us(USEC_PER_SEC);
	machine_reboot();
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	begin(fmt, ap);
	va_end(ap);
	say_backtrace((vaddr_t)__builtin_frame_address(0));
	end();
}

void panic_trap(const struct trapframe *tf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	begin(fmt, ap);
	va_end(ap);
	say_address("at ", tf->rip);
	say_registers(tf);
	say_backtrace(tf->rbp);
	end();
}

void assert_failed(const char *condition, const char *file, int line)
{
	panic("%s:%d: assertion failed: %s", file, line, condition);
}

/* Called by the compiler's checks: a function has found its stack frame overwritten. */
__noreturn void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
	panic("stack overwritten");
}
